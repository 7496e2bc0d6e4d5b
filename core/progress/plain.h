// Progress as lines, byte for byte what BuildKit's own plain display prints for the same batches at
// the same times (tests/progress holds it against that).
//
// One step at a time has the screen. It keeps it until it ends, until another one waits too long or
// has more to say; a step that ends says so at once.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "progress/display.h"
#include "progress/trace.h"

namespace depot::progress {

class Plain final : public Display {
 public:
  struct Options {
    size_t name_limit = 0;  // of a step's name as it is shown; 0: all of it
  };

  Plain() = default;
  explicit Plain(const Options& options) : options_(options) {}

  void update(const ::moby::buildkit::v1::StatusResponse& batch, Moment now) override;
  void print(Moment now, std::string& out) override;
  bool waiting() const override;
  void finish(Moment now, Ending ending, std::string& out) override;

  const Trace& trace() const { return trace_; }

 private:
  static constexpr size_t kErrorLines = 10;           // of a failed step's log
  static constexpr size_t kMaxHeld = 64 << 20;        // bytes of logs that may wait for their turn
  static constexpr size_t kMaxLine = 64 << 10;        // of a line of that
  static constexpr size_t kMaxKept = 64 << 20;        // of those lines of all steps
  static constexpr size_t kMaxLastStatuses = 100000;  // transfers that are remembered

  // What is known of a step beside the trace.
  struct Line {
    std::shared_ptr<Step> step;
    int32_t index = 0;           // as it is shown; 0: not yet
    bool fresh = false;          // has something that was not printed
    Moment blocked{};            // since when it waits for the screen
    int events = 0;              // since then
    std::set<std::string> told;  // ids of statuses
    std::deque<std::string> warnings;
    // Log lines that wait; when the last one printed has no end yet, it is still here, and `offset`
    // is how much of it is on the screen.
    std::deque<std::string> logs;
    bool partial = false;
    size_t offset = 0;
    size_t dropped = 0;  // lines that did not fit
    // The last lines, for when the step fails; `at` is where the next one goes.
    std::array<std::optional<std::string>, kErrorLines> ring;
    size_t at = 0;
  };
  struct LastStatus {
    int64_t current = 0;
    Time timestamp = kNever;
  };

  Line& line_of(const std::shared_ptr<Step>& step);
  void log(Line& line, const Change::Log& log);
  void hold(Line& line);
  void keep(Line& line, std::string text);
  void forget(Line& line);
  void prune();
  std::vector<Line*> completed();
  std::vector<Line*> active();
  Line* open() const;
  void print(Line& line, std::string& out);
  void take_screen(Line& line, std::string& out);
  bool print_statuses(Line& line, std::string& out);
  void print_logs(Line& line, std::string& out);
  void print_end(Line& line, std::string& out);
  void print_errors(std::string& out);
  void share(Line* had_screen, bool had_ended, const std::vector<Line*>& rest, Moment now,
             std::string& out);

  Options options_;
  Trace trace_;
  std::unordered_map<const Step*, std::unique_ptr<Line>> lines_;
  std::vector<Line*> order_;  // in the order in which they were met
  std::map<std::string, LastStatus> last_;
  Line* current_ = nullptr;
  bool began_ = false;  // something was printed
  int32_t indexes_ = 0;
  size_t held_ = 0, kept_ = 0;
  uint64_t dropped_steps_ = 0;
};

}  // namespace depot::progress
