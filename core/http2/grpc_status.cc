#include "http2/grpc_status.h"

#include "base/base64.h"

namespace depot::http2 {
namespace {

constexpr size_t kMaxMessage = 8 << 10;
constexpr size_t kMaxDetails = 64 << 10;

std::string percent_encode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7e && byte != '%') {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  return out;
}

void field(std::string& out, int number, std::string_view bytes) {
  out.push_back(static_cast<char>(number << 3 | 2));
  for (size_t size = bytes.size();; size >>= 7) {
    if (size < 0x80) {
      out.push_back(static_cast<char>(size));
      break;
    }
    out.push_back(static_cast<char>((size & 0x7f) | 0x80));
  }
  out.append(bytes);
}

// google.rpc.Status{code:1, message:2, details:3 Any{type_url:1, value:2}}; by hand, so that the
// engine needs no protobuf.
std::string rpc_status(const base::Error& error, std::string_view message) {
  std::string out;
  out.push_back(0x08);
  out.push_back(static_cast<char>(error.code));
  field(out, 2, message);
  for (const auto& detail : error.details) {
    std::string any;
    field(any, 1, detail.type_url);
    field(any, 2, detail.value);
    field(out, 3, any);
  }
  return out;
}

}  // namespace

void add_grpc_status(Headers& headers, const base::Status& status) {
  headers.add("grpc-status", std::to_string(static_cast<int>(status.code())));
  if (status.ok()) return;
  std::string_view message = std::string_view(status.message()).substr(0, kMaxMessage);
  headers.add("grpc-message", percent_encode(message));
  if (status.error().details.empty()) return;
  std::string details = rpc_status(status.error(), message);
  if (details.size() <= kMaxDetails)
    headers.add("grpc-status-details-bin", base::base64_encode(details, base::Padding::kNo));
}

}  // namespace depot::http2
