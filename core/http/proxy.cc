#include "http/proxy.h"

#include <arpa/inet.h>
#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <iterator>
#include <memory>

namespace depot::http {
namespace {

std::string lower(std::string_view text) {
  std::string copy(text);
  std::transform(copy.begin(), copy.end(), copy.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return copy;
}

struct Address {
  int size = 0;  // bytes: 4, 16, or 0 for no address
  std::array<unsigned char, 16> bytes{};
};

Address address_of(std::string_view text) {
  Address address;
  std::string copy(text);
  if (inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1)
    address.size = 4;
  else if (inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1)
    address.size = 16;
  return address;
}

bool same_block(const Address& a, const Address& b, int bits) {
  if (a.size != b.size || bits < 0 || bits > a.size * 8) return false;
  size_t whole = static_cast<size_t>(bits / 8);
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + whole, b.bytes.begin())) return false;
  int rest = bits % 8;
  return rest == 0 || (a.bytes[whole] ^ b.bytes[whole]) >> (8 - rest) == 0;
}

bool address_matches(const Address& host, std::string_view pattern) {
  size_t slash = pattern.find('/');
  Address block = address_of(pattern.substr(0, slash));
  if (block.size == 0) return false;
  int bits = block.size * 8;
  if (slash != std::string_view::npos) {
    std::string_view text = pattern.substr(slash + 1);
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
    if (error != std::errc() || end != text.data() + text.size()) return false;
  }
  return same_block(host, block, bits);
}

bool name_matches(std::string_view host, std::string pattern) {
  while (!pattern.empty() && pattern.front() == '.') pattern.erase(0, 1);
  while (!pattern.empty() && pattern.back() == '.') pattern.pop_back();
  if (pattern.empty()) return false;
  if (host == pattern) return true;
  return host.size() > pattern.size() && host.ends_with(pattern) &&
         host[host.size() - pattern.size() - 1] == '.';
}

std::string first_of(const base::Environment& environment,
                     std::initializer_list<std::string_view> names) {
  for (std::string_view name : names)
    if (std::string value = environment.get_or(name, ""); !value.empty()) return value;
  return "";
}

}  // namespace

bool exempt_from_proxy(std::string_view host_text, std::string_view no_proxy) {
  std::string host = lower(host_text);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  while (!host.empty() && host.back() == '.') host.pop_back();
  Address address = address_of(host);
  size_t at = 0;
  while (at < no_proxy.size()) {
    size_t end = std::min(no_proxy.find_first_of(", \t", at), no_proxy.size());
    std::string pattern = lower(no_proxy.substr(at, end - at));
    at = end + 1;
    if (pattern.empty()) continue;
    if (pattern == "*") return true;
    if (pattern.size() > 1 && pattern.front() == '[' && pattern.back() == ']')
      pattern = pattern.substr(1, pattern.size() - 2);
    if (address.size ? address_matches(address, pattern) : name_matches(host, pattern)) return true;
  }
  return false;
}

base::Status check_proxy(const std::string& proxy) {
  auto refuse = [](const std::string& why) {
    return base::Status(base::Code::kInvalidArgument, base::Hop::kUsage,
                        "the proxy's URL cannot be used: " + why)
        .with_hint(
            "it is http://host:port or http://user:password@host:port (or https, socks5h); special "
            "characters in a password are percent-encoded (/ is %2F)");
  };
  if (proxy.find('\0') != std::string::npos) return refuse("it holds a zero byte");
  std::string whole = proxy.find("://") == std::string::npos ? "http://" + proxy : proxy;
  std::unique_ptr<CURLU, void (*)(CURLU*)> url(curl_url(), curl_url_cleanup);
  if (!url) return base::Status(base::Code::kResourceExhausted, base::Hop::kLocal, "out of memory");
  if (CURLUcode rc =
          curl_url_set(url.get(), CURLUPART_URL, whole.c_str(), CURLU_NON_SUPPORT_SCHEME);
      rc != CURLUE_OK)
    return refuse(curl_url_strerror(rc));
  auto part = [&](CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(url.get(), which, &text, 0) != CURLUE_OK) return std::string();
    std::string copy(text);
    curl_free(text);
    return copy;
  };
  static constexpr std::string_view kSchemes[] = {"http",    "https",  "socks",  "socks4",
                                                  "socks4a", "socks5", "socks5h"};
  std::string scheme = lower(part(CURLUPART_SCHEME));
  if (std::find(std::begin(kSchemes), std::end(kSchemes), scheme) == std::end(kSchemes))
    return refuse("it begins with none of http://, https://, socks4a:// and socks5h://");
  // A password with a slash ends the host before it: half of it would be looked up as a name. (For
  // SOCKS a path is that of a Unix socket.)
  std::string path = part(CURLUPART_PATH);
  bool tail = !part(CURLUPART_QUERY).empty() || !part(CURLUPART_FRAGMENT).empty() ||
              (scheme.starts_with("http") && !path.empty() && path != "/");
  if (tail) return refuse("something comes after the host");
  return base::ok_status();
}

std::string proxy_for(const Url& url, const std::string& chosen,
                      const base::Environment& environment) {
  std::string proxy = chosen;
  if (proxy.empty()) {
    proxy = url.https ? first_of(environment, {"https_proxy", "HTTPS_PROXY"})
                      : first_of(environment, {"http_proxy"});
  }
  if (proxy.empty()) proxy = first_of(environment, {"all_proxy", "ALL_PROXY"});
  if (proxy.empty()) return "";
  return exempt_from_proxy(url.host, first_of(environment, {"no_proxy", "NO_PROXY"})) ? "" : proxy;
}

}  // namespace depot::http
