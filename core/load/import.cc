#include "load/import.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/process.h"
#include "base/said.h"
#include "base/secret.h"

namespace depot::load {

using base::Code;
using base::Hop;
using base::Status;
using base::UniqueFd;

namespace {

std::string hex(size_t number) {
  std::string out;
  do {
    out.insert(out.begin(), "0123456789abcdef"[number & 15]);
    number >>= 4;
  } while (number > 0);
  return out;
}

}  // namespace

bool Pump::next() {
  if (ended_) {
    done_ = true;
    return false;
  }
  if (feed_.take(chunk_)) {
    if (chunked_) {
      head_ = hex(chunk_.size()) + "\r\n";
      tail_ = "\r\n";
    }
    return true;
  }
  if (!feed_.closed()) return false;
  ended_ = true;
  if (chunked_) tail_ = "0\r\n\r\n";
  done_ = !chunked_;
  return chunked_;
}

Status Pump::run() {
  for (;;) {
    if (!waits_for_room() && !next()) return {};
    std::array<iovec, 3> pieces{};
    size_t count = 0, skip = sent_;
    for (std::string* piece : {&head_, &chunk_, &tail_}) {
      size_t gone = std::min(skip, piece->size());
      skip -= gone;
      if (gone < piece->size()) pieces[count++] = {piece->data() + gone, piece->size() - gone};
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
    if (n < 0)
      return Status(Code::kUnavailable, Hop::kLocal,
                    "it stopped reading before the image was whole");
    sent_ += static_cast<size_t>(n);
    if (sent_ < head_.size() + chunk_.size() + tail_.size()) continue;
    sent_ = 0;
    head_.clear();
    chunk_.clear();
    tail_.clear();
  }
}

Status import_into_program(const Target& target, const Options& options, Feed& feed) {
  const std::string words = base::joined(target.command);
  base::Program program;
  program.arguments = target.command;
  program.arguments.front() = base::find_program(options.environment, target.command.front());
  if (program.arguments.front().empty()) return program_missing(target);
  int pair[2];
  // Not a pipe: a write to one whose reader is gone is a signal to the whole process.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return base::errno_error(errno, "cannot make a socket pair");
  UniqueFd ours(pair[0]), theirs(pair[1]);
  DEPOT_ASSIGN(base::Said said, base::Said::create());
  program.variables = base::variables_of(options.environment);
  program.files = {{theirs.get(), 0}, {said.fd(), 1}, {said.fd(), 2}};
  program.session = true;  // nobody is there to answer on a terminal
  auto started = base::Child::start(program);
  for (auto& variable : program.variables) base::wipe(variable);
  DEPOT_ASSIGN(auto child, std::move(started));
  theirs.reset();

  Pump pump(ours.get(), feed, false);
  Status broken;
  bool shut = false, gone = false;
  while (!gone) {
    feed.clear_event();
    if (feed.stopped()) return base::cancelled_error();  // and it is killed
    if (broken.ok()) broken = pump.run();
    if (pump.done() && !shut) {
      shut = true;
      ::shutdown(ours.get(), SHUT_WR);
    }
    auto events = static_cast<short>(pump.waits_for_room() && broken.ok() ? POLLOUT : 0);
    // Somebody else may have reaped it already: then the end of the socket is the end of it. (Else
    // it is not asked for, which would be told at once and for ever.)
    bool by_socket = child->pidfd() < 0;
    pollfd fds[] = {{feed.event(), POLLIN, 0},
                    {child->pidfd(), POLLIN, 0},
                    {events != 0 || by_socket ? ours.get() : -1, events, 0}};
    if (::poll(fds, 3, -1) < 0) continue;
    gone = child->ended() || (by_socket && (fds[2].revents & (POLLHUP | POLLERR)) != 0);
  }
  base::ProgramEnd end = child->reap();
  bool well = end.known ? end.exit_code == 0 : pump.done();
  if (well && pump.done()) return {};
  base::Error error;
  error.code = Code::kAborted;
  error.hop = Hop::kLocal;
  error.log_tail = said.tail();
  error.message = "`" + words + "` " + base::describe(end);
  if (well) error.message += " before the image was whole";
  if (!error.log_tail.empty()) error.message += ": " + base::one_line(error.log_tail);
  error.hint = "run `" + words + "` by hand with the file of an export type=docker,dest=FILE";
  return Status(std::move(error));
}

}  // namespace depot::load
