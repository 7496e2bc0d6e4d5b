// Progress on a terminal: a line for each step, the last lines of what runs, redrawn in place. What
// people know from BuildKit's own display, but that nothing a builder sends can move the cursor,
// and that characters are counted in cells.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "progress/colors.h"
#include "progress/display.h"
#include "progress/log_window.h"
#include "progress/trace.h"

namespace depot::progress {

class Terminal final : public Display {
 public:
  struct Size {
    size_t width = 80, height = 24;
  };
  struct Options {
    std::function<Size()> size;  // asked before each frame
    Colors colors = Colors::standard();
    size_t log_lines = 6;  // of a step that runs; at least 6
    std::string phase = "Building";
    std::string description;  // at the right end of the first line
  };

  explicit Terminal(Options options);

  void update(const ::moby::buildkit::v1::StatusResponse& batch, Moment now) override;
  // A frame, which writes over the one before.
  void print(Moment now, std::string& out) override;
  bool waiting() const override;
  // The last frame, with all steps, and the logs of those that failed.
  void finish(Moment now, Ending ending, std::string& out) override;

  const Trace& trace() const { return trace_; }

 private:
  // One line, or a step's line with its log below it.
  struct Row {
    const Step* step = nullptr;  // of a step's own line
    std::string name, status;
    double seconds = 0;
    bool completed = false;
    std::string color;
    const LogWindow* log = nullptr;
  };
  // The log of a step that runs.
  struct Running {
    std::shared_ptr<Step> step;
    LogWindow log;
    size_t bytes = 0;   // that it printed
    size_t frames = 0;  // that showed it
  };

  static Trace::Limits limits();
  size_t log_height(size_t height) const;
  Time clock(Moment now) const;
  // `ending`: of the last frame.
  void draw(Moment now, std::optional<Ending> ending, std::string& out);
  std::vector<Row> rows(Time now) const;
  void add_rows(const Step& step, Time now, std::vector<Row>& rows) const;
  size_t open_logs(std::vector<Row>& rows, size_t height);
  static std::vector<Row> fit(std::vector<Row> rows, size_t limit);
  std::string header(Time now, std::optional<Ending> ending, size_t width) const;
  std::string line(const Row& row, size_t width) const;
  void print_errors(std::string& out) const;

  Options options_;
  Trace trace_{limits()};
  std::unordered_map<const Step*, Running> running_;
  // The builder's clock when the first step was told of, and ours then.
  Time builder_then_ = kNever;
  Moment then_{};
  Size size_;
  std::vector<size_t> drawn_;  // cells of each line of the last frame
};

}  // namespace depot::progress
