// One HTTP/2 connection: from the attempt to make it to its end. Private to the buildkit module;
// loop thread only.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "base/epoll_loop.h"
#include "buildkit/byte_stream.h"
#include "buildkit/connector.h"
#include "buildkit/exchange_call.h"
#include "http2/client.h"

namespace depot::buildkit {

class Link {
 public:
  struct Target {
    Address address;
    Proxy proxy;
    std::string name;  // that the other side must prove; unused without TLS
    // How TLS is spoken; asked once the connection is on its way. Null: not at all.
    std::function<base::Result<TlsContext*>()> tls;
  };

  // `heard` is called when something came.
  Link(base::EpollLoop& loop, std::function<void()> heard)
      : loop_(loop), heard_(std::move(heard)), connector_(loop) {}
  // Ends its calls.
  ~Link();

  void connect(const Target& target);
  // Over a connection that there is.
  void take(base::UniqueFd fd);

  // Takes new calls, now or once it is ready.
  bool usable() const { return failure_.ok() && (!engine_ || engine_->accepts()); }
  // Nothing is under way, and nothing will be.
  bool done() const { return !failure_.ok() || (!usable() && calls_.empty()); }
  const base::Status& failure() const { return failure_; }
  void start(std::shared_ptr<ExchangeCall> call);
  // Sends what there is to send. Before the loop waits.
  void pump();
  // Says goodbye.
  void close();

 private:
  using Clock = std::chrono::steady_clock;

  void connected(base::UniqueFd fd, const std::string& name);
  void shake_hands();
  void greet();
  void ready();
  void on_event(uint32_t events);
  void read();
  // What came of bytes, a turn's at most.
  size_t receive();
  void batch(bool much);
  void flush();
  void watch_for(uint32_t events);
  // Nothing can be sent any more. What came before is taken first: calls may have their end there,
  // and TLS its alert.
  void lost(base::Status status);
  void fail(base::Status status);
  void watch_over(std::chrono::milliseconds delay);
  void forget_ended();

  base::EpollLoop& loop_;
  const std::function<void()> heard_;
  Connector connector_;
  bool secured_ = false;
  TlsContext* tls_ = nullptr;
  base::UniqueFd connected_fd_;  // for which there is no context yet
  std::unique_ptr<ByteStream> stream_;
  std::unique_ptr<http2::ClientConnection> engine_;  // once it is connected
  // The other side's SETTINGS came. Calls wait for it: until then nothing says that anybody is
  // there to be asked, nor, with TLS 1.3, that our certificate is taken.
  bool ready_ = false;
  std::vector<uint8_t> buffer_;
  uint32_t watched_ = 0;
  bool pinged_ = false;
  Clock::time_point last_heard_ = Clock::now();
  base::Loop::TimerId timer_ = 0;  // of the attempt, then of keep-alive
  base::Loop::TimerId again_ = 0;  // more to read than one turn is for
  bool batching_ = false;
  base::Loop::TimerId batch_end_ = 0;  // of what is waited for no longer
  base::Status failure_;               // why it cannot be used any more
  // In the order they were started.
  std::vector<std::shared_ptr<ExchangeCall>> calls_;
};

}  // namespace depot::buildkit
