// libdepot for C++17 and later: header-only, over the C API (depot.h), which has the whole
// contract.
//
//   depot::Client client;                              // which builder, how to reach it
//   depot::SolveRequest request;
//   request.set_context(".").add_tag("example.com/app:1").set_push();
//   depot::Result result = client.build(request);      // all of it in one call
//
// or step by step:
//
//   depot::Build build = client.new_build();           // registers a build
//   depot::Machine machine = build.acquire("amd64");   // leases a machine for it
//   machine.connect();
//   depot::Result result = machine.solve(request);
//   machine.release();
//   build.finish(depot::Outcome::success);
//
// What fails throws depot::error; what a callback of yours throws comes out of the call that
// solves. Handles are move-only, free themselves and may go in any order; a build that goes without
// finish() is reported as failed. Threads: a const method may be called by many threads at once,
// others by one at a time; Cancel, Machine::release and Machine::solve by any thread at any time.
#ifndef DEPOT_HPP
#define DEPOT_HPP

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "depot/build.h"
#include "depot/builder.hpp"
#include "depot/builds.hpp"
#include "depot/callback.hpp"
#include "depot/cancel.hpp"
#include "depot/client.h"
#include "depot/error.hpp"
#include "depot/local.hpp"
#include "depot/machine.h"
#include "depot/options.hpp"
#include "depot/progress.hpp"
#include "depot/solve.hpp"
#include "depot/status.hpp"
#include "depot/version.h"

namespace depot {

enum class Outcome : depot_outcome {
  success = DEPOT_OUTCOME_SUCCESS,
  failed = DEPOT_OUTCOME_FAILED,
  canceled = DEPOT_OUTCOME_CANCELED,
};

/// Of the loaded library.
inline std::string version() {
  return depot_version_string();
}

/// One leased BuildKit. Kept alive by a heartbeat until release() or until this goes.
class Machine {
 public:
  explicit Machine(depot_machine* raw) : raw_(raw) {}

  /// Blocks until the machine's BuildKit answers; solve() does it when it was not done.
  void connect(const MachineOptions& options = {}) {
    depot_machine_options raw_options = options.raw();
    detail::call([&](depot_error** raw_error) {
      return depot_machine_connect(raw_.get(), &raw_options, raw_error);
    });
  }

  /// Blocks until the result is exported, or throws. Several threads may solve at once.
  Result solve(const SolveRequest& request, const SolveOptions& options = {}) {
    return detail::run_solve(
        request, options, [&](const depot_solve_options* o, depot_result** out, depot_error** e) {
          return depot_solve(raw_.get(), request.get(), o, out, e);
        });
  }

  /// The builder's workers; filters in containerd's syntax.
  std::vector<Worker> workers(const std::vector<std::string>& filters = {},
                              const AskOptions& options = {}) {
    auto list = detail::text_list(filters);
    auto raw_options = options.raw();
    depot_workers* out = nullptr;
    detail::call([&](depot_error** raw_error) {
      return depot_workers_new(raw_.get(), list.data(), &raw_options, &out, raw_error);
    });
    detail::Handle<depot_workers, depot_workers_free> owned(out);
    return detail::workers_of(out);
  }

  /// Which BuildKit it is.
  BuilderInfo info(const AskOptions& options = {}) {
    auto raw_options = options.raw();
    depot_builder_info* out = nullptr;
    detail::call([&](depot_error** raw_error) {
      return depot_builder_info_new(raw_.get(), &raw_options, &out, raw_error);
    });
    detail::Handle<depot_builder_info, depot_builder_info_free> owned(out);
    return {depot_builder_info_version(out), depot_builder_info_package(out),
            depot_builder_info_revision(out), depot_builder_info_dockerfile_version(out)};
  }

  /// What the builder's cache holds; filters as depot_disk_usage_new() has them.
  DiskUsage disk_usage(const std::vector<std::string>& filters = {},
                       const AskOptions& options = {}) {
    auto list = detail::text_list(filters);
    auto raw_options = options.raw();
    depot_disk_usage* out = nullptr;
    detail::call([&](depot_error** raw_error) {
      return depot_disk_usage_new(raw_.get(), list.data(), &raw_options, &out, raw_error);
    });
    detail::Handle<depot_disk_usage, depot_disk_usage_free> owned(out);
    return detail::disk_usage_of(out);
  }

