#include "call_answer.h"

#include "error.h"

namespace depot::python {

namespace {

py::list ranges_of(const depot_range* ranges, size_t count) {
  py::list out;
  for (size_t i = 0; i < count; ++i) {
    const depot_range& r = ranges[i];
    out.append(py::make_tuple(r.start_line, r.start_character, r.end_line, r.end_character));
  }
  return out;
}

// Every entry of one kind, by `make(entry)`.
template <class Entry, class Get, class Make>
py::list entries(const depot_result* result, size_t count, Get get, Make make) {
  py::list out;
  for (size_t i = 0; i < count; ++i) {
    Entry entry{};
    entry.size = sizeof entry;
    if (get(result, i, &entry) == 1) out.append(make(entry));
  }
  return out;
}

}  // namespace

py::object call_answer(const depot_result* result) {
  if (*depot_result_call(result) == '\0') return py::none();
  py::dict out;
  out["method"] = text(depot_result_call(result));
  out["json"] = text(depot_result_call_json(result));
  out["text"] = text(depot_result_call_text(result));
  out["status"] = depot_result_call_status(result);
  out["error"] = text(depot_result_lint_error(result));
  out["name"] = text(depot_result_outline_name(result));
  out["description"] = text(depot_result_outline_description(result));
  out["warnings"] = entries<depot_lint_warning>(
      result, depot_result_lint_count(result), depot_result_lint, [](const auto& w) {
        return py::make_tuple(text(w.rule), text(w.description), text(w.url), text(w.detail),
                              text(w.source_file), ranges_of(w.ranges, w.range_count));
      });
  out["outline"] = entries<depot_outline_entry>(
      result, depot_result_outline_count(result), depot_result_outline, [](const auto& e) {
        return py::make_tuple(e.kind, text(e.name), text(e.description), text(e.value),
                              e.required != 0, ranges_of(e.ranges, e.range_count));
      });
  out["targets"] = entries<depot_target>(
      result, depot_result_target_count(result), depot_result_target, [](const auto& t) {
        return py::make_tuple(text(t.name), text(t.description), text(t.base), text(t.platform),
                              t.is_default != 0, ranges_of(t.ranges, t.range_count));
      });
  return out;
}

}  // namespace depot::python
