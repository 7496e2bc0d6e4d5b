#include "builderd/options.h"

#include <charconv>
#include <functional>
#include <map>

namespace depot::builderd {

using base::Result;
using base::Status;
using std::chrono::milliseconds;

namespace {

constexpr std::string_view kUsage =
    R"(libdepot-builderd: the local builder of libdepot, a Depot-compatible API in front of buildkitd

It is started by the library when needed and ends by itself. By hand:
  --runtime-dir DIR       socket and locks (LIBDEPOT_RUNTIME_DIR)
  --state-dir DIR         caches, records, logs (LIBDEPOT_STATE_DIR)
  --buildkitd PATH        the engine (LIBDEPOT_ENGINE_DIR, beside the library, PATH)
  --runc PATH
  --snapshotter NAME      overlayfs (default), or native: a full copy of every layer
                          (LIBDEPOT_SNAPSHOTTER)
  --idle-timeout SECONDS  a machine stays this long after its last build (120;
                          LIBDEPOT_IDLE_TIMEOUT)
  --lease-expiry SECONDS  a build that is silent this long loses its machine (30)
  --exit-after SECONDS    without machines and visitors the program ends (30)
  --listen ADDRESS:PORT   serve the API over TCP too; loopback alone without TLS
  --tls-cert, --tls-key   PEM files for that
  --tls-client-ca FILE    only clients with a certificate of this authority
  --token-file FILE       the token that TCP clients must show
  --detach                go on in the background
  --ready-fd N            tell there when it is ready
  --version, --help
)";

Status bad(const std::string& message) {
  return base::usage_error(message).with_hint("see libdepot-builderd --help");
}

// "120", "0.5"
Result<milliseconds> seconds_of(const std::string& flag, const std::string& text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0) || value > 1e7) {
    return bad(flag + " wants a number of seconds, not '" + text + "'");
  }
  return milliseconds(static_cast<int64_t>(value * 1000));
}

Status check(const DaemonOptions& options) {
  if (options.snapshotter != "overlayfs" && options.snapshotter != "native") {
    return bad("--snapshotter is overlayfs or native, not '" + options.snapshotter + "'");
  }
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    return bad("--tls-cert and --tls-key go together");
  }
  if (!options.tls_client_ca.empty() && options.tls_key.empty()) {
    return bad("--tls-client-ca needs --tls-cert and --tls-key");
  }
  if (!options.listen.empty() && options.token_file.empty()) {
    return bad("--listen needs --token-file: who comes over TCP must show a token");
  }
  if (options.listen.empty() && (!options.token_file.empty() || !options.tls_key.empty())) {
    return bad("--token-file and --tls-* are for --listen");
  }
  return base::ok_status();
}

}  // namespace

std::string_view usage() {
  return kUsage;
}

Result<DaemonOptions> parse_options(const std::vector<std::string>& arguments,
                                    const base::Environment& environment, uid_t uid) {
  DaemonOptions options;
  // Of the program that starts the daemon; flags win.
  options.snapshotter = environment.get_or("LIBDEPOT_SNAPSHOTTER", options.snapshotter);
  if (auto idle = environment.get_or("LIBDEPOT_IDLE_TIMEOUT", ""); !idle.empty()) {
    DEPOT_ASSIGN(options.idle_timeout, seconds_of("LIBDEPOT_IDLE_TIMEOUT", idle));
  }
  const std::map<std::string, std::string*> texts = {
      {"--runtime-dir", &options.runtime_dir},     {"--state-dir", &options.state_dir},
      {"--buildkitd", &options.engine.buildkitd},  {"--runc", &options.engine.runc},
      {"--snapshotter", &options.snapshotter},     {"--listen", &options.listen},
      {"--tls-cert", &options.tls_certificate},    {"--tls-key", &options.tls_key},
      {"--tls-client-ca", &options.tls_client_ca}, {"--token-file", &options.token_file},
  };
  const std::map<std::string, milliseconds*> times = {
      {"--idle-timeout", &options.idle_timeout},
      {"--lease-expiry", &options.lease_expiry},
      {"--exit-after", &options.exit_after},
  };
  const std::map<std::string, bool*> switches = {
      {"--detach", &options.detach}, {"--help", &options.help}, {"--version", &options.version}};
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string flag = arguments[i];
    if (auto found = switches.find(flag); found != switches.end()) {
      *found->second = true;
      continue;
    }
    std::string value;
    bool inlined = false;
    if (size_t equals = flag.find('='); equals != std::string::npos) {
      value = flag.substr(equals + 1);
      flag.resize(equals);
      inlined = true;
    }
    auto text = texts.find(flag);
    auto time = times.find(flag);
    if (text == texts.end() && time == times.end() && flag != "--ready-fd") {
      return bad("unknown argument '" + arguments[i] + "'");
    }
    if (!inlined) {
      if (++i == arguments.size()) return bad(flag + " wants a value");
      value = arguments[i];
    }
    if (text != texts.end()) {
      *text->second = value;
    } else if (time != times.end()) {
      DEPOT_ASSIGN(*time->second, seconds_of(flag, value));
    } else {
      auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), options.ready_fd);
      if (error != std::errc() || end != value.data() + value.size() || options.ready_fd < 3) {
        return bad("--ready-fd wants a descriptor from 3 on, not '" + value + "'");
      }
    }
  }
  if (options.help || options.version) return options;
  DEPOT_TRY(check(options));
  if (options.runtime_dir.empty()) {
    options.runtime_dir = localbuilder::default_runtime_dir(environment, uid);
  }
  if (options.state_dir.empty()) {
    DEPOT_ASSIGN(options.state_dir, localbuilder::default_state_dir(environment, uid));
  }
  if (options.engine.buildkitd.empty() || options.engine.runc.empty()) {
    DEPOT_ASSIGN(localbuilder::Engine found, localbuilder::find_engine("", environment));
    if (options.engine.buildkitd.empty()) options.engine.buildkitd = found.buildkitd;
    if (options.engine.runc.empty()) options.engine.runc = found.runc;
  }
  return options;
}

}  // namespace depot::builderd
