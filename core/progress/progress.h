// Progress of a build as people and programs want to see it: a display, driven in real time.
//
// Batches may come from any thread, one at a time. plain and tty are written by a thread of their
// own, so a terminal or a pipe that takes nothing holds nobody up: of a terminal frames are left
// out, of the lines the oldest of a log when too many wait. rawjson is written by who calls.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/environment.h"
#include "base/status.h"
#include "progress/display.h"
#include "progress/output.h"

namespace depot::progress {

enum class Kind { kQuiet, kPlain, kTty, kRawjson };

struct Options {
  size_t width = 0, height = 0;  // 0: the terminal's, else 80x24
  enum class Colors { kAuto, kOn, kOff } colors = Colors::kAuto;
  enum class Warnings { kSummary, kExpand, kOff } warnings = Warnings::kSummary;
  std::string color_spec;     // over BUILDKIT_COLORS
  size_t log_lines = 0;       // over BUILDKIT_TTY_LOG_LINES
  std::string phase;          // instead of "Building"
  std::string description;    // at the other end of its line
  std::string warnings_hint;  // how to have the warnings expanded
  bool replay = false;        // plain: the clock is the batches'
};

class Progress {
 public:
  // `kind`: "auto" (BUILDKIT_PROGRESS, else tty on a terminal, else plain), "tty", "plain",
  // "rawjson", "quiet" or "none". tty needs a terminal, or an output whose size is given.
  static base::Result<std::unique_ptr<Progress>> make(std::string_view kind, const Options& options,
                                                      const base::Environment& environment,
                                                      std::unique_ptr<Output> output);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Fails when what was written before could not be: nobody is there to see more.
  base::Status update(const ::moby::buildkit::v1::StatusResponse& batch);
  base::Status update_json(std::string_view line);
  // The build has ended: writes what is left, and waits for that. Once; more do nothing.
  base::Status finish(Ending ending);
  Kind kind() const { return kind_; }

 private:
  Progress() = default;
  void start();
  void run();
  base::Status replay(const ::moby::buildkit::v1::StatusResponse& batch);
  base::Status finish_replay();
  std::string warnings() const;
  static Moment now();

  Kind kind_ = Kind::kQuiet;
  Options options_;
  std::string warning_color_;
  std::unique_ptr<Output> output_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Display> display_;
  const class Trace* trace_ = nullptr;  // the display's
  Pace pace_;
  Moment recorded_{};  // replay: the time so far
  bool due_ = false, told_ = false, ended_ = false, finished_ = false;
  Ending ending_ = Ending::kSuccess;
  base::Status failure_;
  std::thread thread_;
};

}  // namespace depot::progress
