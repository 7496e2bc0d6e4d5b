#include "progress/terminal.h"

#include <algorithm>

#include "progress/cells.h"
#include "progress/text.h"

namespace depot::progress {
namespace {

constexpr size_t kMinLogLines = 6;
constexpr size_t kMaxLogLines = 200;
constexpr size_t kLogMargin = 10;  // cells around a line of a log
constexpr size_t kMinName = 12;    // cells of a name that are worth a line
constexpr size_t kMinWithStatus = 20;
constexpr std::string_view kHide = "\x1b[?25l", kShow = "\x1b[?25h", kEraseLine = "\x1b[K",
                           kEraseBelow = "\x1b[J";

// `left`, and `right` at the end of so many cells.
std::string align(std::string_view left, std::string_view right, size_t width) {
  size_t taken = cells_of(right) + 1;
  size_t room = width > taken ? width - taken : 0;
  return pad_cells(left, std::max(room, std::min(cells_of(left), width))) + " " +
         std::string(right);
}

}  // namespace

Terminal::Terminal(Options options) : options_(std::move(options)) {
  options_.log_lines = std::clamp(options_.log_lines, kMinLogLines, kMaxLogLines);
}

// Of a step that fails its whole log is shown at the end, as far as that is sensible.
Trace::Limits Terminal::limits() {
  Trace::Limits limits;
  limits.log_lines = 2000;
  return limits;
}

void Terminal::update(const ::moby::buildkit::v1::StatusResponse& batch, Moment now) {
  for (const auto& change : trace_.update(batch)) {
    const Step* step = change.step.get();
    if (step->completed()) running_.erase(step);
    if (change.logs.empty() || step->completed()) continue;
    auto [it, added] = running_.try_emplace(
        step, Running{change.step, LogWindow(options_.log_lines, size_.width - kLogMargin)});
    for (const auto& log : change.logs) {
      it->second.log.write(log.data);
      it->second.bytes += log.data.size();
    }
  }
  if (builder_then_ == kNever && trace_.began() != kNever) {
    builder_then_ = trace_.began();
    then_ = now;
  }
  std::erase_if(running_, [](const auto& entry) { return entry.second.step->dropped; });
}

bool Terminal::waiting() const {
  return true;  // clocks run
}

// The builder's clock, which goes on between two batches.
Time Terminal::clock(Moment now) const {
  if (builder_then_ == kNever) return trace_.now();
  return std::max(trace_.now(), builder_then_ + (now - then_).count());
}

void Terminal::print(Moment now, std::string& out) {
  draw(now, std::nullopt, out);
}

void Terminal::finish(Moment now, Ending ending, std::string& out) {
  if (ending == Ending::kCanceled) trace_.cancel();
  draw(now, ending, out);
  print_errors(out);
}

size_t Terminal::log_height(size_t height) const {
  size_t room = height > kMinLogLines + 1 ? height - kMinLogLines - 1 : 0;
  return std::max(kMinLogLines, std::min(options_.log_lines, room));
}

void Terminal::draw(Moment now, std::optional<Ending> ending, std::string& out) {
  bool all = ending.has_value();
  Size size = options_.size();
  size.width = std::clamp<size_t>(size.width, 1, 1000);
  size.height = std::clamp<size_t>(size.height, 1, 1000);
  for (auto& [step, running] : running_)
    running.log.resize(log_height(size.height),
                       size.width > kLogMargin ? size.width - kLogMargin : 1);
  size_ = size;

  Time time = clock(now);
  auto shown = rows(time);
  size_t hidden = all ? 0 : open_logs(shown, size.height);
  if (!all) shown = fit(std::move(shown), size.height > 2 + hidden ? size.height - 2 - hidden : 0);

  // A terminal that became narrower has broken the lines that are there, one that became lower has
  // moved the first ones where nothing reaches them.
  size_t up = 0;
  for (size_t cells : drawn_) up += std::max<size_t>(1, (cells + size.width - 1) / size.width);
  up = std::min(up, size.height - 1);
  drawn_.clear();
  out += kHide;
  if (up > 0) out += "\x1b[" + std::to_string(up) + "A";
  out += '\r';
  auto put = [&](const std::string& text, std::string_view color) {
    if (!all && drawn_.size() + 1 >= size.height) return;
    out += in_color(text, color);
    out += kEraseLine;
    out += "\r\n";
    drawn_.push_back(cells_of(text));
  };
  put(header(time, ending, size.width), "");
  for (const auto& row : shown) {
    std::string text = line(row, size.width);
    if (text.empty()) continue;
    put(text, row.completed ? row.color : "");
    if (row.log == nullptr) continue;
    for (const auto& log : row.log->lines())
      put(" => => # " +
              std::string(cut_cells(log, size.width > kLogMargin ? size.width - kLogMargin : 0)),
          options_.colors.faint);
  }
  out += kEraseBelow;
  out += kShow;
}

std::string Terminal::header(Time now, std::optional<Ending> ending, size_t width) const {
  size_t total = 0, completed = 0, pending = 0;
  bool failed = false;
  for (const auto& step : trace_.steps()) {
    if (!step->group.empty() || step->hidden) continue;
    ++total;
    if (step->completed()) ++completed;
    if (!step->started()) ++pending;
    failed = failed || !step->error.empty();
  }
  // Some of what a builder announces it finds to be the same as another, and never begins it.
  if (ending == Ending::kSuccess && !failed) total -= pending;
  double seconds = trace_.began() == kNever ? 0 : seconds_between(trace_.began(), now);
  std::string text = "[+] " + options_.phase + " " + decimal(seconds, 1) + "s (" +
                     std::to_string(completed) + "/" + std::to_string(total) + ")";
  if (ending && completed > 0 && completed == total) text += " FINISHED";
  std::string description = clean(options_.description);
  if (!description.empty() && cells_of(text) + cells_of(description) + 2 <= width)
    text = align(text, description, width - 1);
  return std::string(cut_cells(text, width));
}

std::vector<Terminal::Row> Terminal::rows(Time now) const {
  std::vector<Row> out;
  for (const auto& step : trace_.shown()) add_rows(*step, now, out);
  return out;
}

void Terminal::add_rows(const Step& step, Time now, std::vector<Row>& rows) const {
  Row own;
  own.step = &step;
  own.name = clean(step.name);
  own.seconds = step.seconds(now);
  own.completed = step.completed();
  own.color = options_.colors.run;
  if (step.canceled()) {
    own.name = "CANCELED " + own.name;
    own.color = options_.colors.cancel;
  } else if (!step.error.empty()) {
    own.name = "ERROR " + own.name;
    own.color = options_.colors.error;
  }
  if (step.cached) own.name = "CACHED " + own.name;
  rows.push_back(std::move(own));
  for (uint64_t sequence : step.begun) {
    const StepStatus& status = step.status(sequence);
    if (status.started == kNever) continue;
    Row row;
    row.name = "=> " + clean(status.id);
    row.status = amount_text(status);
    row.completed = status.completed != kNever;
    row.seconds = seconds_between(status.started,
                                  row.completed ? status.completed : std::max(now, status.started));
    row.color = options_.colors.run;
    rows.push_back(std::move(row));
  }
  for (const auto& warning : step.warnings) {
    Row row;
    row.name = "WARN: " + clean(warning.message);
    const Interval& last = step.intervals.back();
    row.completed = last.stop != kNever;
    row.seconds = seconds_between(last.start, row.completed ? last.stop : now);
    row.color = options_.colors.warning;
    rows.push_back(std::move(row));
  }
}

// Shows the logs of the steps that print most, as far as there is room for them; gives how many
// lines that takes.
size_t Terminal::open_logs(std::vector<Row>& rows, size_t height) {
  std::vector<std::pair<size_t, Running*>> candidates;  // row
  size_t in_use = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].completed) continue;
    ++in_use;
    auto it = running_.find(rows[i].step);
    if (rows[i].step != nullptr && it != running_.end() && it->second.bytes > 0)
      candidates.emplace_back(i, &it->second);
  }
  // One that is shown stays, unless another has much more to say.
  auto weight = [](const Running* running) { return running->bytes + running->frames * 50; };
  std::stable_sort(candidates.begin(), candidates.end(), [&](const auto& a, const auto& b) {
    return weight(a.second) > weight(b.second);
  });
  size_t each = log_height(height) + 3;
  size_t used = 0;
  auto free = static_cast<int64_t>(height) - 2 - static_cast<int64_t>(in_use);
  for (const auto& [row, running] : candidates) {
    if (free <= static_cast<int64_t>(each)) break;
    rows[row].log = &running->log;
    ++running->frames;
    used += running->log.lines().size();
    free -= static_cast<int64_t>(each);
  }
  return used;
}

