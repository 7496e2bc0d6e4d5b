// ControlPlane: builds, their leases and the machines they run on; what the API's handlers call.
//
// Rules
//  - A build is known by its id and a random token, of which only a hash is kept.
//  - Asking for a connection takes a lease on the machine of the build's project and architecture
//    and starts it when it does not run. Reporting health keeps the lease, finishing gives it back,
//    silence for `lease_expiry` loses it.
//  - A machine without leases stays for `machine_idle`, then stops. The daemon ends when it has had
//    no machine, no live build and no visitor for `exit_after`.
//  - A machine that dies takes nothing with it: the next request for a connection starts it again.
//  - A project is closed to stop its machines: who asks for a connection meanwhile waits. By force
//    also builds that hold one lose it; they are told by the report of health that each makes every
//    few seconds, and then the machines stop.
//
// Everything runs on the loop's thread and nothing blocks, except that start() waits for the death
// of machines which an earlier daemon left.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/epoll_loop.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/status.h"
#include "builderd/database.h"
#include "builderd/leases.h"
#include "builderd/machine.h"
#include "localbuilder/books.h"

namespace depot::builderd {

struct ControlPlaneOptions {
  std::string state_dir;
  std::string private_dir;
  localbuilder::Engine engine;
  std::string snapshotter = "overlayfs";
  std::string buildkit_version;          // the engine's: "v1.2.3"
  std::vector<std::string> environment;  // of the machines
  std::chrono::milliseconds machine_idle{std::chrono::minutes(2)};
  std::chrono::milliseconds lease_expiry{std::chrono::seconds(30)};
  std::chrono::milliseconds exit_after{std::chrono::seconds(30)};
  // How long a request for a connection is held while its machine starts, before "pending".
  std::chrono::milliseconds connect_hold{std::chrono::seconds(2)};
  // How long builds have to hear that they lose their machine by force; clients report every 5 s.
  std::chrono::milliseconds force_notice{std::chrono::seconds(6)};
};

class ControlPlane {
 public:
  // nullopt: the machine is still starting, ask again.
  using ConnectDone = std::function<void(base::Result<std::optional<MachineAccess>>)>;

  ControlPlane(base::EpollLoop& loop, const base::Clock& clock, ControlPlaneOptions options,
               std::unique_ptr<Database> database, base::LogSink log);
  ~ControlPlane();

  // Removes what an earlier daemon left behind and begins to keep time. `on_idle`: nothing has been
  // going on for exit_after.
  base::Status start(std::function<void()> on_idle);
  // Stops every machine, then calls `done`. Requests are refused from now on.
  void shut_down(std::function<void()> done);
  // A second shut_down, without patience.
  void kill_machines();

  struct NewBuild {
    std::string id;
    base::Secret token;
    std::string project;
  };
  base::Result<NewBuild> create_build(const std::string& project);  // empty: "default"
  base::Result<BuildRecord> find_build(const std::string& id);
  // The build if it is there and `token` is its own; kNotFound, kUnauthenticated.
  base::Result<BuildRecord> authenticate(const std::string& id, std::string_view token);
  // True if some build has this token. Which one it may touch is authenticate()'s to say.
  bool knows_token(std::string_view token);
  void connect(const BuildRecord& build, const std::string& architecture, ConnectDone done);
  // When the build is to stop: far in the future, or in the past after a cancel.
  base::Result<std::chrono::system_clock::time_point> report_health(
      const BuildRecord& build, const std::string& architecture);
  base::Status finish(const BuildRecord& build, BuildStatus outcome, const std::string& message);
  base::Result<Database::Page> list_builds(const std::string& project, int32_t size,
                                           const std::string& cursor);

  // The books (control_plane_books.cc). describe() puts what runs into what the disk tells.
  void describe(std::vector<localbuilder::Project>& projects);
  // Stops the project's machines, or all; `done` when they have ended, with their number.
  // kFailedPrecondition if builds hold one, unless `force`.
  void stop_machines(const std::optional<std::string>& project, bool force,
                     std::function<void(base::Result<int64_t>)> done);
  // The same, and sets the project's cache aside (localbuilder/project_dirs.h) before a machine may
  // start again; `done` with its new name.
  void reset(const std::string& project, bool force,
             std::function<void(base::Result<std::string>)> done);
  // Work that the daemon must not end under.
  void begin_work() { ++work_; }
  void end_work();

  // A client was here: keeps the daemon for another exit_after.
  void touch() { last_visit_ = clock_.now(); }
  // Builds whose clients have been heard of within lease_expiry.
  size_t live_builds() const;

 private:
  struct Pending {
    std::string build;
    ConnectDone done;
    base::Loop::TimerId timer;
  };
  struct Entry {
    std::unique_ptr<Machine> machine;
    std::optional<Leases::Time> idle_since;
    std::vector<Pending> pending;
  };
  // Of a project while its machines stop.
  struct Closing {
    std::set<std::string> untold;  // builds that have not heard yet
    base::Loop::TimerId timer = 0;
    int64_t machines = 0;
    std::vector<std::function<void(int64_t)>> then;
  };
  base::Result<Entry*> entry_for(const std::string& project, const std::string& architecture);
  void on_machine(Machine& machine);
  void answer_pending(Entry& entry);
  void drop_pending(const std::string& build, const base::Status& why);
  std::set<std::string> users_of(const std::string& project) const;
  base::Status check_unused(const std::string& project) const;
  void end_by_force(const std::string& build);
  void close(const std::string& project, bool force, std::function<void(int64_t)> then);
  void stop_closing(const std::string& project);
  bool runs(const std::string& project) const;
  // Goes on with projects whose machines have stopped.
  void check_closing();
  // The build has heard, or needs not to.
  void told(const std::string& build);
  void note_uses(const std::string& build) const;
  // Does what is due by the clock and sets the timer for what is due next.
  void tick();
  std::optional<Leases::Time> tick_machines();
  std::optional<Leases::Time> tick_builds();
  bool all_stopped() const;
  int64_t wall_ms() const;

  base::EpollLoop& loop_;
  const base::Clock& clock_;
  const ControlPlaneOptions options_;
  const std::unique_ptr<Database> database_;
  const base::LogSink log_;
  Leases leases_;
  std::map<std::string, Entry> machines_;           // by key
  std::map<std::string, Leases::Time> last_heard_;  // running builds
  std::map<std::string, Closing> closing_;          // by project
  size_t work_ = 0;
  Leases::Time last_visit_;
  std::function<void()> on_idle_, on_stopped_;
  bool stopping_ = false;
  base::Loop::TimerId timer_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // guards tasks posted to the loop
};

// "project/architecture" without the latter.
std::string project_of(const std::string& machine_key);
// What such a build is told that asks for a connection.
base::Status stopped_by_force();

}  // namespace depot::builderd
