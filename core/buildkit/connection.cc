#include "buildkit/connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/security/credentials.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

#include "buildkit/fork_check.h"
#include "buildkit/quiet.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Hop;
using base::Status;

// Builds on one connection: its thread does all their I/O, and its TCP flow has all their bytes.
// More of them share the cost of a handshake, of which an eighth is little enough.
constexpr size_t kMostUsers = 8;

bool same(const base::Secret& a, const base::Secret& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.reveal().data(), b.reveal().data(), a.size()) == 0;
}

bool same(const std::optional<TlsIdentity>& a, const std::optional<TlsIdentity>& b) {
  if (!a || !b) return !a && !b;
  return a->ca_pem == b->ca_pem && a->cert_pem == b->cert_pem && a->server_name == b->server_name &&
         same(a->key_pem, b->key_pem);
}

}  // namespace

Connection::Connection(std::shared_ptr<grpc::Channel> channel, Endpoint endpoint,
                       std::unique_ptr<Dialled> dialled)
    : dialled_(std::move(dialled)),
      channel_(std::move(channel)),
      stub_(channel_),
      endpoint_(std::move(endpoint)) {}

bool Connection::leads_to(const Endpoint& endpoint) const {
  return endpoint.address == endpoint_.address && endpoint.gzip == endpoint_.gzip &&
         endpoint.allow_plaintext == endpoint_.allow_plaintext &&
         endpoint.max_message == endpoint_.max_message && same(endpoint.tls, endpoint_.tls) &&
         !(dialled_ && dialled_->over());
}

bool Connection::join(std::chrono::milliseconds silence) {
  if (Clock::now().time_since_epoch() - heard_.load(std::memory_order_relaxed) > silence)
    return false;
  std::lock_guard lock(mutex_);
  if (closed_ || users_ == kMostUsers || !usable_here()) return false;
  ++users_;
  return true;
}

void Connection::leave(IdleConnections* idle) {
  {
    std::lock_guard lock(mutex_);
    if (--users_ > 0) return;
  }
  // A client program that nobody asks anything is not to linger.
  if (idle != nullptr && !dialled_)
    idle->keep(shared_from_this());
  else
    close_if_idle();
}

void Connection::close_if_idle() {
  if (!usable_here()) return;
  {
    std::lock_guard lock(mutex_);
    if (users_ > 0) return;
    if (!std::exchange(closed_, true)) loop_.post([this] { end(); });
  }
  std::lock_guard lock(joining_);
  loop_.join();
  // Now, and not when the last to know of this connection forgets it.
  if (dialled_) dialled_->end();
}

bool Connection::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

void Connection::begin_idling(std::chrono::milliseconds time) {
  std::lock_guard lock(mutex_);
  loop_.post([this, time, spell = ++spells_] {
    loop_.run_after(time, [this, spell] {
      {
        std::lock_guard hold(mutex_);
        if (users_ > 0 || spells_ != spell || std::exchange(closed_, true)) return;
      }
      end();
    });
  });
}

void Connection::end() {
  stub_.reset();
  channel_ = nullptr;  // closes it
  loop_.shut_down();
}

IdleConnections::~IdleConnections() {
  for (auto& connection : kept_) connection->close_if_idle();
}

void IdleConnections::keep(std::shared_ptr<Connection> connection) {
  connection->begin_idling(time_);
  std::lock_guard lock(mutex_);
  auto closed = std::stable_partition(kept_.begin(), kept_.end(),
                                      [](const auto& one) { return !one->closed(); });
  // Their threads are at their ends.
  for (auto it = closed; it != kept_.end(); ++it) (*it)->close_if_idle();
  kept_.erase(closed, kept_.end());
  if (std::find(kept_.begin(), kept_.end(), connection) == kept_.end())
    kept_.push_back(std::move(connection));
}

Status plaintext_refused(const std::string& address) {
  return Status(Code::kFailedPrecondition, Hop::kUsage,
                "plain text to " + address + " is refused: it is not on this computer")
      .with_hint("give TLS files, or allow plain text explicitly");
}

