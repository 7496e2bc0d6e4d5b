// A gRPC call as an HTTP/2 exchange: its messages framed, its trailers read. Private to the
// buildkit module; loop thread only.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/epoll_loop.h"
#include "buildkit/channel.h"
#include "http2/client.h"
#include "http2/message_reader.h"

namespace depot::buildkit {

class ExchangeCall final : public Call,
                           public http2::RequestBody,
                           public http2::ResponseHandler,
                           public std::enable_shared_from_this<ExchangeCall> {
 public:
  // What every call of a connection has in common.
  struct Shared {
    base::EpollLoop& loop;
    std::string scheme, authority;
    size_t max_message;
    bool gzip;
    // Runs `task` before the loop waits again; never within.
    std::function<void(base::Loop::Task task)> later;
  };
  ExchangeCall(const Shared& shared, CallOptions options, CallObserver observer);

  // Its deadline runs from here on, whether there is a connection or not.
  void begin();
  // Once there is one. False if that takes no more exchanges.
  bool send(http2::ClientConnection& connection);
  // The connection could not be made, or was lost. What has come to its end before, and is held,
  // has lost nothing.
  void fail(base::Status status);
  bool over() const { return over_; }

  bool write(std::span<const uint8_t> head, const std::vector<base::SharedBytes>& pieces) override;
  bool writable() const override { return exchange_ && left_ == 0 && !closing_ && !over_; }
  void half_close() override;
  void resume_reading() override;
  void cancel() override;

 private:
  Ready ready(size_t max) override;
  void take(size_t bytes, http2::Output& out) override;

  void on_headers(const http2::Headers& headers, bool end) override;
  void on_data(std::span<const uint8_t> data) override;
  void on_end() override;
  void on_close(uint32_t http2_error_code) override;

  void put(std::span<const uint8_t> head, const std::vector<base::SharedBytes>& pieces);
  void tell_writable();
  void deliver(std::span<const uint8_t> message);
  void deliver_kept();
  void answered(base::Status status);
  void end(base::Status status);

  const Shared& shared_;  // the transport's, which waits for all its calls
  CallOptions options_;
  const std::string method_;  // options_ only have a view of it
  CallObserver observer_;
  http2::Exchange* exchange_ = nullptr;  // none before send(), and after on_close()
  base::Loop::TimerId deadline_ = 0;

  // The one message on its way out: its prefix and what was copied, then pieces.
  std::string head_;
  std::vector<base::SharedBytes> pieces_;
  size_t head_taken_ = 0, piece_ = 0, piece_taken_ = 0;
  size_t left_ = 0;
  bool closing_ = false;

  http2::MessageReader reader_;
  bool answering_ = false;        // the response's header fields came
  base::Status refused_;          // what they say that is no gRPC
  bool held_ = false;             // the observer wants no more for now
  std::deque<std::string> kept_;  // messages that came meanwhile
  size_t owed_ = 0;               // of the peer's window, for them
  bool has_answer_ = false;
  base::Status answer_;  // which waits for kept_
  bool over_ = false;
};

}  // namespace depot::buildkit
