// What to build and how to watch it: SolveRequest, SolveOptions.
#ifndef DEPOT_SOLVE_HPP
#define DEPOT_SOLVE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depot/attributes.hpp"
#include "depot/build_context.h"
#include "depot/cache.h"
#include "depot/callback.hpp"
#include "depot/cancel.hpp"
#include "depot/context.h"
#include "depot/error.hpp"
#include "depot/registry.h"
#include "depot/result.hpp"
#include "depot/secret.h"
#include "depot/solve.h"
#include "depot/ssh.h"
#include "depot/status.hpp"

namespace depot {

/// Told of each status batch, in order, on the thread that solves. What it throws stops the solve
/// and is thrown again from there.
using OnStatus = Callback<const Status&>;
/// Given the bytes of an export in order, an empty piece once at the end of a complete one, on the
/// thread that solves. It may block. What it throws stops the solve and is thrown again from there.
using OnWrite = Callback<std::string_view>;
/// Gives the secret of that id when a step needs it; nullopt: there is none. On the thread that
/// solves. It may block. What it throws stops the solve and is thrown again from there.
struct Credentials {
  std::string username;  // empty: the password is an identity token
  std::string password;
};
/// Gives the credentials of a registry; nullopt: somebody else may know it. Thread, time and
/// exceptions as OnSecret.
using OnCredentials = std::function<std::optional<Credentials>(std::string_view host)>;
/// Whether token server `realm` may have the password of registry `host`. What it throws is "no".
using OnRealm = std::function<bool(std::string_view host, std::string_view realm)>;
using OnSecret = std::function<std::optional<std::string>(std::string_view id)>;

/// Writes content from `offset` on to `buffer`, up to `size` bytes, and returns how many; 0: no
/// more.
using OnRead =
    std::function<std::size_t(std::uint64_t offset, std::uint8_t* buffer, std::size_t size)>;

/// The rule that decided about a path of a context; `file` is empty when no rule matched it.
struct Explanation {
  bool sent;
  std::string file;
  std::int32_t line;
  std::string rule;
  std::string matched;  // the path itself, or a directory above it
};

struct ContextFile {
  std::string path;
  std::uint64_t size;
};

/// Setters copy what they are given and throw depot::error for a value that cannot be right. The
/// same request may be used for any number of solves, also at the same time.
class SolveRequest : public detail::AttributeSetters<SolveRequest> {
 public:
  /// Frontend dockerfile.v0, no context, no export.
  SolveRequest() : raw_(depot_solve_request_new()), thrown_(std::make_shared<detail::Thrown>()) {
    if (!raw_) throw std::bad_alloc();
  }

