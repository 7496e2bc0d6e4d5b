#include "buildkit/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>

namespace depot::buildkit {
namespace {

using base::Result;
using base::Status;
using base::usage_error;

Status bad(const std::string& text, const std::string& why) {
  return usage_error("builder address '" + text + "' " + why);
}

bool only(std::string_view text, std::string_view more) {
  return std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return std::isalnum(c) || more.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

// A name that is an argument of a program: nothing that it could take for an option.
bool is_name(std::string_view text, std::string_view more) {
  return !text.empty() && text.size() <= 255 && text.front() != '-' && only(text, more);
}

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || text.find_first_not_of("0123456789") != text.npos)
    return false;
  int number = std::stoi(std::string(text));
  return number >= 1 && number <= 65535;
}

// What is behind "scheme://", taken apart. Percent-encoding is undone in the query's values alone:
// no name that is allowed needs it.
struct Parts {
  std::string user, host, port, path;
  std::map<std::string, std::string, std::less<>> query;
};

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    auto hex = [&](size_t at) {
      return at < text.size() && std::isxdigit(static_cast<unsigned char>(text[at]));
    };
    if (text[i] != '%') {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    if (!hex(i + 1) || !hex(i + 2)) return std::nullopt;
    out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
    i += 2;
  }
  return out;
}

Result<Parts> split(const std::string& text, const std::vector<std::string_view>& keys) {
  std::string_view rest = text;
  rest.remove_prefix(rest.find("://") + 3);
  Parts parts;
  // First of all: every other complaint has the address in it.
  std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (size_t at = authority.rfind('@'); at != authority.npos && authority.find(':') < at) {
    return usage_error("a builder address with a password in it is refused")
        .with_hint("let the program log in with a key or an agent");
  }
  if (rest.find('#') != rest.npos) return bad(text, "has a fragment (#), which means nothing");
  if (size_t mark = rest.find('?'); mark != rest.npos) {
    std::string_view query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
    while (!query.empty()) {
      size_t end = query.find('&');
      std::string_view pair = query.substr(0, end);
      query = end == query.npos ? std::string_view() : query.substr(end + 1);
      size_t equals = pair.find('=');
      std::string key(pair.substr(0, equals));
      auto value = decoded(equals == pair.npos ? std::string_view() : pair.substr(equals + 1));
      if (std::find(keys.begin(), keys.end(), key) == keys.end())
        return bad(text, "has '" + key + "', which its kind of address does not take");
      if (!value || !parts.query.emplace(key, *value).second)
        return bad(text, "has no valid '" + key + "'");
    }
  }
  if (size_t slash = rest.find('/'); slash != rest.npos) {
    parts.path = rest.substr(slash);
    rest = rest.substr(0, slash);
  }
  if (size_t at = rest.rfind('@'); at != rest.npos) {
    parts.user = rest.substr(0, at);
    if (parts.user.empty()) return bad(text, "has no user before its '@'");
    rest = rest.substr(at + 1);
  }
  if (rest.starts_with('[')) {
    size_t end = rest.find(']');
    if (end == rest.npos) return bad(text, "has a '[' without its ']'");
    parts.host = rest.substr(1, end - 1);
    rest = rest.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return bad(text, "has no valid host");
  } else {
    size_t colon = rest.find(':');
    if (colon != rest.npos && rest.find(':', colon + 1) != rest.npos)
      return bad(text, "has an IPv6 host without [brackets]");
    parts.host = rest.substr(0, colon);
    rest = colon == rest.npos ? std::string_view() : rest.substr(colon);
  }
  if (rest.starts_with(':')) {
    parts.port = rest.substr(1);
    if (!is_port(parts.port)) return bad(text, "has no valid port");
  }
  return parts;
}

Status check_host(const std::string& text, const std::string& host) {
  // Letters and digits of any name, address or zone.
  if (is_name(host, ".-_:%")) return {};
  return bad(text, "has no valid host");
}

Result<Address> unix_address(const std::string& text) {
  Address address;
  address.kind = Address::Kind::kUnix;
  address.path = text.substr(text.find("://") + 3);
  if (!address.path.starts_with('/')) return bad(text, "has no absolute path after unix://");
  if (address.path.size() > 107)  // sun_path
    return bad(text, "has a socket path of more than 107 bytes");
  return address;
}

Result<Address> tcp_address(const std::string& text) {
  Address address;
  DEPOT_ASSIGN(Parts parts, split(text, {}));
  if (!parts.user.empty()) return bad(text, "has no valid host");
  DEPOT_TRY(check_host(text, parts.host));
  if (!parts.path.empty() && parts.path != "/") return bad(text, "has a path");
  if (parts.port.empty()) return bad(text, "has no port");
  address.host = parts.host;
  address.port = parts.port;
  return address;
}

// The program's arguments up to where its container is named.
Address through(std::vector<std::string> command) {
  Address address;
  address.kind = Address::Kind::kProgram;
  address.command = std::move(command);
  return address;
}

Status only_a_name(const std::string& text, const Parts& parts, const char* what) {
  bool alone = parts.user.empty() && parts.port.empty() && parts.path.empty();
  if (alone && is_name(parts.host, "_.-")) return {};
  return bad(text, std::string("has no valid name of a ") + what);
}

constexpr std::string_view kContextCharacters = "_.+-@:/";

