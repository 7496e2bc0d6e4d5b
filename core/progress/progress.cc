#include "progress/progress.h"

#include <moby/buildkit/v1/control.pb.h>

#include <cstdlib>

#include "base/signals.h"
#include "progress/plain.h"
#include "progress/rawjson.h"
#include "progress/rawjson_read.h"
#include "progress/terminal.h"
#include "progress/warnings.h"

namespace depot::progress {
namespace {

using base::Status;

// A positive number, or 0.
size_t number(const base::Environment& environment, std::string_view name) {
  std::string text = environment.get_or(name, "");
  if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos)
    return 0;
  return static_cast<size_t>(std::stoul(text));
}

Colors colors_of(const Options& options, const base::Environment& environment) {
  if (options.colors == Options::Colors::kOff) return Colors::none();
  if (options.colors == Options::Colors::kAuto && !environment.get_or("NO_COLOR", "").empty())
    return Colors::none();
  Colors colors = Colors::standard();
  read_colors(environment.get_or("BUILDKIT_COLORS", ""), colors);
  read_colors(options.color_spec, colors);
  return colors;
}

base::Result<Kind> kind_of(std::string_view given, const Options& options,
                           const base::Environment& environment, const Output& output) {
  std::string kind(given);
  if (kind.empty() || kind == "auto") kind = environment.get_or("BUILDKIT_PROGRESS", "auto");
  if (kind == "auto") {
    bool able = environment.get_or("TERM", "xterm") != "dumb";
    kind = output.terminal() && able ? "tty" : "plain";
  }
  if (kind == "plain") return Kind::kPlain;
  if (kind == "rawjson") return Kind::kRawjson;
  if (kind == "quiet" || kind == "none") return Kind::kQuiet;
  if (kind != "tty") {
    return base::usage_error("progress '" + kind + "' is unknown")
        .with_hint("auto, tty, plain, rawjson, quiet or none");
  }
  if (!output.terminal() && (options.width == 0 || options.height == 0)) {
    return base::usage_error("progress 'tty' needs a terminal, and the output is none")
        .with_hint("plain, or auto, which takes plain then");
  }
  return Kind::kTty;
}

}  // namespace

base::Result<std::unique_ptr<Progress>> Progress::make(std::string_view kind,
                                                       const Options& options,
                                                       const base::Environment& environment,
                                                       std::unique_ptr<Output> output) {
  std::unique_ptr<Progress> made(new Progress());
  DEPOT_ASSIGN(made->kind_, kind_of(kind, options, environment, *output));
  made->options_ = options;
  made->output_ = std::move(output);
  if (size_t rate = number(environment, "TTY_DISPLAY_RATE"); rate > 0)
    made->pace_ = Pace(std::chrono::milliseconds(rate));
  Colors colors = colors_of(options, environment);
  if (made->kind_ == Kind::kPlain) {
    Plain::Options plain;
    if (environment.get_or("PROGRESS_NO_TRUNC", "") == "0") plain.name_limit = 72;
    auto display = std::make_unique<Plain>(plain);
    made->trace_ = &display->trace();
    made->display_ = std::move(display);
    // Lines go to files too, as a rule: colour is for a terminal, or for who asks for it.
    if (made->output_->terminal() || options.colors == Options::Colors::kOn)
      made->warning_color_ = colors.warning;
  } else if (made->kind_ == Kind::kTty) {
    Terminal::Options tty;
    tty.colors = colors;
    tty.log_lines =
        options.log_lines > 0 ? options.log_lines : number(environment, "BUILDKIT_TTY_LOG_LINES");
    if (!options.phase.empty()) tty.phase = options.phase;
    tty.description = options.description;
    tty.size = [out = made->output_.get(), width = options.width, height = options.height] {
      Terminal::Size size;
      auto [columns, rows] = out->size();
      if (columns > 0 && rows > 0) size = {columns, rows};
      if (width > 0) size.width = width;
      if (height > 0) size.height = height;
      return size;
    };
    auto display = std::make_unique<Terminal>(std::move(tty));
    made->trace_ = &display->trace();
    made->display_ = std::move(display);
    made->warning_color_ = colors.warning;
  }
  if (made->kind_ != Kind::kPlain) made->options_.replay = false;
  if (made->display_ != nullptr && !made->options_.replay) made->start();
  return made;
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    finished_ = false;
    output_->stop();
  }
  changed_.notify_all();
  thread_.join();
}

