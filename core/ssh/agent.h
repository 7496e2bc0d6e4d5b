// The agent protocol (draft-miller-ssh-agent) as a build step gets it: list the keys and sign with
// one of them, nothing else. Bytes in, bytes out; who has the sockets is somebody else.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ssh/private_key.h"

namespace depot::ssh {

// Of one message, as OpenSSH has it.
constexpr size_t kMaxAgentMessage = 256 << 10;

// Takes a stream apart into messages: a length of four bytes, then so many.
class AgentMessages {
 public:
  // False when what came is no message that one could wait for the end of; nothing more comes out.
  bool feed(std::string_view bytes);
  // The next whole message, without its length.
  std::optional<std::string> next();
  // Nothing of a message is left over.
  bool empty() const { return bytes_.empty(); }
  // Of messages that are not whole yet, or not taken.
  size_t size() const { return bytes_.size(); }

 private:
  std::string bytes_;
};

// A message with its length before it.
std::string agent_frame(std::string_view message);
// Whether a step may ask an agent this: list and sign. Anything else could change the agent, or
// lend it to somebody.
bool agent_allows(std::string_view request);
// What an agent says to everything that it does not do.
std::string agent_failure();

// An agent that holds keys. Immutable; any thread.
class Agent {
 public:
  explicit Agent(std::vector<PrivateKey> keys) : keys_(std::move(keys)) {}
  // The answer to one request, both without their length.
  std::string answer(std::string_view request) const;

 private:
  std::string list() const;
  std::string sign(std::string_view request) const;

  std::vector<PrivateKey> keys_;
};

}  // namespace depot::ssh