Result<Address> container_address(const std::string& text, const std::string& program) {
  std::vector<std::string> command = {program};
  std::vector<std::string_view> keys;
  if (program == "docker") keys = {"context"};
  if (program == "nerdctl") keys = {"namespace"};
  DEPOT_ASSIGN(Parts parts, split(text, keys));
  DEPOT_TRY(only_a_name(text, parts, "container"));
  std::string& context = parts.query["context"];
  if (!only(context, kContextCharacters)) return bad(text, "has no valid context");
  if (!context.empty()) command.push_back("--context=" + context);
  command.emplace_back("exec");
  std::string& space = parts.query["namespace"];
  if (!only(space, "_.-")) return bad(text, "has no valid namespace");
  if (!space.empty()) command.push_back("--namespace=" + space);
  command.insert(command.end(), {"-i", parts.host, "buildctl", "dial-stdio"});
  return through(std::move(command));
}

Result<Address> pod_address(const std::string& text) {
  DEPOT_ASSIGN(Parts parts, split(text, {"context", "namespace", "container"}));
  DEPOT_TRY(only_a_name(text, parts, "pod"));
  std::string& context = parts.query["context"];
  std::string& space = parts.query["namespace"];
  std::string& container = parts.query["container"];
  if (!only(context, kContextCharacters)) return bad(text, "has no valid context");
  for (const std::string& name : {parts.host, space, container}) {
    if (only(name, "-.") &&
        std::none_of(name.begin(), name.end(), [](unsigned char c) { return std::isupper(c); }))
      continue;
    return bad(text, "has '" + name + "', which Kubernetes does not take for a name");
  }
  return through({"kubectl", "--context=" + context, "--namespace=" + space, "exec",
                  "--container=" + container, "-i", parts.host, "--", "buildctl", "dial-stdio"});
}

// `ssh` and its arguments up to the host.
Result<std::vector<std::string>> ssh_command(const std::string& text, const Parts& parts) {
  std::vector<std::string> command = {"ssh"};
  if (!parts.user.empty() && !is_name(parts.user, "_.-+@\\")) return bad(text, "has no valid user");
  DEPOT_TRY(check_host(text, parts.host));
  // What is behind the host is words for a shell there.
  if (!only(parts.path, "/_.-+@:,=~")) return bad(text, "has no valid socket path");
  if (!parts.user.empty()) command.insert(command.end(), {"-l", parts.user});
  if (!parts.port.empty()) command.insert(command.end(), {"-p", parts.port});
  command.insert(command.end(), {"--", parts.host});
  return command;
}

Result<Address> ssh_address(const std::string& text) {
  DEPOT_ASSIGN(Parts parts, split(text, {}));
  DEPOT_ASSIGN(auto command, ssh_command(text, parts));
  command.emplace_back("buildctl");
  if (!parts.path.empty()) command.insert(command.end(), {"--addr", "unix://" + parts.path});
  command.emplace_back("dial-stdio");
  return through(std::move(command));
}

Result<Address> engine_address(const std::string& text) {
  std::string host = text.substr(9);
  Address address;
  if (host.starts_with("?")) {
    DEPOT_ASSIGN(Parts parts, split(text, {"context"}));
    std::string& context = parts.query["context"];
    if (context.empty() || !only(context, kContextCharacters))
      return bad(text, "has no valid context");
    address = through({"docker", "--context=" + context, "system", "dial-stdio"});
  } else if (host.starts_with("unix://")) {
    DEPOT_ASSIGN(address, unix_address(host));
  } else if (host.starts_with("tcp://")) {
    DEPOT_ASSIGN(address, tcp_address(host));
  } else if (host.starts_with("ssh://")) {
    DEPOT_ASSIGN(Parts parts, split(host, {}));
    DEPOT_ASSIGN(auto command, ssh_command(host, parts));
    command.emplace_back("docker");
    if (!parts.path.empty()) command.insert(command.end(), {"--host", "unix://" + parts.path});
    command.insert(command.end(), {"system", "dial-stdio"});
    address = through(std::move(command));
  } else {
    return bad(text, "does not say where the Docker Engine is")
        .with_hint(
            "docker://unix:///path, docker://tcp://host:port, docker://ssh://host or "
            "docker://?context=NAME; `docker` alone is what DOCKER_HOST says");
  }
  address.engine = true;
  return address;
}

}  // namespace

bool Address::loopback() const {
  if (kind == Kind::kUnix || host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return false;
}

static Result<Address> by_scheme(const std::string& text) {
  auto is = [&](std::string_view scheme) { return text.starts_with(scheme); };
  if (is("unix://")) return unix_address(text);
  if (is("tcp://")) return tcp_address(text);
  if (is("docker-container://")) return container_address(text, "docker");
  if (is("podman-container://")) return container_address(text, "podman");
  if (is("nerdctl-container://")) return container_address(text, "nerdctl");
  if (is("kube-pod://")) return pod_address(text);
  if (is("ssh://")) return ssh_address(text);
  if (is("docker://")) return engine_address(text);
  return bad(text, "is not understood");
}

Result<Address> parse_address(const std::string& text) {
  if (text.find('\0') != std::string::npos) return usage_error("builder address holds a NUL byte");
  auto address = by_scheme(text);
  if (address.ok() || !address.status().error().hint.empty()) return address;
  return address.status().with_hint(
      "a builder is auto, local, depot, docker or an address: unix:///path, tcp://host:port, "
      "docker-container://NAME, podman-container://NAME, nerdctl-container://NAME, kube-pod://POD, "
      "ssh://HOST, docker://HOST");
}

}  // namespace depot::buildkit