base::Result<std::shared_ptr<Connection>> Connection::open(const Endpoint& endpoint,
                                                           const Patience& patience) {
  DEPOT_TRY(check_process());
  DEPOT_ASSIGN(Address address, parse_address(endpoint.address));
  bool tcp = address.kind == Address::Kind::kTcp;
  if (endpoint.tls && !(tcp && !address.engine))
    return base::usage_error("TLS files are for tcp:// builders, not for " + endpoint.address);
  if (tcp && !address.engine && !endpoint.tls && !address.loopback() && !endpoint.allow_plaintext)
    return plaintext_refused(endpoint.address);
  quiet_grpc();
  grpc::ChannelArguments arguments;
  int max_message = static_cast<int>(
      std::min<int64_t>(std::max<int64_t>(endpoint.max_message, 1 << 20), INT32_MAX));
  arguments.SetMaxReceiveMessageSize(max_message);
  // What we send stays under 4 MiB (older daemons' limit) by construction.
  arguments.SetMaxSendMessageSize(16 << 20);
  // An error's details travel in a trailer, and hold the whole Dockerfile: by gRPC's default of 8
  // KiB the daemon would reset the stream instead, and the reason be lost. Go's clients take 16
  // MiB.
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 16 << 20);
  // A machine that is just starting is asked again quickly; gRPC's default is a second and more.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // Also the least time one attempt gets: long enough for a slow TLS handshake.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20000);
  // A connection that died silently is noticed in the end. Not more often: a Go server without a
  // policy of its own answers pings closer than 5 minutes with GOAWAY.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 330000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetUserAgentPrefix("libdepot");

  std::string target;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (address.kind == Address::Kind::kUnix && !address.engine) {
    target = "unix:" + address.path;
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
    // No proxy stands between us and a socket file.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  } else if (address.dialled()) {
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  } else {
    bool v6 = address.host.find(':') != std::string::npos;
    target = "dns:///" + (v6 ? "[" + address.host + "]" : address.host) + ":" + address.port;
    if (address.loopback()) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  }
  if (endpoint.tls) {
    if (endpoint.tls->cert_pem.empty() != endpoint.tls->key_pem.empty()) {
      return Status(Code::kInvalidArgument, Hop::kMachine,
                    "a client certificate needs its key, and a key its certificate");
    }
    grpc::SslCredentialsOptions ssl;
    ssl.pem_root_certs = endpoint.tls->ca_pem;
    ssl.pem_cert_chain = endpoint.tls->cert_pem;
    ssl.pem_private_key = std::string(endpoint.tls->key_pem.reveal());
    credentials = grpc::SslCredentials(ssl);
    base::wipe(ssl.pem_private_key);
    if (!endpoint.tls->server_name.empty()) {
      arguments.SetSslTargetNameOverride(endpoint.tls->server_name);
      arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, endpoint.tls->server_name);
    }
  } else {
    credentials = grpc::InsecureChannelCredentials();
  }
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<Dialled> dialled;
  if (address.dialled()) {
    auto now = std::chrono::steady_clock::now();
    DEPOT_ASSIGN(dialled,
                 Dialled::open(address, endpoint, patience.cancel, now + patience.timeout));
    DEPOT_ASSIGN(base::UniqueFd fd, dialled->take_fd());
    channel = grpc::CreateCustomInsecureChannelFromFd("localhost", fd.release(), arguments);
  } else {
    channel = grpc::CreateCustomChannel(target, credentials, arguments);
  }
  // In a forked child there are no threads to join, and gRPC's end would shut the parent's socket
  // down: what the child lets go of stays as it is.
  auto let_go = [](Connection* connection) {
    if (connection->usable_here()) delete connection;
  };
  return std::shared_ptr<Connection>(
      new Connection(std::move(channel), endpoint, std::move(dialled)), let_go);
}

}  // namespace depot::buildkit
