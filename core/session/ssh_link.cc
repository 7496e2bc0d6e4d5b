#include "session/ssh_link.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>

#include "base/signals.h"

namespace depot::session {

using base::Code;
using base::Hop;
using base::Status;

namespace {

constexpr size_t kRead = 32 << 10;
// An agent whose queue of connections is full gets two seconds, as with BuildKit's own client.
constexpr std::chrono::milliseconds kConnectPause{20};
constexpr int kConnectTries = 100;

Status agent_error(int error, const std::string& socket) {
  Status status = base::errno_error(error, "the SSH agent at " + socket);
  return Status(status.code(), Hop::kLocal, status.message());
}

Status bad_message(const char* whose) {
  return Status(Code::kInvalidArgument, Hop::kSession,
                std::string(whose) + " is no message of the agent protocol");
}

}  // namespace

Status SshThread::start() {
  if (thread_.joinable()) return {};
  base::SignalsBlocked blocked;  // they are the host program's
  try {
    thread_ = std::thread([loop = loop_.get()] { loop->run(); });
  } catch (const std::system_error& error) {
    return base::errno_error(error.code().value(), "cannot start a thread");
  }
  return {};
}

SshThread::~SshThread() {
  loop_->stop();
  if (thread_.joinable()) thread_.join();
}

SshLink::SshLink(SshAgent agent, std::weak_ptr<base::EpollLoop> loop, Signals signals)
    : agent_(std::move(agent)), loop_(std::move(loop)), signals_(std::move(signals)) {}

SshLink::~SshLink() = default;

bool SshLink::write(std::string_view bytes) {
  bool room = true;
  {
    std::lock_guard lock(mutex_);
    if (ended_) return true;
    from_step_ += bytes;
    room = from_step_.size() < kHigh;
    step_held_ = !room;
  }
  post_step();
  return room;
}

void SshLink::half_close() {
  {
    std::lock_guard lock(mutex_);
    step_ended_ = true;
  }
  post_step();
}

void SshLink::abandon() {
  {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  post_step();
}

SshLink::Piece SshLink::read(size_t max) {
  Piece piece;
  bool resume = false;
  {
    std::lock_guard lock(mutex_);
    if (!to_step_.empty()) {
      std::string& front = to_step_.front();
      if (front.size() <= max) {
        piece.bytes = std::move(front);
        to_step_.pop_front();
      } else {
        piece.bytes = front.substr(0, max);
        front.erase(0, max);
      }
      to_step_bytes_ -= piece.bytes.size();
    }
    piece.end = ended_ && to_step_.empty();
    piece.status = status_;
    if (reader_full_ && to_step_bytes_ <= kLow) {
      reader_full_ = false;
      resume = true;
    }
  }
  if (resume) post_step();
  return piece;
}

void SshLink::post_step() {
  if (auto loop = loop_.lock()) loop->post([self = shared_from_this()] { self->step(); });
}

void SshLink::step() {
  if (closed_) return;
  bool abandoned = false, half = false;
  {
    std::lock_guard lock(mutex_);
    abandoned = abandoned_;
    half = step_ended_;
  }
  if (abandoned) return finish(base::cancelled_error());
  half_closed_ = half;
  if (!agent_.keys && !socket_.valid()) connect();
  if (!closed_ && (agent_.keys || socket_.valid())) converse();
}

void SshLink::connect() {
  if (waiting_to_connect_) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (agent_.socket.size() >= sizeof address.sun_path)
    return finish(agent_error(ENAMETOOLONG, agent_.socket));
  std::memcpy(address.sun_path, agent_.socket.data(), agent_.socket.size());
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return finish(agent_error(errno, agent_.socket));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    socket_ = std::move(fd);
    return;
  }
  if (errno != EAGAIN || ++connect_tries_ > kConnectTries)
    return finish(agent_error(errno, agent_.socket));
  waiting_to_connect_ = true;
  if (auto loop = loop_.lock()) {
    loop->run_after(kConnectPause, [self = shared_from_this()] {
      self->waiting_to_connect_ = false;
      self->step();
    });
  }
}

// What can go on, goes on.
void SshLink::converse() {
  if (agent_.raw)
    pass_on();
  else if (!answer_messages())
    return;
  if (closed_ || agent_.keys) return;
  write_socket();
  if (!closed_) watch();
}

// Takes what the step said, as long as there is room for it.
void SshLink::pass_on() {
  bool room = false;
  {
    std::lock_guard lock(mutex_);
    if (to_socket_.size() < kHigh) {
      to_socket_ += from_step_;
      from_step_.clear();
      room = std::exchange(step_held_, false);
    }
  }
  if (room) signals_.room();
}

// One request at a time, answered or asked on. False: it is over.
bool SshLink::answer_messages() {
  for (;;) {
    if (asked_ || !reply_room()) return true;
    auto request = requests_.next();
    if (!request) {
      std::string more;
      bool room = false;
      {
        std::lock_guard lock(mutex_);
        more.swap(from_step_);
        room = std::exchange(step_held_, false);
      }
      if (room) signals_.room();
      if (more.empty()) {
        if (!half_closed_) return true;
        finish({});
        return false;
      }
      if (requests_.feed(more)) continue;
      finish(bad_message("what the step says"));
      return false;
    }
    if (agent_.keys) {
      reply(ssh::agent_frame(agent_.keys->answer(*request)));
    } else if (ssh::agent_allows(*request)) {
      to_socket_ += ssh::agent_frame(*request);
      asked_ = true;
    } else {
      reply(ssh::agent_frame(ssh::agent_failure()));
    }
  }
}

void SshLink::write_socket() {
  while (!to_socket_.empty()) {
    ssize_t sent = ::send(socket_.get(), to_socket_.data(), to_socket_.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) return finish(agent_error(errno, agent_.socket));
    to_socket_.erase(0, static_cast<size_t>(sent));
  }
  if (agent_.raw) {
    pass_on();  // there is room again
    if (!to_socket_.empty()) return write_socket();
    if (half_closed_ && !std::exchange(shut_, true)) ::shutdown(socket_.get(), SHUT_WR);
  }
}

void SshLink::read_socket() {
  std::string bytes(kRead, '\0');
  ssize_t got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got < 0) return finish(agent_error(errno, agent_.socket));
  if (got == 0) return finish({});
  bytes.resize(static_cast<size_t>(got));
  if (agent_.raw) return reply(std::move(bytes));
  if (!answers_.feed(bytes)) return finish(bad_message("what the agent answers"));
  while (auto answer = answers_.next()) {
    if (!std::exchange(asked_, false))
      return finish(bad_message("an answer that nobody asked for"));
    reply(ssh::agent_frame(*answer));
  }
}

