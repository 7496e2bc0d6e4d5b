#include "builderd/control_plane.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/id.h"
#include "builderd/leftovers.h"
#include "localbuilder/project_dirs.h"

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::LogLevel;
using base::Result;
using base::Status;
using std::chrono::milliseconds;

namespace {

constexpr size_t kMaxMachines = 64;
constexpr std::chrono::minutes kAbandoned{10};
constexpr std::chrono::hours kKeepRecords{24 * 30};
constexpr std::chrono::seconds kLeftoverPatience{30};
constexpr std::chrono::hours kFarFuture{24 * 7};

std::string sha256(std::string_view bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), out, &size, EVP_sha256(), nullptr);
  return std::string(reinterpret_cast<char*>(out), size);
}

Status refused() {
  return Status(Code::kUnavailable, Hop::kBuilder, "the local builder is shutting down")
      .with_retryable(true);
}

Status has_ended() {
  return Status(Code::kFailedPrecondition, Hop::kBuilder, "the build has ended already");
}

bool ended_by_force(const BuildRecord& build) {
  return build.status == BuildStatus::kFailed && build.message == kStoppedByForce;
}

// Who is closed out asks again after this.
constexpr milliseconds kClosedHold{200};

void keep_earlier(std::optional<Leases::Time>& next, std::optional<Leases::Time> other) {
  if (other && (!next || *other < *next)) next = other;
}

}  // namespace

ControlPlane::ControlPlane(base::EpollLoop& loop, const base::Clock& clock,
                           ControlPlaneOptions options, std::unique_ptr<Database> database,
                           base::LogSink log)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      database_(std::move(database)),
      log_(std::move(log)),
      leases_(clock_, options_.lease_expiry),
      last_visit_(clock_.now()) {}

ControlPlane::~ControlPlane() {
  loop_.cancel_timer(timer_);
  for (auto& [project, closing] : closing_) loop_.cancel_timer(closing.timer);
}

int64_t ControlPlane::wall_ms() const {
  return std::chrono::duration_cast<milliseconds>(clock_.wall().time_since_epoch()).count();
}

Status ControlPlane::start(std::function<void()> on_idle) {
  on_idle_ = std::move(on_idle);
  DEPOT_ASSIGN(auto leftovers, database_->machines());
  for (const MachineRecord& record : leftovers) {
    DEPOT_TRY(kill_leftover(static_cast<pid_t>(record.pid), record.start_time, kLeftoverPatience));
    base::log(log_, LogLevel::kInfo, "machine " + record.key + " of an earlier run is gone");
    DEPOT_TRY(database_->remove_machine(record.key));
  }
  DEPOT_TRY(database_->forget_builds_before(wall_ms() - milliseconds(kKeepRecords).count()));
  DEPOT_ASSIGN(auto running, database_->running_builds());
  for (const BuildRecord& build : running) last_heard_[build.id] = clock_.now();
  tick();
  return base::ok_status();
}

Result<ControlPlane::NewBuild> ControlPlane::create_build(const std::string& project) {
  if (stopping_) return refused();
  NewBuild build{base::random_id(), base::Secret(base::random_hex(32)),
                 project.empty() ? "default" : project};
  if (!localbuilder::good_project(build.project)) return localbuilder::bad_project();
  BuildRecord record;
  record.id = build.id;
  record.project = build.project;
  record.token_hash = sha256(build.token.reveal());
  record.created_ms = wall_ms();
  DEPOT_TRY(database_->add_build(record));
  last_heard_[build.id] = clock_.now();
  base::log(log_, LogLevel::kInfo, "build " + build.id + " of project " + build.project);
  tick();
  return build;
}

Result<BuildRecord> ControlPlane::find_build(const std::string& id) {
  DEPOT_ASSIGN(auto build, database_->find_build(id));
  if (build) return *build;
  return Status(Code::kNotFound, Hop::kBuilder, "no build has this id");
}

Result<BuildRecord> ControlPlane::authenticate(const std::string& id, std::string_view token) {
  DEPOT_ASSIGN(BuildRecord build, find_build(id));
  std::string hash = sha256(token);
  if (hash.size() != build.token_hash.size() ||
      CRYPTO_memcmp(hash.data(), build.token_hash.data(), hash.size()) != 0) {
    return Status(
        Code::kUnauthenticated, Hop::kBuilder,
        token.empty() ? "the build's token is required" : "the token is not the one of this build");
  }
  return build;
}

bool ControlPlane::knows_token(std::string_view token) {
  auto known = database_->has_token(sha256(token));
  if (!known.ok()) base::log(log_, LogLevel::kError, known.status().message());
  return known.ok() && *known;
}

