#include "solve/ssh.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/small_file.h"

namespace depot::solve {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::usage_error;

namespace {

// As Go's strconv.ParseBool.
Result<bool> parse_bool(const std::string& value) {
  for (const char* yes : {"1", "t", "T", "true", "TRUE", "True"})
    if (value == yes) return true;
  for (const char* no : {"0", "f", "F", "false", "FALSE", "False"})
    if (value == no) return false;
  return usage_error("'" + value + "' is neither true nor false");
}

Status prepare_one(SshInput& input, const base::Environment& environment) {
  const std::string what = "ssh \"" + input.id + "\"";
  auto paths = input.paths;
  bool by_default = paths.empty() || (paths.size() == 1 && paths[0].empty());
  if (by_default && input.keys.empty()) {
    std::string socket = environment.get_or("SSH_AUTH_SOCK", "");
    if (socket.empty()) {
      return Status(Code::kFailedPrecondition, Hop::kUsage,
                    what + ": there is no agent to forward: SSH_AUTH_SOCK is not set")
          .with_hint("start one (ssh-agent), or name a socket or a key: --ssh " + input.id +
                     "=PATH");
    }
    paths = {socket};
  } else if (by_default) {
    paths.clear();
  }
  if (input.raw && paths.size() != 1)
    return usage_error(what + ": raw=true goes with one socket and nothing else");
  std::vector<ssh::PrivateKey> keys;
  std::string socket;
  for (const auto& path : paths) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
      Status status = base::errno_error(errno, what + ": " + path);
      return by_default ? status.with_hint("SSH_AUTH_SOCK names an agent that is gone") : status;
    }
    if (S_ISSOCK(info.st_mode)) {
      if (input.keys_only) return usage_error(what + ": " + path + " is a socket and not a key");
      if (!socket.empty()) return usage_error(what + ": there can only be one socket");
      // The one that a relative path means now.
      socket = std::filesystem::absolute(path).string();
      continue;
    }
    if (input.raw)
      return usage_error(what + ": " + path + " is not a socket, which raw=true takes");
    auto text = base::read_small_file(path, ssh::kMaxKeyFile);
    if (!text.ok()) return text.status().with_prefix(what);
    DEPOT_ASSIGN(auto key, ssh::PrivateKey::parse(*text, path));
    keys.push_back(std::move(key));
  }
  for (const auto& text : input.keys) {
    DEPOT_ASSIGN(auto key, ssh::PrivateKey::parse(text, "of " + what));
    keys.push_back(std::move(key));
  }
  if (!socket.empty() && !keys.empty())
    return usage_error(what + ": it is either an agent's socket or keys, not both");
  input.agent.socket = std::move(socket);
  input.agent.raw = input.raw;
  if (input.agent.socket.empty())
    input.agent.keys = std::make_shared<const ssh::Agent>(std::move(keys));
  return {};
}

}  // namespace

Result<SshInput> parse_ssh(const std::string& spec) {
  SshInput input;
  size_t equals = spec.find('=');
  input.id = spec.substr(0, equals);
  if (input.id.empty()) input.id = "default";
  if (equals == std::string::npos) return input;
  for (size_t start = equals + 1; start <= spec.size();) {
    size_t end = std::min(spec.find(',', start), spec.size());
    std::string field = spec.substr(start, end - start);
    if (field.starts_with("raw=")) {
      auto raw = parse_bool(field.substr(4));
      if (!raw.ok()) return raw.status().with_prefix("ssh '" + spec + "': raw");
      input.raw = *raw;
    } else {
      input.paths.push_back(std::move(field));
    }
    start = end + 1;
  }
  if (input.raw && input.paths.size() != 1)
    return usage_error("ssh '" + spec + "': raw=true goes with one socket and nothing else");
  return input;
}

Status prepare_ssh(std::vector<SshInput>& agents, const base::Environment& environment) {
  for (auto& one : agents) DEPOT_TRY(prepare_one(one, environment));
  return {};
}

}  // namespace depot::solve