  /// The build context (a directory, a Git reference, an http(s) URL), and the Dockerfile as
  /// `docker buildx build -f` takes it; empty: "Dockerfile" in it.
  SolveRequest& set_context(const std::string& dir, const std::string& dockerfile = {}) {
    return set(depot_solve_request_set_context, dir.c_str(), detail::or_null(dockerfile));
  }
  /// No directory: the files of add_file() alone.
  SolveRequest& set_virtual_context(const std::string& dockerfile = {}) {
    return set(depot_solve_request_set_context, nullptr, detail::or_null(dockerfile));
  }
  /// The Dockerfile as text; without a context, with an empty one.
  SolveRequest& set_dockerfile_text(std::string_view text) {
    return set(depot_solve_request_set_dockerfile_text, text.data(), text.size());
  }
  /// What stands in .dockerignore, instead of any such file.
  SolveRequest& set_ignore_text(std::string_view text) {
    return set(depot_solve_request_set_ignore_text, text.data(), text.size());
  }
  /// A file of the context, alone or over its directory. See depot_solve_request_add_file().
  SolveRequest& add_file(const std::string& path, std::string_view data, std::uint32_t mode = 0644,
                         const std::string& local = "context") {
    return set(depot_solve_request_add_file, local.c_str(), path.c_str(), data.data(), data.size(),
               mode);
  }
  /// The same, its content read when it is asked for, on threads of the library's. What `read`
  /// throws stops the solve and is thrown again from there.
  SolveRequest& add_file(const std::string& path, OnRead read, std::uint32_t mode = 0644,
                         std::optional<std::uint64_t> size = {},
                         const std::string& local = "context") {
    auto reader = std::make_unique<Reader>(Reader{std::move(read), thrown_});
    set(depot_solve_request_add_file_callback, local.c_str(), path.c_str(),
        reader->read ? &Reader::on_read : nullptr, static_cast<void*>(reader.get()), &Reader::free,
        size ? static_cast<std::int64_t>(*size) : std::int64_t{-1}, mode);
    reader.release();  // the request has it now
    return *this;
  }
  /// An archive or the text of a Dockerfile, read once, in order; good for one solve.
  SolveRequest& set_context_stream(OnRead read, const std::string& dockerfile = {}) {
    auto reader = std::make_unique<Reader>(Reader{std::move(read), thrown_});
    set(depot_solve_request_set_context_stream, reader->read ? &Reader::on_read : nullptr,
        static_cast<void*>(reader.get()), &Reader::free, detail::or_null(dockerfile));
    reader.release();  // the request has it now
    return *this;
  }
  /// Let the result list what was sent.
  SolveRequest& set_record_context(bool record = true) {
    return set(depot_solve_request_set_record_context, static_cast<std::int32_t>(record));
  }
  SolveRequest& set_frontend(const std::string& frontend) {
    return set(depot_solve_request_set_frontend, frontend.c_str());
  }
  /// A frontend attribute by its wire name.
  SolveRequest& set_attr(const std::string& key, const std::string& value) {
    return set(depot_solve_request_set_attr, key.c_str(), value.c_str());
  }
  /// Expose a local directory to the frontend by a name.
  SolveRequest& add_local(const std::string& name, const std::string& dir) {
    return set(depot_solve_request_add_local, name.c_str(), dir.c_str());
  }
  /// `--build-context NAME=VALUE`: a directory, "docker-image://REF",
  /// "oci-layout://DIR[:TAG][@DIGEST]", a Git reference or an http(s) URL.
  SolveRequest& add_build_context(const std::string& name, const std::string& value) {
    return set(depot_solve_request_add_build_context, name.c_str(), value.c_str());
  }
  /// `--cache-from`: "type=local,src=DIR", "type=registry,ref=NAME" or NAME alone, gha, s3, azblob.
  SolveRequest& add_cache_from(const std::string& spec) {
    return set(depot_solve_request_add_cache_from, spec.c_str());
  }
  /// `--cache-to`: the same kinds, with dest for src, and "type=inline".
  SolveRequest& add_cache_to(const std::string& spec) {
    return set(depot_solve_request_add_cache_to, spec.c_str());
  }

  /// "image", "oci", "docker", "tar", "local" or "cacheonly"; returns the export's number.
  std::size_t add_export(const std::string& type) {
    std::size_t index = 0;
    set(depot_solve_request_add_export, type.c_str(), &index);
    return index;
  }
  /// As `docker buildx build --output` spells it: "type=oci,dest=out.tar"; returns its number.
  std::size_t add_output(const std::string& spec) {
    std::size_t index = 0;
    set(depot_solve_request_add_output, spec.c_str(), &index);
    return index;
  }
  SolveRequest& set_export_attr(std::size_t index, const std::string& key,
                                const std::string& value) {
    return set(depot_solve_request_set_export_attr, index, key.c_str(), value.c_str());
  }
  /// A file, or for local a directory; each file appears when it is whole.
  SolveRequest& set_export_file(std::size_t index, const std::string& path) {
    return set(depot_solve_request_set_export_file, index, path.c_str());
  }
  SolveRequest& set_export_callback(std::size_t index, OnWrite write) {
    auto writer = std::make_unique<Writer>(Writer{std::move(write), thrown_});
    set(depot_solve_request_set_export_callback, index, writer->write ? &Writer::on_write : nullptr,
        static_cast<void*>(writer.get()), &Writer::free);
    writer.release();  // the request has it now
    return *this;
  }

