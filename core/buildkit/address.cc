#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

#include "buildkit/channel.h"

namespace depot::buildkit {

using base::usage_error;

bool Address::loopback() const {
  if (is_unix || host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return false;
}

base::Result<Address> parse_address(const std::string& text) {
  Address address;
  if (text.find('\0') != std::string::npos) return usage_error("builder address holds a NUL byte");
  if (text.starts_with("unix://")) {
    address.is_unix = true;
    address.path = text.substr(7);
    if (address.path.empty() || address.path[0] != '/')
      return usage_error("builder address '" + text + "': unix:// needs an absolute path");
    if (address.path.size() > 107)  // sun_path
      return usage_error("builder address '" + text + "': socket path is longer than 107 bytes");
    return address;
  }
  if (!text.starts_with("tcp://")) {
    return usage_error("builder address '" + text + "' is not understood")
        .with_hint("use unix:///path/to/buildkitd.sock or tcp://host:port");
  }
  std::string rest = text.substr(6);
  if (!rest.empty() && rest.back() == '/') rest.pop_back();
  size_t colon = rest.rfind(':');
  if (colon == std::string::npos || colon + 1 == rest.size())
    return usage_error("builder address '" + text + "' has no port");
  address.host = rest.substr(0, colon);
  address.port = rest.substr(colon + 1);
  if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']')
    address.host = address.host.substr(1, address.host.size() - 2);
  else if (address.host.find(':') != std::string::npos)
    return usage_error("builder address '" + text + "': an IPv6 host needs [brackets]");
  bool host_ok =
      !address.host.empty() && address.host.size() <= 255 &&
      std::all_of(address.host.begin(), address.host.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
      });
  if (!host_ok) return usage_error("builder address '" + text + "' has no valid host");
  bool port_ok =
      address.port.size() <= 5 && std::all_of(address.port.begin(), address.port.end(),
                                              [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!port_ok || std::stoi(address.port) < 1 || std::stoi(address.port) > 65535)
    return usage_error("builder address '" + text + "' has no valid port");
  return address;
}

}  // namespace depot::buildkit
