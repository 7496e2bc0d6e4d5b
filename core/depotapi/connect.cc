#include "depotapi/connect.h"

#include <algorithm>
#include <string_view>

#include "depotapi/base64.h"
#include "depotapi/connect_error.h"
#include "depotapi/gzip.h"
#include "depotapi/text.h"

namespace depot::depotapi {
namespace {

using base::Code;
using base::Hop;
using base::Status;

// A message may be small and its error large; errors are bounded once more when they are read.
constexpr size_t kRoomForErrors = 1 << 20;
constexpr std::string_view kTrailer = "trailer-";

// What of a request is needed to read its answer.
struct Context {
  base::Secret token;
  size_t max_message = 0;
  bool stream = false;
};

Status wire_error(Code code, std::string message) {
  return Status(code, Hop::kApi, std::move(message));
}

// The body, unpacked. Empty bodies may claim any encoding.
base::Result<std::string> unpack(http::Response& response, size_t limit) {
  std::string encoding = response.header("content-encoding");
  if (response.body.empty()) return std::string();
  if (encoding.empty() || encoding == "identity") {
    if (response.body.size() > limit) {
      return wire_error(
          Code::kResourceExhausted,
          "the answer is larger than the " + std::to_string(limit) + " bytes allowed for it");
    }
    return std::move(response.body);
  }
  if (encoding == "gzip") return gunzip(response.body, limit);
  return wire_error(Code::kInternal, "the answer has an encoding that was not asked for: " +
                                         clean_line(encoding, 50));
}

// A stream's messages have five bytes before them: flags, and the length with the high byte first.
constexpr size_t kFrameHead = 5;
constexpr unsigned char kCompressed = 1, kEnd = 2;

void append_frame(std::string& out, std::string_view message) {
  out.push_back('\0');
  for (int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(message.size() >> shift & 0xff));
  out += message;
}

// The one message of a stream's answer, which its end says the outcome of.
Status read_stream(const http::Response& response, std::string_view body, const Context& context,
                   std::string& message) {
  bool answered = false;
  while (body.size() >= kFrameHead) {
    auto at = [&](size_t i) { return static_cast<unsigned char>(body[i]); };
    const unsigned char flags = at(0);
    const size_t size = size_t{at(1)} << 24 | size_t{at(2)} << 16 | size_t{at(3)} << 8 | at(4);
    if ((flags & kCompressed) != 0 || size > body.size() - kFrameHead) break;
    std::string_view piece = body.substr(kFrameHead, size);
    body.remove_prefix(kFrameHead + size);
    if ((flags & kEnd) != 0) {
      DEPOT_TRY(error_of_end(response, piece, context.token));
      if (answered) return {};
      return wire_error(Code::kInternal, "the API's stream ended without a message");
    }
    if (answered) break;
    answered = true;
    message = piece;
  }
  return wire_error(Code::kInternal, "the API's stream is malformed");
}

void read_answer(http::Response& response, const Context& context, UnaryAnswer& answer) {
  answer.http_status = response.status;
  answer.retry_after = response.retry_after();
  bool good = response.status == 200;
  auto body =
      unpack(response, good ? context.max_message : std::max(context.max_message, kRoomForErrors));
  if (!good) {
    // A body that cannot be read leaves the status to go by.
    answer.status = error_of_answer(response, body.ok() ? *body : std::string(), context.token);
  } else if (response.header("content-type") !=
             (context.stream ? "application/connect+proto" : "application/proto")) {
    answer.status = wrong_type(response, body.ok() ? *body : std::string(), context.token);
  } else if (!body.ok()) {
    answer.status = body.status();
  } else if (context.stream) {
    answer.status = read_stream(response, *body, context, answer.message);
  } else {
    answer.message = std::move(body).value();
  }
  for (auto& [name, value] : response.headers) {
    if (name.starts_with(kTrailer) && name.size() > kTrailer.size())
      answer.trailers.emplace_back(name.substr(kTrailer.size()), std::move(value));
    else
      answer.headers.emplace_back(std::move(name), std::move(value));
  }
}

UnaryAnswer read_result(base::Result<http::Response> result, const Context& context) {
  UnaryAnswer answer;
  if (result.ok()) {
    read_answer(*result, context, answer);
    base::wipe(result->body);
  } else {
    answer.status = result.status();
  }
  return answer;
}

}  // namespace

ConnectClient::ConnectClient(std::shared_ptr<http::Client> http, std::string base_url)
    : http_(std::move(http)), base_url_(std::move(base_url)) {
  while (!base_url_.empty() && base_url_.back() == '/') base_url_.pop_back();
}

base::Result<http::Request> ConnectClient::wrap(UnaryRequest& request) const {
  http::Request wrapped;
  wrapped.url = base_url_ + request.path;
  wrapped.version = request.version;
  wrapped.timeout = request.timeout;
  wrapped.once = request.once;
  wrapped.fresh = request.fresh;
  wrapped.max_response = std::max(request.max_message, kRoomForErrors);
  if (request.gzip) {
    DEPOT_ASSIGN(std::string packed, gzip(request.message.reveal()));
    request.message = base::Secret::take(std::move(packed));
  }
  if (request.get) {
    // In the order the protocol recommends, so that caches see one URL for one request.
    wrapped.url += "?connect=v1&base64=1";
    if (request.gzip) wrapped.url += "&compression=gzip";
    wrapped.url += "&encoding=proto&message=" + base64url_encode(request.message.reveal());
  } else {
    wrapped.method = "POST";
    wrapped.headers = {{"Connect-Protocol-Version", "1"}};
    if (request.stream) {
      std::string framed;
      framed.reserve(kFrameHead + request.message.size());
      append_frame(framed, request.message.reveal());
      request.message = base::Secret::take(std::move(framed));
    }
    wrapped.headers.emplace_back(
        "Content-Type", request.stream ? "application/connect+proto" : "application/proto");
    wrapped.body = std::move(request.message);
    if (request.gzip) wrapped.headers.emplace_back("Content-Encoding", "gzip");
  }
  wrapped.headers.emplace_back("Accept-Encoding", "gzip");
  if (request.tell_timeout) {
    // At most ten digits.
    int64_t left = std::clamp<int64_t>(request.timeout.count(), 0, 9999999999);
    wrapped.headers.emplace_back("Connect-Timeout-Ms", std::to_string(left));
  }
  for (auto& header : request.headers) wrapped.headers.push_back(std::move(header));
  if (!request.token.empty()) {
    std::string bearer("Bearer ");
    bearer.reserve(bearer.size() + request.token.size());
    bearer += request.token.reveal();
    wrapped.authorization = base::Secret::take(std::move(bearer));
  }
  return wrapped;
}

UnaryAnswer ConnectClient::call(UnaryRequest request, const base::Cancel& cancel) const {
  auto wrapped = wrap(request);
  Context context{request.token, request.max_message, request.stream};
  if (!wrapped.ok()) return read_result(wrapped.status(), context);
  return read_result(http_->fetch(std::move(wrapped).value(), cancel), context);
}

void ConnectClient::start(UnaryRequest request, Done done) const {
  auto wrapped = wrap(request);
  Context context{std::move(request.token), request.max_message, request.stream};
  if (!wrapped.ok()) return done(read_result(wrapped.status(), context));
  http_->send(std::move(wrapped).value(), [context = std::move(context), done = std::move(done)](
                                              base::Result<http::Response> result) {
    done(read_result(std::move(result), context));
  });
}

}  // namespace depot::depotapi