// The last rows; what runs and would be cut off takes the place of what is complete.
std::vector<Terminal::Row> Terminal::fit(std::vector<Row> rows, size_t limit) {
  if (rows.size() <= limit) return rows;
  size_t first = rows.size() - limit;
  std::vector<Row> kept;
  for (size_t i = 0; i < first; ++i)
    if (!rows[i].completed) kept.push_back(std::move(rows[i]));
  size_t drop = kept.size();
  std::vector<Row> last;
  for (size_t i = first; i < rows.size(); ++i) {
    if (drop > 0 && rows[i].completed)
      --drop;
    else
      last.push_back(std::move(rows[i]));
  }
  // Of more than fit, the latest.
  kept.insert(kept.end(), std::make_move_iterator(last.begin()),
              std::make_move_iterator(last.end()));
  if (kept.size() > limit) kept.erase(kept.begin(), kept.end() - static_cast<int64_t>(limit));
  return kept;
}

// Empty: too little room for it.
std::string Terminal::line(const Row& row, size_t width) const {
  constexpr std::string_view kPrefix = " => ";
  std::string timer = " " + decimal(row.seconds < 0.05 ? 0 : row.seconds, 1) + "s";
  size_t taken = kPrefix.size() + timer.size() + 2;
  size_t left = width > taken ? width - taken : 0;
  std::string status;
  if (!row.status.empty() && left + row.status.size() - 1 > kMinWithStatus) {
    status = row.status;
    left -= std::min(left, status.size());
  }
  if (left < kMinName) return "";
  std::string text = std::string(kPrefix) + std::string(cut_cells(row.name, left)) + status;
  return align(text, timer, width - 1);
}

void Terminal::print_errors(std::string& out) const {
  for (const auto& step : trace_.shown()) {
    if (step->error.empty() || step->canceled()) continue;
    out += "------\r\n > " + clean(step->name) + ":\r\n";
    const LogTail& log = step->log;
    if (log.dropped > 0) out += "[" + std::to_string(log.dropped) + " earlier lines]\r\n";
    for (size_t i = 0; i < log.lines.size(); ++i)
      out += log_prefix(*step, log.times[i]) + " " + clean(log.lines[i], 8) + "\r\n";
    out += "------\r\n";
  }
  if (trace_.dropped_steps() > 0) {
    out += "WARNING: the builder told of more steps than can be kept: " +
           std::to_string(trace_.dropped_steps()) + " were dropped\r\n";
  }
}

}  // namespace depot::progress
