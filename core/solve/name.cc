// Image names as docker's reference library normalises them.
#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "solve/request.h"

namespace depot::solve {
namespace {

using base::usage_error;

bool is_lower_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool valid_component(std::string_view text) {
  if (text.empty() || !is_lower_alnum(text.front()) || !is_lower_alnum(text.back())) return false;
  for (size_t i = 0; i < text.size();) {
    if (is_lower_alnum(text[i])) {
      ++i;
      continue;
    }
    size_t start = i;
    while (i < text.size() && text[i] == text[start]) ++i;
    size_t run = i - start;
    bool ok =
        (text[start] == '.' && run == 1) || (text[start] == '_' && run <= 2) || text[start] == '-';
    if (!ok || i >= text.size() || !is_lower_alnum(text[i])) return false;
  }
  return true;
}

bool valid_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 128 || tag.front() == '.' || tag.front() == '-') return false;
  return std::all_of(tag.begin(), tag.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '.' || c == '-';
  });
}

bool all_of(std::string_view text, std::string_view set) {
  return text.find_first_not_of(set) == std::string_view::npos;
}

constexpr std::string_view kHex = "0123456789abcdef";

// Labels of letters, digits and inner dashes, or an IPv6 address in brackets; then a port, perhaps.
bool valid_domain(std::string_view domain) {
  std::string_view port;
  if (domain.starts_with('[')) {
    size_t end = domain.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    if (!all_of(domain.substr(1, end - 1), "0123456789abcdefABCDEF:")) return false;
    port = domain.substr(end + 1);
  } else {
    size_t colon = std::min(domain.find(':'), domain.size());
    port = domain.substr(colon);
    for (size_t start = 0; start <= colon;) {
      size_t end = std::min(domain.find('.', start), colon);
      auto label = domain.substr(start, end - start);
      if (label.empty() || label.front() == '-' || label.back() == '-') return false;
      if (!std::all_of(label.begin(), label.end(),
                       [](unsigned char c) { return std::isalnum(c) || c == '-'; }))
        return false;
      start = end + 1;
    }
  }
  if (port.empty()) return true;
  return port.size() > 1 && port.front() == ':' && all_of(port.substr(1), "0123456789");
}

bool valid_digest(std::string_view digest) {
  constexpr std::pair<std::string_view, size_t> kAlgorithms[] = {
      {"sha256:", 64}, {"sha384:", 96}, {"sha512:", 128}};
  return std::any_of(std::begin(kAlgorithms), std::end(kAlgorithms), [&](const auto& algorithm) {
    const auto& [prefix, size] = algorithm;
    return digest.starts_with(prefix) && digest.size() == prefix.size() + size &&
           all_of(digest.substr(prefix.size()), kHex);
  });
}

}  // namespace

base::Result<std::string> canonical_name(const std::string& name) {
  auto bad = [&](const std::string& why) {
    return usage_error("image name '" + name + "' is not valid: " + why);
  };
  if (name.size() == 64 && all_of(name, kHex)) return bad("it is the identifier of an image");
  std::string rest = name;
  std::string digest;
  if (size_t at = rest.find('@'); at != std::string::npos) {
    digest = rest.substr(at + 1);
    rest.resize(at);
    if (!valid_digest(digest)) return bad("the digest is not sha256:<64 hex digits> or the like");
  }
  std::string tag;
  size_t slash = rest.rfind('/');
  size_t colon = rest.rfind(':');
  if (colon != std::string::npos && (slash == std::string::npos || colon > slash)) {
    tag = rest.substr(colon + 1);
    rest.resize(colon);
    if (!valid_tag(tag)) return bad("the tag '" + tag + "' is not valid");
  }
  std::string domain = "docker.io";
  size_t first = rest.find('/');
  if (first != std::string::npos) {
    std::string head = rest.substr(0, first);
    bool upper =
        std::any_of(head.begin(), head.end(), [](unsigned char c) { return std::isupper(c); });
    if (head == "localhost" || head.find_first_of(".:") != std::string::npos || upper) {
      domain = head == "index.docker.io" ? "docker.io" : head;
      rest = rest.substr(first + 1);
      if (!valid_domain(domain)) return bad("the host '" + domain + "' is not valid");
    }
  }
  if (domain == "docker.io" && rest.find('/') == std::string::npos) rest = "library/" + rest;
  if (rest.size() > 255) return bad("it is longer than 255 characters");
  for (size_t start = 0; start <= rest.size();) {
    size_t end = std::min(rest.find('/', start), rest.size());
    if (!valid_component(std::string_view(rest).substr(start, end - start)))
      return bad("repository names are lower case letters, digits and . _ -");
    start = end + 1;
  }
  std::string canonical = domain + "/" + rest;
  if (!tag.empty())
    canonical += ":" + tag;
  else if (digest.empty())
    canonical += ":latest";
  if (!digest.empty()) canonical += "@" + digest;
  return canonical;
}

base::Status check_tag(const std::string& tag) {
  if (valid_tag(tag)) return {};
  return usage_error("the tag '" + tag + "' is not valid")
      .with_hint("up to 128 letters, digits, _ . and -, without a name before it: v1.2");
}

}  // namespace depot::solve
