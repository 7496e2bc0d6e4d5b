// Which builder, and how to reach it: the choice made once, from options and environment.
//
// "auto": a token means Depot; else BUILDKIT_HOST; else the local builder. A Docker Engine is
// nobody's default: it is used when it is named. Making a Client does no network I/O and starts
// nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/environment.h"
#include "base/log.h"
#include "base/status.h"
#include "buildkit/channel.h"
#include "http/client.h"
#include "localbuilder/launcher.h"
#include "machine/log_queue.h"
#include "machine/nodes.h"

namespace depot::machine {

struct ClientOptions {
  std::string builder;             // "", "auto", "depot", "local", "docker" or an address
  std::vector<std::string> nodes;  // several addresses instead, each with its platforms: nodes.h
  std::string token, project, api_url, ca_file, proxy;
  std::string tls_ca_file, tls_cert_file, tls_key_file, tls_server_name;
  bool allow_plaintext = false;
  std::string builderd_path, engine_dir, state_dir;
  std::string product;
  int64_t max_message = 0;
  base::Environment environment;
  base::LogSink log;
};

class Client {
 public:
  enum class Kind { kDepot, kLocal, kAddress };

  static base::Result<std::shared_ptr<Client>> create(ClientOptions options);

  Kind kind() const { return kind_; }
  // "depot", "local", or the address; several after commas.
  const std::string& builder() const { return builder_; }
  // The machines that a build of several platforms may be divided among: those addresses, or those
  // of the API.
  const std::vector<Node>& nodes() const { return nodes_; }
  const ClientOptions& options() const { return options_; }
  std::string user_agent() const;
  // Where the local builder is, whichever builder this client has.
  localbuilder::LaunchOptions launch_options() const;

  // HTTP client for registry tokens and, with `unix_socket` empty, the Depot API. Made when first
  // asked for: a build that needs no HTTP starts no thread.
  std::shared_ptr<http::Client> http() const;

  // Connections to machines, shared by the builds of this client.
  buildkit::ChannelPool& channels() const { return channels_; }

  // options.log is not called any more once this returns, unless this is called from within it;
  // what holds on to the client goes on without a log.
  void close_log() { log_.close(); }

 private:
  explicit Client(ClientOptions options);

  LogQueue log_;  // the last to go: everything below logs
  ClientOptions options_;
  Kind kind_ = Kind::kLocal;
  std::string builder_;
  std::vector<Node> nodes_;
  mutable buildkit::ChannelPool channels_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<http::Client> http_;  // guarded by mutex_
};

}  // namespace depot::machine