Result<ControlPlane::Entry*> ControlPlane::entry_for(const std::string& project,
                                                     const std::string& architecture) {
  std::string key = project + "/" + architecture;
  auto it = machines_.find(key);
  if (it == machines_.end()) {
    if (machines_.size() >= kMaxMachines) {
      return Status(Code::kResourceExhausted, Hop::kBuilder,
                    "the local builder runs " + std::to_string(kMaxMachines) + " machines already");
    }
    MachineConfig config;
    config.project = project;
    config.architecture = architecture;
    config.directory = localbuilder::project_dir(options_.state_dir, key);
    config.private_dir = options_.private_dir;
    config.engine = options_.engine;
    config.snapshotter = options_.snapshotter;
    config.environment = options_.environment;
    it = machines_.emplace(key, Entry{}).first;
    it->second.machine = std::make_unique<Machine>(
        loop_, std::move(config), log_, [this](Machine& machine) { on_machine(machine); });
  }
  return &it->second;
}

void ControlPlane::connect(const BuildRecord& build, const std::string& architecture,
                           ConnectDone done) {
  if (stopping_) return done(refused());
  if (build.status != BuildStatus::kRunning) {
    return done(ended_by_force(build) ? stopped_by_force() : has_ended());
  }
  if (closing_.count(build.project) != 0) {
    last_heard_[build.id] = clock_.now();
    loop_.run_after(kClosedHold,
                    [done = std::move(done)] { done(std::optional<MachineAccess>()); });
    return;
  }
  auto found = entry_for(build.project, architecture);
  if (!found.ok()) return done(found.status());
  Entry& entry = **found;
  Machine& machine = *entry.machine;
  if (Status status = machine.start(); !status.ok()) return done(status);
  leases_.hold(build.id, machine.key());
  last_heard_[build.id] = clock_.now();
  localbuilder::note_use(machine.config().directory);
  Pending pending{build.id, std::move(done), 0};
  if (machine.state() != Machine::State::kReady) {
    pending.timer =
        loop_.run_after(options_.connect_hold, [this, key = machine.key(), id = build.id] {
          auto it = machines_.find(key);
          if (it == machines_.end()) return;
          auto& list = it->second.pending;
          auto one = std::find_if(list.begin(), list.end(), [&](auto& p) { return p.build == id; });
          if (one == list.end()) return;
          ConnectDone answer = std::move(one->done);
          list.erase(one);
          answer(std::optional<MachineAccess>());
        });
  }
  entry.pending.push_back(std::move(pending));
  answer_pending(entry);
  tick();
}

void ControlPlane::answer_pending(Entry& entry) {
  Machine& machine = *entry.machine;
  bool ready = machine.state() == Machine::State::kReady;
  if (!ready && machine.state() != Machine::State::kStopped) return;
  std::vector<Pending> pending;
  pending.swap(entry.pending);
  for (Pending& one : pending) {
    loop_.cancel_timer(one.timer);
    if (!ready) {
      one.done(machine.failure().ok() ? refused() : machine.failure());
      continue;
    }
    leases_.hold(one.build, machine.key());  // its time begins with the answer
    auto access = machine.access_for(one.build);
    if (!access.ok()) {
      one.done(access.status());
    } else {
      one.done(std::optional<MachineAccess>(std::move(*access)));
    }
  }
}

void ControlPlane::drop_pending(const std::string& build, const Status& why) {
  std::vector<ConnectDone> answers;
  for (auto& [key, entry] : machines_) {
    std::erase_if(entry.pending, [&](Pending& one) {
      if (one.build != build) return false;
      loop_.cancel_timer(one.timer);
      answers.push_back(std::move(one.done));
      return true;
    });
  }
  for (ConnectDone& answer : answers) answer(why);
}

void ControlPlane::on_machine(Machine& machine) {
  Status status = machine.pid() > 0
                      ? database_->put_machine({machine.key(), machine.pid(), machine.start_time(),
                                                machine.config().directory})
                      : database_->remove_machine(machine.key());
  if (!status.ok()) base::log(log_, LogLevel::kError, status.message());
  if (auto it = machines_.find(machine.key()); it != machines_.end()) answer_pending(it->second);
  check_closing();  // `machine` may be gone after this
  if (on_stopped_ && all_stopped()) {
    loop_.post(std::exchange(on_stopped_, nullptr));
    return;
  }
  tick();
}

Result<std::chrono::system_clock::time_point> ControlPlane::report_health(
    const BuildRecord& build, const std::string& architecture) {
  if (build.status == BuildStatus::kCanceled || ended_by_force(build)) {
    told(build.id);
    return std::chrono::system_clock::time_point(milliseconds(build.finished_ms));
  }
  if (build.status == BuildStatus::kRunning) {
    last_heard_[build.id] = clock_.now();
    // A client that slept (a laptop's lid) gets its lease back if its machine has not gone.
    std::string key = build.project + "/" + architecture;
    auto it = machines_.find(key);
    if (!leases_.renew(build.id, key) && it != machines_.end() &&
        closing_.count(build.project) == 0 &&
        it->second.machine->state() == Machine::State::kReady) {
      leases_.hold(build.id, key);
    }
    tick();
  }
  return clock_.wall() + kFarFuture;
}