  /// Removes what is not in use from the builder's cache; gives the bytes that were freed.
  std::int64_t prune(const PruneOptions& what, const AskOptions& options = {}) {
    detail::Listener<OnPruned> listener{what.on_record};
    auto list = detail::text_list(what.filters);
    depot_prune_options raw_options{};
    raw_options.size = sizeof(raw_options);
    raw_options.filters = list.data();
    raw_options.all = what.all ? 1 : 0;
    raw_options.reserved_space = what.reserved_space;
    raw_options.max_used_space = what.max_used_space;
    raw_options.min_free_space = what.min_free_space;
    raw_options.cancel = options.raw_cancel();
    raw_options.timeout_ms = options.timeout_.count();
    if (what.on_record) {
      raw_options.user_data = &listener;
      raw_options.on_record = [](const depot_usage_record* record, void* self) {
        return static_cast<decltype(listener)*>(self)->hear(
            [&] { return detail::usage_of(*record); });
      };
    }
    std::int64_t bytes = 0;
    listener.run([&](depot_error** raw_error) {
      return depot_prune(raw_.get(), &raw_options, &bytes, raw_error);
    });
    return bytes;
  }

  /// The builds that the builder remembers: those that run, then the newest.
  std::vector<HistoryRecord> history(const HistoryOptions& which = {},
                                     const AskOptions& options = {}) {
    auto list = detail::text_list(which.filters);
    depot_history_options raw_options{};
    raw_options.size = sizeof(raw_options);
    raw_options.filters = list.data();
    raw_options.ref = detail::or_null(which.ref);
    raw_options.limit = which.limit;
    raw_options.active_only = which.active_only ? 1 : 0;
    raw_options.cancel = options.raw_cancel();
    raw_options.timeout_ms = options.timeout_.count();
    depot_history* out = nullptr;
    detail::call([&](depot_error** raw_error) {
      return depot_history_new(raw_.get(), &raw_options, &out, raw_error);
    });
    detail::Handle<depot_history, depot_history_free> owned(out);
    return detail::history_of(out);
  }

  /// What went on in a build, as solve() tells it.
  void history_logs(const std::string& ref, const OnStatus& on_status,
                    const AskOptions& options = {}) {
    detail::Listener<OnStatus> listener{on_status};
    depot_solve_options raw_options{};
    raw_options.size = sizeof(raw_options);
    raw_options.cancel = options.raw_cancel();
    raw_options.timeout_ms = options.timeout_.count();
    if (on_status) {
      raw_options.user_data = &listener;
      raw_options.on_status = [](const depot_status* batch, void* self) {
        return static_cast<decltype(listener)*>(self)->hear([&] { return Status(batch); });
      };
    }
    listener.run([&](depot_error** raw_error) {
      return depot_history_logs(raw_.get(), ref.c_str(), &raw_options, raw_error);
    });
  }

  /// Removes a build from the history, and what it left.
  void history_delete(const std::string& ref, const AskOptions& options = {}) {
    auto raw_options = options.raw();
    detail::call([&](depot_error** raw_error) {
      return depot_history_delete(raw_.get(), ref.c_str(), &raw_options, raw_error);
    });
  }

  /// A blob that a HistoryRecord names, in pieces; they are right when this has returned.
  void read_blob(const std::string& digest, const OnWrite& write, const AskOptions& options = {}) {
    detail::Listener<OnWrite> listener{write};
    auto raw_options = options.raw();
    depot_write_cb on_bytes = [](const std::uint8_t* data, std::size_t size, void* self) {
      return static_cast<decltype(listener)*>(self)->hear(
          [&] { return std::string_view(reinterpret_cast<const char*>(data), size); });
    };
    listener.run([&](depot_error** raw_error) {
      return depot_blob_read(raw_.get(), digest.c_str(), write ? on_bytes : nullptr, &listener,
                             &raw_options, raw_error);
    });
  }

  /// Gives the machine back; a solve under way ends with DEPOT_CANCELLED. As often as one likes.
  void release() noexcept { depot_machine_release(raw_.get()); }

  /// "tcp://host:port" or "unix:///path".
  std::string endpoint() const { return depot_machine_endpoint(raw_.get()); }
  /// "amd64" or "arm64".
  std::string platform() const { return depot_machine_platform(raw_.get()); }

  depot_machine* get() const noexcept { return raw_.get(); }

