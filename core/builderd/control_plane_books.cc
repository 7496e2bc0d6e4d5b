// ControlPlane: the books, and the end of machines that are wanted no more.
#include <algorithm>

#include "builderd/control_plane.h"
#include "localbuilder/project_dirs.h"

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::LogLevel;
using base::Result;
using base::Status;
using localbuilder::MachineState;
using localbuilder::Project;
using localbuilder::ProjectMachine;

namespace {

MachineState state_of(const Machine& machine) {
  switch (machine.state()) {
    case Machine::State::kStopped:
      return MachineState::kStopped;
    case Machine::State::kStarting:
      return MachineState::kStarting;
    case Machine::State::kReady:
      return MachineState::kRunning;
    case Machine::State::kStopping:
      return MachineState::kStopping;
  }
  return MachineState::kUnknown;
}

ProjectMachine& machine_in(Project& project, const std::string& architecture) {
  for (ProjectMachine& machine : project.machines) {
    if (machine.architecture == architecture) return machine;
  }
  ProjectMachine& made = project.machines.emplace_back();
  made.architecture = architecture;
  return made;
}

}  // namespace

std::string project_of(const std::string& machine_key) {
  return machine_key.substr(0, machine_key.find('/'));
}

Status stopped_by_force() {
  return Status(Code::kFailedPrecondition, Hop::kBuilder,
                "the build has ended: " + std::string(kStoppedByForce));
}

void ControlPlane::describe(std::vector<Project>& projects) {
  std::map<std::string, Project*> by_id;
  for (Project& project : projects) by_id[project.id] = &project;
  const int64_t now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(clock_.wall().time_since_epoch())
          .count();
  for (const auto& [key, entry] : machines_) {
    auto found = by_id.find(project_of(key));
    if (found == by_id.end()) continue;  // not asked for
    const Machine& running = *entry.machine;
    ProjectMachine& machine = machine_in(*found->second, running.config().architecture);
    machine.state = state_of(running);
    if (running.pid() > 0) {
      machine.pid = running.pid();
      machine.buildkit_version = options_.buildkit_version;
    }
    machine.builds = static_cast<int64_t>(leases_.builds_on(key).size());
    if (machine.builds > 0) found->second->last_used = now;
  }
  for (const auto& [id, heard] : last_heard_) {
    if (heard + options_.lease_expiry <= clock_.now()) continue;
    auto build = database_->find_build(id);
    if (!build.ok() || !*build) continue;
    if (auto found = by_id.find((*build)->project); found != by_id.end()) ++found->second->builds;
  }
}

std::set<std::string> ControlPlane::users_of(const std::string& project) const {
  std::set<std::string> users;
  for (const Leases::Lease& lease : leases_.all()) {
    if (project_of(lease.machine) == project) users.insert(lease.build);
  }
  return users;
}

Status ControlPlane::check_unused(const std::string& project) const {
  size_t users = users_of(project).size();
  if (users == 0) return base::ok_status();
  return Status(Code::kFailedPrecondition, Hop::kBuilder,
                (users == 1 ? "a build uses" : std::to_string(users) + " builds use") +
                    std::string(" the machines of project ") + project)
      .with_hint("wait for its end, or use force: then it fails");
}

void ControlPlane::note_uses(const std::string& build) const {
  for (const std::string& machine : leases_.machines_of(build)) {
    localbuilder::note_use(localbuilder::project_dir(options_.state_dir, machine));
  }
}

void ControlPlane::end_by_force(const std::string& build) {
  base::log(log_, LogLevel::kWarning,
            "build " + build + " failed: " + std::string(kStoppedByForce));
  Status status = database_->end_build_by_force(build, wall_ms());
  if (!status.ok()) base::log(log_, LogLevel::kError, status.message());
  drop_pending(build, stopped_by_force());
  note_uses(build);
  leases_.release(build);
  last_heard_.erase(build);
}

