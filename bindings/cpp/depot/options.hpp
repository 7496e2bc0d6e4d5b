// Options of a client, a build and a machine. Every setter returns the object, so that they chain;
// what is not set, or set empty, is the default that the C headers tell.
#ifndef DEPOT_OPTIONS_HPP
#define DEPOT_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depot/build.h"
#include "depot/cancel.hpp"
#include "depot/client.h"
#include "depot/error.hpp"
#include "depot/machine.h"

namespace depot {

/// One log line: its DEPOT_LOG_* level, and its text without a newline. On a thread of the client's
/// own, one line at a time. There is nobody to throw to: an exception is dropped.
using OnLog = std::function<void(depot_log_level level, std::string_view line)>;

class ClientOptions {
 public:
  /// "auto", "depot", "local", "docker", or an address as depot/client.h lists them.
  ClientOptions& builder(std::string value) { return set(builder_, std::move(value)); }
  /// Several builders instead: addresses, each with what it is to build, as
  /// "tcp://host:port,platform=linux/arm64".
  ClientOptions& nodes(std::vector<std::string> value) { return set(nodes_, std::move(value)); }
  ClientOptions& token(std::string value) { return set(token_, std::move(value)); }
  ClientOptions& project(std::string value) { return set(project_, std::move(value)); }
  ClientOptions& api_url(std::string value) { return set(api_url_, std::move(value)); }
  /// PEM bundle for the API and token servers.
  ClientOptions& ca_file(std::string value) { return set(ca_file_, std::move(value)); }
  ClientOptions& proxy(std::string value) { return set(proxy_, std::move(value)); }
  /// PEM files for a tcp:// builder; `server_name` when its certificate has another than the
  /// address.
  ClientOptions& tls(std::string ca_file, std::string cert_file, std::string key_file,
                     std::string server_name = {}) {
    tls_ca_file_ = std::move(ca_file);
    tls_cert_file_ = std::move(cert_file);
    tls_key_file_ = std::move(key_file);
    return set(tls_server_name_, std::move(server_name));
  }
  /// Without TLS also to an address that is not loopback.
  ClientOptions& allow_plaintext(bool value = true) { return set(allow_plaintext_, value); }
  /// false: pretend that the process environment is empty.
  ClientOptions& use_environment(bool value) { return set(use_environment_, value); }
  /// The local builder: its program, the folder of buildkitd and runc, where it keeps its cache.
  ClientOptions& builderd_path(std::string value) { return set(builderd_path_, std::move(value)); }
  ClientOptions& engine_dir(std::string value) { return set(engine_dir_, std::move(value)); }
  ClientOptions& state_dir(std::string value) { return set(state_dir_, std::move(value)); }
  /// First part of the user agent.
  ClientOptions& product(std::string value) { return set(product_, std::move(value)); }
  /// Largest gRPC message accepted, bytes.
  ClientOptions& max_message_size(std::int64_t value) { return set(max_message_size_, value); }
  ClientOptions& on_log(OnLog value) { return set(on_log_, std::move(value)); }

 private:
  friend class Client;

  // What the C callback is given; null when there is none.
  std::unique_ptr<OnLog> logger() const {
    return on_log_ ? std::make_unique<OnLog>(on_log_) : nullptr;
  }
  static void log(depot_log_level level, const char* line, void* on_log) {
    try {
      (*static_cast<OnLog*>(on_log))(level, line);
    } catch (...) {  // NOLINT: see OnLog
    }
  }
  static void free_log(void* on_log) { delete static_cast<OnLog*>(on_log); }

  // With the NULL at its end.
  std::vector<const char*> node_list() const {
    std::vector<const char*> out;
    for (const auto& node : nodes_) out.push_back(node.c_str());
    out.push_back(nullptr);
    return out;
  }
  // Borrows from this object and from `node_list`.
  depot_client_options raw(OnLog* logger, const std::vector<const char*>& node_list) const {
    depot_client_options out{};
    out.size = sizeof(out);
    out.nodes = node_list.data();
    out.builder = detail::or_null(builder_);
    out.token = detail::or_null(token_);
    out.project = detail::or_null(project_);
    out.api_url = detail::or_null(api_url_);
    out.ca_file = detail::or_null(ca_file_);
    out.proxy = detail::or_null(proxy_);
    out.tls_ca_file = detail::or_null(tls_ca_file_);
    out.tls_cert_file = detail::or_null(tls_cert_file_);
    out.tls_key_file = detail::or_null(tls_key_file_);
    out.tls_server_name = detail::or_null(tls_server_name_);
    out.allow_plaintext = allow_plaintext_ ? 1 : 0;
    out.use_environment = use_environment_ ? 0 : -1;
    out.builderd_path = detail::or_null(builderd_path_);
    out.engine_dir = detail::or_null(engine_dir_);
    out.state_dir = detail::or_null(state_dir_);
    out.product = detail::or_null(product_);
    out.max_message_size = max_message_size_;
    if (logger != nullptr) {
      out.on_log = &ClientOptions::log;
      out.user_data = logger;
      out.user_data_free = &ClientOptions::free_log;
    }
    return out;
  }

