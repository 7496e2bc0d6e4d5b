#include "buildkit/errors.h"

#include <google/rpc/status.pb.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/base64.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Error;
using base::Hop;
using base::Status;
using nlohmann::json;

constexpr size_t kMaxDetails = 256;
constexpr size_t kMaxDetailBytes = 4 << 20;
constexpr size_t kMaxRanges = 1024;
constexpr int kMaxDepth = 32;

// nlohmann's parser recurses per level: refuse deep input before it does.
json parse_json(const std::string& text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return {};
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return json::parse(text, nullptr, /*allow_exceptions=*/false);
}

const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

std::string string_of(const json* value) {
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

int32_t int_of(const json* value) {
  if (value == nullptr || !value->is_number()) return 0;
  double number = value->get<double>();
  return number >= 0 && number <= INT32_MAX ? static_cast<int32_t>(number) : 0;
}

void add_source(const json& value, Error& error) {
  base::SourceLocation location;
  if (const json* info = member(value, "info")) {
    location.filename = string_of(member(*info, "filename"));
    location.data = base::base64_decode(string_of(member(*info, "data"))).value_or("");
    location.language = string_of(member(*info, "language"));
  }
  if (const json* ranges = member(value, "ranges"); ranges != nullptr && ranges->is_array()) {
    for (const json& range : *ranges) {
      if (location.ranges.size() == kMaxRanges) break;
      base::SourceRange out;
      if (const json* start = member(range, "start")) {
        out.start_line = int_of(member(*start, "line"));
        out.start_character = int_of(member(*start, "character"));
      }
      if (const json* end = member(range, "end")) {
        out.end_line = int_of(member(*end, "line"));
        out.end_character = int_of(member(*end, "character"));
      }
      location.ranges.push_back(out);
    }
  }
  if (!location.filename.empty() || !location.ranges.empty())
    error.sources.push_back(std::move(location));
}

void read_detail(const base::ErrorDetail& detail, Error& error) {
  constexpr std::string_view kPrefix = "github.com/moby/buildkit/";
  std::string_view type = detail.type_url;
  if (!type.starts_with(kPrefix)) return;
  type.remove_prefix(kPrefix.size());
  if (type == "stack.Stack+json") return;  // Go's frames: kept raw
  json value = parse_json(detail.value);
  if (!value.is_object()) return;
  if (type == "errdefs.Vertex+json") {
    error.vertex_digest = string_of(member(value, "digest"));
  } else if (type == "errdefs.Source+json") {
    add_source(value, error);
  } else if (type == "gatewayapi.ExitMessage+json" ||
             type == "moby.buildkit.v1.frontend.ExitMessage+json") {
    error.exit_code = int_of(member(value, "Code"));
  }
}

// "exit code: 3" at the end of the message, for daemons whose detail type we do not know.
int32_t exit_code_in(const std::string& message) {
  constexpr std::string_view kMark = "exit code: ";
  size_t at = message.rfind(kMark);
  if (at == std::string::npos) return -1;
  int32_t code = 0;
  size_t i = at + kMark.size();
  if (i >= message.size() || message[i] < '0' || message[i] > '9') return -1;
  for (; i < message.size() && message[i] >= '0' && message[i] <= '9' && code < 100000; ++i)
    code = code * 10 + (message[i] - '0');
  return code;
}

}  // namespace

Status status_from_grpc(int code, const std::string& message, std::string_view details, Hop hop) {
  if (code == 0) return {};
  Error error;
  error.code = base::code_from_number(code);
  error.hop = hop;
  error.message = message;
  error.retryable = error.code == Code::kUnavailable;
  google::rpc::Status status;
  if (!details.empty() && details.size() <= kMaxDetailBytes &&
      status.ParseFromArray(details.data(), static_cast<int>(details.size()))) {
    for (const auto& any : status.details()) {
      if (error.details.size() == kMaxDetails) break;
      error.details.push_back({any.type_url(), any.value()});
      read_detail(error.details.back(), error);
    }
    // The chain is wrapped from the inside out; the innermost place is the one to look at first.
    std::reverse(error.sources.begin(), error.sources.end());
  }
  if (error.exit_code < 0) error.exit_code = exit_code_in(message);
  return Status(std::move(error));
}

Status connect_error(const std::string& address, const std::string& message) {
  auto has = [&](std::string_view text) { return message.find(text) != std::string::npos; };
  std::string detail = message;
  if (size_t at = detail.find("last error: "); at != std::string::npos)
    detail = detail.substr(at + 12);
  if (has("CERTIFICATE_VERIFY_FAILED") || has("certificate verify failed") ||
      has("is not in peer certificate") || has("Hostname Verification")) {
    return Status(Code::kUnauthenticated, Hop::kMachine,
                  "the certificate of the builder at " + address + " does not verify: " + detail)
        .with_hint("check the CA and the server name the connection was given");
  }
  if (has("alert certificate") || has("alert unknown ca") || has("alert bad certificate") ||
      has("CERTIFICATE_EXPIRED") || has("CERTIFICATE_REQUIRED")) {
    return Status(Code::kUnauthenticated, Hop::kMachine,
                  "the builder at " + address + " refuses our certificate: " + detail)
        .with_hint("the identity may have expired: acquire the machine again");
  }
  // What OpenSSL makes of an answer in plain text.
  if (has("wrong version number") || has("packet length too long") || has("record layer failure")) {
    return Status(Code::kFailedPrecondition, Hop::kMachine,
                  "the builder at " + address + " does not speak TLS: " + detail)
        .with_hint("leave the TLS files out where plain text will do, or look at the port");
  }
  // gRPC insists on it, Go's since 1.67 as well.
  if (has("missing selected ALPN property")) {
    return Status(Code::kFailedPrecondition, Hop::kMachine,
                  "the builder at " + address +
                      " speaks TLS without ALPN, which BuildKit offers since v0.17: " + detail)
        .with_hint("update that builder, or reach it by its Unix socket");
  }
  return Status(Code::kUnavailable, Hop::kMachine,
                "cannot reach the builder at " + address + ": " + detail);
}

}  // namespace depot::buildkit
