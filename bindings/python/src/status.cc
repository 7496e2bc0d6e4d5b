#include "status.h"

namespace depot::python {

namespace {

py::tuple texts(size_t count, const char* const* values) {
  py::tuple out(count);
  for (size_t i = 0; i < count; ++i) out[i] = text(values[i]);
  return out;
}

template <class T, class Get, class Make>
py::list list(const depot_status* status, size_t count, Get get, Make make) {
  py::list out;
  for (size_t i = 0; i < count; ++i) {
    T item{};
    item.size = sizeof item;
    if (get(status, i, &item) == 1) out.append(make(item));
  }
  return out;
}

}  // namespace

py::object make_time(int64_t nanoseconds) {
  return nanoseconds == 0 ? py::object(py::none()) : py::object(py::int_(nanoseconds));
}

py::object make_vertex_status(const depot_vertex_status& s) {
  return py::module_::import("libdepot._status")
      .attr("VertexStatus")(text(s.id), text(s.vertex), text(s.name), s.current, s.total,
                            make_time(s.timestamp), make_time(s.started), make_time(s.completed));
}

py::object make_warning(const depot_vertex_warning& w) {
  py::object range = py::module_::import("libdepot._range").attr("Range");
  py::tuple ranges(w.range_count);
  for (size_t i = 0; i < w.range_count; ++i) {
    const depot_range& r = w.ranges[i];
    ranges[i] = range(r.start_line, r.start_character, r.end_line, r.end_character);
  }
  return py::module_::import("libdepot._status")
      .attr("VertexWarning")(text(w.vertex), text(w.message), text(w.url), text(w.source_file),
                             texts(w.detail_count, w.details), ranges, w.level, text(w.excerpt));
}

py::object make_status(const depot_status* status) {
  auto types = py::module_::import("libdepot._status");
  py::object vertex = types.attr("Vertex"), log = types.attr("VertexLog");

  py::list vertexes = list<depot_vertex>(
      status, depot_status_vertex_count(status), depot_status_vertex, [&](const depot_vertex& v) {
        return vertex(text(v.digest), text(v.name), text(v.error), make_time(v.started),
                      make_time(v.completed), v.cached != 0, texts(v.input_count, v.inputs),
                      text(v.progress_group_id), text(v.progress_group_name));
      });
  py::list statuses = list<depot_vertex_status>(status, depot_status_status_count(status),
                                                depot_status_status, make_vertex_status);
  py::list logs = list<depot_vertex_log>(
      status, depot_status_log_count(status), depot_status_log, [&](const depot_vertex_log& l) {
        return log(text(l.vertex), py::bytes(reinterpret_cast<const char*>(l.data), l.data_size),
                   make_time(l.timestamp), l.stream);
      });
  py::list warnings = list<depot_vertex_warning>(status, depot_status_warning_count(status),
                                                 depot_status_warning, make_warning);
  py::object use = types.attr("CredentialUse");
  py::list uses = list<depot_credential_use>(
      status, depot_status_credential_use_count(status), depot_status_credential_use,
      [&](const depot_credential_use& u) { return use(text(u.host), text(u.receiver)); });
  return types.attr("Status")(py::tuple(vertexes), py::tuple(statuses), py::tuple(logs),
                              py::tuple(warnings), text(depot_status_json(status)),
                              py::tuple(uses));
}

}  // namespace depot::python
