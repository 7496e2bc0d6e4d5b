// The setters of a request that say where files come from.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "error.h"
#include "request.h"

namespace depot::python {

void Request::set_context(const std::optional<std::string>& dir, const std::string& dockerfile) {
  check([&](depot_error** error) {
    return depot_solve_request_set_context(handle_.get(), dir ? c_string(*dir) : nullptr,
                                           c_string(dockerfile), error);
  });
}

int64_t Request::read_stream(uint64_t, uint8_t* buffer, size_t size, void* user_data) {
  auto* content = static_cast<Content*>(user_data);
  Request* request = content->request;
  if (request->callbacks_ == nullptr) return -1;
  size_t got = 0;
  int32_t code = request->callbacks_->call([&]() -> int32_t {
    py::object read = request->contents_.at(content->index).first;
    py::object given = read(size);
    if (!PyBytes_Check(given.ptr())) {
      throw py::type_error("the context's read() must return bytes, not " +
                           std::string(Py_TYPE(given.ptr())->tp_name));
    }
    std::string_view data = py::reinterpret_borrow<py::bytes>(given);
    if (data.size() > size) throw py::value_error("the context's read() returned more than asked");
    got = data.size();
    std::memcpy(buffer, data.data(), got);
    return 0;
  });
  return code == 0 ? static_cast<int64_t>(got) : -1;
}

void Request::set_context_stream(py::object read, const std::string& dockerfile) {
  std::unique_ptr<Content> data(new Content{this, contents_.size()});
  contents_.emplace_back(std::move(read), py::object());
  check([&](depot_error** error) {
    return depot_solve_request_set_context_stream(
        handle_.get(), read_stream, data.get(),
        [](void* user) { delete static_cast<Content*>(user); },
        dockerfile.empty() ? nullptr : c_string(dockerfile), error);
  });
  data.release();
}

void Request::set_dockerfile_text(const py::bytes& text) {
  std::string_view data = text;
  check([&](auto e) {
    return depot_solve_request_set_dockerfile_text(handle_.get(), data.data(), data.size(), e);
  });
}

void Request::set_ignore_text(const py::bytes& text) {
  std::string_view data = text;
  check([&](auto e) {
    return depot_solve_request_set_ignore_text(handle_.get(), data.data(), data.size(), e);
  });
}

void Request::add_file(const std::string& local, const std::string& path, const py::bytes& bytes,
                       uint32_t mode) {
  std::string_view data = bytes;
  check([&](auto e) {
    return depot_solve_request_add_file(handle_.get(), c_string(local), c_string(path), data.data(),
                                        data.size(), mode, e);
  });
}

int64_t Request::read_content(uint64_t offset, uint8_t* buffer, size_t size, void* user_data) {
  auto* content = static_cast<Content*>(user_data);
  Request* request = content->request;
  if (request->callbacks_ == nullptr) return -1;
  // Before the GIL: whoever waits here does not hold it.
  std::lock_guard lock(content->asking);
  size_t got = 0;
  int32_t code = request->callbacks_->call([&]() -> int32_t {
    // Ours, whatever becomes of the request while Python runs.
    auto [function, given] = request->contents_.at(content->index);
    if (!given) {
      given = function();
      if (!PyBytes_Check(given.ptr())) {
        throw py::type_error("a file's function must return bytes, not " +
                             std::string(Py_TYPE(given.ptr())->tp_name));
      }
      if (content->index < request->contents_.size())
        request->contents_[content->index].second = given;
    }
    std::string_view data = py::reinterpret_borrow<py::bytes>(given);
    if (offset < data.size()) {
      got = std::min(size, data.size() - static_cast<size_t>(offset));
      std::memcpy(buffer, data.data() + offset, got);
    }
    return 0;
  });
  return code == 0 ? static_cast<int64_t>(got) : -1;
}

void Request::add_file_function(const std::string& local, const std::string& path,
                                py::object content, uint32_t mode) {
  std::unique_ptr<Content> data(new Content{this, contents_.size()});
  contents_.emplace_back(std::move(content), py::object());
  check([&](depot_error** error) {
    return depot_solve_request_add_file_callback(
        handle_.get(), c_string(local), c_string(path), read_content, data.get(),
        [](void* user) { delete static_cast<Content*>(user); }, -1, mode, error);
  });
  data.release();
}

void Request::set_record_context(bool record) {
  check([&](auto e) { return depot_solve_request_set_record_context(handle_.get(), record, e); });
}

py::tuple Request::explain_context(const std::string& path) const {
  Handle<depot_explanation, depot_explanation_free> found;
  const char* asked = c_string(path);
  check([&](depot_error** error) {
    WithoutGil nogil;
    return depot_context_explain(handle_.get(), asked, found.out(), error);
  });
  // Paths as Python has them, which are any bytes.
  auto name = [](const char* bytes) {
    return py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefault(bytes));
  };
  return py::make_tuple(
      depot_explanation_sent(found.get()) != 0, name(depot_explanation_file(found.get())),
      depot_explanation_line(found.get()), text(depot_explanation_rule(found.get())),
      name(depot_explanation_matched(found.get())));
}

py::list Request::list_context() const {
  Handle<depot_context_list, depot_context_list_free> list;
  check([&](depot_error** error) {
    WithoutGil nogil;
    return depot_context_list_new(handle_.get(), nullptr, list.out(), error);
  });
  py::list files;
  for (size_t i = 0; i < depot_context_list_count(list.get()); ++i) {
    auto path = py::reinterpret_steal<py::object>(
        PyUnicode_DecodeFSDefault(depot_context_list_path(list.get(), i)));
    files.append(py::make_tuple(path, depot_context_list_size(list.get(), i)));
  }
  return files;
}

}  // namespace depot::python
