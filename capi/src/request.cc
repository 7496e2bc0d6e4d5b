#include "depot/build_context.h"
#include "depot/cache.h"
#include "depot/solve.h"
#include "edit.h"
#include "solve/attributes.h"

using depot::base::Status;
using depot::base::usage_error;
using namespace depot::capi;  // NOLINT: one file, one purpose

depot_solve_request* depot_solve_request_new(void) {
  try {
    return new depot_solve_request;
  } catch (...) {
    return nullptr;
  }
}

void depot_solve_request_free(depot_solve_request* request) {
  delete request;
}

depot_code depot_solve_request_set_context(depot_solve_request* request, const char* dir,
                                           const char* dockerfile, depot_error** error) {
  return edit(request, {}, error, [&](auto& to) {
    return dir == nullptr ? to.set_virtual_context(text_or_empty(dockerfile))
                          : to.set_context(dir, text_or_empty(dockerfile));
  });
}

depot_code depot_solve_request_set_frontend(depot_solve_request* request, const char* frontend,
                                            depot_error** error) {
  return edit(request, {frontend}, error, [&](auto& to) -> Status {
    std::string name = frontend;
    if (name != "dockerfile.v0" && name != "gateway.v0") {
      return usage_error("unknown frontend '" + name + "'")
          .with_hint("dockerfile.v0, or gateway.v0 with attribute source=IMAGE");
    }
    to.frontend = name;
    return {};
  });
}

depot_code depot_solve_request_set_attr(depot_solve_request* request, const char* key,
                                        const char* value, depot_error** error) {
  return edit(request, {key, value}, error,
              [&](auto& to) { return depot::solve::set_attr(to, key, value); });
}

depot_code depot_solve_request_add_local(depot_solve_request* request, const char* name,
                                         const char* dir, depot_error** error) {
  return edit(request, {name, dir}, error, [&](auto& to) -> Status {
    if (*name == '\0' || *dir == '\0')
      return usage_error("a local directory needs a name and a path");
    to.locals[name] = dir;
    return {};
  });
}

depot_code depot_solve_request_add_export(depot_solve_request* request, const char* type,
                                          size_t* index, depot_error** error) {
  return edit(request, {type}, error, [&](auto& to) -> Status {
    DEPOT_ASSIGN(size_t added, to.add_export(type));
    if (index != nullptr) *index = added;
    return {};
  });
}

depot_code depot_solve_request_add_output(depot_solve_request* request, const char* spec,
                                          size_t* index, depot_error** error) {
  return edit(request, {spec}, error, [&](auto& to) -> Status {
    DEPOT_ASSIGN(size_t added, to.add_output(spec));
    if (index != nullptr) *index = added;
    return {};
  });
}

depot_code depot_solve_request_set_export_attr(depot_solve_request* request, size_t index,
                                               const char* key, const char* value,
                                               depot_error** error) {
  return edit(request, {key, value}, error,
              [&](auto& to) { return to.set_export_attr(index, key, value); });
}

depot_code depot_solve_request_set_export_file(depot_solve_request* request, size_t index,
                                               const char* path, depot_error** error) {
  return edit(request, {path}, error,
              [&](auto& to) { return to.set_export_attr(index, "dest", path); });
}

depot_code depot_solve_request_set_export_callback(depot_solve_request* request, size_t index,
                                                   depot_write_cb write, void* user_data,
                                                   depot_free_cb user_data_free,
                                                   depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    if (write == nullptr) return null_argument("write");
    if (index >= to.exports.size()) return usage_error("no export number " + std::to_string(index));
    auto& target = to.exports[index];
    if (target.type != "oci" && target.type != "docker" && target.type != "tar")
      return usage_error("export type '" + target.type + "' has no bytes for a callback");
    auto data = std::make_shared<UserData>(user_data);
    target.writer =
        std::make_shared<depot::solve::ExportWriter>([write, data](std::span<const uint8_t> bytes) {
          return write(bytes.data(), bytes.size(), data->get());
        });
    data->own(user_data_free);
    return {};
  });
}

depot_code depot_solve_request_add_cache_from(depot_solve_request* request, const char* spec,
                                              depot_error** error) {
  return edit(request, {spec}, error, [&](auto& to) {
    auto text = depot::base::Secret(spec);  // it may hold keys
    return to.add_cache_from(text.reveal());
  });
}

depot_code depot_solve_request_add_cache_to(depot_solve_request* request, const char* spec,
                                            depot_error** error) {
  return edit(request, {spec}, error, [&](auto& to) {
    auto text = depot::base::Secret(spec);
    return to.add_cache_to(text.reveal());
  });
}

depot_code depot_solve_request_add_build_context(depot_solve_request* request, const char* name,
                                                 const char* value, depot_error** error) {
  return edit(request, {name, value}, error,
              [&](auto& to) { return to.add_build_context(name, value); });
}

depot_code depot_solve_request_add_tag(depot_solve_request* request, const char* name,
                                       depot_error** error) {
  return edit(request, {name}, error, [&](auto& to) { return to.add_tag(name); });
}

depot_code depot_solve_request_set_push(depot_solve_request* request, int32_t push,
                                        depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    to.push = push != 0;
    return {};
  });
}

depot_code depot_solve_request_set_load(depot_solve_request* request, int32_t load,
                                        depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    to.load = load != 0;
    return {};
  });
}

depot_code depot_solve_request_set_save(depot_solve_request* request, int32_t save,
                                        depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    to.save = save != 0;
    return {};
  });
}

depot_code depot_solve_request_add_save_tag(depot_solve_request* request, const char* tag,
                                            depot_error** error) {
  return edit(request, {tag}, error, [&](auto& to) { return to.add_save_tag(tag); });
}

depot_code depot_solve_request_set_registry_auth(depot_solve_request* request, const char* host,
                                                 const char* username, const char* password,
                                                 depot_error** error) {
  return edit(request, {host, username, password}, error, [&](auto& to) -> Status {
    if (*host == '\0') return usage_error("a registry login needs a host");
    to.logins.push_back({host, username, depot::base::Secret(password)});
    return {};
  });
}

depot_code depot_solve_request_set_docker_config(depot_solve_request* request, const char* dir,
                                                 depot_error** error) {
  return edit(request, {dir}, error, [&](auto& to) -> Status {
    to.docker_config = dir;
    return {};
  });
}
