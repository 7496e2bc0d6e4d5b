// depot_solve_request for one call, with the Python callables that its exports are written to.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "call.h"

namespace depot::python {

class Request {
 public:
  Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  void set_context(const std::optional<std::string>& dir, const std::string& dockerfile);
  // `read(size)` gives the next bytes, none at the end.
  void set_context_stream(py::object read, const std::string& dockerfile);
  void set_dockerfile_text(const py::bytes& text);
  void set_ignore_text(const py::bytes& text);
  void add_file(const std::string& local, const std::string& path, const py::bytes& data,
                uint32_t mode);
  // `content()` gives the file's bytes, once for each solve that asks for them.
  void add_file_function(const std::string& local, const std::string& path, py::object content,
                         uint32_t mode);
  void set_frontend(const std::string& frontend);
  void set_attr(const std::string& key, const std::string& value);
  void add_local(const std::string& name, const std::string& dir);
  void add_build_context(const std::string& name, const std::string& value);
  void add_cache_from(const std::string& spec);
  void add_cache_to(const std::string& spec);
  size_t add_export(const std::string& type);
  size_t add_output(const std::string& spec);
  void set_export_attr(size_t index, const std::string& key, const std::string& value);
  void set_export_file(size_t index, const std::string& path);
  void set_export_writer(size_t index, py::object writer);
  void add_tag(const std::string& name);
  void set_push(bool push);
  void set_load(bool load);
  void set_save(bool save);
  void add_save_tag(const std::string& tag);
  void set_registry_auth(const std::string& host, const std::string& user,
                         const std::string& password);
  void set_docker_config(const std::string& dir);
  void set_login_reader(py::object reader);
  void allow_realm(const std::string& host, const std::string& realm);
  void set_realm_reader(py::object reader);
  void add_secret(const std::string& spec);
  void add_secret_bytes(const std::string& id, const py::bytes& bytes);
  void add_secret_file(const std::string& id, const std::string& path);
  void add_secret_env(const std::string& id, const std::string& variable);
  void add_secret_reader(const std::string& id, py::object reader);
  void add_ssh(const std::string& spec);
  // No socket: the default agent.
  void add_ssh_agent(const std::string& id, const std::optional<std::string>& socket, bool raw);
  void add_ssh_key(const std::string& id, const py::bytes& key);
  void add_ssh_key_file(const std::string& id, const std::string& path);

  // For the setters of attributes.cc.
  depot_solve_request* handle() { return handle_.get(); }
  void set_record_context(bool record);
  // (sent, file, line, rule, matched) of a path, and all (path, size) of the context.
  py::tuple explain_context(const std::string& path) const;
  py::list list_context() const;

  // For the operation that solves it.
  const depot_solve_request* get() const { return handle_.get(); }
  void report_to(Callbacks* callbacks) { callbacks_ = callbacks; }
  void drop_python() {
    functions_.clear();
    contents_.clear();
  }

 private:
  // A file whose content is a Python function's: what it is called for and what it gave, if it was.
  struct Content {
    Request* request;
    size_t index;
    std::mutex asking{};
  };
  static int64_t read_stream(uint64_t offset, uint8_t* buffer, size_t size, void* user_data);
  static int64_t read_content(uint64_t offset, uint8_t* buffer, size_t size, void* user_data);

  // A Python function that the library calls by a C one, as that one's user_data.
  struct Function {
    Request* request;
    size_t index;
    // Runs `body(function)`, which returns what the library is to hear.
    template <class F>
    int32_t call(F body) {
      if (request->callbacks_ == nullptr) return 1;
      return request->callbacks_->call([&] { return body(request->functions_.at(index)); });
    }
    static void free(void* self) { delete static_cast<Function*>(self); }
  };
  // `set(user_data, error)` hands it to the library.
  template <class F>
  void add_function(py::object function, F set);

  Callbacks* callbacks_ = nullptr;
  std::vector<py::object> functions_;
  std::vector<std::pair<py::object, py::object>> contents_;
  Handle<depot_solve_request, depot_solve_request_free> handle_;
};

void define_request(py::module_& module);
void define_attributes(py::class_<Request, std::shared_ptr<Request>>& request);

}  // namespace depot::python