  SolveRequest& add_tag(const std::string& name) {
    return set(depot_solve_request_add_tag, name.c_str());
  }
  SolveRequest& set_push(bool push = true) {
    return set(depot_solve_request_set_push, static_cast<std::int32_t>(push));
  }
  /// Into the Docker Engine that the docker client would use.
  SolveRequest& set_load(bool load = true) {
    return set(depot_solve_request_set_load, static_cast<std::int32_t>(load));
  }
  /// Kept in Depot's registry, from where Client::pull_info() lets it be pulled.
  SolveRequest& set_save(bool save = true) {
    return set(depot_solve_request_set_save, static_cast<std::int32_t>(save));
  }
  /// Kept there under this tag of the project, too. Says save by itself.
  SolveRequest& add_save_tag(const std::string& tag) {
    return set(depot_solve_request_add_save_tag, tag.c_str());
  }
  /// Credentials for one registry host, ahead of the docker config.
  SolveRequest& set_registry_auth(const std::string& host, const std::string& username,
                                  const std::string& password) {
    return set(depot_solve_request_set_registry_auth, host.c_str(), username.c_str(),
               password.c_str());
  }
  /// Directory of the docker config; "" reads none.
  SolveRequest& set_docker_config(const std::string& dir) {
    return set(depot_solve_request_set_docker_config, dir.c_str());
  }

  /// Asked for the credentials of hosts that none were set for.
  SolveRequest& set_credentials_callback(OnCredentials credentials) {
    auto reader = std::make_unique<LoginReader>(LoginReader{std::move(credentials), thrown_});
    set(depot_solve_request_set_credentials_callback,
        reader->credentials ? &LoginReader::read : nullptr, static_cast<void*>(reader.get()),
        &LoginReader::free);
    reader.release();  // the request has it now
    return *this;
  }
  /// Let a token server have the password of a registry; both host[:port].
  SolveRequest& allow_realm(const std::string& host, const std::string& realm) {
    return set(depot_solve_request_allow_realm, host.c_str(), realm.c_str());
  }
  SolveRequest& set_realm_callback(OnRealm realm) {
    auto own = std::make_unique<OnRealm>(std::move(realm));
    set(
        depot_solve_request_set_realm_callback, *own ? &ask_realm : nullptr,
        static_cast<void*>(own.get()), +[](void* self) { delete static_cast<OnRealm*>(self); });
    own.release();  // the request has it now
    return *this;
  }

