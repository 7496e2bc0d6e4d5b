#include "progress/plain.h"

#include <algorithm>

#include "progress/text.h"

namespace depot::progress {
namespace {

constexpr double kFairShare = 5;        // seconds of the screen, for the smallest share
constexpr double kMaxDelay = 10;        // seconds that a step may wait for it
constexpr double kMinProgress = 0.05;   // of a transfer, before it is printed again
constexpr double kMinProgressTime = 5;  // seconds after which it is printed all the same

double seconds(Moment moment) {
  return seconds_between(0, moment.count());
}

}  // namespace

Plain::Line& Plain::line_of(const std::shared_ptr<Step>& step) {
  auto& line = lines_[step.get()];
  if (line == nullptr) {
    line = std::make_unique<Line>();
    line->step = step;
    order_.push_back(line.get());
  }
  return *line;
}

void Plain::update(const ::moby::buildkit::v1::StatusResponse& batch, Moment now) {
  for (auto& change : trace_.update(batch)) {
    Line& line = line_of(change.step);
    if (line.events == 0 && change.events > 0) line.blocked = now;
    line.events += change.events;
    line.fresh = line.fresh || change.fresh;
    for (auto& id : change.statuses) line.told.insert(std::move(id));
    for (auto& warning : change.warnings) line.warnings.push_back(std::move(warning));
    for (const auto& told : change.logs) log(line, told);
  }
  if (trace_.dropped_steps() != dropped_steps_) prune();
}

// Lets go of what the trace has let go of.
void Plain::prune() {
  dropped_steps_ = trace_.dropped_steps();
  std::erase_if(order_, [&](Line* line) {
    if (!line->step->dropped || line == current_) return false;
    for (const auto& text : line->logs) held_ -= text.size();
    forget(*line);
    lines_.erase(line->step.get());
    return true;
  });
}

// Logs are cut anywhere; a line has the time of its first bytes.
void Plain::log(Line& line, const Change::Log& log) {
  std::string_view data = log.data;
  bool first = true, whole = false;
  while (!data.empty()) {
    size_t end = data.find('\n');
    std::string_view text = data.substr(0, end);
    whole = end != std::string_view::npos;
    data.remove_prefix(whole ? end + 1 : data.size());
    if (first && line.partial && !line.logs.empty()) {
      line.logs.back() += text;
      held_ += text.size();
    } else {
      line.logs.push_back(log_prefix(*line.step, log.time) + " " + std::string(text));
      held_ += line.logs.back().size();
    }
    first = false;
  }
  line.partial = !whole;
  hold(line);
}

// What waits is bounded: a builder that prints more than anybody can read loses its oldest lines.
void Plain::hold(Line& line) {
  while (held_ > kMaxHeld && !line.logs.empty()) {
    held_ -= line.logs.front().size();
    line.logs.pop_front();
    line.offset = 0;
    ++line.dropped;
  }
}

bool Plain::waiting() const {
  if (current_ == nullptr && open() != nullptr) return true;
  return std::any_of(order_.begin(), order_.end(), [](const Line* line) { return line->fresh; });
}

// A step that runs, for when nobody has the screen.
Plain::Line* Plain::open() const {
  for (const auto& step : trace_.shown()) {
    if (!step->started() || step->completed()) continue;
    if (auto it = lines_.find(step.get()); it != lines_.end()) return it->second.get();
  }
  return nullptr;
}

// Those that have ended and not said so, in the order in which they did.
std::vector<Plain::Line*> Plain::completed() {
  std::vector<Line*> out;
  for (Line* line : order_)
    if (line->fresh && !line->step->hidden && line->step->completed()) out.push_back(line);
  std::stable_sort(out.begin(), out.end(), [](const Line* a, const Line* b) {
    return a->step->intervals.back().stop < b->step->intervals.back().stop;
  });
  return out;
}

std::vector<Plain::Line*> Plain::active() {
  std::vector<Line*> out;
  for (Line* line : order_)
    if (line->fresh && !line->step->hidden && !line->step->completed()) out.push_back(line);
  return out;
}

void Plain::print(Moment now, std::string& out) {
  auto ended = completed();
  auto rest = active();
  Line* had_screen = current_;
  bool had_ended = std::find(ended.begin(), ended.end(), had_screen) != ended.end();
  if (had_ended) print(*had_screen, out);
  for (Line* line : ended)
    if (line != had_screen) print(*line, out);
  if (rest.empty()) {
    if (had_screen != nullptr && had_screen->step->started() && !had_screen->step->completed())
      return;
    if (Line* line = open()) print(*line, out);
    return;
  }
  if (std::find(rest.begin(), rest.end(), had_screen) != rest.end())
    print(*had_screen, out);
  else if (had_screen != nullptr)
    rest.push_back(had_screen);
  share(had_screen, had_ended, rest, now, out);
}

// Gives the screen to the one of `rest` that has waited too long, or has the most to say; one keeps
// it for the longer the more of all is its own.
void Plain::share(Line* had_screen, bool had_ended, const std::vector<Line*>& rest, Moment now,
                  std::string& out) {
  struct Rate {
    double waited, speed;
    bool late;
  };
  std::vector<Rate> rates;
  double sum = 0;
  size_t most = 0;
  for (Line* line : rest) {
    double waited = seconds(now - line->blocked);
    // 0 / 0 is no number, as in Go: it is less than nothing and nothing is less than it.
    double speed = static_cast<double>(line->events) / waited;
    rates.push_back({waited, speed, waited > kMaxDelay && line != had_screen});
    sum += speed;
    if (rates.back().late || rates[most].speed < speed) most = rates.size() - 1;
  }
  if (had_screen == nullptr || had_ended) return print(*rest[most], out);
  for (size_t i = 0; i < rest.size(); ++i)
    if (rates[i].late) return print(*rest[i], out);
  auto it = std::find(rest.begin(), rest.end(), had_screen);
  if (it == rest.end()) return;
  const Rate& own = rates[static_cast<size_t>(it - rest.begin())];
  if (1.0 / (1.0 - own.speed / sum) * kFairShare < own.waited) print(*rest[most], out);
}

void Plain::take_screen(Line& line, std::string& out) {
  if (current_ != nullptr) {
    if (current_->partial) out += '\n';
    current_->offset = 0;
    current_->events = 0;
    out += "#" + std::to_string(current_->index) + " ...\n";
  }
  if (line.index == 0) line.index = ++indexes_;
  if (began_) out += '\n';
  began_ = true;
  std::string name = line.step->name;
  if (options_.name_limit > 0 && name.size() > options_.name_limit)
    name = name.substr(0, options_.name_limit) + "...";
  out += "#" + std::to_string(line.index) + " " + name + "\n";
}

void Plain::print(Line& line, std::string& out) {
  if (&line != current_) take_screen(line, out);
  std::string say = "#" + std::to_string(line.index) + " ";
  bool open = print_statuses(line, out);
  for (const auto& warning : line.warnings) out += say + "WARN: " + warning + "\n";
  line.warnings.clear();
  print_logs(line, out);
  current_ = &line;
  if (line.step->completed() && !open) print_end(line, out);
  line.fresh = false;
}

// Whether one of those that were told goes on.
bool Plain::print_statuses(Line& line, std::string& out) {
  bool open = false;
  const Step& step = *line.step;
  for (uint64_t sequence : step.begun) {
    const StepStatus& status = step.status(sequence);
    if (!line.told.contains(status.id)) continue;
    bool done = status.completed != kNever;
    if (auto last = last_.find(status.id); last != last_.end() && !done) {
      double grown = 0;
      if (status.total > 0) {
        grown = static_cast<double>(status.current - last->second.current) /
                static_cast<double>(status.total);
      }
      double passed = seconds_between(last->second.timestamp, status.timestamp);
      if (grown < kMinProgress && passed < kMinProgressTime) continue;
    }
    if (last_.size() >= kMaxLastStatuses) last_.clear();
    last_[status.id] = {status.current, status.timestamp};
    out += "#" + std::to_string(line.index) + " " + status.id + amount_text(status);
    if (status.started != kNever) {
      double took = seconds_between(status.started, done ? status.completed : status.timestamp);
      if (took > 0.01) out += " " + decimal(took, 1) + "s";
    }
    out += done ? " done\n" : "\n";
    open = open || !done;
  }
  line.told.clear();
  return open;
}

void Plain::print_logs(Line& line, std::string& out) {
  std::string say = "#" + std::to_string(line.index) + " ";
  if (line.dropped > 0) {
    out += say + "[" + std::to_string(line.dropped) + " lines of its log were dropped]\n";
    line.dropped = 0;
  }
  for (size_t i = 0; i < line.logs.size(); ++i) {
    std::string text = line.logs[i];
    if (i == 0 && line.offset != 0) {
      text.erase(0, line.offset);
      out += text;
    } else {
      out += say + text;
    }
    if (i + 1 < line.logs.size() || !line.partial) out += '\n';
    keep(line, std::move(text));
  }
  if (line.logs.empty()) return;
  size_t keep = line.partial ? 1 : 0;
  while (line.logs.size() > keep) {
    held_ -= line.logs.front().size();
    line.logs.pop_front();
  }
  line.offset = keep == 0 ? 0 : line.logs.front().size();
}

// A line that is not whole is replaced by the next piece of it: so do BuildKit's own displays.
void Plain::keep(Line& line, std::string text) {
  auto& place = line.ring[line.at];
  kept_ -= place ? place->size() : 0;
  text.resize(std::min(text.size(), kMaxLine));
  kept_ += text.size();
  place = std::move(text);
  if (!line.partial) line.at = (line.at + 1) % kErrorLines;
  for (Line* other : order_) {
    if (kept_ <= kMaxKept) break;
    if (other != &line) forget(*other);
  }
}

void Plain::forget(Line& line) {
  for (auto& text : line.ring) {
    if (text) kept_ -= text->size();
    text.reset();
  }
}

void Plain::print_end(Line& line, std::string& out) {
  const Step& step = *line.step;
  current_ = nullptr;
  line.events = 0;
  if (line.partial) out += '\n';
  out += "#" + std::to_string(line.index) + " ";
  if (step.canceled())
    out += "CANCELED\n";
  else if (!step.error.empty())
    out += "ERROR: " + step.error + "\n";
  else if (step.cached)
    out += "CACHED\n";
  else
    out += "DONE " + decimal(step.seconds(trace_.now()), 1) + "s\n";
}

// Each step that failed once more, with the end of its log.
void Plain::print_errors(std::string& out) {
  for (const auto& step : trace_.shown()) {
    if (step->error.empty() || step->canceled()) continue;
    out += "------\n > " + step->name + ":\n";
    if (auto it = lines_.find(step.get()); it != lines_.end()) {
      const Line& line = *it->second;
      for (const auto& text : line.logs) out += text + "\n";
      for (size_t i = 0; i < kErrorLines; ++i) {
        const auto& text = line.ring[(line.at + i) % kErrorLines];
        if (text) out += *text + "\n";
      }
    }
    out += "------\n";
  }
}

void Plain::finish(Moment now, Ending ending, std::string& out) {
  if (ending == Ending::kCanceled) {
    for (const auto& step : trace_.cancel()) line_of(step).fresh = true;
  }
  print(now, out);
  print_errors(out);
  if (trace_.dropped_steps() > 0)
    out += "WARNING: the builder told of more steps than can be kept: " +
           std::to_string(trace_.dropped_steps()) + " were dropped\n";
}

}  // namespace depot::progress
