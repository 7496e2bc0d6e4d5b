#include "registry/token_answer.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "registry/json_text.h"

namespace depot::registry {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using nlohmann::json;

namespace {

constexpr size_t kMaxToken = 128 << 10;
constexpr int64_t kDefaultExpiry = 60;
constexpr int64_t kMaxExpiry = 10LL * 365 * 24 * 3600;
constexpr size_t kMinReplaced = 4;

// Digits at `at`, or nothing.
std::optional<int64_t> number(std::string_view text, size_t at, size_t digits) {
  if (text.size() < at + digits) return std::nullopt;
  int64_t out = 0;
  for (char c : text.substr(at, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    out = out * 10 + (c - '0');
  }
  return out;
}

// Days since 1970-01-01 of a date of the Gregorian calendar.
int64_t days(int64_t year, int64_t month, int64_t day) {
  if (month <= 2) --year;
  int64_t era = year / 400, of_era = year % 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

// A token goes into a header of the builder's: visible characters alone.
bool sound(std::string_view token) {
  return token.size() <= kMaxToken &&
         std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// By its exact name: "Token" is what other services, of clouds for one, call things that are not
// ours to hand on.
std::string_view text_field(const json& root, const char* name) {
  auto found = root.find(name);
  return found != root.end() && found->is_string() ? found->get_ref<const std::string&>()
                                                   : std::string_view();
}

int64_t expiry(const json& root) {
  auto found = root.find("expires_in");
  if (found == root.end() || !found->is_number()) return kDefaultExpiry;
  auto seconds = found->get<double>();
  if (!(seconds >= 1)) return kDefaultExpiry;
  return seconds > static_cast<double>(kMaxExpiry) ? kMaxExpiry : static_cast<int64_t>(seconds);
}

}  // namespace

Result<Token> parse_token(std::string_view body, bool oauth) {
  auto problem = [](const char* reason) {
    return Status(Code::kDataLoss, Hop::kRegistry, std::string("its answer: ") + reason);
  };
  auto document = JsonDocument::parse(body, Code::kDataLoss, Hop::kRegistry);
  if (!document.ok()) return document.status().with_prefix("its answer");
  if (!document->root().is_object()) return problem("not a JSON object");
  const json& root = document->root();
  std::string_view text = text_field(root, "access_token");
  if (!oauth && text.empty()) text = text_field(root, "token");
  if (text.empty()) return problem("no token");
  if (!sound(text)) return problem("the token is too long or has odd characters");
  Token token;
  token.token = base::Secret(text);
  token.expires_in = expiry(root);
  token.issued_at = parse_rfc3339(text_field(root, "issued_at"));
  return token;
}

int64_t parse_rfc3339(std::string_view text) {
  auto year = number(text, 0, 4), month = number(text, 5, 2), day = number(text, 8, 2);
  auto hour = number(text, 11, 2), minute = number(text, 14, 2), second = number(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return 0;
  auto is = [&](size_t at, std::string_view any) {
    return any.find(text[at]) != std::string_view::npos;
  };
  if (!is(4, "-") || !is(7, "-") || !is(10, "Tt") || !is(13, ":") || !is(16, ":")) return 0;
  if (*month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 ||
      *second > 60) {
    return 0;
  }
  std::string_view rest = text.substr(19);
  if (!rest.empty() && rest.front() == '.') {
    size_t end = rest.find_first_not_of("0123456789", 1);
    if (end == 1 || end == std::string_view::npos) return 0;
    rest.remove_prefix(end);
  }
  int64_t offset = 0;
  if (rest != "Z" && rest != "z") {
    auto hours = number(rest, 1, 2), minutes = number(rest, 4, 2);
    if (rest.size() != 6 || (rest[0] != '+' && rest[0] != '-') || rest[3] != ':' || !hours ||
        !minutes || *hours > 23 || *minutes > 59) {
      return 0;
    }
    offset = (*hours * 60 + *minutes) * 60 * (rest[0] == '-' ? -1 : 1);
  }
  int64_t seconds = days(*year, *month, *day) * 86400 + *hour * 3600 + *minute * 60 + *second;
  return std::max<int64_t>(seconds - offset, 0);
}

std::string one_line(std::string_view text, const std::vector<std::string_view>& secrets,
                     size_t max) {
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  std::string clean(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
  for (std::string_view secret : secrets) {
    if (secret.empty()) continue;
    if (secret.size() < kMinReplaced) {
      if (clean.find(secret) != std::string::npos) return "(withheld)";
      continue;
    }
    for (size_t at = 0; (at = clean.find(secret, at)) != std::string::npos; at += 3) {
      clean.replace(at, secret.size(), "***");
    }
  }
  std::string out;
  for (char c : clean) {
    if (out.size() >= max) return out + "...";
    if (c == '\n') {
      out += "; ";
    } else {
      out += c >= ' ' && c < 0x7f ? c : '?';
    }
  }
  return out;
}

std::string refusal_reason(std::string_view body, const std::vector<std::string_view>& secrets) {
  auto document = JsonDocument::parse(body, Code::kDataLoss, Hop::kRegistry);
  if (!document.ok()) return "";
  const json& root = document->root();
  std::string out;
  auto add = [&](std::optional<std::string_view> text) {
    if (!text || text->empty()) return;
    if (!out.empty()) out += ": ";
    out += one_line(*text, secrets, 200);
  };
  const json* errors = member(root, "errors");
  const json* first =
      errors != nullptr && errors->is_array() && !errors->empty() ? &(*errors)[0] : nullptr;
  add(first != nullptr ? string_member(*first, "code") : std::nullopt);
  add(first != nullptr ? string_member(*first, "message") : std::nullopt);
  if (out.empty()) {
    add(string_member(root, "error"));
    add(string_member(root, "error_description"));
  }
  if (out.empty()) add(string_member(root, "details"));
  if (out.empty()) add(string_member(root, "message"));
  return out;
}

}  // namespace depot::registry
