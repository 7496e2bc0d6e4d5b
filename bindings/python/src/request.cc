#include "request.h"

#include <pybind11/stl.h>

#include <cstring>
#include <memory>
#include <utility>

#include "error.h"

namespace depot::python {

namespace {
// Passes C strings of `texts` to a setter: set(depot_x_set_y, request, texts...).
template <class F, class... Texts>
void set(F setter, depot_solve_request* request, const Texts&... texts) {
  check([&](depot_error** error) { return setter(request, c_string(texts)..., error); });
}
}  // namespace

Request::Request() {
  check_process();
  *handle_.out() = depot_solve_request_new();
  if (handle_.get() == nullptr) throw std::bad_alloc();
}

void Request::set_frontend(const std::string& frontend) {
  set(depot_solve_request_set_frontend, handle_.get(), frontend);
}
void Request::set_attr(const std::string& key, const std::string& value) {
  set(depot_solve_request_set_attr, handle_.get(), key, value);
}
void Request::add_local(const std::string& name, const std::string& dir) {
  set(depot_solve_request_add_local, handle_.get(), name, dir);
}
void Request::add_build_context(const std::string& name, const std::string& value) {
  set(depot_solve_request_add_build_context, handle_.get(), name, value);
}
void Request::add_cache_from(const std::string& spec) {
  set(depot_solve_request_add_cache_from, handle_.get(), spec);
}
void Request::add_cache_to(const std::string& spec) {
  set(depot_solve_request_add_cache_to, handle_.get(), spec);
}

size_t Request::add_export(const std::string& type) {
  size_t index = 0;
  check([&](depot_error** error) {
    return depot_solve_request_add_export(handle_.get(), c_string(type), &index, error);
  });
  return index;
}

size_t Request::add_output(const std::string& spec) {
  size_t index = 0;
  check([&](depot_error** error) {
    return depot_solve_request_add_output(handle_.get(), c_string(spec), &index, error);
  });
  return index;
}

void Request::set_export_attr(size_t index, const std::string& key, const std::string& value) {
  check([&](depot_error** error) {
    return depot_solve_request_set_export_attr(handle_.get(), index, c_string(key), c_string(value),
                                               error);
  });
}

void Request::set_export_file(size_t index, const std::string& path) {
  check([&](depot_error** error) {
    return depot_solve_request_set_export_file(handle_.get(), index, c_string(path), error);
  });
}

template <class F>
void Request::add_function(py::object function, F set) {
  auto data = std::make_unique<Function>(Function{this, functions_.size()});
  functions_.push_back(std::move(function));
  check([&](depot_error** error) { return set(data.get(), error); });
  data.release();
}

void Request::set_export_writer(size_t index, py::object writer) {
  auto write = [](const uint8_t* data, size_t size, void* self) {
    return static_cast<Function*>(self)->call([&](py::object& function) {
      function(py::bytes(reinterpret_cast<const char*>(data), size));
      return 0;
    });
  };
  add_function(std::move(writer), [&](void* self, depot_error** error) {
    return depot_solve_request_set_export_callback(handle_.get(), index, write, self,
                                                   Function::free, error);
  });
}

void Request::add_tag(const std::string& name) {
  set(depot_solve_request_add_tag, handle_.get(), name);
}
void Request::set_push(bool push) {
  check([&](auto e) { return depot_solve_request_set_push(handle_.get(), push, e); });
}
void Request::set_load(bool load) {
  check([&](auto e) { return depot_solve_request_set_load(handle_.get(), load, e); });
}
void Request::set_save(bool save) {
  check([&](auto e) { return depot_solve_request_set_save(handle_.get(), save, e); });
}
void Request::add_save_tag(const std::string& tag) {
  set(depot_solve_request_add_save_tag, handle_.get(), tag);
}
void Request::set_registry_auth(const std::string& host, const std::string& user,
                                const std::string& password) {
  set(depot_solve_request_set_registry_auth, handle_.get(), host, user, password);
}
void Request::set_docker_config(const std::string& dir) {
  set(depot_solve_request_set_docker_config, handle_.get(), dir);
}

void Request::set_login_reader(py::object reader) {
  auto read = [](const char* host, depot_credentials_answer* answer, void* self) {
    return static_cast<Function*>(self)->call([&](py::object& function) {
      py::object given = function(text(host));
      if (given.is_none()) return 0;
      if (!py::isinstance<py::sequence>(given) || py::len(given) != 2 ||
          !py::isinstance<py::str>(given[py::int_(0)]) ||
          !py::isinstance<py::str>(given[py::int_(1)])) {
        throw py::type_error("registry_auth must return (user, password), both str, or None, not " +
                             std::string(Py_TYPE(given.ptr())->tp_name));
      }
      auto [user, password] = given.cast<std::pair<std::string, std::string>>();
      depot_credentials_answer_set(answer, c_string(user), c_string(password));
      explicit_bzero(password.data(), password.size());
      return 0;
    });
  };
  add_function(std::move(reader), [&](void* self, depot_error** error) {
    return depot_solve_request_set_credentials_callback(handle_.get(), read, self, Function::free,
                                                        error);
  });
}
void Request::allow_realm(const std::string& host, const std::string& realm) {
  set(depot_solve_request_allow_realm, handle_.get(), host, realm);
}
void Request::set_realm_reader(py::object reader) {
  auto read = [](const char* host, const char* realm, void* self) {
    int32_t allowed = 0;  // also when it raises
    static_cast<Function*>(self)->call([&](py::object& function) {
      allowed = function(text(host), text(realm)).is(py::bool_(true)) ? 1 : 0;
      return 0;
    });
    return allowed;
  };
  add_function(std::move(reader), [&](void* self, depot_error** error) {
    return depot_solve_request_set_realm_callback(handle_.get(), read, self, Function::free, error);
  });
}

void Request::add_secret(const std::string& spec) {
  set(depot_solve_request_add_secret, handle_.get(), spec);
}
void Request::add_secret_bytes(const std::string& id, const py::bytes& bytes) {
  std::string_view data = bytes;
  check([&](auto e) {
    return depot_solve_request_add_secret_bytes(
        handle_.get(), c_string(id), reinterpret_cast<const uint8_t*>(data.data()), data.size(), e);
  });
}
void Request::add_secret_file(const std::string& id, const std::string& path) {
  set(depot_solve_request_add_secret_file, handle_.get(), id, path);
}
void Request::add_secret_env(const std::string& id, const std::string& variable) {
  set(depot_solve_request_add_secret_env, handle_.get(), id, variable);
}

void Request::add_secret_reader(const std::string& id, py::object reader) {
  auto read = [](const char* asked, depot_secret_answer* answer, void* self) {
    return static_cast<Function*>(self)->call([&](py::object& function) {
      py::object given = function(text(asked));
      if (given.is_none()) return 0;
      if (!PyBytes_Check(given.ptr())) {
        throw py::type_error("a secret's function must return bytes or None, not " +
                             std::string(Py_TYPE(given.ptr())->tp_name));
      }
      std::string_view data = py::reinterpret_borrow<py::bytes>(given);
      depot_secret_answer_set(answer, reinterpret_cast<const uint8_t*>(data.data()), data.size());
      return 0;
    });
  };
  add_function(std::move(reader), [&](void* self, depot_error** error) {
    return depot_solve_request_add_secret_callback(handle_.get(), c_string(id), read, self,
                                                   Function::free, error);
  });
}

void Request::add_ssh(const std::string& spec) {
  set(depot_solve_request_add_ssh, handle_.get(), spec);
}
void Request::add_ssh_agent(const std::string& id, const std::optional<std::string>& socket,
                            bool raw) {
  check([&](auto e) {
    return depot_solve_request_add_ssh_agent(handle_.get(), c_string(id),
                                             socket ? c_string(*socket) : nullptr, raw, e);
  });
}
void Request::add_ssh_key(const std::string& id, const py::bytes& key) {
  std::string_view data = key;
  check([&](auto e) {
    return depot_solve_request_add_ssh_key(
        handle_.get(), c_string(id), reinterpret_cast<const uint8_t*>(data.data()), data.size(), e);
  });
}
void Request::add_ssh_key_file(const std::string& id, const std::string& path) {
  set(depot_solve_request_add_ssh_key_file, handle_.get(), id, path);
}

void define_request(py::module_& module) {
  py::class_<Request, std::shared_ptr<Request>> request(module, "Request");
  define_attributes(request);
  request.def(py::init<>())
      .def("set_context", &Request::set_context)
      .def("set_context_stream", &Request::set_context_stream)
      .def("set_record_context", &Request::set_record_context)
      .def("explain_context", &Request::explain_context)
      .def("list_context", &Request::list_context)
      .def("set_dockerfile_text", &Request::set_dockerfile_text)
      .def("set_ignore_text", &Request::set_ignore_text)
      .def("add_file", &Request::add_file)
      .def("add_file_function", &Request::add_file_function)
      .def("set_frontend", &Request::set_frontend)
      .def("set_attr", &Request::set_attr)
      .def("add_local", &Request::add_local)
      .def("add_build_context", &Request::add_build_context)
      .def("add_cache_from", &Request::add_cache_from)
      .def("add_cache_to", &Request::add_cache_to)
      .def("add_export", &Request::add_export)
      .def("add_output", &Request::add_output)
      .def("set_export_attr", &Request::set_export_attr)
      .def("set_export_file", &Request::set_export_file)
      .def("set_export_writer", &Request::set_export_writer)
      .def("add_tag", &Request::add_tag)
      .def("set_push", &Request::set_push)
      .def("set_load", &Request::set_load)
      .def("set_save", &Request::set_save)
      .def("add_save_tag", &Request::add_save_tag)
      .def("set_registry_auth", &Request::set_registry_auth)
      .def("set_docker_config", &Request::set_docker_config)
      .def("set_login_reader", &Request::set_login_reader)
      .def("allow_realm", &Request::allow_realm)
      .def("set_realm_reader", &Request::set_realm_reader)
      .def("add_secret", &Request::add_secret)
      .def("add_secret_bytes", &Request::add_secret_bytes)
      .def("add_secret_file", &Request::add_secret_file)
      .def("add_secret_env", &Request::add_secret_env)
      .def("add_secret_reader", &Request::add_secret_reader)
      .def("add_ssh", &Request::add_ssh)
      .def("add_ssh_agent", &Request::add_ssh_agent)
      .def("add_ssh_key", &Request::add_ssh_key)
      .def("add_ssh_key_file", &Request::add_ssh_key_file);
}

}  // namespace depot::python