Moment Progress::now() {
  return std::chrono::duration_cast<Moment>(std::chrono::steady_clock::now().time_since_epoch());
}

void Progress::start() {
  pace_.begin(now());
  base::SignalsBlocked blocked;
  thread_ = std::thread([this] { run(); });
}

Status Progress::update(const ::moby::buildkit::v1::StatusResponse& batch) {
  if (kind_ == Kind::kQuiet) return {};
  std::unique_lock lock(mutex_);
  if (!failure_.ok()) return failure_;
  if (ended_) return base::usage_error("the display has finished");
  if (kind_ == Kind::kRawjson) {
    failure_ = output_->write(rawjson(batch) + "\n");
    return failure_;
  }
  if (options_.replay) return failure_ = replay(batch);
  Moment at = now();
  display_->update(batch, at);
  due_ = pace_.batch(at) || due_;
  told_ = true;
  lock.unlock();
  changed_.notify_all();
  return {};
}

Status Progress::update_json(std::string_view line) {
  ::moby::buildkit::v1::StatusResponse batch;
  DEPOT_TRY(read_rawjson(line, batch));
  return update(batch);
}

Status Progress::finish(Ending ending) {
  {
    std::lock_guard lock(mutex_);
    if (ended_) return failure_;
    ended_ = finished_ = true;
    ending_ = ending;
    if (options_.replay) return failure_ = finish_replay();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  return failure_;
}

// What a display would have shown at the time, without waiting for it.
Status Progress::replay(const ::moby::buildkit::v1::StatusResponse& batch) {
  constexpr int kMaxTicks = 10000;  // in which nothing comes; enough for each display's patience
  Moment at = recorded_;
  if (Time latest = latest_time(batch); latest != kNever) at = std::max(at, Moment(latest));
  if (recorded_ == Moment{}) pace_.begin(at);
  std::string out;
  for (int i = 0; i < kMaxTicks && pace_.next() < at && display_->waiting(); ++i) {
    display_->print(pace_.next(), out);
    pace_.ticked(pace_.next());
  }
  recorded_ = at;
  display_->update(batch, at);
  if (pace_.batch(at)) display_->print(at, out);
  return output_->write(out);
}

Status Progress::finish_replay() {
  std::string out;
  display_->finish(recorded_, ending_, out);
  return output_->write(out + warnings());
}

std::string Progress::warnings() const {
  if (options_.warnings == Options::Warnings::kOff) return "";
  return warnings_text(trace_->warnings(), options_.warnings == Options::Warnings::kExpand,
                       options_.warnings_hint, warning_color_);
}

// What there is to say is made under the lock and written without it: a slow reader makes what
// follows wait, never a batch.
void Progress::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    std::string out;
    if (ended_) {
      if (!finished_) return;
      display_->finish(now(), ending_, out);
      out += warnings();
      lock.unlock();
      Status written = output_->write(out);
      lock.lock();
      if (!written.ok()) failure_ = written;
      return;
    }
    Moment at = now();
    if (due_ || at >= pace_.next()) {
      due_ = false;
      pace_.ticked(at);
      display_->print(at, out);
      lock.unlock();
      Status written = output_->write(out);
      lock.lock();
      if (!written.ok()) {
        failure_ = written;
        return;
      }
      continue;
    }
    told_ = false;
    auto ready = [this] { return due_ || told_ || ended_; };
    if (display_->waiting())
      changed_.wait_for(lock, pace_.next() - at, ready);
    else
      changed_.wait(lock, ready);
  }
}

}  // namespace depot::progress
