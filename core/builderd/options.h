// The daemon's command line.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/environment.h"
#include "base/status.h"
#include "localbuilder/locate.h"

namespace depot::builderd {

struct DaemonOptions {
  std::string runtime_dir;
  std::string state_dir;
  localbuilder::Engine engine;
  std::string snapshotter = "overlayfs";
  std::chrono::milliseconds idle_timeout{std::chrono::minutes(2)};   // of a machine
  std::chrono::milliseconds lease_expiry{std::chrono::seconds(30)};  // of a silent build
  std::chrono::milliseconds exit_after{std::chrono::seconds(30)};    // of a daemon without work
  // One more listener, for callers that are not this user: each shows a token.
  std::string listen;                                   // ADDRESS:PORT, empty: none
  std::string tls_certificate, tls_key, tls_client_ca;  // files
  std::string token_file;
  bool detach = false;
  int ready_fd = -1;
  bool help = false;
  bool version = false;
};

std::string_view usage();

// What is not named comes from the environment and the usual places (localbuilder/locate.h), except
// with --help or --version. kInvalidArgument for what is not understood; kNotFound without engine.
base::Result<DaemonOptions> parse_options(const std::vector<std::string>& arguments,
                                          const base::Environment& environment, uid_t uid);

}  // namespace depot::builderd
