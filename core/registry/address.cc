#include "registry/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace depot::registry {

namespace {

struct Block {
  uint32_t network;
  int bits;
  Reach reach;
};

constexpr uint32_t v4(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

// IANA's special-purpose registry: what is not reachable from everywhere.
constexpr Block kBlocks[] = {
    {v4(127, 0, 0, 0), 8, Reach::kLoopback},     {v4(0, 0, 0, 0), 8, Reach::kLoopback},
    {v4(169, 254, 0, 0), 16, Reach::kLinkLocal}, {v4(10, 0, 0, 0), 8, Reach::kPrivate},
    {v4(172, 16, 0, 0), 12, Reach::kPrivate},    {v4(192, 168, 0, 0), 16, Reach::kPrivate},
    {v4(100, 64, 0, 0), 10, Reach::kPrivate},    {v4(192, 0, 0, 0), 24, Reach::kPrivate},
    {v4(192, 0, 2, 0), 24, Reach::kPrivate},     {v4(198, 18, 0, 0), 15, Reach::kPrivate},
    {v4(198, 51, 100, 0), 24, Reach::kPrivate},  {v4(203, 0, 113, 0), 24, Reach::kPrivate},
    {v4(224, 0, 0, 0), 3, Reach::kPrivate},  // multicast and reserved
};

bool ends_with(std::string_view text, std::string_view tail) {
  return text.size() >= tail.size() && text.substr(text.size() - tail.size()) == tail;
}

}  // namespace

std::string_view reach_name(Reach reach) {
  switch (reach) {
    case Reach::kPublic:
      return "public";
    case Reach::kPrivate:
      return "private";
    case Reach::kLinkLocal:
      return "link-local";
    case Reach::kLoopback:
      return "loopback";
  }
  return "unknown";
}

Reach reach_of(const in_addr& address) {
  uint32_t bits = ntohl(address.s_addr);
  for (const Block& block : kBlocks) {
    uint32_t mask = ~uint32_t{0} << (32 - block.bits);
    if ((bits & mask) == block.network) return block.reach;
  }
  return Reach::kPublic;
}

Reach reach_of(const in6_addr& address) {
  const uint8_t* b = address.s6_addr;
  auto embedded = [&](size_t at) {
    in_addr inner;
    std::memcpy(&inner, b + at, sizeof inner);
    return reach_of(inner);
  };
  if (IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_UNSPECIFIED(&address)) return Reach::kLoopback;
  static constexpr uint8_t kNat64[12] = {0x00, 0x64, 0xff, 0x9b};
  if (IN6_IS_ADDR_V4MAPPED(&address) || IN6_IS_ADDR_V4COMPAT(&address)) return embedded(12);
  if (std::memcmp(b, kNat64, sizeof kNat64) == 0) return embedded(12);
  if (b[0] == 0x20 && b[1] == 0x02) return embedded(2);
  if (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) return Reach::kLinkLocal;
  return (b[0] & 0xe0) == 0x20 ? Reach::kPublic : Reach::kPrivate;  // 2000::/3 is all there is
}

Reach reach_of(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in v4_address;
    std::memcpy(&v4_address, &address, sizeof v4_address);
    return reach_of(v4_address.sin_addr);
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 v6_address;
    std::memcpy(&v6_address, &address, sizeof v6_address);
    return reach_of(v6_address.sin6_addr);
  }
  return Reach::kPrivate;
}

std::optional<Reach> reach_of_literal(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  std::string text(host.substr(0, host.find('%')));  // a zone is no part of the address
  if (!text.empty() && text.back() == '.') text.pop_back();
  in6_addr six;
  if (::inet_pton(AF_INET6, text.c_str(), &six) == 1) return reach_of(six);
  in_addr four;
  // inet_aton stops at white space; nothing here holds any.
  if (!text.empty() && ::inet_aton(text.c_str(), &four) == 1) return reach_of(four);
  return std::nullopt;
}

Reach reach_of_name(std::string_view host) {
  if (auto literal = reach_of_literal(host)) return *literal;
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  if (host == "localhost" || ends_with(host, ".localhost")) return Reach::kLoopback;
  if (host.find('.') == std::string_view::npos) return Reach::kPrivate;
  static constexpr std::string_view kInside[] = {".local",     ".internal", ".intranet", ".lan",
                                                 ".home.arpa", ".corp",     ".private"};
  bool inside = std::any_of(std::begin(kInside), std::end(kInside),
                            [&](std::string_view tail) { return ends_with(host, tail); });
  return inside ? Reach::kPrivate : Reach::kPublic;
}

}  // namespace depot::registry
