#include "depotapi/connect_error.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "depotapi/base64.h"
#include "depotapi/text.h"

namespace depot::depotapi {
namespace {

using base::Code;
using base::Hop;
using base::Status;
using Json = nlohmann::json;

constexpr size_t kMaxErrorBody = 1 << 20;
constexpr size_t kMaxMessage = 16 << 10;
constexpr size_t kMaxDetails = 64;
constexpr size_t kMaxDetail = 256 << 10;
constexpr size_t kMaxTypeName = 512;
constexpr size_t kMaxExcerpt = 160;

constexpr std::array<std::pair<std::string_view, Code>, 16> kCodes = {{
    {"canceled", Code::kCancelled},
    {"unknown", Code::kUnknown},
    {"invalid_argument", Code::kInvalidArgument},
    {"deadline_exceeded", Code::kDeadlineExceeded},
    {"not_found", Code::kNotFound},
    {"already_exists", Code::kAlreadyExists},
    {"permission_denied", Code::kPermissionDenied},
    {"resource_exhausted", Code::kResourceExhausted},
    {"failed_precondition", Code::kFailedPrecondition},
    {"aborted", Code::kAborted},
    {"out_of_range", Code::kOutOfRange},
    {"unimplemented", Code::kUnimplemented},
    {"internal", Code::kInternal},
    {"unavailable", Code::kUnavailable},
    {"data_loss", Code::kDataLoss},
    {"unauthenticated", Code::kUnauthenticated},
}};

std::string media_type(const http::Response& response) {
  std::string type = response.header("content-type");
  type = std::string(trimmed(std::string_view(type).substr(0, type.find(';'))));
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return type;
}

std::vector<base::ErrorDetail> details_of(const Json& error) {
  std::vector<base::ErrorDetail> details;
  auto list = error.find("details");
  if (list == error.end() || !list->is_array()) return details;
  for (const Json& item : *list) {
    if (details.size() == kMaxDetails) break;
    if (!item.is_object()) continue;
    auto type = item.find("type");
    auto value = item.find("value");
    if (type == item.end() || value == item.end() || !type->is_string() || !value->is_string())
      continue;
    const std::string& name = type->get_ref<const std::string&>();
    const std::string& text = value->get_ref<const std::string&>();
    if (name.empty() || name.size() > kMaxTypeName || text.size() > kMaxDetail) continue;
    auto bytes = base64_decode(text);
    if (!bytes) continue;
    bool whole = name.find('/') != std::string::npos;
    details.push_back({whole ? name : "type.googleapis.com/" + name, std::move(*bytes)});
  }
  return details;
}

// A short piece of a text answer, for a person to recognise who sent it: a page's title or its
// start.
std::string excerpt(std::string_view body, const base::Secret& token) {
  std::string_view head = body.substr(0, 8192);
  size_t title = head.find("<title>");
  if (title != std::string_view::npos) {
    head.remove_prefix(title + 7);
    head = head.substr(0, head.find('<'));
  }
  // The whole piece before it is cut, lest half a token be left at the end.
  std::string line = redacted(clean_line(trimmed(head), head.size() * 3), token);
  return std::string(trimmed(clean_line(line, kMaxExcerpt)));
}

std::string describe(const http::Response& response, std::string_view body,
                     const base::Secret& token) {
  std::string type = clean_line(media_type(response), 80);
  std::string text = "HTTP " + std::to_string(response.status);
  if (!type.empty()) text += " with " + type;
  bool readable = type.starts_with("text/") || type == "application/json" ||
                  type == "application/problem+json" || type == "application/xml";
  if (std::string piece = readable ? excerpt(body, token) : ""; !piece.empty())
    text += ": \"" + piece + "\"";
  return redacted(std::move(text), token);
}

std::string hint_of_http(int status) {
  if (status / 100 == 3)
    return "the address answers with a redirect; name the API's own (DEPOT_API_URL)";
  switch (status) {
    case 401:
    case 403:
      return "the answer is not the API's own: a proxy or gateway before it may want a login";
    case 404:
    case 405:
    case 415:
      return "this is no Depot API, or not one with this method: check the address (DEPOT_API_URL)";
    case 429:
      return "too many requests: try again later";
    default:
      return status / 100 == 5 ? "the server or a gateway before it has trouble: try again later"
                               : "check the API's address (DEPOT_API_URL) and proxies on the way";
  }
}

Status make(Code code, std::string message, std::string hint, bool retryable) {
  base::Error error;
  error.code = code;
  error.hop = Hop::kApi;
  error.message = std::move(message);
  error.hint = std::move(hint);
  error.retryable = retryable;
  return Status(std::move(error));
}

bool is_text(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_string();
}

bool says_something(const Json& error) {
  return is_text(error, "code") || is_text(error, "message");
}

// Connect's own error; `code` when it has none of Connect's.
Status typed_error(const Json& error, Code code, const http::Response& response,
                   std::string_view body, const base::Secret& token) {
  auto named = is_text(error, "code") ? connect_code(error["code"].get_ref<const std::string&>())
                                      : std::nullopt;
  code = named.value_or(code);
  std::string message = is_text(error, "message") ? error["message"].get<std::string>() : "";
  message = clean_utf8(redacted(std::move(message), token), kMaxMessage);
  if (message.empty() && !named) message = describe(response, body, token);
  base::Error typed =
      make(code, std::move(message), "", code == Code::kUnavailable || response.status == 429)
          .error();
  typed.details = details_of(error);
  return Status(std::move(typed));
}

}  // namespace

std::optional<Code> connect_code(std::string_view name) {
  for (const auto& [text, code] : kCodes)
    if (text == name) return code;
  return std::nullopt;
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

Status error_of_end(const http::Response& response, std::string_view end,
                    const base::Secret& token) {
  if (end.size() > kMaxErrorBody)
    return make(Code::kInternal, "the stream's end is too long", "", false);
  Json object = Json::parse(end.begin(), end.end(), nullptr, /*allow_exceptions=*/false);
  auto error = object.is_object() ? object.find("error") : object.end();
  if (!object.is_object())
    return make(Code::kInternal, "the API's stream has no proper end", "", false);
  if (error == object.end() || error->is_null()) return {};
  return typed_error(*error, Code::kUnknown, response, end, token);
}

Status error_of_answer(const http::Response& response, std::string_view body,
                       const base::Secret& token) {
  Code code = code_of_http(response.status);
  if (media_type(response) == "application/json" && body.size() <= kMaxErrorBody) {
    Json error = Json::parse(body.begin(), body.end(), nullptr, /*allow_exceptions=*/false);
    if (says_something(error)) return typed_error(error, code, response, body, token);
  }
  return make(code, "the API answered " + describe(response, body, token),
              hint_of_http(response.status), code == Code::kUnavailable);
}

Status wrong_type(const http::Response& response, std::string_view body,
                  const base::Secret& token) {
  // Another codec is a server's mistake; anything else did not come from a Connect server at all.
  Code code = media_type(response).starts_with("application/") ? Code::kInternal : Code::kUnknown;
  return make(code, "the API's answer is not a Connect message: " + describe(response, body, token),
              "check the API's address (DEPOT_API_URL), and proxies or sign-in pages on the way",
              false);
}

}  // namespace depot::depotapi
