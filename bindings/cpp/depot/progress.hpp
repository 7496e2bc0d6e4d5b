// Progress of a build: shown (Progress), or folded into steps (Trace).
#ifndef DEPOT_PROGRESS_HPP
#define DEPOT_PROGRESS_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depot/callback.hpp"
#include "depot/error.hpp"
#include "depot/progress.h"
#include "depot/status.hpp"

namespace depot {

/// How a Progress shows things; as depot_progress_options, whose meaning and defaults these have.
class ProgressOptions {
 public:
  /// Text goes here instead of to a descriptor. What is thrown there ends the display, and comes
  /// out of the next call of it.
  ProgressOptions& write(Callback<std::string_view> value) {
    write_ = std::move(value);
    return *this;
  }
  ProgressOptions& fd(std::int32_t value) {
    raw_.fd = value;
    return *this;
  }
  ProgressOptions& size(std::int32_t width, std::int32_t height) {
    raw_.width = width;
    raw_.height = height;
    return *this;
  }
  ProgressOptions& log_lines(std::int32_t value) {
    raw_.log_lines = value;
    return *this;
  }
  /// DEPOT_COLOR_*, and which ones: "run=green:error=red".
  ProgressOptions& color(std::int32_t value, const std::string& colors = {}) {
    raw_.color = value;
    colors_ = colors;
    return *this;
  }
  /// DEPOT_WARNINGS_*, and what the heading of the summary says of how to have them expanded.
  ProgressOptions& warnings(std::int32_t value, const std::string& hint = {}) {
    raw_.warnings = value;
    hint_ = hint;
    return *this;
  }
  ProgressOptions& phase(const std::string& value) {
    phase_ = value;
    return *this;
  }
  ProgressOptions& description(const std::string& value) {
    description_ = value;
    return *this;
  }
  ProgressOptions& use_environment(bool value) {
    raw_.use_environment = value ? 0 : -1;
    return *this;
  }
  /// What comes is a recording.
  ProgressOptions& replay(bool value = true) {
    raw_.replay = value ? 1 : 0;
    return *this;
  }

 private:
  friend class Progress;
  depot_progress_options raw_ = DEPOT_PROGRESS_OPTIONS_INIT;
  Callback<std::string_view> write_;
  std::string colors_, hint_, phase_, description_;
};

/// A display: give it to SolveOptions::on_status by a reference, or feed it with lines of JSON.
///
///   depot::Progress progress("auto");
///   depot::Result result = client.build(request, depot::SolveOptions().on_status(
///       [&](const depot::Status& status) { progress.update(status); }));
///   progress.finish();
class Progress {
 public:
  explicit Progress(const std::string& kind = "auto", const ProgressOptions& options = {}) {
    depot_progress_options raw_options = options.raw_;
    raw_options.colors = detail::or_null(options.colors_);
    raw_options.warnings_hint = detail::or_null(options.hint_);
    raw_options.phase = detail::or_null(options.phase_);
    raw_options.description = detail::or_null(options.description_);
    if (options.write_) {
      writer_ = std::make_unique<Writer>();
      writer_->write = options.write_;
      raw_options.write = &Writer::call;
      raw_options.user_data = writer_.get();
    }
    depot_progress* out = nullptr;
    detail::call([&](depot_error** raw_error) {
      return depot_progress_new(kind.c_str(), &raw_options, &out, raw_error);
    });
    raw_.reset(out);
  }

  void update(const Status& status) {
    run([&](depot_error** e) { return depot_progress_update(raw_.get(), status.get(), e); });
  }
  /// One line of `--progress=rawjson`.
  void update_json(std::string_view line) {
    run([&](depot_error** e) {
      return depot_progress_update_json(raw_.get(), line.data(), line.size(), e);
    });
  }
  /// The build has ended: DEPOT_OUTCOME_*. Waits until all is written.
  void finish(depot_outcome outcome = DEPOT_OUTCOME_SUCCESS) {
    run([&](depot_error** e) { return depot_progress_finish(raw_.get(), outcome, e); });
  }
  /// "tty", "plain", "rawjson" or "quiet".
  std::string kind() const { return depot_progress_kind(raw_.get()); }

