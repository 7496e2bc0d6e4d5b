#include "builderd/http2_call.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace depot::builderd {

namespace {

class StringBody : public http2::BodySource {
 public:
  explicit StringBody(std::string bytes) : bytes_(std::move(bytes)) {}
  http2::BodyRead read(std::span<uint8_t> out) override {
    size_t n = std::min(out.size(), bytes_.size() - at_);
    std::memcpy(out.data(), bytes_.data() + at_, n);
    at_ += n;
    return {n, at_ == bytes_.size() ? http2::BodyState::kEnd : http2::BodyState::kMore};
  }

 private:
  const std::string bytes_;
  size_t at_ = 0;
};

// The stream, for as long as it is there; shared with the answer, which may come later.
struct Target {
  http2::Stream* stream;
};

void respond(http2::Stream& stream, HttpResponse response) {
  http2::Headers headers;
  headers.add(":status", std::to_string(response.status));
  for (const http2::Header& header : response.headers) headers.add(header.name, header.value);
  headers.add("content-length", std::to_string(response.body.size()));
  std::unique_ptr<http2::BodySource> body;
  if (!response.body.empty()) body = std::make_unique<StringBody>(std::move(response.body));
  stream.respond(std::move(headers), std::move(body));
}

class Http2CallHandler : public http2::StreamHandler {
 public:
  Http2CallHandler(http2::Stream& stream, Http2CallContext context)
      : target_(std::make_shared<Target>(Target{&stream})), context_(std::move(context)) {
    request_.trusted = context_.trusted;
    for (const http2::Header& header : stream.request()) {
      if (header.name == ":method") request_.method = header.value;
      if (header.name == ":path") request_.path = header.value.substr(0, header.value.find('?'));
      if (!header.name.empty() && header.name.front() != ':') {
        request_.headers.add(header.name, header.value);
      }
    }
    stranger_ = !context_.trusted && !context_.service.admits(request_.headers);
    dropping_ = !stranger_ && context_.service.drops_body(request_.path);
    if (dropping_) return;
    timer_ = context_.loop.run_after(context_.patience, [this] {
      timer_ = 0;
      refuse(408);
      context_.wake();
    });
  }
  ~Http2CallHandler() override { let_go(); }

  void on_data(std::span<const uint8_t> data) override {
    if (answered_ || dropping_) return;
    if (stranger_) return refuse(401);
    if (request_.body.size() + data.size() > context_.max_body || data.size() > *context_.budget) {
      return refuse(413);
    }
    *context_.budget -= data.size();
    taken_ += data.size();
    request_.body.append(reinterpret_cast<const char*>(data.data()), data.size());
  }

  void on_end() override {
    if (stranger_) return refuse(401);
    context_.loop.cancel_timer(std::exchange(timer_, 0));
    if (std::exchange(answered_, true)) return;
    context_.service.handle(std::move(request_),
                            [target = target_, wake = context_.wake](HttpResponse response) {
                              if (!target->stream) return;  // the client did not wait
                              respond(*target->stream, std::move(response));
                              wake();
                            });
  }

  void on_close(uint32_t) override { let_go(); }

 private:
  void refuse(int status) {
    if (std::exchange(answered_, true) || !target_->stream) return;
    request_.body = std::string();
    *context_.budget += std::exchange(taken_, 0);
    respond(*target_->stream, context_.service.refusal(status));
    // It may never end the request; the answer has had its time by then.
    context_.loop.cancel_timer(timer_);
    timer_ = context_.loop.run_after(context_.linger, [this] {
      timer_ = 0;
      if (target_->stream) target_->stream->reset(0);
      context_.wake();
    });
  }

  void let_go() {
    target_->stream = nullptr;
    context_.loop.cancel_timer(std::exchange(timer_, 0));
    *context_.budget += std::exchange(taken_, 0);
  }

  std::shared_ptr<Target> target_;
  const Http2CallContext context_;
  HttpRequest request_;
  size_t taken_ = 0;       // of the budget
  bool stranger_ = false;  // not trusted and without a token that is
  bool dropping_ = false;
  bool answered_ = false;
  base::Loop::TimerId timer_ = 0;
};

}  // namespace

std::unique_ptr<http2::StreamHandler> make_http2_call(http2::Stream& stream,
                                                      Http2CallContext context) {
  return std::make_unique<Http2CallHandler>(stream, std::move(context));
}

}  // namespace depot::builderd