void ControlPlane::close(const std::string& project, bool force,
                         std::function<void(int64_t)> then) {
  Closing& closing = closing_[project];
  closing.then.push_back(std::move(then));
  if (force) {
    for (const std::string& build : users_of(project)) {
      closing.untold.insert(build);
      end_by_force(build);
    }
  }
  if (closing.untold.empty()) return stop_closing(project);
  if (closing.timer != 0) return;
  closing.timer = loop_.run_after(options_.force_notice, [this, project] {
    auto found = closing_.find(project);
    if (found == closing_.end()) return;
    found->second.timer = 0;
    found->second.untold.clear();
    stop_closing(project);
  });
}

void ControlPlane::told(const std::string& build) {
  for (auto& [project, closing] : closing_) {
    if (closing.untold.erase(build) == 0 || !closing.untold.empty()) continue;
    // Posted, so that the answer to the build goes out first.
    loop_.post([this, name = project, alive = std::weak_ptr<int>(alive_)] {
      auto found = alive.lock() ? closing_.find(name) : closing_.end();
      if (found != closing_.end() && found->second.untold.empty()) stop_closing(name);
    });
  }
}

void ControlPlane::stop_closing(const std::string& project) {
  Closing& closing = closing_[project];
  loop_.cancel_timer(std::exchange(closing.timer, 0));
  for (auto& [key, entry] : machines_) {
    Machine::State state = entry.machine->state();
    bool on = state == Machine::State::kReady || state == Machine::State::kStarting;
    if (project_of(key) != project) continue;
    if (on) ++closing.machines;
    entry.machine->stop();
  }
  check_closing();
}

bool ControlPlane::runs(const std::string& project) const {
  return std::any_of(machines_.begin(), machines_.end(), [&](const auto& one) {
    return project_of(one.first) == project &&
           one.second.machine->state() != Machine::State::kStopped;
  });
}

void ControlPlane::check_closing() {
  std::vector<Closing> closed;
  for (auto it = closing_.begin(); it != closing_.end();) {
    // At the daemon's end nobody waits for the builds.
    if (runs(it->first) || (!it->second.untold.empty() && !stopping_)) {
      ++it;
      continue;
    }
    // Their logs are open in the directory that may go now.
    for (auto machine = machines_.begin(); machine != machines_.end();) {
      if (project_of(machine->first) != it->first) {
        ++machine;
        continue;
      }
      answer_pending(machine->second);
      Status status = database_->remove_machine(machine->first);
      if (!status.ok()) base::log(log_, LogLevel::kError, status.message());
      machine = machines_.erase(machine);
    }
    loop_.cancel_timer(it->second.timer);
    closed.push_back(std::move(it->second));
    it = closing_.erase(it);
  }
  for (Closing& one : closed) {
    for (auto& then : one.then) then(one.machines);
  }
  if (!closed.empty()) tick();
}

void ControlPlane::stop_machines(const std::optional<std::string>& project, bool force,
                                 std::function<void(Result<int64_t>)> done) {
  std::set<std::string> projects;
  if (project) {
    projects.insert(*project);
  } else {
    for (const auto& [key, entry] : machines_) projects.insert(project_of(key));
    for (const Leases::Lease& lease : leases_.all()) projects.insert(project_of(lease.machine));
  }
  for (const std::string& one : projects) {
    if (Status status = check_unused(one); !force && !status.ok()) return done(status);
  }
  if (projects.empty()) return done(int64_t{0});
  struct Count {
    size_t left;
    int64_t machines = 0;
  };
  auto count = std::make_shared<Count>(Count{projects.size()});
  auto one_done = [count, done = std::move(done)](int64_t machines) {
    count->machines += machines;
    if (--count->left == 0) done(count->machines);
  };
  for (const std::string& one : projects) close(one, force, one_done);
}

void ControlPlane::reset(const std::string& project, bool force,
                         std::function<void(Result<std::string>)> done) {
  if (!force) {
    if (Status status = check_unused(project); !status.ok()) return done(status);
  }
  close(project, force, [this, project, done = std::move(done)](int64_t) {
    auto aside = localbuilder::set_aside(options_.state_dir, project);
    if (aside.ok()) base::log(log_, LogLevel::kInfo, "project " + project + " is reset");
    done(std::move(aside));
  });
}

void ControlPlane::end_work() {
  --work_;
  touch();
  tick();
}

}  // namespace depot::builderd
