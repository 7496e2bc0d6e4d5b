// Our own transport: HTTP/2 over one socket, on a thread with an epoll loop. The socket is made
// when it is first needed, and anew when it was lost or the other side said GOAWAY.
#include <cassert>
#include <utility>
#include <vector>

#include "buildkit/exchange_call.h"
#include "buildkit/link.h"
#include "buildkit/loop_thread.h"
#include "buildkit/tls_context.h"
#include "buildkit/transport.h"

namespace depot::buildkit {
namespace {

using base::Status;
using base::UniqueFd;

class Http2Transport final : public Transport {
 public:
  Http2Transport(const Address& address, const Endpoint& endpoint, UniqueFd given);

  Status begin() { return thread_.start(); }
  base::Loop& loop() override { return thread_.loop(); }
  std::shared_ptr<Call> start(CallOptions options, CallObserver observer) override;
  void close() override;
  void join() override { thread_.join(); }

 private:
  Link* usable_link();
  base::Environment environment() const;
  base::Result<TlsContext*> tls_context();
  void connect();
  void before_waiting();

  LoopThread thread_;
  const bool given_once_;
  UniqueFd given_;
  const std::optional<TlsIdentity> identity_;
  const std::shared_ptr<const base::Environment> environment_;
  std::unique_ptr<TlsContext> tls_;
  Link::Target target_;
  ExchangeCall::Shared shared_;
  std::vector<base::Loop::Task> later_;
  // The last one takes new calls; those before it have some left to end.
  std::vector<std::unique_ptr<Link>> links_;
};

std::string authority_of(const Address& address, const Endpoint& endpoint) {
  if (endpoint.tls && !endpoint.tls->server_name.empty()) return endpoint.tls->server_name;
  if (address.kind != Address::Kind::kTcp || address.dialled()) return "localhost";
  bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + address.port;
}

Http2Transport::Http2Transport(const Address& address, const Endpoint& endpoint, UniqueFd given)
    : given_once_(address.dialled()),
      given_(std::move(given)),
      identity_(endpoint.tls),
      environment_(endpoint.environment),
      shared_{thread_.loop(),
              endpoint.tls ? "https" : "http",
              authority_of(address, endpoint),
              static_cast<size_t>(std::clamp<int64_t>(endpoint.max_message, 1 << 20, UINT32_MAX)),
              endpoint.gzip,
              [this](base::Loop::Task task) { later_.push_back(std::move(task)); }} {
  target_.address = address;
  if (endpoint.tls) {
    target_.tls = [this] { return tls_context(); };
    target_.name = endpoint.tls->server_name.empty() ? address.host : endpoint.tls->server_name;
  }
  thread_.loop().before_waiting([this] { before_waiting(); });
}

void Http2Transport::before_waiting() {
  // What these do may ask for more of them, and for something to be sent. Not for ever: what comes
  // in has its turn as well.
  constexpr int kRoundsPerTurn = 16;
  for (int round = 0; round < kRoundsPerTurn; ++round) {
    auto tasks = std::exchange(later_, {});
    for (auto& task : tasks) {
      task();
      task = nullptr;
    }
    for (size_t i = 0; i < links_.size(); ++i) links_[i]->pump();
    if (later_.empty()) break;
  }
  if (!later_.empty()) thread_.loop().post([] {});  // the next turn comes at once
  std::erase_if(links_, [this](const auto& link) {
    return link->done() && !(given_once_ && link == links_.back());
  });
}

base::Environment Http2Transport::environment() const {
  return environment_ ? *environment_ : base::Environment::of_process();
}

base::Result<TlsContext*> Http2Transport::tls_context() {
  if (!tls_) {
    DEPOT_ASSIGN(tls_, TlsContext::make(*identity_, environment()));
  }
  return tls_.get();
}

void Http2Transport::connect() {
  target_.proxy = proxy_for(target_.address, environment());
  links_.push_back(std::make_unique<Link>(thread_.loop(), [this] { heard(); }));
  if (given_once_)
    links_.back()->take(std::move(given_));
  else
    links_.back()->connect(target_);
  base::wipe(target_.proxy.authorization);  // its copy is wiped once it was sent
}

std::shared_ptr<Call> Http2Transport::start(CallOptions options, CallObserver observer) {
  assert(thread_.loop().on_loop_thread());
  auto call = std::make_shared<ExchangeCall>(shared_, std::move(options), std::move(observer));
  call->begin();
  bool usable = !links_.empty() && links_.back()->usable();
  if (!usable && given_once_ && !links_.empty()) {
    // It cannot be made again.
    Status failure = links_.back()->failure();
    call->fail(failure.ok() ? Status(base::Code::kUnavailable, base::Hop::kMachine,
                                     "the builder ended the connection")
                            : failure);
    return call;
  }
  if (!usable) connect();
  // It may have failed already.
  if (!links_.back()->failure().ok())
    call->fail(links_.back()->failure());
  else
    links_.back()->start(call);
  return call;
}

void Http2Transport::close() {
  for (auto& link : links_) link->close();
  links_.clear();
  later_.clear();
  thread_.loop().stop();
}

}  // namespace

base::Result<std::unique_ptr<Transport>> make_transport(const Address& address,
                                                        const Endpoint& endpoint, UniqueFd given) {
  auto transport = std::make_unique<Http2Transport>(address, endpoint, std::move(given));
  DEPOT_TRY(transport->begin());
  return std::unique_ptr<Transport>(std::move(transport));
}

}  // namespace depot::buildkit
