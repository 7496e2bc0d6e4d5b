#include "registry/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/fd.h"
#include "base/process.h"

namespace depot::registry {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::UniqueFd;

namespace {

Status helper_errno(int error, const std::string& what) {
  Status status = base::errno_error(error, what);
  return Status(status.code(), Hop::kHelper, status.message());
}

struct Pipe {
  UniqueFd reader, writer;
  Status open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return helper_errno(errno, "cannot make a pipe");
    reader.reset(ends[0]);
    writer.reset(ends[1]);
    return base::ok_status();
  }
};

// Bytes from a non-blocking pipe into a buffer of fixed capacity: growing would leave copies of a
// secret behind.
class Collector {
 public:
  Collector(UniqueFd reader, size_t limit) : reader_(std::move(reader)), limit_(limit) {
    ::fcntl(reader_.get(), F_SETFL, O_NONBLOCK);
    bytes_.reserve(limit);
  }
  ~Collector() { base::wipe(bytes_); }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  // What is there now, 1 MiB at most: a program that never stops printing must not hold us here.
  void read_some() {
    char buffer[4096];
    for (int round = 0; round < 256 && reader_.valid(); ++round) {
      ssize_t n = ::read(reader_.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) break;
      if (n <= 0) {
        reader_.reset();
        break;
      }
      auto size = static_cast<size_t>(n);
      size_t room = limit_ - bytes_.size();
      if (size > room) overflow_ = true;
      bytes_.append(buffer, std::min(size, room));
    }
    base::wipe(buffer, sizeof buffer);
  }

  int fd() const { return reader_.get(); }  // -1 at its end, which poll passes over
  bool overflow() const { return overflow_; }
  base::Secret take() { return base::Secret::take(std::move(bytes_)); }

 private:
  UniqueFd reader_;
  size_t limit_;
  std::string bytes_;
  bool overflow_ = false;
};

}  // namespace

Result<ProcessOutput> run_process(const Process& process, const base::Environment& environment,
                                  const base::Cancel& cancel, std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point deadline = Clock::now() + timeout;
  Pipe in, out, err;
  DEPOT_TRY(in.open());
  DEPOT_TRY(out.open());
  DEPOT_TRY(err.open());
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) return helper_errno(errno, "cannot make an eventfd");

  // The input goes in before the program starts, while the reading end is ours: no SIGPIPE can come
  // of a program that does not read it, and the pipe holds it all.
  if (process.input.size() > 4096) return base::internal_error("the helper's input is too long");
  if (!process.input.empty() &&
      ::write(in.writer.get(), process.input.data(), process.input.size()) !=
          static_cast<ssize_t>(process.input.size())) {
    return helper_errno(errno, "cannot write to a pipe");
  }
  in.writer.reset();
  if (cancel.triggered()) return Status(Code::kCancelled, Hop::kHelper, "cancelled by the caller");

  base::Program program;
  program.arguments = process.arguments;
  program.variables = base::variables_of(environment);
  program.files = {{in.reader.get(), 0}, {out.writer.get(), 1}, {err.writer.get(), 2}};
  auto started = base::Child::start(program);
  for (std::string& variable : program.variables) base::wipe(variable);
  if (!started.ok())
    return Status(started.status().code(), Hop::kHelper, started.status().message());
  base::Child& child = **started;
  in.reader.reset();
  out.writer.reset();
  err.writer.reset();
  bool gone = child.pidfd() < 0;

  Collector output(std::move(out.reader), process.max_output);
  Collector errors(std::move(err.reader), process.max_errors);
  auto registration = cancel.on_trigger([fd = stop.get()] {
    uint64_t one = 1;
    (void)!::write(fd, &one, sizeof one);
  });
  // Its own end counts, not that of its pipes: a daemon that it started may keep those for ever.
  while (!gone) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      return Status(Code::kDeadlineExceeded, Hop::kHelper,
                    "no answer after " + std::to_string(timeout.count()) + " ms, killed");
    }
    pollfd polls[] = {{child.pidfd(), POLLIN, 0},
                      {stop.get(), POLLIN, 0},
                      {output.fd(), POLLIN, 0},
                      {errors.fd(), POLLIN, 0}};
    if (::poll(polls, 4, static_cast<int>(std::min<int64_t>(left, INT32_MAX))) < 0 &&
        errno != EINTR) {
      return helper_errno(errno, "cannot wait for the program");
    }
    if (polls[1].revents != 0) {
      return Status(Code::kCancelled, Hop::kHelper, "cancelled by the caller");
    }
    output.read_some();
    errors.read_some();
    if (output.overflow()) break;
    gone = polls[0].revents != 0;
  }
  output.read_some();
  errors.read_some();
  if (output.overflow()) {
    return Status(Code::kResourceExhausted, Hop::kHelper,
                  "printed more than " + std::to_string(process.max_output) + " bytes, killed");
  }
  ProcessOutput result;
  base::ProgramEnd end = child.reap();
  if (end.known) {
    result.exit_code = end.exit_code;
    result.signal = end.signal;
  }
  result.output = output.take();
  result.errors = errors.take();
  return result;
}

}  // namespace depot::registry
