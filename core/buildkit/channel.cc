#include "buildkit/channel.h"

#include <cassert>
#include <condition_variable>
#include <mutex>
#include <unordered_map>

#include "buildkit/connection.h"
#include "buildkit/fork_check.h"
#include "buildkit/identity.h"

namespace depot::buildkit {

using base::Code;
using base::Hop;
using base::Status;

std::string Message::flatten() const {
  std::string out;
  out.reserve(size());
  for (auto slice : slices()) out.append(reinterpret_cast<const char*>(slice.data()), slice.size());
  return out;
}

class ChannelImpl final : public Channel {
 public:
  ChannelImpl(std::shared_ptr<Connection> connection, std::weak_ptr<IdleConnections> idle)
      : connection_(std::move(connection)), idle_(std::move(idle)) {}

  ~ChannelImpl() override { stop(); }

  base::Loop& loop() override { return connection_->loop(); }
  const std::string& address() const override { return connection_->endpoint().address; }
  bool secured() const override { return connection_->endpoint().tls.has_value(); }
  Status check_identity() const override {
    const auto& identity = connection_->endpoint().tls;
    return identity ? buildkit::check_identity(*identity) : Status();
  }
  bool reconnects() const override { return !connection_->dialled(); }
  Status explain(const Status& status) const override {
    const Dialled* dialled = connection_->dialled();
    bool lost = status.hop() == Hop::kMachine || status.hop() == Hop::kSession;
    return dialled != nullptr && lost && usable_here() ? dialled->explain(status) : status;
  }
  bool usable_here() const override { return connection_->usable_here(); }

  std::shared_ptr<Call> start(CallOptions options, CallObserver observer) override {
    assert(loop().on_loop_thread());
    if (stopping_) {
      observer.on_done(Status(Code::kCancelled, Hop::kMachine, "the connection was closed"));
      return nullptr;
    }
    uint64_t number = next_call_++;
    observer.on_done = [this, number, done = std::move(observer.on_done)](Status status) {
      if (done) done(std::move(status));
      calls_.erase(number);
      maybe_ended();
    };
    auto call = connection_->transport().start(std::move(options), std::move(observer));
    calls_.emplace(number, call);
    return call;
  }

  std::shared_ptr<Call> unary(CallOptions options,
                              std::function<void(base::Result<std::string>)> done) override {
    auto response = std::make_shared<std::optional<std::string>>();
    CallObserver observer;
    observer.on_message = [response](const Message& message) {
      *response = message.flatten();
      return true;
    };
    observer.on_done = [response, done = std::move(done)](Status status) {
      if (!status.ok()) return done(std::move(status));
      if (!response->has_value())
        return done(
            Status(Code::kInternal, Hop::kMachine, "the builder answered without a message"));
      done(std::move(**response));
    };
    return start(std::move(options), std::move(observer));
  }

  void stop() override {
    {
      std::lock_guard lock(mutex_);
      if (stopped_) return;
      stopped_ = true;
    }
    // In a forked child the threads are gone: nothing can be waited for, so nothing is touched.
    if (!usable_here()) return;
    loop().post([this] {
      stopping_ = true;
      auto calls = calls_;
      for (auto& [number, call] : calls) call->cancel();
      maybe_ended();
    });
    {
      std::unique_lock lock(mutex_);
      change_.wait(lock, [this] { return ended_; });
    }
    connection_->leave(idle_.lock().get());
  }

 private:
  void maybe_ended() {
    if (!stopping_ || !calls_.empty()) return;
    std::lock_guard lock(mutex_);
    ended_ = true;
    change_.notify_all();  // locked: whoever waits may be about to delete this
  }

  const std::shared_ptr<Connection> connection_;
  const std::weak_ptr<IdleConnections> idle_;
  std::mutex mutex_;
  std::condition_variable change_;
  bool stopped_ = false;                                       // guarded by mutex_
  bool ended_ = false;                                         // guarded by mutex_
  bool stopping_ = false;                                      // loop thread
  std::unordered_map<uint64_t, std::shared_ptr<Call>> calls_;  // loop thread
  uint64_t next_call_ = 0;
};

// --- opening -----------------------------------------------------------------------------------

static std::shared_ptr<Channel> over(std::shared_ptr<Connection> connection,
                                     std::weak_ptr<IdleConnections> idle) {
  // Nobody could be waited for in a forked child.
  auto let_go = [](ChannelImpl* impl) {
    if (impl->usable_here()) delete impl;
  };
  return {new ChannelImpl(std::move(connection), std::move(idle)), let_go};
}

base::Result<std::shared_ptr<Channel>> Channel::open(const Endpoint& endpoint,
                                                     const Patience& patience) {
  DEPOT_ASSIGN(auto connection, Connection::open(endpoint, patience));
  return over(std::move(connection), {});
}

// A connection over which nothing came for so long gets no more channels: it may have died without
// a word. The daemon asks for a live session's health every 5 s.
constexpr std::chrono::milliseconds kSilence{12000};

struct ChannelPool::Impl {
  std::mutex mutex;
  std::vector<std::weak_ptr<Connection>> connections;
  std::shared_ptr<IdleConnections> idle = std::make_shared<IdleConnections>();
};

ChannelPool::ChannelPool() : impl_(std::make_unique<Impl>()) {}
ChannelPool::~ChannelPool() = default;

base::Result<std::shared_ptr<Channel>> ChannelPool::open(const Endpoint& endpoint,
                                                         const Patience& patience) {
  DEPOT_TRY(check_process());  // before the lock: another thread of the parent may have held it
  auto& all = impl_->connections;
  std::unique_lock lock(impl_->mutex);
  std::erase_if(all, [](const auto& one) { return one.expired(); });
  for (const auto& one : all) {
    auto connection = one.lock();
    if (connection && connection->leads_to(endpoint) && connection->join(kSilence))
      return over(std::move(connection), impl_->idle);
  }
  // What takes its time is nothing that others are to wait for.
  DEPOT_ASSIGN(Address address, parse_address(endpoint.address));
  if (address.dialled()) lock.unlock();
  DEPOT_ASSIGN(auto connection, Connection::open(endpoint, patience));
  if (!lock) lock.lock();
  all.push_back(connection);
  return over(std::move(connection), impl_->idle);
}

}  // namespace depot::buildkit