void SshLink::watch() {
  uint32_t wanted = 0;
  if (reply_room()) wanted |= EPOLLIN;
  if (!to_socket_.empty()) wanted |= EPOLLOUT;
  auto loop = loop_.lock();
  if (!loop) return;
  if (watched_ == 0 && wanted != 0) {
    // Weak: the loop must not keep alive what holds the way to it.
    loop->watch(socket_.get(), wanted, [weak = weak_from_this()](uint32_t events) {
      auto self = weak.lock();
      if (!self || self->closed_) return;
      if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) self->read_socket();
      if (!self->closed_) self->converse();
    });
  } else if (wanted == 0 && watched_ != 0) {
    loop->unwatch(socket_.get());  // a hang-up is told even to who wants nothing
  } else if (wanted != watched_) {
    loop->change(socket_.get(), wanted);
  }
  watched_ = wanted;
}

bool SshLink::reply_room() {
  std::lock_guard lock(mutex_);
  if (to_step_bytes_ >= kHigh) reader_full_ = true;
  return !reader_full_;
}

void SshLink::reply(std::string bytes) {
  if (bytes.empty()) return;
  {
    std::lock_guard lock(mutex_);
    to_step_bytes_ += bytes.size();
    to_step_.push_back(std::move(bytes));
  }
  signals_.readable();
}

void SshLink::finish(Status status) {
  if (std::exchange(closed_, true)) return;
  if (socket_.valid()) {
    if (auto loop = loop_.lock(); loop && watched_ != 0) loop->unwatch(socket_.get());
    socket_.reset();
  }
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    status_ = std::move(status);
    from_step_.clear();
  }
  signals_.readable();
  signals_.room();
}

}  // namespace depot::session
