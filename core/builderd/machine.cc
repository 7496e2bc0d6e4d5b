#include "builderd/machine.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/id.h"
#include "builderd/buildkitd_config.h"
#include "builderd/engine_check.h"
#include "builderd/leftovers.h"
#include "builderd/machine_init.h"

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::LogLevel;
using base::Result;
using base::Status;
using base::UniqueFd;

namespace {

constexpr std::chrono::seconds kTermPatience{10};
// A cache of many gigabytes may be checked at start; beyond this it hangs.
constexpr std::chrono::minutes kStartPatience{5};
constexpr std::chrono::hours kAuthorityLife{24 * 365};
// A client reconnects with the identity it has; no build lasts longer.
constexpr std::chrono::hours kClientLife{12};

// FNV-1a: a short, stable name for a directory; a clash is harmless.
std::string short_hash(const std::string& text) {
  uint64_t hash = 14695981039346656037u;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  static const char* digits = "0123456789abcdef";
  std::string out;
  for (int i = 0; i < 16; ++i, hash >>= 4) out += digits[hash & 15];
  return out;
}

Result<UniqueFd> listen_on_loopback(uint16_t& port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (!fd.valid() || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(fd.get(), 256) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return base::errno_error(errno, "cannot listen on a loopback port").with_hop(Hop::kBuilder);
  }
  port = ntohs(address.sin_port);
  return fd;
}

Status make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return base::errno_error(error.value(), "cannot make " + path).with_hop(Hop::kBuilder);
  return base::ok_status();
}

}  // namespace

Machine::Machine(base::EpollLoop& loop, MachineConfig config, base::LogSink log, OnChange on_change)
    : loop_(loop),
      config_(std::move(config)),
      log_(std::move(log)),
      on_change_(std::move(on_change)),
      cgroup_("libdepot-" + short_hash(config_.directory)) {}

Machine::~Machine() {
  loop_.cancel_timer(timer_);
  for (int fd : {control_.get(), output_.get(), process_.get()}) loop_.unwatch(fd);
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    remove_cgroups(cgroup_);
  }
}

void Machine::become(State state) {
  state_ = state;
  loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
    if (!alive.lock()) return;
    OnChange call = on_change_;  // the machine may be destroyed in it
    if (call) call(*this);
  });
}

Status Machine::start() {
  if (state_ == State::kStarting || state_ == State::kReady) return base::ok_status();
  if (state_ == State::kStopping) {
    restart_ = true;
    return base::ok_status();
  }
  failure_ = base::ok_status();
  Status status = launch();
  if (!status.ok()) {
    failure_ = status.with_prefix("cannot start a machine");
    become(State::kStopped);
    return failure_;
  }
  timer_ = loop_.run_after(kStartPatience, [this] {
    base::log(log_, LogLevel::kError, "machine " + key() + " was not ready in time");
    last_word_ = "not ready in time";
    kill();
  });
  become(State::kStarting);
  return base::ok_status();
}

Status Machine::launch() {
  DEPOT_TRY(make_directory(config_.directory + "/root"));
  DEPOT_TRY(make_directory(config_.private_dir));
  remove_cgroups(cgroup_);
  if (!output_log_) output_log_ = std::make_unique<LogFile>(config_.directory + "/buildkitd.log");

  DEPOT_ASSIGN(authority_, CertificateAuthority::create("libdepot machine", kAuthorityLife));
  server_name_ = "m-" + base::random_hex(8) + ".libdepot.internal";
  DEPOT_ASSIGN(Identity server, authority_->issue_server(server_name_, kAuthorityLife));

  BuildkitdConfig toml;
  toml.root = config_.directory + "/root";
  toml.private_dir = config_.private_dir;
  toml.runc = config_.engine.runc;
  toml.snapshotter = config_.snapshotter;
  toml.cgroup_parent = cgroup_;
  if (config_.architecture != native_architecture()) {
    toml.platform = "linux/" + config_.architecture;
    if (!can_run(config_.architecture)) {
      base::log(log_, LogLevel::kWarning,
                "no binfmt_misc handler for " + config_.architecture +
                    ": RUN steps of this machine will fail (install qemu-user-static)");
    }
  }
  MachineSetup setup;
  setup.private_dir = config_.private_dir;
  setup.buildkitd = config_.engine.buildkitd;
  setup.config = render_config(toml);
  setup.server_certificate = server.certificate;
  setup.server_key = server.key;
  setup.ca_certificate = authority_->certificate();
  setup.environment = config_.environment;

  DEPOT_ASSIGN(UniqueFd listener, listen_on_loopback(port_));
  int pair[2], ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return base::errno_error(errno, "cannot make a socket pair").with_hop(Hop::kBuilder);
  }
  UniqueFd ours(pair[0]), theirs(pair[1]);
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return base::errno_error(errno, "cannot make a pipe").with_hop(Hop::kBuilder);
  }
  UniqueFd reader(ends[0]), writer(ends[1]);
  ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  DEPOT_ASSIGN(pid_t pid, spawn_machine_init(listener.get(), theirs.get(), writer.get()));
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  base::Secret packet = encode_setup(setup);
  std::string_view bytes = packet.reveal();
  if (!process.valid() || ::send(ours.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
                              static_cast<ssize_t>(bytes.size())) {
    Status status = base::errno_error(errno, "cannot set the machine up").with_hop(Hop::kBuilder);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return status;
  }
  pid_ = pid;
  start_time_ = start_time_of(pid);
  last_word_.clear();
  control_ = std::move(ours);
  output_ = std::move(reader);
  process_ = std::move(process);
  loop_.watch(control_.get(), EPOLLIN, [this](uint32_t) { on_control(); });
  loop_.watch(output_.get(), EPOLLIN, [this](uint32_t) { on_output(); });
  loop_.watch(process_.get(), EPOLLIN, [this](uint32_t) { on_exit(); });
  base::log(log_, LogLevel::kInfo,
            "machine " + key() + " starts: pid " + std::to_string(pid) + ", port " +
                std::to_string(port_));
  return base::ok_status();
}

