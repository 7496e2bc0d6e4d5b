// The SSH agents of a request: what `--ssh` says, and what stands behind it. Private to the module
// but for SshInput.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/environment.h"
#include "base/secret.h"
#include "base/status.h"
#include "session/ssh.h"

namespace depot::solve {

struct SshInput {
  std::string id = "default";
  // An agent's socket, or files with private keys; neither these nor keys: $SSH_AUTH_SOCK.
  std::vector<std::string> paths;
  std::vector<base::Secret> keys;
  bool raw = false;
  bool keys_only = false;   // a path that is a socket is a mistake
  session::SshAgent agent;  // once it was prepared
};

// "default", "id=/path/to/agent.sock", "id=key,other-key", "id=/path/to/socket,raw=true".
base::Result<SshInput> parse_ssh(const std::string& spec);

// Finds the agents: sockets are there, keys can be read and are not locked.
base::Status prepare_ssh(std::vector<SshInput>& agents, const base::Environment& environment);

}  // namespace depot::solve
