// The daemon's memory: projects, builds and running machines in SQLite (WAL).
//
// What is in here survives a crash of the daemon: builds go on with their tokens, and machines that
// were running are found and killed. A damaged file is moved aside and a new one begun, because
// nothing in it is worth refusing to build; the caches are not in it.
//
// Loop thread only. Errors are Hop::kBuilder; a full disk is kResourceExhausted.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/status.h"

namespace depot::builderd {

// Numbers of depot.cli.v1 ListBuilds.
enum class BuildStatus : int32_t { kRunning = 1, kFinished = 2, kFailed = 3, kCanceled = 4 };

struct BuildRecord {
  std::string id;
  std::string project;
  std::string token_hash;  // SHA-256 of the build token, raw; the token itself is nowhere
  BuildStatus status = BuildStatus::kRunning;
  int64_t created_ms = 0;   // Unix time
  int64_t finished_ms = 0;  // 0: not yet
  std::string message;      // why it failed
};

// The message of a build that lost its machine to a stop by force.
inline constexpr std::string_view kStoppedByForce = "its machine was stopped by force";

struct MachineRecord {
  std::string key;  // project/architecture
  int64_t pid = 0;
  uint64_t start_time = 0;
  std::string directory;
};

class Database {
 public:
  static base::Result<std::unique_ptr<Database>> open(const std::string& path,
                                                      const base::LogSink& log);
  ~Database();

  base::Status add_build(const BuildRecord& build);  // and its project
  base::Result<std::optional<BuildRecord>> find_build(const std::string& id);
  // The first outcome stays. False: there was one already.
  base::Result<bool> finish_build(const std::string& id, BuildStatus status, int64_t finished_ms,
                                  const std::string& message);
  // Fails a running build whose client went silent. No outcome of the client's: finish_build() may
  // still tell how it went.
  base::Result<bool> give_up_build(const std::string& id, int64_t finished_ms);
  // Fails a running build with kStoppedByForce, for good.
  base::Status end_build_by_force(const std::string& id, int64_t finished_ms);
  // Whether any build has this token.
  base::Result<bool> has_token(std::string_view token_hash);
  base::Result<std::vector<BuildRecord>> running_builds();
  // Newest first, those after `cursor` (from the last call's next; empty: from the start).
  struct Page {
    std::vector<BuildRecord> builds;
    std::string next;  // empty: that was all
  };
  base::Result<Page> list_builds(const std::string& project, int32_t size,
                                 const std::string& cursor);
  base::Status forget_builds_before(int64_t created_ms);

  base::Status put_machine(const MachineRecord& machine);
  base::Status remove_machine(const std::string& key);
  base::Result<std::vector<MachineRecord>> machines();

 private:
  struct Impl;
  explicit Database(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace depot::builderd