void Machine::stop() {
  restart_ = false;
  if (state_ != State::kStarting && state_ != State::kReady) return;
  (void)!::send(control_.get(), "stop", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
  loop_.cancel_timer(timer_);
  timer_ = loop_.run_after(kTermPatience, [this] {
    base::log(log_, LogLevel::kWarning, "machine " + key() + " does not stop; killing it");
    kill();
  });
  base::log(log_, LogLevel::kInfo, "machine " + key() + " stops");
  become(State::kStopping);
}

void Machine::kill() {
  if (process_.valid()) ::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
}

void Machine::on_control() {
  char buffer[1024];
  ssize_t n = ::recv(control_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    loop_.unwatch(control_.get());  // its end comes by the pidfd
    return;
  }
  std::string_view message(buffer, static_cast<size_t>(n));
  if (message != "ready") {
    last_word_ = message.substr(message.find(' ') + 1);
    return;
  }
  if (state_ != State::kStarting) return;
  loop_.cancel_timer(timer_);
  base::log(log_, LogLevel::kInfo, "machine " + key() + " is ready");
  become(State::kReady);
}

void Machine::on_output() {
  char buffer[16 << 10];
  ssize_t n;
  // Bounded, so that a chatty machine does not keep the loop to itself.
  for (int i = 0; i < 8 && (n = ::read(output_.get(), buffer, sizeof buffer)) > 0; ++i) {
    output_log_->append(std::string_view(buffer, static_cast<size_t>(n)));
  }
  if (n == 0) loop_.unwatch(output_.get());
}

Status Machine::describe_failure() const {
  base::Error error;
  error.code = Code::kUnavailable;
  error.hop = Hop::kBuilder;
  error.retryable = true;
  error.message = "buildkitd of machine " + key() +
                  " ended: " + (last_word_.empty() ? std::string("killed") : last_word_);
  error.log_tail = output_log_->tail();
  // The last line tells the reason as a rule, and an API error carries the message alone.
  std::string_view tail = error.log_tail;
  while (!tail.empty() && tail.back() == '\n') tail.remove_suffix(1);
  for (size_t line; (line = tail.rfind('\n')) != std::string_view::npos;) {
    std::string_view last = tail.substr(line + 1);
    // Go prints the stack of an error after it.
    if (last.find("buildkitd:") != std::string_view::npos) {
      tail = last;
      break;
    }
    tail = tail.substr(0, line);
  }
  if (tail.substr(0, 10) == "buildkitd:") error.message += ": " + std::string(tail.substr(0, 300));
  error.hint = "see " + output_log_->path();
  return Status(std::move(error));
}

void Machine::on_exit() {
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == 0) return;
  while (control_.valid()) {  // its last word may still be in the socket
    char buffer[1024];
    ssize_t n = ::recv(control_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n <= 0) break;
    std::string_view message(buffer, static_cast<size_t>(n));
    if (message != "ready") last_word_ = message.substr(message.find(' ') + 1);
  }
  on_output();
  loop_.cancel_timer(timer_);
  for (int fd : {control_.get(), output_.get(), process_.get()}) loop_.unwatch(fd);
  control_.reset();
  output_.reset();
  process_.reset();
  pid_ = -1;
  start_time_ = 0;
  authority_.reset();
  remove_cgroups(cgroup_);
  bool asked = state_ == State::kStopping;
  if (!asked) {
    failure_ = describe_failure();
    base::log(log_, LogLevel::kError, failure_.message());
  } else {
    base::log(log_, LogLevel::kInfo, "machine " + key() + " has stopped");
  }
  bool again = restart_;
  restart_ = false;
  become(State::kStopped);
  if (again) (void)start();  // a failure is reported by failure() and the change
}

Result<MachineAccess> Machine::access_for(const std::string& build_id) const {
  if (state_ != State::kReady) return base::internal_error("machine " + key() + " is not ready");
  MachineAccess access;
  access.endpoint = "tcp://127.0.0.1:" + std::to_string(port_);
  access.server_name = server_name_;
  access.ca_certificate = authority_->certificate();
  DEPOT_ASSIGN(access.identity, authority_->issue_client(build_id, kClientLife));
  return access;
}

}  // namespace depot::builderd