 private:
  detail::Handle<depot_machine, depot_machine_free> raw_;
};

/// One registered build. Say how it ended by finish() or run(): one that goes without is reported
/// as failed, in the background, as far as the process lives that long.
class Build {
 public:
  explicit Build(depot_build* raw) : raw_(raw) {}

  /// Leases a machine. `platform`: "amd64", "arm64"; empty: this computer's. Blocks.
  [[nodiscard]] Machine acquire(const std::string& platform = {},
                                const MachineOptions& options = {}) {
    depot_machine_options raw_options = options.raw();
    depot_machine* out = nullptr;
    detail::call([&](depot_error** raw_error) {
      return depot_machine_acquire(raw_.get(), detail::or_null(platform), &raw_options, &out,
                                   raw_error);
    });
    return Machine(out);
  }

  /// Tells the API how the build ended; only the first call does anything. `message`: why it
  /// failed.
  void finish(Outcome outcome, const std::string& message = {}) {
    detail::call([&](depot_error** raw_error) {
      return depot_build_finish(raw_.get(), static_cast<depot_outcome>(outcome),
                                detail::or_null(message), raw_error);
    });
  }

  /// Calls `body(*this)` and finishes by how it went: success when it returns, canceled or failed
  /// when it throws, which goes on to the caller. Returns what `body` returned.
  template <class F>
  auto run(F&& body) -> std::invoke_result_t<F, Build&> {
    if constexpr (std::is_void_v<std::invoke_result_t<F, Build&>>) {
      attempt(std::forward<F>(body));
      finish(Outcome::success);
    } else {
      auto out = attempt(std::forward<F>(body));
      finish(Outcome::success);
      return out;
    }
  }

  /// As the API gave them; empty where it gave none.
  std::string id() const { return depot_build_id(raw_.get()); }
  std::string project() const { return depot_build_project(raw_.get()); }
  /// Page of the build for a person.
  std::string url() const { return depot_build_url(raw_.get()); }

  depot_build* get() const noexcept { return raw_.get(); }

 private:
  template <class F>
  auto attempt(F&& body) -> std::invoke_result_t<F, Build&> {
    try {
      return std::forward<F>(body)(*this);
    } catch (const error& e) {
      finish_quietly(e.cancelled() ? Outcome::canceled : Outcome::failed, e.what());
      throw;
    } catch (const std::exception& e) {
      finish_quietly(Outcome::failed, e.what());
      throw;
    } catch (...) {
      finish_quietly(Outcome::failed, "an exception of the caller's");
      throw;
    }
  }
  // Why the build ended matters more than that it could not be told.
  void finish_quietly(Outcome outcome, const char* message) noexcept {
    depot_build_finish(raw_.get(), static_cast<depot_outcome>(outcome), message, nullptr);
  }

  detail::Handle<depot_build, depot_build_free> raw_;
};

/// Which builder to use, and how to reach it. Making one does no network I/O.
class Client {
 public:
  explicit Client(const ClientOptions& options = {}) {
    auto log = options.logger();
    auto nodes = options.node_list();
    depot_client_options raw_options = options.raw(log.get(), nodes);
    depot_client* out = nullptr;
    detail::call(
        [&](depot_error** raw_error) { return depot_client_new(&raw_options, &out, raw_error); });
    log.release();  // the client has it now
    raw_.reset(out);
  }

  /// "local", "depot", or an address or several: where the options and the environment lead.
  std::string builder() const { return depot_client_builder(raw_.get()); }

  /// Registers a build. Blocks.
  [[nodiscard]] Build new_build(const BuildOptions& options = {}) const {
    auto lists = options.lists();
    depot_build_options raw_options = options.raw(lists);
    depot_build* out = nullptr;
    detail::call([&](depot_error** raw_error) {
      return depot_build_new(raw_.get(), &raw_options, &out, raw_error);
    });
    return Build(out);
  }

  /// The whole flow in one call, finished by how it went. The cancel of `solve_options` covers all
  /// of it. `platform`: "amd64" or "arm64", one machine for all of it; "dynamic", one for each
  /// platform that the request asks for; empty: as depot_client_build has it.
  Result build(const SolveRequest& request, const SolveOptions& solve_options = {},
               const BuildOptions& build_options = {}, const std::string& platform = {}) const {
    auto lists = build_options.lists();
    depot_build_options raw_options = build_options.raw(lists);
    return detail::run_solve(
        request, solve_options,
        [&](const depot_solve_options* o, depot_result** out, depot_error** e) {
          return depot_client_build(raw_.get(), &raw_options, detail::or_null(platform),
                                    request.get(), o, out, e);
        });
  }

