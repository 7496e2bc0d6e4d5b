// What kind of place an address is: anywhere on the internet, or inside somebody's network. Private
// to the module.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>

namespace depot::registry {

enum class Reach {
  kPublic,
  kPrivate,    // RFC 1918, unique local, shared (CGNAT), benchmarking, documentation, reserved
  kLinkLocal,  // 169.254/16 and fe80::/10: where clouds serve their machine credentials
  kLoopback,   // this machine
};

std::string_view reach_name(Reach reach);

Reach reach_of(const in_addr& address);
// Addresses that carry an IPv4 address (mapped, NAT64, 6to4) count as that one.
Reach reach_of(const in6_addr& address);
Reach reach_of(const sockaddr& address);

// An IP literal, in brackets or not, in every spelling that inet_aton and curl take for IPv4
// ("127.1", "0x7f000001", "2130706433"); nullopt for a name.
std::optional<Reach> reach_of_literal(std::string_view host);

// The same, and names that can only be inside: "localhost", names without a dot, ".local",
// ".internal" and their like. Everything else is public as far as its spelling goes.
Reach reach_of_name(std::string_view host);

}  // namespace depot::registry
