#include "handles.h"

#include "error.h"

namespace depot::python {

namespace {

// The Python function that log lines go to; freed by the library, on any thread.
struct LogSink {
  PyObject* function;
  pid_t born;

  static void write(depot_log_level level, const char* line, void* user_data) {
    auto* self = static_cast<LogSink*>(user_data);
    if (finalizing()) return;
    WithGil gil;
    try {
      py::handle(self->function)(level, text(line));
    } catch (py::error_already_set& error) {
      error.discard_as_unraisable(
          py::reinterpret_borrow<py::object>(self->function));  // nobody is there to raise it to
    }
  }
  static void free(void* user_data) {
    std::unique_ptr<LogSink> self(static_cast<LogSink*>(user_data));
    if (self->born != ::getpid() || finalizing()) return;
    WithGil gil;
    Py_DECREF(self->function);
  }
};

void check_born(const ClientHandle& handle) {
  check_process(handle.born());
}
template <class T>
void check_born(const T& shared) {
  check_process(shared.handle.born());
}

}  // namespace

template <class H>
std::shared_ptr<H> Owner<H>::get() const {
  if (!handle_) {
    raise(DEPOT_FAILED_PRECONDITION, DEPOT_HOP_USAGE, std::string("the ") + name_ + " is closed",
          "");
  }
  check_born(*handle_);
  return handle_;
}
template class Owner<ClientHandle>;
template class Owner<SharedBuild>;
template class Owner<SharedMachine>;

Client::Client(const Options& given, std::vector<std::string> nodes, bool allow_plaintext,
               bool use_environment, int64_t max_message_size, py::object on_log)
    : Owner("client", nullptr) {
  check_process();
  Texts texts(given);
  std::vector<const char*> pointers;
  for (auto& node : nodes) pointers.push_back(c_string(node));
  pointers.push_back(nullptr);
  depot_client_options options = DEPOT_CLIENT_OPTIONS_INIT;
  options.builder = texts["builder"];
  options.nodes = pointers.data();
  options.token = texts["token"];
  options.project = texts["project"];
  options.api_url = texts["api_url"];
  options.ca_file = texts["ca_file"];
  options.proxy = texts["proxy"];
  options.tls_ca_file = texts["tls_ca_file"];
  options.tls_cert_file = texts["tls_cert_file"];
  options.tls_key_file = texts["tls_key_file"];
  options.tls_server_name = texts["tls_server_name"];
  options.allow_plaintext = allow_plaintext ? 1 : 0;
  options.use_environment = use_environment ? 0 : -1;
  options.builderd_path = texts["builderd_path"];
  options.engine_dir = texts["engine_dir"];
  options.state_dir = texts["state_dir"];
  options.product = texts["product"];
  options.max_message_size = max_message_size;
  std::unique_ptr<LogSink> sink;
  if (!on_log.is_none()) {
    sink = std::make_unique<LogSink>(LogSink{on_log.ptr(), ::getpid()});
    options.on_log = LogSink::write;
    options.user_data = sink.get();
    options.user_data_free = LogSink::free;
  }
  auto handle = std::make_shared<ClientHandle>();
  depot_error* error = nullptr;
  depot_code code;
  {
    WithoutGil nogil;
    code = depot_client_new(&options, handle->out(), &error);
  }
  if (code != DEPOT_OK) raise(error);
  if (sink) {
    on_log.inc_ref();
    sink.release();
  }
  *static_cast<Owner<ClientHandle>*>(this) = Owner("client", std::move(handle));
}

py::str Client::builder() const {
  auto handle = get();
  const char* builder;
  {
    WithoutGil nogil;
    builder = depot_client_builder(handle->get());
  }
  return text(builder);
}

void Machine::release() {
  auto machine = get();
  WithoutGil nogil;
  depot_machine_release(machine->handle.get());
}

}  // namespace depot::python