  template <class T>
  ClientOptions& set(T& field, T value) {
    field = std::move(value);
    return *this;
  }

  std::string builder_, token_, project_, api_url_, ca_file_, proxy_;
  std::vector<std::string> nodes_;
  std::string tls_ca_file_, tls_cert_file_, tls_key_file_, tls_server_name_;
  std::string builderd_path_, engine_dir_, state_dir_, product_;
  bool allow_plaintext_ = false;
  bool use_environment_ = true;
  std::int64_t max_message_size_ = 0;
  OnLog on_log_;
};

class BuildOptions {
 public:
  BuildOptions& project(std::string value) { return set(project_, std::move(value)); }
  BuildOptions& token(std::string value) { return set(token_, std::move(value)); }
  /// Join this build and do not create one.
  BuildOptions& build_id(std::string value) { return set(build_id_, std::move(value)); }
  /// Where to look for depot.json.
  BuildOptions& context_dir(std::string value) { return set(context_dir_, std::move(value)); }
  /// Told to the API for its list of builds; what the result is called is the request's to say.
  BuildOptions& tags(std::vector<std::string> value) { return set(tags_, std::move(value)); }
  /// Keep the image in Depot's registry; SolveRequest::set_save() says so for Client::build().
  BuildOptions& save(bool value = true) { return set(save_, value); }
  /// Keep it there under these tags of the project, too.
  BuildOptions& save_tags(std::vector<std::string> value) {
    return set(save_tags_, std::move(value));
  }
  BuildOptions& cancel(const Cancel& value) { return set(cancel_, std::optional<Cancel>(value)); }
  /// For CreateBuild; 0: 30 s.
  BuildOptions& timeout(std::chrono::milliseconds value) { return set(timeout_, value); }

 private:
  friend class Client;

  // Each with the NULL at its end.
  struct Lists {
    std::vector<const char*> tags, save_tags;
  };
  static std::vector<const char*> list_of(const std::vector<std::string>& texts) {
    std::vector<const char*> out;
    for (const auto& text : texts) out.push_back(text.c_str());
    out.push_back(nullptr);
    return out;
  }
  Lists lists() const { return {list_of(tags_), list_of(save_tags_)}; }
  // Borrows from this object and from `lists`.
  depot_build_options raw(const Lists& lists) const {
    depot_build_options out{};
    out.size = sizeof(out);
    out.project = detail::or_null(project_);
    out.token = detail::or_null(token_);
    out.build_id = detail::or_null(build_id_);
    out.context_dir = detail::or_null(context_dir_);
    out.tags = lists.tags.data();
    out.save_tags = lists.save_tags.data();
    out.save = save_ ? 1 : 0;
    out.cancel = cancel_ ? cancel_->get() : nullptr;
    out.timeout_ms = timeout_.count();
    return out;
  }

  template <class T>
  BuildOptions& set(T& field, T value) {
    field = std::move(value);
    return *this;
  }

  std::string project_, token_, build_id_, context_dir_;
  std::vector<std::string> tags_, save_tags_;
  bool save_ = false;
  std::optional<Cancel> cancel_;
  std::chrono::milliseconds timeout_{0};
};

/// For Build::acquire and Machine::connect.
class MachineOptions {
 public:
  MachineOptions& cancel(const Cancel& value) {
    cancel_ = value;
    return *this;
  }
  /// Until the machine is there; 0: the default, see machine.h.
  MachineOptions& timeout(std::chrono::milliseconds value) {
    timeout_ = value;
    return *this;
  }

 private:
  friend class Build;
  friend class Machine;

  depot_machine_options raw() const {
    depot_machine_options out{};
    out.size = sizeof(out);
    out.cancel = cancel_ ? cancel_->get() : nullptr;
    out.timeout_ms = timeout_.count();
    return out;
  }

  std::optional<Cancel> cancel_;
  std::chrono::milliseconds timeout_{0};
};

}  // namespace depot

#endif
