#include "builderd/buildkitd_config.h"

#include <cstdio>
#include <string_view>

namespace depot::builderd {

namespace {

// A TOML basic string.
std::string quote(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

std::string render_config(const BuildkitdConfig& config) {
  const std::string& dir = config.private_dir;
  std::string out =
      "# Written by libdepot-builderd at every start of the machine.\n"
      "root = " +
      quote(config.root) +
      "\n"
      "\n"
      "# The listening socket is handed over, already bound: no port can be taken meanwhile.\n"
      "[grpc]\n"
      "  address = [\"fd://\"]\n"
      "  [grpc.tls]\n"
      "    cert = " +
      quote(dir + "/cert.pem") +
      "\n"
      "    key = " +
      quote(dir + "/key.pem") +
      "\n"
      "    ca = " +
      quote(dir + "/ca.pem") +
      "\n"
      "\n"
      "# The default is one path for the whole host, which machines would take from each other.\n"
      "[otel]\n"
      "  socketPath = " +
      quote(dir + "/otel.sock") +
      "\n"
      "\n"
      "[worker.containerd]\n"
      "  enabled = false\n"
      "\n"
      "# RUN steps share the host's network: it needs neither CNI plugins nor iptables. Garbage "
      "is\n"
      "# collected by BuildKit's own policy, whose bounds are parts of the disk.\n"
      "[worker.oci]\n"
      "  enabled = true\n"
      "  binary = " +
      quote(config.runc) +
      "\n"
      "  snapshotter = " +
      quote(config.snapshotter) +
      "\n"
      "  networkMode = \"host\"\n"
      "  gc = true\n"
      "  defaultCgroupParent = " +
      quote(config.cgroup_parent) + "\n";
  if (!config.platform.empty()) out += "  platforms = [" + quote(config.platform) + "]\n";
  return out;
}

}  // namespace depot::builderd
