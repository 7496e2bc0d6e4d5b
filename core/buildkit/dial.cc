#include "buildkit/dial.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/secret.h"
#include "base/wait.h"
#include "buildkit/engine.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::UniqueFd;

// For a program that closed the connection to end as well.
constexpr int kEndsWithin = 1000;

std::string how_to_get(const std::string& program) {
  if (program == "docker") return "install the Docker client (Debian: docker.io)";
  if (program == "ssh") return "install an SSH client (Debian: openssh-client)";
  return "install " + program;
}

Status missing(const std::string& program, const std::string& address) {
  return Status(Code::kNotFound, Hop::kMachine,
                program + ", which connects to " + address + ", is not in PATH")
      .with_hint(how_to_get(program) + ", or build with another --builder");
}

}  // namespace

Result<std::unique_ptr<Dialled>> Dialled::connect(const Address& parsed, const Endpoint& endpoint,
                                                  const base::Cancel& cancel,
                                                  std::chrono::steady_clock::time_point deadline) {
  Address address = parsed;
  const base::Environment none;
  const base::Environment& environment = endpoint.environment ? *endpoint.environment : none;
  bool tcp = address.kind == Address::Kind::kTcp;
  if (tcp && docker_tls(environment)) {
    // TLS below HTTP/1.1 below HTTP/2: the docker client has it, and the keys.
    std::string host =
        address.host.find(':') == std::string::npos ? address.host : "[" + address.host + "]";
    address.kind = Address::Kind::kProgram;
    address.command = {"docker",      "--host", "tcp://" + host + ":" + address.port,
                       "--tlsverify", "system", "dial-stdio"};
  } else if (tcp && !address.loopback() && !endpoint.allow_plaintext) {
    return plaintext_refused(endpoint.address)
        .with_hint("set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or allow plain text explicitly");
  }
  std::unique_ptr<Dialled> dialled(new Dialled());
  base::Waiter waiter(cancel, deadline, Hop::kMachine);
  if (address.kind == Address::Kind::kProgram) {
    const std::string& name = address.command.front();
    base::Program program;
    program.arguments = address.command;
    program.arguments.front() = base::find_program(environment, name);
    if (program.arguments.front().empty()) return missing(name, endpoint.address);
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
      return base::errno_error(errno, "cannot make a socket pair");
    dialled->socket_.reset(pair[0]);
    UniqueFd theirs(pair[1]);
    DEPOT_ASSIGN(dialled->said_, base::Said::create());
    program.variables = base::variables_of(environment);
    program.files = {{theirs.get(), 0}, {theirs.get(), 1}, {dialled->said_.fd(), 2}};
    program.session = true;  // nobody is there to answer on a terminal
    dialled->words_ = base::joined(address.command);
    if (cancel.triggered()) return base::cancelled_error();
    auto started = base::Child::start(program);
    for (auto& variable : program.variables) base::wipe(variable);
    DEPOT_ASSIGN(dialled->child_, std::move(started));
  } else {
    DEPOT_ASSIGN(dialled->socket_, connect_socket(address, waiter));
  }
  return dialled;
}

Result<std::unique_ptr<Dialled>> Dialled::open(const Address& address, const Endpoint& endpoint,
                                               const base::Cancel& cancel,
                                               std::chrono::steady_clock::time_point deadline) {
  DEPOT_ASSIGN(auto dialled, connect(address, endpoint, cancel, deadline));
  if (!address.engine) return dialled;
  base::Waiter waiter(cancel, deadline, Hop::kMachine);
  Status status = upgrade(dialled->fd(), endpoint.address, waiter);
  if (status.ok()) return dialled;
  ::shutdown(dialled->fd(), SHUT_RDWR);  // the program ends, too
  return dialled->explain(status);
}

void Dialled::end() const {
  // Whoever else holds the descriptor: both ends see the end of it.
  if (socket_.valid()) ::shutdown(socket_.get(), SHUT_RDWR);
  std::lock_guard lock(mutex_);
  if (!child_) return;
  child_->kill();
  child_->reap();
}

Result<UniqueFd> Dialled::take_fd() {
  UniqueFd fd(::fcntl(socket_.get(), F_DUPFD_CLOEXEC, 3));
  if (!fd.valid()) return base::errno_error(errno, "cannot duplicate a descriptor");
  return fd;
}

bool Dialled::over() const {
  std::lock_guard lock(mutex_);
  if (child_ && child_->ended()) return true;
  pollfd one{socket_.get(), POLLRDHUP, 0};
  return ::poll(&one, 1, 0) == 1;
}

Status Dialled::explain(const Status& status) const {
  bool lost = status.code() == Code::kUnavailable || status.code() == Code::kDeadlineExceeded;
  if (!child_ || !lost) return status;
  if (status.code() != Code::kDeadlineExceeded && child_->pidfd() >= 0) {
    pollfd one{child_->pidfd(), POLLIN, 0};
    (void)!::poll(&one, 1, kEndsWithin);
  }
  std::lock_guard lock(mutex_);
  base::Error error = status.error();
  std::string how = "is still running";
  if (child_->ended()) how = base::describe(child_->reap());
  std::string said = said_.tail();
  error.message += ": `" + words_ + "` " + how;
  if (!said.empty()) error.message += ": " + base::one_line(said);
  error.log_tail = std::move(said);
  if (error.hint.empty()) {
    error.hint = "run `" + words_ +
                 "`: it has to wait for input in silence, and must not have to ask for anything";
  }
  return Status(std::move(error));
}

}  // namespace depot::buildkit
