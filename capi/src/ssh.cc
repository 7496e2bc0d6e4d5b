#include "depot/ssh.h"

#include "edit.h"

using depot::base::Secret;
using depot::base::Status;
using depot::solve::SshInput;
using namespace depot::capi;  // NOLINT: one file, one purpose

namespace {

SshInput input(const char* id) {
  SshInput out;
  if (*id != '\0') out.id = id;
  return out;
}

}  // namespace

depot_code depot_solve_request_add_ssh(depot_solve_request* request, const char* spec,
                                       depot_error** error) {
  return edit(request, {spec}, error, [&](auto& to) { return to.add_ssh(std::string(spec)); });
}

depot_code depot_solve_request_add_ssh_agent(depot_solve_request* request, const char* id,
                                             const char* socket, int32_t raw, depot_error** error) {
  return edit(request, {id}, error, [&](auto& to) -> Status {
    SshInput agent = input(id);
    if (socket != nullptr) {
      if (*socket == '\0') return depot::base::usage_error("the agent's socket has no name");
      agent.paths.emplace_back(socket);
    }
    agent.raw = raw != 0;
    if (agent.raw && socket == nullptr)
      return depot::base::usage_error("raw forwarding needs a socket's name");
    return to.add_ssh(std::move(agent));
  });
}

depot_code depot_solve_request_add_ssh_key(depot_solve_request* request, const char* id,
                                           const uint8_t* data, size_t size, depot_error** error) {
  return edit(request, {id}, error, [&](auto& to) -> Status {
    if (data == nullptr) return null_argument("data");
    SshInput keys = input(id);
    keys.keys_only = true;
    keys.keys.emplace_back(std::string_view(reinterpret_cast<const char*>(data), size));
    return to.add_ssh(std::move(keys));
  });
}

depot_code depot_solve_request_add_ssh_key_file(depot_solve_request* request, const char* id,
                                                const char* path, depot_error** error) {
  return edit(request, {id, path}, error, [&](auto& to) -> Status {
    if (*path == '\0') return depot::base::usage_error("the key's file has no name");
    SshInput keys = input(id);
    keys.keys_only = true;
    keys.paths.emplace_back(path);
    return to.add_ssh(std::move(keys));
  });
}
