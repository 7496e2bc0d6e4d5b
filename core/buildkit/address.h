// Where a builder is and how one gets there, as its address says it.
//
//   unix:///path  tcp://host:port                       BuildKit's own socket
//   docker-container://NAME[?context=CONTEXT]           its standard input and output, through the
//   podman-container://NAME                             program that can get in there: docker,
//   nerdctl-container://NAME[?namespace=NAMESPACE]      podman, nerdctl, kubectl or ssh running
//   kube-pod://POD[?context=&namespace=&container=]     `buildctl dial-stdio` (which must be there)
//   ssh://[USER@]HOST[:PORT][/SOCKET]
//   docker://HOST                                       the BuildKit inside a Docker Engine; HOST
//   as docker://?context=CONTEXT                           in DOCKER_HOST: unix://, tcp:// or
//   ssh://
//
// The programs' arguments are those of buildctl, which has had these addresses first; a name that
// one of them, or the shell at the other end of ssh, could take for something else is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/environment.h"
#include "base/status.h"

namespace depot::buildkit {

struct Address {
  enum class Kind { kUnix, kTcp, kProgram };
  Kind kind = Kind::kTcp;
  std::string path;  // kUnix
  std::string host;  // kTcp; IPv6 without brackets
  std::string port;
  std::vector<std::string> command;  // kProgram: its name, to be found in PATH, and its arguments
  bool engine = false;               // speaks Docker's API; BuildKit is behind its /grpc

  // Its bytes do not leave this computer. (Those of a program do as the program sees fit.)
  bool loopback() const;
  // The transport cannot make this connection by itself, nor make it again.
  bool dialled() const { return engine || kind == Kind::kProgram; }
};

// Usage errors for what is malformed.
base::Result<Address> parse_address(const std::string& text);

// `docker` or "docker://" as the docker client would understand it, as a whole address:
// $DOCKER_HOST, else the context that $DOCKER_CONTEXT or docker's config.json names, else the
// default socket. Other texts stay as they are. Blocks on the file.
base::Result<std::string> resolve_address(const std::string& text,
                                          const base::Environment& environment);
// Whether the docker client would use TLS for a tcp:// host.
bool docker_tls(const base::Environment& environment);

}  // namespace depot::buildkit
