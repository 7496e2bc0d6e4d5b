#include "buildkit/connection.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

#include "buildkit/fork_check.h"

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

Connection::Connection(std::unique_ptr<Transport> transport, Endpoint endpoint,
                       std::unique_ptr<Dialled> dialled)
    : dialled_(std::move(dialled)),
      transport_(std::move(transport)),
      endpoint_(std::move(endpoint)) {}

bool Connection::leads_to(const Endpoint& endpoint) const {
  return endpoint.address == endpoint_.address && endpoint.gzip == endpoint_.gzip &&
         endpoint.allow_plaintext == endpoint_.allow_plaintext &&
         endpoint.max_message == endpoint_.max_message && same(endpoint.tls, endpoint_.tls) &&
         !(dialled_ && dialled_->over());
}

bool Connection::join(std::chrono::milliseconds silence) {
  if (transport_->silence() > silence) return false;
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
    if (!std::exchange(closed_, true)) loop().post([this] { transport_->close(); });
  }
  std::lock_guard lock(joining_);
  transport_->join();
  // Now, and not when the last to know of this connection forgets it.
  if (dialled_) dialled_->end();
}

bool Connection::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

void Connection::begin_idling(std::chrono::milliseconds time) {
  std::lock_guard lock(mutex_);
  loop().post([this, time, spell = ++spells_] {
    loop().run_after(time, [this, spell] {
      {
        std::lock_guard hold(mutex_);
        if (users_ > 0 || spells_ != spell || std::exchange(closed_, true)) return;
      }
      transport_->close();
    });
  });
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
  if (endpoint.tls && endpoint.tls->cert_pem.empty() != endpoint.tls->key_pem.empty()) {
    return Status(Code::kInvalidArgument, Hop::kMachine,
                  "a client certificate needs its key, and a key its certificate");
  }
  std::unique_ptr<Dialled> dialled;
  base::UniqueFd given;
  if (address.dialled()) {
    auto now = std::chrono::steady_clock::now();
    DEPOT_ASSIGN(dialled,
                 Dialled::open(address, endpoint, patience.cancel, now + patience.timeout));
    DEPOT_ASSIGN(given, dialled->take_fd());
  }
  DEPOT_ASSIGN(auto transport, make_transport(address, endpoint, std::move(given)));
  // In a forked child there are no threads to join, and an end would shut the parent's socket down:
  // what the child lets go of stays as it is.
  auto let_go = [](Connection* connection) {
    if (connection->usable_here()) delete connection;
  };
  return std::shared_ptr<Connection>(
      new Connection(std::move(transport), endpoint, std::move(dialled)), let_go);
}

}  // namespace depot::buildkit
