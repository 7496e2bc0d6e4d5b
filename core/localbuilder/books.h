// The local builder's books: what it keeps on the disk of each project, and what runs of it. The
// words about them on the API socket, as JSON:
//   POST /libdepot/projects {"project"?, "patience_ms"}  -> {"projects": [...]}
//   POST /libdepot/stop     {"project"?, "force"}        -> {"machines": n}
//   POST /libdepot/reset    {"project", "force"}         -> {"bytes": n}
// Without a project: all. An error is {"code", "message", "hint"} with a status from 400 on.
// Members may be added; who reads leaves out what it does not know. A daemon that has none of this
// answers with 404.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace depot::localbuilder {

inline constexpr char kProjectsPath[] = "/libdepot/projects";
inline constexpr char kStopPath[] = "/libdepot/stop";
inline constexpr char kResetPath[] = "/libdepot/reset";

// Frozen: the numbers are DEPOT_LOCAL_* of the C API.
enum class MachineState : int32_t {
  kUnknown = 0,
  kStopped = 1,
  kStarting = 2,
  kRunning = 3,
  kStopping = 4,
};

struct ProjectMachine {
  std::string architecture;
  MachineState state = MachineState::kStopped;
  int64_t pid = 0;               // of what holds all of its processes; 0: none
  std::string buildkit_version;  // empty: not known
  int64_t builds = 0;            // that hold it
};

struct Project {
  std::string id, directory;
  std::vector<ProjectMachine> machines;
  int64_t builds = 0;        // under way
  int64_t last_used = 0;     // nanoseconds since 1970; 0: not known
  int64_t cache_bytes = -1;  // -1: not known
  bool cache_complete = false;
};

// Names become directories: letters, digits, '-', '_' and '.', 64 at most, no dot in front.
bool good_project(std::string_view id);
base::Status bad_project();  // kInvalidArgument

struct BooksQuestion {
  std::optional<std::string> project;
  bool force = false;
  std::chrono::milliseconds patience{0};  // for the sizes; what is not counted by then is left out
};

std::string format_question(const BooksQuestion& question);
base::Result<BooksQuestion> parse_question(std::string_view body);

std::string format_projects(const std::vector<Project>& projects);
base::Result<std::vector<Project>> parse_projects(std::string_view body);

std::string format_number(const char* name, int64_t number);
base::Result<int64_t> parse_number(const char* name, std::string_view body);

std::string format_error(const base::Status& status);
// The error of a daemon's answer, also of one that is not ours.
base::Status parse_error(int http_status, std::string_view body);

}  // namespace depot::localbuilder