Status ControlPlane::finish(const BuildRecord& build, BuildStatus outcome,
                            const std::string& message) {
  // Who still waits for a machine would keep the build alive.
  drop_pending(build.id, has_ended());
  told(build.id);
  note_uses(build.id);
  // The machine first: it is given back also when the disk has no room for the record.
  leases_.release(build.id);
  last_heard_.erase(build.id);
  tick();
  DEPOT_ASSIGN(bool changed,
               database_->finish_build(build.id, outcome, wall_ms(), message.substr(0, 4096)));
  if (changed) {
    static constexpr const char* kNames[] = {"?", "running", "finished", "failed", "canceled"};
    base::log(log_, LogLevel::kInfo,
              "build " + build.id + " " + kNames[std::clamp(static_cast<int>(outcome), 0, 4)]);
  }
  return base::ok_status();
}

Result<Database::Page> ControlPlane::list_builds(const std::string& project, int32_t size,
                                                 const std::string& cursor) {
  return database_->list_builds(project.empty() ? "default" : project,
                                size <= 0 ? 20 : std::min(size, 100), cursor);
}

size_t ControlPlane::live_builds() const {
  auto now = clock_.now();
  return static_cast<size_t>(
      std::count_if(last_heard_.begin(), last_heard_.end(),
                    [&](const auto& one) { return one.second + options_.lease_expiry > now; }));
}

bool ControlPlane::all_stopped() const {
  return std::all_of(machines_.begin(), machines_.end(), [](const auto& one) {
    return one.second.machine->state() == Machine::State::kStopped;
  });
}

std::optional<Leases::Time> ControlPlane::tick_builds() {
  auto now = clock_.now();
  std::optional<Leases::Time> next;
  for (auto it = last_heard_.begin(); it != last_heard_.end();) {
    if (it->second + kAbandoned <= now) {
      auto changed = database_->give_up_build(it->first, wall_ms());
      if (!changed.ok()) {
        base::log(log_, LogLevel::kError, changed.status().message());
      } else if (*changed) {
        base::log(log_, LogLevel::kWarning,
                  "build " + it->first + " failed: its client went silent");
      }
      it = last_heard_.erase(it);
      continue;
    }
    keep_earlier(next, it->second + kAbandoned);
    // live_builds() changes then, and with it whether the daemon may end.
    if (it->second + options_.lease_expiry > now) {
      keep_earlier(next, it->second + options_.lease_expiry);
    }
    ++it;
  }
  return next;
}

std::optional<Leases::Time> ControlPlane::tick_machines() {
  auto now = clock_.now();
  std::optional<Leases::Time> next;
  for (auto it = machines_.begin(); it != machines_.end();) {
    Entry& entry = it->second;
    Machine::State state = entry.machine->state();
    if (state == Machine::State::kStopped && entry.pending.empty()) {
      it = machines_.erase(it);
      continue;
    }
    bool on = state == Machine::State::kReady || state == Machine::State::kStarting;
    if (!on || leases_.held(it->first) || closing_.count(project_of(it->first)) != 0) {
      entry.idle_since.reset();
    } else {
      if (!entry.idle_since) entry.idle_since = now;
      if (*entry.idle_since + options_.machine_idle <= now) {
        entry.machine->stop();
      } else {
        keep_earlier(next, *entry.idle_since + options_.machine_idle);
      }
    }
    ++it;
  }
  return next;
}

void ControlPlane::tick() {
  loop_.cancel_timer(timer_);
  timer_ = 0;
  if (stopping_) return;
  // Who waits for our answer is not silent.
  for (const auto& [key, entry] : machines_) {
    for (const Pending& one : entry.pending) {
      leases_.hold(one.build, key);
      last_heard_[one.build] = clock_.now();
    }
  }
  for (const Leases::Lease& lease : leases_.expire()) {
    base::log(log_, LogLevel::kWarning,
              "build " + lease.build + " has been silent and loses machine " + lease.machine);
    localbuilder::note_use(localbuilder::project_dir(options_.state_dir, lease.machine));
  }
  std::optional<Leases::Time> next = leases_.next_expiry();
  keep_earlier(next, tick_machines());
  keep_earlier(next, tick_builds());
  if (!closing_.empty()) {
    // A machine that was let go of above tells nobody of its end.
    loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
      if (alive.lock()) check_closing();
    });
  }
  if (machines_.empty() && closing_.empty() && work_ == 0 && live_builds() == 0) {
    Leases::Time end = last_visit_ + options_.exit_after;
    if (end <= clock_.now()) {
      if (on_idle_) loop_.post(std::exchange(on_idle_, nullptr));
      return;
    }
    keep_earlier(next, end);
  }
  if (!next) return;
  auto delay = std::chrono::ceil<milliseconds>(*next - clock_.now());
  timer_ = loop_.run_after(std::max(delay, milliseconds(0)), [this] { tick(); });
}

void ControlPlane::shut_down(std::function<void()> done) {
  stopping_ = true;
  loop_.cancel_timer(timer_);
  on_stopped_ = std::move(done);
  for (auto& [key, entry] : machines_) entry.machine->stop();
  if (all_stopped()) loop_.post(std::exchange(on_stopped_, nullptr));
}

void ControlPlane::kill_machines() {
  for (auto& [key, entry] : machines_) entry.machine->kill();
}

}  // namespace depot::builderd
