#include "buildkit/lookup.h"

#include <netdb.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <thread>

#include "base/signals.h"

namespace depot::buildkit {

using base::Code;
using base::Hop;
using base::Status;

Lookup::~Lookup() {
  if (found_ != nullptr) ::freeaddrinfo(found_);
}

void Lookup::run(int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  error_ = ::getaddrinfo(host_.c_str(), port_.c_str(), &hints, &found_);
  answered_.store(true);
}

base::Result<std::shared_ptr<Lookup>> Lookup::start(const std::string& host,
                                                    const std::string& port) {
  auto lookup = std::make_shared<Lookup>();
  lookup->host_ = host;
  lookup->port_ = port;
  lookup->run(AI_NUMERICHOST);
  if (lookup->error_ == 0) return lookup;
  lookup->answered_.store(false);
  lookup->done_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!lookup->done_.valid()) return base::errno_error(errno, "cannot make an eventfd");
  try {
    base::SignalsBlocked blocked;
    std::thread([lookup] {
      lookup->run(0);
      eventfd_write(lookup->done_.get(), 1);
    }).detach();
  } catch (const std::system_error&) {
    return Status(Code::kResourceExhausted, Hop::kLocal, "cannot start a thread");
  }
  return lookup;
}

Status Lookup::status() const {
  if (!answered_.load()) return base::internal_error("a lookup was not waited for");
  if (error_ != 0) {
    return Status(Code::kUnavailable, Hop::kMachine,
                  "cannot look up " + host_ + ": " + ::gai_strerror(error_));
  }
  if (found_ == nullptr)
    return Status(Code::kUnavailable, Hop::kMachine, host_ + " has no address");
  return {};
}

}  // namespace depot::buildkit