  depot_progress* get() const noexcept { return raw_.get(); }

 private:
  // The caller's function, and what it threw.
  struct Writer {
    Callback<std::string_view> write;
    std::mutex mutex;
    std::exception_ptr thrown;

    static std::int32_t call(const char* text, std::size_t size, void* data) {
      auto* self = static_cast<Writer*>(data);
      try {
        return self->write(std::string_view(text, size));
      } catch (...) {
        std::lock_guard<std::mutex> lock(self->mutex);
        self->thrown = std::current_exception();
        return detail::kThrew;
      }
    }
  };

  template <class F>
  void run(F call) {
    try {
      detail::call(call);
    } catch (const error& e) {
      if (writer_ == nullptr || e.user_code() != detail::kThrew) throw;
      std::unique_lock<std::mutex> lock(writer_->mutex);
      std::exception_ptr thrown = std::exchange(writer_->thrown, nullptr);
      lock.unlock();
      if (thrown == nullptr) throw;
      std::rethrow_exception(thrown);
    }
  }

  std::unique_ptr<Writer> writer_;  // goes after the display
  detail::Handle<depot_progress, depot_progress_free> raw_;
};

/// The folded model. What it gives out is borrowed until the next update.
class Trace {
 public:
  Trace() : raw_(depot_trace_new()) {
    if (raw_.get() == nullptr) throw std::bad_alloc();
  }

  void update(const Status& status) {
    detail::call([&](depot_error** e) { return depot_trace_update(raw_.get(), status.get(), e); });
  }
  void update_json(std::string_view line) {
    detail::call([&](depot_error** e) {
      return depot_trace_update_json(raw_.get(), line.data(), line.size(), e);
    });
  }
  /// The build was cancelled: what still runs ends now.
  void cancel() noexcept { depot_trace_cancel(raw_.get()); }

  std::vector<depot_step> steps() const {
    return list<depot_step>(depot_trace_step_count(raw_.get()), [&](std::size_t i, auto* out) {
      depot_trace_step(raw_.get(), i, out);
    });
  }
  /// Of the step at that place of steps().
  std::vector<depot_vertex_status> statuses(std::size_t step) const {
    return list<depot_vertex_status>(of(step).status_count, [&](std::size_t i, auto* out) {
      depot_trace_status(raw_.get(), step, i, out);
    });
  }
  std::vector<depot_vertex_warning> warnings(std::size_t step) const {
    return list<depot_vertex_warning>(of(step).warning_count, [&](std::size_t i, auto* out) {
      depot_trace_step_warning(raw_.get(), step, i, out);
    });
  }
  std::vector<depot_interval> intervals(std::size_t step) const {
    return list<depot_interval>(of(step).interval_count, [&](std::size_t i, auto* out) {
      depot_trace_interval(raw_.get(), step, i, out);
    });
  }
  std::vector<std::string> inputs(std::size_t step) const {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < of(step).input_count; ++i)
      out.emplace_back(depot_trace_input(raw_.get(), step, i));
    return out;
  }
  /// Of all steps, each once.
  std::vector<depot_vertex_warning> warnings() const {
    return list<depot_vertex_warning>(
        depot_trace_warning_count(raw_.get()),
        [&](std::size_t i, auto* out) { depot_trace_warning(raw_.get(), i, out); });
  }
  /// The builder's clock as far as it was seen, in nanoseconds.
  std::int64_t now() const { return depot_trace_now(raw_.get()); }
  std::uint64_t dropped_steps() const { return depot_trace_dropped_steps(raw_.get()); }

  const depot_trace* get() const noexcept { return raw_.get(); }

 private:
  depot_step of(std::size_t step) const {
    depot_step out{};
    out.size = sizeof(out);
    depot_trace_step(raw_.get(), step, &out);
    return out;
  }
  template <class Entry, class Get>
  static std::vector<Entry> list(std::size_t count, Get get) {
    std::vector<Entry> out(count);
    for (std::size_t i = 0; i < count; ++i) {
      out[i].size = sizeof(Entry);
      get(i, &out[i]);
    }
    return out;
  }

  detail::Handle<depot_trace, depot_trace_free> raw_;
};

}  // namespace depot

#endif