  /// The local builder's projects (or that one), whichever builder this client has. Starts nothing.
  std::vector<LocalProject> local_projects(const std::optional<std::string>& project = {},
                                           const LocalOptions& options = {}) const {
    auto raw_options = options.raw(project);
    depot_local_projects* out = nullptr;
    detail::call([&](depot_error** raw_error) {
      return depot_local_projects_new(raw_.get(), &raw_options, &out, raw_error);
    });
    detail::Handle<depot_local_projects, depot_local_projects_free> owned(out);
    return detail::local_projects_of(out);
  }

  /// Stops the machines of a project of the local builder, or all; how many there were.
  std::int64_t local_stop(const std::optional<std::string>& project = {},
                          const LocalOptions& options = {}) const {
    auto raw_options = options.raw(project);
    std::int64_t machines = 0;
    detail::call([&](depot_error** raw_error) {
      return depot_local_stop(raw_.get(), &raw_options, &machines, raw_error);
    });
    return machines;
  }

  /// Removes the cache of a project of the local builder; the bytes that were freed.
  std::int64_t local_reset(const std::string& project, const LocalOptions& options = {}) const {
    const std::optional<std::string> named(project);
    auto raw_options = options.raw(named);
    std::int64_t bytes = 0;
    detail::call([&](depot_error** raw_error) {
      return depot_local_reset(raw_.get(), &raw_options, &bytes, raw_error);
    });
    return bytes;
  }

  /// A project's builds, the newest first.
  std::vector<ListedBuild> list_builds(const BuildsOptions& options = {}) const {
    auto raw_options = options.raw();
    depot_builds* out = nullptr;
    detail::call([&](depot_error** raw_error) {
      return depot_client_list_builds(raw_.get(), &raw_options, &out, raw_error);
    });
    detail::Handle<depot_builds, depot_builds_free> owned(out);
    return detail::builds_of(out);
  }

  /// Where the image is that a build saved, and a login that may pull it.
  [[nodiscard]] PullInfo pull_info(const std::string& build_id,
                                   const BuildsOptions& options = {}) const {
    auto raw_options = options.raw();
    depot_pull_info* out = nullptr;
    detail::call([&](depot_error** raw_error) {
      return depot_client_pull_info(raw_.get(), build_id.c_str(), &raw_options, &out, raw_error);
    });
    return PullInfo(out);
  }

  /// A login that may pull all that a project saved.
  [[nodiscard]] PullInfo pull_token(const BuildsOptions& options = {}) const {
    auto raw_options = options.raw();
    depot_pull_info* out = nullptr;
    detail::call([&](depot_error** raw_error) {
      return depot_client_pull_token(raw_.get(), &raw_options, &out, raw_error);
    });
    return PullInfo(out);
  }

  /// Has a Docker Engine pull a saved image: a build's id, or "PROJECT:TAG". An hour at most unless
  /// `options` say otherwise.
  void pull(const std::string& what, const PullOptions& which = {},
            const AskOptions& options = {}) const {
    detail::Listener<OnStatus> listener{which.on_status};
    auto tags = detail::text_list(which.tags), targets = detail::text_list(which.targets);
    depot_pull_options raw_options{};
    raw_options.size = sizeof(raw_options);
    raw_options.token = detail::or_null(which.token);
    raw_options.tags = tags.data();
    raw_options.targets = targets.data();
    raw_options.platform = detail::or_null(which.platform);
    raw_options.into = detail::or_null(which.into);
    depot_solve_options solve_options{};
    solve_options.size = sizeof(solve_options);
    solve_options.cancel = options.raw_cancel();
    solve_options.timeout_ms = options.timeout_.count();
    if (which.on_status) {
      solve_options.user_data = &listener;
      solve_options.on_status = [](const depot_status* batch, void* self) {
        return static_cast<decltype(listener)*>(self)->hear([&] { return Status(batch); });
      };
    }
    listener.run([&](depot_error** raw_error) {
      return depot_client_pull(raw_.get(), what.c_str(), &raw_options, &solve_options, raw_error);
    });
  }

  const depot_client* get() const noexcept { return raw_.get(); }

 private:
  detail::Handle<depot_client, depot_client_free> raw_;
};

}  // namespace depot

#endif
