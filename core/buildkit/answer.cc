#include "buildkit/answer.h"

#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "base/base64.h"
#include "buildkit/errors.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Hop;
using base::Status;

Status grpc_status(Code code, const std::string& message, std::string_view details = {}) {
  return status_from_grpc(static_cast<int>(code), message, details, Hop::kMachine);
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
      if (error == std::errc() && end == text.data() + i + 3) {
        out.push_back(static_cast<char>(value));
        i += 2;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

Code code_of_http(int status) {
  switch (status) {
    case 400:
      return Code::kInternal;
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kPermissionDenied;
    case 404:
      return Code::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return Code::kUnavailable;
    default:
      return Code::kUnknown;
  }
}

}  // namespace

Status not_grpc(const http2::Headers& response) {
  std::string_view type = response.find("content-type").value_or("");
  std::string_view status = response.find(":status").value_or("");
  bool grpc = type.starts_with("application/grpc");
  if (status == "200" && grpc) return {};
  // Some proxies answer with another HTTP status and gRPC's own all the same.
  if (grpc && response.find("grpc-status")) return {};
  int number = 0;
  std::from_chars(status.data(), status.data() + status.size(), number);
  std::string what = "the server answered with HTTP status " + std::string(status);
  if (!grpc)
    what += type.empty() ? " and no content type" : " and " + std::string(type.substr(0, 100));
  return grpc_status(code_of_http(number), what + ", which is no gRPC");
}

Status status_of_trailers(const http2::Headers& trailers) {
  auto text = trailers.find("grpc-status");
  int code = -1;
  if (text) {
    auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), code);
    if (error != std::errc() || end != text->data() + text->size()) code = -1;
  }
  if (code == 0) return {};
  if (code < 0) return grpc_status(Code::kUnknown, "the server ended the call without a status");
  std::string message = percent_decoded(trailers.find("grpc-message").value_or(""));
  std::string details(trailers.find("grpc-status-details-bin").value_or(""));
  while (details.size() % 4 != 0) details.push_back('=');
  return status_from_grpc(code, message, base::base64_decode(details).value_or(""), Hop::kMachine);
}

Status status_of_reset(uint32_t code) {
  constexpr std::array<std::string_view, 14> kNames = {"NO_ERROR",
                                                       "PROTOCOL_ERROR",
                                                       "INTERNAL_ERROR",
                                                       "FLOW_CONTROL_ERROR",
                                                       "SETTINGS_TIMEOUT",
                                                       "STREAM_CLOSED",
                                                       "FRAME_SIZE_ERROR",
                                                       "REFUSED_STREAM",
                                                       "CANCEL",
                                                       "COMPRESSION_ERROR",
                                                       "CONNECT_ERROR",
                                                       "ENHANCE_YOUR_CALM",
                                                       "INADEQUATE_SECURITY",
                                                       "HTTP_1_1_REQUIRED"};
  Code grpc = Code::kInternal;
  if (code == 7) grpc = Code::kUnavailable;
  if (code == 8) grpc = Code::kCancelled;
  if (code == 11) grpc = Code::kResourceExhausted;
  if (code == 12) grpc = Code::kPermissionDenied;
  std::string name = code < kNames.size() ? std::string(kNames[code]) : std::to_string(code);
  return grpc_status(grpc, "stream terminated by RST_STREAM with error code: " + name);
}

}  // namespace depot::buildkit
