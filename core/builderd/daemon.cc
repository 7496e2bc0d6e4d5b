#include "builderd/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/small_file.h"
#include "builderd/engine_check.h"
#include "builderd/version.h"
#include "localbuilder/launcher.h"
#include "localbuilder/locate.h"
#include "localbuilder/spawn.h"

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::LogLevel;
using base::Result;
using base::Secret;
using base::Status;
using localbuilder::FileLock;
using std::chrono::steady_clock;

namespace {

// A predecessor takes so long when its machines do not stop by themselves (machine.h: ten seconds).
constexpr std::chrono::seconds kPredecessorPatience{30};
constexpr std::chrono::seconds kStateLockPatience{2};
constexpr std::chrono::seconds kEnginePatience{20};
constexpr std::chrono::seconds kClientPatience{5};
constexpr size_t kMaxFile = 1 << 20;

Result<Secret> read_token(const std::string& path) {
  DEPOT_ASSIGN(Secret all, base::read_small_file(path, kMaxFile));
  std::string_view text = all.reveal();
  text = text.substr(0, text.find_first_of("\r\n"));
  if (text.size() < 16) return base::usage_error("the token in " + path + " is shorter than 16");
  return Secret(text);
}

}  // namespace

Daemon::Daemon(DaemonOptions options, base::Environment environment)
    : options_(std::move(options)), environment_(std::move(environment)) {}

Daemon::~Daemon() {
  if (signals_.valid()) loop_.unwatch(signals_.get());
  server_.reset();
  service_.reset();
  books_.reset();
  plane_.reset();
  state_lock_.reset();
  runtime_lock_.reset();
}

Status Daemon::lock() {
  DEPOT_TRY(localbuilder::prepare_private_dir(options_.runtime_dir));
  DEPOT_TRY(localbuilder::prepare_private_dir(options_.state_dir));
  const base::Cancel& never = base::Cancel::never();
  std::string name = std::string("/") + localbuilder::kDaemonLockName;
  auto runtime = FileLock::acquire(options_.runtime_dir + name, never,
                                   steady_clock::now() + kPredecessorPatience);
  if (runtime.status().code() == Code::kDeadlineExceeded) {
    return Status(Code::kFailedPrecondition, Hop::kBuilder,
                  "another local builder runs in " + options_.runtime_dir);
  }
  if (!runtime.ok()) return runtime.status().with_hop(Hop::kBuilder);
  runtime_lock_.emplace(std::move(*runtime));
  auto state =
      FileLock::acquire(options_.state_dir + name, never, steady_clock::now() + kStateLockPatience);
  if (state.status().code() == Code::kDeadlineExceeded) {
    return Status(Code::kFailedPrecondition, Hop::kBuilder,
                  "another local builder, of another runtime directory, uses " + options_.state_dir)
        .with_hint("use the same LIBDEPOT_RUNTIME_DIR everywhere");
  }
  if (!state.ok()) return state.status().with_hop(Hop::kBuilder);
  state_lock_.emplace(std::move(*state));
  return base::ok_status();
}

Status Daemon::start() {
  DEPOT_TRY(localbuilder::check_privileges(::geteuid()));
  DEPOT_TRY(lock());
  log_file_ = std::make_unique<LogFile>(options_.state_dir + "/builderd.log");
  log_ = [file = log_file_.get()](LogLevel level, std::string_view line) {
    file->line(level, line);
  };
  DEPOT_ASSIGN(Version version, check_buildkitd(options_.engine.buildkitd, base::Cancel::never(),
                                                steady_clock::now() + kEnginePatience));
  if (options_.snapshotter == "overlayfs") DEPOT_TRY(check_overlayfs(options_.state_dir));
  base::log(log_, LogLevel::kInfo,
            std::string("libdepot-builderd ") + kVersion + " with " + options_.engine.buildkitd +
                " " + format_version(version) + ", " + options_.snapshotter);
  DEPOT_ASSIGN(auto database, Database::open(options_.state_dir + "/builderd.db", log_));

  ControlPlaneOptions plane;
  plane.state_dir = options_.state_dir;
  plane.private_dir = options_.runtime_dir + "/machine";
  plane.engine = options_.engine;
  plane.snapshotter = options_.snapshotter;
  plane.buildkit_version = "v" + format_version(version);
  plane.environment = localbuilder::daemon_environment(environment_);
  plane.machine_idle = options_.idle_timeout;
  plane.lease_expiry = options_.lease_expiry;
  plane.exit_after = options_.exit_after;
  plane_ = std::make_unique<ControlPlane>(loop_, base::Clock::real(), std::move(plane),
                                          std::move(database), log_);
  Secret token;
  if (!options_.token_file.empty()) {
    DEPOT_ASSIGN(token, read_token(options_.token_file));
  }
  books_ = std::make_unique<Books>(loop_, *plane_, options_.state_dir, log_);
  service_ = std::make_unique<ApiService>(loop_, *plane_, *books_, token,
                                          [this] { end("asked to retire"); });
  server_ = std::make_unique<Server>(loop_, *service_, log_);

  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGTERM);
  ::sigaddset(&wanted, SIGINT);
  signals_.reset(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return base::errno_error(errno, "cannot make a signalfd");
  loop_.watch(signals_.get(), EPOLLIN, [this](uint32_t) { on_signal(); });
  DEPOT_TRY(plane_->start([this] { end("nothing to do"); }));
  books_->remove_leftovers();
  return listen();
}

Status Daemon::listen() {
  if (!options_.listen.empty()) {
    SslContext tls;
    if (!options_.tls_key.empty()) {
      DEPOT_ASSIGN(Secret certificate, base::read_small_file(options_.tls_certificate, kMaxFile));
      DEPOT_ASSIGN(Secret key, base::read_small_file(options_.tls_key, kMaxFile));
      Secret client_ca;
      if (!options_.tls_client_ca.empty()) {
        DEPOT_ASSIGN(client_ca, base::read_small_file(options_.tls_client_ca, kMaxFile));
      }
      DEPOT_ASSIGN(tls, make_server_context(std::string(certificate.reveal()), key.reveal(),
                                            std::string(client_ca.reveal())));
    }
    DEPOT_ASSIGN(port_, server_->listen_tcp(options_.listen, std::move(tls)));
    base::log(log_, LogLevel::kInfo, "listening on TCP port " + std::to_string(port_));
  }
  return server_->listen_unix(options_.runtime_dir + "/" + localbuilder::kSocketName);
}

void Daemon::run() {
  loop_.run();
  base::log(log_, LogLevel::kInfo, "ended");
}

void Daemon::on_signal() {
  signalfd_siginfo info;
  if (::read(signals_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return;
  if (ending_) {
    plane_->kill_machines();
  } else {
    end("stopped by a signal");
  }
}

// First no new clients, then the machines, whose end also answers requests that wait for one.
void Daemon::end(const char* why) {
  if (std::exchange(ending_, true)) return;
  base::log(log_, LogLevel::kInfo, std::string("ending: ") + why);
  auto left = std::make_shared<int>(2);
  auto one_done = [this, left] {
    if (--*left == 0) loop_.stop();
  };
  server_->finish(kClientPatience, one_done);
  plane_->shut_down(one_done);
}

}  // namespace depot::builderd
