// depot_solve_request for one call, with the Python callables that its exports are written to.
#pragma once

#include <string>
#include <vector>

#include "call.h"

namespace depot::python {

class Request {
 public:
  Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  void set_context(const std::string& dir, const std::string& dockerfile);
  void set_frontend(const std::string& frontend);
  void set_attr(const std::string& key, const std::string& value);
  void set_build_arg(const std::string& name, const std::string& value);
  void set_target(const std::string& target);
  void set_platform(const std::string& platform);
  void set_no_cache(bool no_cache);
  void add_local(const std::string& name, const std::string& dir);
  size_t add_export(const std::string& type);
  size_t add_output(const std::string& spec);
  void set_export_attr(size_t index, const std::string& key, const std::string& value);
  void set_export_file(size_t index, const std::string& path);
  void set_export_writer(size_t index, py::object writer);
  void add_tag(const std::string& name);
  void set_push(bool push);
  void set_registry_auth(const std::string& host, const std::string& user,
                         const std::string& password);
  void set_docker_config(const std::string& dir);

  // For the operation that solves it.
  const depot_solve_request* get() const { return handle_.get(); }
  void report_to(Callbacks* callbacks) { callbacks_ = callbacks; }
  void drop_python() { writers_.clear(); }

 private:
  struct Writer {
    Request* request;
    size_t index;
  };
  static int32_t write(const uint8_t* data, size_t size, void* user_data);

  Callbacks* callbacks_ = nullptr;
  std::vector<py::object> writers_;
  Handle<depot_solve_request, depot_solve_request_free> handle_;
};

void define_request(py::module_& module);

}  // namespace depot::python
