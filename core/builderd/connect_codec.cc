#include "builderd/connect_codec.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64.h"
#include "base/secret.h"
#include "http2/gzip.h"

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace {

struct CodeRow {
  std::string_view name;
  int http_status;
};

// By number.
constexpr CodeRow kCodes[] = {
    {"ok", 200},
    {"canceled", 499},
    {"unknown", 500},
    {"invalid_argument", 400},
    {"deadline_exceeded", 504},
    {"not_found", 404},
    {"already_exists", 409},
    {"permission_denied", 403},
    {"resource_exhausted", 429},
    {"failed_precondition", 400},
    {"aborted", 409},
    {"out_of_range", 400},
    {"unimplemented", 501},
    {"internal", 500},
    {"unavailable", 503},
    {"data_loss", 500},
    {"unauthenticated", 401},
};

const CodeRow& row_of(Code code) {
  auto number = static_cast<size_t>(code);
  return kCodes[number < std::size(kCodes) ? number : static_cast<size_t>(Code::kUnknown)];
}

Status bad(std::string message) {
  return Status(Code::kInvalidArgument, Hop::kApi, std::move(message));
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// "gzip" in "br, gzip;q=0.5", unless its weight is zero.
bool lists_gzip(const http2::Headers& headers) {
  for (std::string_view rest : headers.all("accept-encoding")) {
    while (!rest.empty()) {
      size_t comma = rest.find(',');
      std::string_view one = rest.substr(0, comma);
      size_t semicolon = one.find(';');
      std::string_view weight =
          semicolon == std::string_view::npos ? "" : trim(one.substr(semicolon + 1));
      bool zero = weight.substr(0, 2) == "q=" &&
                  weight.find_first_not_of("0.", 2) == std::string_view::npos;
      if (equal_ignoring_case(trim(one.substr(0, semicolon)), "gzip")) return !zero;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

Status read_timeout(ConnectCall& call) {
  auto text = call.headers.find("connect-timeout-ms");
  if (!text) return base::ok_status();
  int64_t value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  // Ten digits is what the protocol allows.
  if (text->empty() || text->size() > 10 || text->front() == '-' || error != std::errc() ||
      end != text->data() + text->size()) {
    return bad("connect-timeout-ms must be a number of at most 10 digits");
  }
  call.timeout = std::chrono::milliseconds(value);
  return base::ok_status();
}

Status read_message(std::string body, const ConnectLimits& limits, ConnectCall& call) {
  std::string_view coding = call.headers.find("content-encoding").value_or("identity");
  Status too_large(Code::kResourceExhausted, Hop::kApi,
                   "the message is larger than " + std::to_string(limits.max_message) + " bytes");
  if (equal_ignoring_case(coding, "gzip")) {
    // An empty body is an empty message, packed or not.
    if (!body.empty()) {
      DEPOT_ASSIGN(call.message, http2::gunzip(body, limits.max_message));
    }
    return base::ok_status();
  }
  if (!coding.empty() && !equal_ignoring_case(coding, "identity")) {
    return Status(Code::kUnimplemented, Hop::kApi,
                  "unknown compression; supported encodings are gzip and identity");
  }
  if (body.size() > limits.max_message) return too_large;
  call.message = std::move(body);
  return base::ok_status();
}

void add_metadata(ConnectReply& reply, http2::Headers& out) {
  for (const http2::Header& header : reply.headers) out.add(header.name, header.value);
  for (const http2::Header& header : reply.trailers) {
    out.add("trailer-" + header.name, header.value);
  }
}

nlohmann::json error_object(const Status& error) {
  nlohmann::json object;
  object["code"] = row_of(error.code()).name;
  if (!error.message().empty()) object["message"] = error.message();
  for (const base::ErrorDetail& detail : error.error().details) {
    // The type's full name: what follows the last slash of its URL.
    object["details"].push_back({{"type", detail.type_url.substr(detail.type_url.rfind('/') + 1)},
                                 {"value", base::base64_encode(detail.value, base::Padding::kNo)}});
  }
  return object;
}

std::string dump(const nlohmann::json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void append_frame(std::string& out, char flags, std::string_view payload) {
  auto size = static_cast<uint32_t>(payload.size());
  out += flags;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((size >> shift) & 0xff);
  out += payload;
}

}  // namespace

std::string_view connect_code_name(Code code) {
  return row_of(code).name;
}

int connect_http_status(Code code) {
  return row_of(code).http_status;
}

std::string connect_error_json(const Status& error) {
  return dump(error_object(error));
}

HttpResponse connect_error(const Status& error) {
  HttpResponse response;
  response.status = connect_http_status(error.code());
  response.headers.add("content-type", "application/json");
  response.body = connect_error_json(error);
  return response;
}

bool decode_connect(HttpRequest request, const ConnectLimits& limits, ConnectCall& call,
                    HttpResponse& refusal) {
  refusal = HttpResponse();
  if (request.method != "POST") {
    refusal.status = 405;
    refusal.headers.add("allow", "POST");
    return false;
  }
  std::string_view type = request.headers.find("content-type").value_or("");
  if (!equal_ignoring_case(trim(type.substr(0, type.find(';'))), "application/proto")) {
    refusal.status = 415;
    refusal.headers.add("accept-post", "application/proto");
    return false;
  }
  call.path = std::move(request.path);
  call.trusted = request.trusted;
  call.headers = std::move(request.headers);
  call.accepts_gzip = lists_gzip(call.headers);
  Status status;
  if (auto version = call.headers.find("connect-protocol-version"); version && *version != "1") {
    status = bad("connect-protocol-version must be \"1\"");
  }
  if (status.ok()) status = read_timeout(call);
  if (status.ok()) status = read_message(std::move(request.body), limits, call);
  if (status.ok()) return true;
  refusal = connect_error(status);
  if (status.code() == Code::kUnimplemented) refusal.headers.add("accept-encoding", "gzip");
  return false;
}

HttpResponse encode_connect(ConnectReply reply, bool accepts_gzip, const ConnectLimits& limits) {
  HttpResponse response;
  if (!reply.message.ok()) {
    response = connect_error(reply.message.status());
    add_metadata(reply, response.headers);
    return response;
  }
  response.headers.add("content-type", "application/proto");
  add_metadata(reply, response.headers);
  response.body = std::move(*reply.message);
  if (accepts_gzip && response.body.size() >= limits.compress_from) {
    std::string packed = http2::gzip(response.body);
    if (!packed.empty()) {
      base::wipe(response.body);
      response.body = std::move(packed);
      response.headers.add("content-encoding", "gzip");
    }
  }
  response.headers.add("accept-encoding", "gzip");
  return response;
}

HttpResponse encode_connect_stream(ConnectReply reply) {
  HttpResponse response;
  response.headers.add("content-type", "application/connect+proto");
  for (const http2::Header& header : reply.headers) {
    response.headers.add(header.name, header.value);
  }
  nlohmann::json end = nlohmann::json::object();
  if (reply.message.ok()) {
    append_frame(response.body, 0, *reply.message);
  } else {
    end["error"] = error_object(reply.message.status());
  }
  for (const http2::Header& header : reply.trailers) {
    end["metadata"][header.name].push_back(header.value);
  }
  append_frame(response.body, 2, dump(end));
  return response;
}

}  // namespace depot::builderd
