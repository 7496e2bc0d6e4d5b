#include "progress.h"

#include <map>
#include <stdexcept>
#include <utility>

#include "error.h"
#include "status.h"

namespace depot::python {

Progress::Progress(const std::string& kind, py::object write, int32_t fd, py::dict given)
    : write_(std::move(write)) {
  check_process();
  mark_used();
  depot_progress_options options = DEPOT_PROGRESS_OPTIONS_INIT;
  auto texts = std::map<std::string, std::string>();
  auto take_text = [&](const char* name) {
    return c_string(texts[name] = given[name].cast<std::string>());
  };
  auto take_number = [&](const char* name) { return given[name].cast<int32_t>(); };
  options.colors = take_text("colors");
  options.phase = take_text("phase");
  options.description = take_text("description");
  options.warnings_hint = take_text("warnings_hint");
  options.fd = fd;
  options.width = take_number("width");
  options.height = take_number("height");
  options.log_lines = take_number("log_lines");
  options.color = take_number("color");
  options.warnings = take_number("warnings");
  options.use_environment = take_number("use_environment");
  options.replay = take_number("replay");
  if (!write_.is_none()) {
    options.write = Progress::write;
    options.user_data = this;
  }
  const char* name = c_string(kind);
  check([&](depot_error** error) {
    return depot_progress_new(name, &options, handle_.out(), error);
  });
}

int32_t Progress::write(const char* text, size_t size, void* user_data) {
  auto* self = static_cast<Progress*>(user_data);
  return self->callbacks_.call([&]() -> int32_t {
    self->write_(py::bytes(text, size));
    return 0;
  });
}

// What the function raised is raised as it was.
template <class F>
void Progress::run(F call) {
  check_process(handle_.born());
  depot_error* error = nullptr;
  depot_code code;
  {
    WithoutGil nogil;
    code = call(&error);
  }
  if (code == DEPOT_OK) return;
  try {
    callbacks_.rethrow();
  } catch (...) {
    depot_error_free(error);
    throw;
  }
  raise(error);
}

void Progress::update_json(const std::string& line) {
  run([&](depot_error** error) {
    return depot_progress_update_json(handle_.get(), line.data(), line.size(), error);
  });
}

void Progress::finish(int32_t outcome) {
  run([&](depot_error** error) { return depot_progress_finish(handle_.get(), outcome, error); });
}

int32_t Progress::update(const depot_status* status) {
  return depot_progress_update(handle_.get(), status, failure_ == nullptr ? &failure_ : nullptr);
}

void Progress::raise_failure() {
  depot_error* error = std::exchange(failure_, nullptr);
  run([&](depot_error** out) {
    *out = error;
    return DEPOT_UNKNOWN;
  });
  throw std::logic_error("unreachable");
}

namespace {

using TraceHandle = Handle<depot_trace, depot_trace_free>;

class Trace {
 public:
  Trace() {
    check_process();
    *handle_.out() = depot_trace_new();
    if (handle_.get() == nullptr) throw std::bad_alloc();
  }
  void update_json(const std::string& line) {
    check([&](depot_error** error) {
      return depot_trace_update_json(handle_.get(), line.data(), line.size(), error);
    });
  }
  void cancel() { depot_trace_cancel(handle_.get()); }
  int64_t now() const { return depot_trace_now(handle_.get()); }
  uint64_t dropped_steps() const { return depot_trace_dropped_steps(handle_.get()); }
  py::list warnings() const {
    return list<depot_vertex_warning>(
        depot_trace_warning_count(handle_.get()),
        [&](size_t i, depot_vertex_warning* out) {
          return depot_trace_warning(handle_.get(), i, out);
        },
        make_warning);
  }
  py::list steps() const;

 private:
  template <class T, class Get, class Make>
  static py::list list(size_t count, Get get, Make make) {
    py::list out;
    for (size_t i = 0; i < count; ++i) {
      T item{};
      item.size = sizeof item;
      if (get(i, &item) == 1) out.append(make(item));
    }
    return out;
  }
  py::object make_step(size_t index, const depot_step& step) const;

  TraceHandle handle_;
};

py::object Trace::make_step(size_t index, const depot_step& step) const {
  const depot_trace* trace = handle_.get();
  py::list statuses = list<depot_vertex_status>(
      step.status_count,
      [&](size_t i, depot_vertex_status* out) { return depot_trace_status(trace, index, i, out); },
      make_vertex_status);
  py::list warnings = list<depot_vertex_warning>(
      step.warning_count,
      [&](size_t i, depot_vertex_warning* out) {
        return depot_trace_step_warning(trace, index, i, out);
      },
      make_warning);
  py::list intervals = list<depot_interval>(
      step.interval_count,
      [&](size_t i, depot_interval* out) { return depot_trace_interval(trace, index, i, out); },
      [](const depot_interval& interval) {
        return py::make_tuple(interval.start, make_time(interval.stop));
      });
  py::list inputs;
  for (size_t i = 0; i < step.input_count; ++i)
    inputs.append(text(depot_trace_input(trace, index, i)));
  return py::module_::import("libdepot._progress")
      .attr("make_step")(text(step.digest), text(step.name), step.state, step.number,
                         text(step.error), text(step.platform), make_time(step.started),
                         make_time(step.completed), static_cast<double>(step.duration) / 1e9,
                         py::tuple(inputs), py::tuple(intervals), py::tuple(statuses),
                         py::tuple(warnings), text(step.log_tail), text(step.group),
                         step.is_group != 0, step.hidden != 0, step.dropped_statuses,
                         step.dropped_warnings, step.dropped_log_lines);
}

py::list Trace::steps() const {
  py::list out;
  for (size_t i = 0; i < depot_trace_step_count(handle_.get()); ++i) {
    depot_step step{};
    step.size = sizeof step;
    if (depot_trace_step(handle_.get(), i, &step) == 1) out.append(make_step(i, step));
  }
  return out;
}

}  // namespace

void define_progress(py::module_& module) {
  py::class_<Progress, std::shared_ptr<Progress>>(module, "Progress")
      .def(py::init<const std::string&, py::object, int32_t, py::dict>())
      .def_property_readonly("kind", &Progress::kind)
      .def("update_json", &Progress::update_json)
      .def("finish", &Progress::finish);
  py::class_<Trace>(module, "Trace")
      .def(py::init<>())
      .def("update_json", &Trace::update_json)
      .def("cancel", &Trace::cancel)
      .def_property_readonly("now", &Trace::now)
      .def_property_readonly("dropped_steps", &Trace::dropped_steps)
      .def("warnings", &Trace::warnings)
      .def("steps", &Trace::steps);
}

}  // namespace depot::python