  /// As `docker buildx build --secret` spells it: "id=npm,src=token.txt", "id=npm,env=NPM_TOKEN".
  SolveRequest& add_secret(const std::string& spec) {
    return set(depot_solve_request_add_secret, spec.c_str());
  }
  SolveRequest& add_secret_bytes(const std::string& id, std::string_view bytes) {
    return set(depot_solve_request_add_secret_bytes, id.c_str(),
               reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  SolveRequest& add_secret_file(const std::string& id, const std::string& path) {
    return set(depot_solve_request_add_secret_file, id.c_str(), path.c_str());
  }
  SolveRequest& add_secret_env(const std::string& id, const std::string& variable) {
    return set(depot_solve_request_add_secret_env, id.c_str(), variable.c_str());
  }
  SolveRequest& add_secret_callback(const std::string& id, OnSecret secret) {
    auto reader = std::make_unique<SecretReader>(SecretReader{std::move(secret), thrown_});
    set(depot_solve_request_add_secret_callback, id.c_str(),
        reader->secret ? &SecretReader::read : nullptr, static_cast<void*>(reader.get()),
        &SecretReader::free);
    reader.release();  // the request has it now
    return *this;
  }

  /// As `docker buildx build --ssh` spells it: "default", "id=/path/to/agent.sock", "id=key-file".
  SolveRequest& add_ssh(const std::string& spec) {
    return set(depot_solve_request_add_ssh, spec.c_str());
  }
  /// An agent that runs; no socket: $SSH_AUTH_SOCK. Raw: its bytes pass as they are.
  SolveRequest& add_ssh_agent(const std::string& id = "default", const std::string& socket = {},
                              bool raw = false) {
    return set(depot_solve_request_add_ssh_agent, id.c_str(), detail::or_null(socket),
               static_cast<std::int32_t>(raw));
  }
  /// A private key's text; again with the same id for another key of the same agent.
  SolveRequest& add_ssh_key(const std::string& id, std::string_view key) {
    return set(depot_solve_request_add_ssh_key, id.c_str(),
               reinterpret_cast<const std::uint8_t*>(key.data()), key.size());
  }
  SolveRequest& add_ssh_key_file(const std::string& id, const std::string& path) {
    return set(depot_solve_request_add_ssh_key_file, id.c_str(), path.c_str());
  }
  /// "min", "max": Result::attestations(), and the provenance in the metadata.
  SolveRequest& set_record_provenance(const std::string& detail) {
    return set(depot_solve_request_set_record_provenance, detail.c_str());
  }
  /// "check", "outline", "targets": asks the frontend instead of building; see Result::call().
  SolveRequest& set_call(const std::string& call) {
    return set(depot_solve_request_set_call, call.c_str());
  }

  /// Which ignore rule sends or ignores a path of the local context. The builder is not asked.
  Explanation explain_context(const std::string& path) const {
    depot_explanation* out = nullptr;
    detail::call([&](depot_error** raw) {
      return depot_context_explain(raw_.get(), path.c_str(), &out, raw);
    });
    detail::Handle<depot_explanation, depot_explanation_free> owned(out);
    return {depot_explanation_sent(out) != 0, depot_explanation_file(out),
            depot_explanation_line(out), depot_explanation_rule(out),
            depot_explanation_matched(out)};
  }
  /// The files of the local context that are not ignored. The builder is not asked.
  std::vector<ContextFile> list_context() const {
    depot_context_list* out = nullptr;
    detail::call(
        [&](depot_error** raw) { return depot_context_list_new(raw_.get(), nullptr, &out, raw); });
    detail::Handle<depot_context_list, depot_context_list_free> owned(out);
    std::vector<ContextFile> files;
    for (std::size_t i = 0; i < depot_context_list_count(out); ++i)
      files.push_back({depot_context_list_path(out, i), depot_context_list_size(out, i)});
    return files;
  }

  depot_solve_request* get() const noexcept { return raw_.get(); }
  // For the calls that solve.
  detail::Thrown& thrown() const noexcept { return *thrown_; }

 private:
  struct Writer {
    OnWrite write;
    std::shared_ptr<detail::Thrown> thrown;

    static std::int32_t on_write(const std::uint8_t* data, std::size_t size, void* self) {
      auto* writer = static_cast<Writer*>(self);
      try {
        return writer->write(std::string_view(reinterpret_cast<const char*>(data), size));
      } catch (...) {
        return writer->thrown->keep(std::current_exception());
      }
    }
    static void free(void* self) { delete static_cast<Writer*>(self); }
  };

  struct SecretReader {
    OnSecret secret;
    std::shared_ptr<detail::Thrown> thrown;

    static std::int32_t read(const char* id, depot_secret_answer* answer, void* self) {
      auto* reader = static_cast<SecretReader*>(self);
      try {
        if (auto bytes = reader->secret(id)) {
          depot_secret_answer_set(answer, reinterpret_cast<const std::uint8_t*>(bytes->data()),
                                  bytes->size());
        }
        return 0;
      } catch (...) {
        return reader->thrown->keep(std::current_exception());
      }
    }
    static void free(void* self) { delete static_cast<SecretReader*>(self); }
  };

  struct LoginReader {
    OnCredentials credentials;
    std::shared_ptr<detail::Thrown> thrown;

    static std::int32_t read(const char* host, depot_credentials_answer* answer, void* self) {
      auto* reader = static_cast<LoginReader*>(self);
      try {
        if (auto found = reader->credentials(host)) {
          depot_credentials_answer_set(answer, found->username.c_str(), found->password.c_str());
        }
        return 0;
      } catch (...) {
        return reader->thrown->keep(std::current_exception());
      }
    }
    static void free(void* self) { delete static_cast<LoginReader*>(self); }
  };
  static std::int32_t ask_realm(const char* host, const char* realm, void* self) {
    try {
      return (*static_cast<OnRealm*>(self))(host, realm) ? 1 : 0;
    } catch (...) {
      return 0;
    }
  }

  struct Reader {
    OnRead read;
    std::shared_ptr<detail::Thrown> thrown;

    static std::int64_t on_read(std::uint64_t offset, std::uint8_t* buffer, std::size_t size,
                                void* self) {
      auto* reader = static_cast<Reader*>(self);
      try {
        return static_cast<std::int64_t>(reader->read(offset, buffer, size));
      } catch (...) {
        return reader->thrown->keep(std::current_exception());
      }
    }
    static void free(void* self) { delete static_cast<Reader*>(self); }
  };

  template <class F, class... Args>
  SolveRequest& set(F setter, Args... args) {
    detail::call([&](depot_error** raw) { return setter(raw_.get(), args..., raw); });
    return *this;
  }

  detail::Handle<depot_solve_request, depot_solve_request_free> raw_;
  std::shared_ptr<detail::Thrown> thrown_;
};

class SolveOptions;
namespace detail {
template <class F>
Result run_solve(const SolveRequest& request, const SolveOptions& options, F&& f);
}

class SolveOptions {
 public:
  SolveOptions& cancel(const Cancel& value) {
    cancel_ = value;
    return *this;
  }
  /// Of the whole solve; 0: none.
  SolveOptions& timeout(std::chrono::milliseconds value) {
    timeout_ = value;
    return *this;
  }
  SolveOptions& on_status(OnStatus value) {
    on_status_ = std::move(value);
    return *this;
  }

 private:
  template <class F>
  friend Result detail::run_solve(const SolveRequest&, const SolveOptions&, F&&);

  std::optional<Cancel> cancel_;
  std::chrono::milliseconds timeout_{0};
  OnStatus on_status_;
};

namespace detail {

// The status callback of one solve, and the exception that it threw.
struct Watcher {
  const OnStatus& on_status;
  std::exception_ptr thrown;

  static std::int32_t call(const depot_status* batch, void* self) {
    auto* watcher = static_cast<Watcher*>(self);
    try {
      return watcher->on_status(Status(batch));
    } catch (...) {
      watcher->thrown = std::current_exception();
      return kThrew;
    }
  }
};

// `f(const depot_solve_options*, depot_result**, depot_error**)`: one of the calls that solve.
template <class F>
Result run_solve(const SolveRequest& request, const SolveOptions& options, F&& f) {
  Watcher watcher{options.on_status_, nullptr};
  depot_solve_options raw{};
  raw.size = sizeof(raw);
  raw.cancel = options.cancel_ ? options.cancel_->get() : nullptr;
  raw.timeout_ms = options.timeout_.count();
  if (options.on_status_) {
    raw.on_status = &Watcher::call;
    raw.user_data = &watcher;
  }
  depot_result* out = nullptr;
  try {
    call([&](depot_error** raw_error) { return std::forward<F>(f)(&raw, &out, raw_error); });
  } catch (const error& failed) {
    if (watcher.thrown) std::rethrow_exception(watcher.thrown);
    if (auto thrown = request.thrown().take(failed.user_code())) std::rethrow_exception(thrown);
    throw;
  }
  Result result(out);
  if (watcher.thrown) std::rethrow_exception(watcher.thrown);  // by the very last batch
  return result;
}

}  // namespace detail
}  // namespace depot

#endif
