#include "registry/realm.h"

#include <netdb.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/signals.h"
#include "registry/realm_names.h"

namespace depot::registry {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace {

constexpr size_t kMaxUrl = 4096;

bool alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

Status refused(const std::string& registry, const Realm& realm, const std::string& reason) {
  return Status(Code::kPermissionDenied, Hop::kRegistry,
                "registry " + registry + " names " + realm.authority +
                    " as its token server, which is refused: " + reason);
}

bool inside(Reach reach) {
  return reach != Reach::kPublic;
}

std::vector<Reach> look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &list) != 0) return {};
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  std::vector<Reach> out;
  for (addrinfo* one = list; one != nullptr; one = one->ai_next) {
    out.push_back(reach_of(*one->ai_addr));
  }
  return out;
}

}  // namespace

Result<HostPort> parse_host(std::string_view text) {
  auto problem = [] {
    return Status(Code::kInvalidArgument, Hop::kRegistry, "not a host name with an optional port");
  };
  HostPort out;
  std::string_view host = text, port;
  if (!text.empty() && text.front() == '[') {
    size_t end = text.find(']');
    if (end == std::string_view::npos) return problem();
    host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (host.empty() || host.find_first_not_of("0123456789abcdefABCDEF:.") != host.npos ||
        !reach_of_literal(host)) {
      return problem();
    }
  } else {
    size_t colon = text.find(':');
    host = text.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    if (!host.empty() && host.back() == '.') host.remove_suffix(1);
    bool plain = std::all_of(host.begin(), host.end(),
                             [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; });
    if (host.empty() || host.size() > 253 || !plain || host.front() == '.' || host.back() == '.' ||
        host.find("..") != std::string_view::npos) {
      return problem();
    }
  }
  out.host = lower(host);
  if (port.empty()) return out;
  if (port.size() < 2 || port.size() > 6 || port.front() != ':') return problem();
  uint32_t number = 0;
  for (char c : port.substr(1)) {
    if (c < '0' || c > '9') return problem();
    number = number * 10 + static_cast<uint32_t>(c - '0');
  }
  if (number == 0 || number > 65535) return problem();
  out.port = static_cast<uint16_t>(number);
  return out;
}

Result<Realm> parse_realm(std::string_view url, std::string_view registry_host) {
  auto problem = [&](const char* reason) {
    return Status(
        Code::kInvalidArgument, Hop::kRegistry,
        "registry " + std::string(registry_host) + " names a token server that " + reason);
  };
  if (url.size() > kMaxUrl) return problem("has a URL of more than 4096 bytes");
  // One reading for this parser and every other: what RFC 3986 allows, and no more.
  bool plain = std::all_of(url.begin(), url.end(), [](char c) {
    return alnum(c) ||
           std::string_view("-._~:/?#[]@!$&'()*+,;=%").find(c) != std::string_view::npos;
  });
  if (!plain) return problem("is no URL");
  Realm realm;
  std::string scheme = lower(url.substr(0, url.find("://")));
  if (url.find("://") == std::string_view::npos || (scheme != "https" && scheme != "http")) {
    return problem("is no http or https URL");
  }
  realm.tls = scheme == "https";
  std::string_view rest = url.substr(scheme.size() + 3);
  if (rest.find('#') != std::string_view::npos) return problem("has a URL with a fragment");
  size_t end = rest.find_first_of("/?");
  std::string_view authority = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  if (authority.find('@') != std::string_view::npos) return problem("has a URL with a user part");
  auto at = parse_host(authority);
  if (!at.ok()) return problem("has no valid host");
  realm.authority = lower(authority);
  realm.at = *at;
  size_t question = rest.find('?');
  realm.path = std::string(rest.substr(0, question));
  if (question != std::string_view::npos) realm.query = std::string(rest.substr(question + 1));
  return realm;
}

std::vector<Reach> resolve_reaches(const std::string& host, const base::Cancel& cancel) {
  // The resolver cannot be interrupted, so it waits on a thread that nobody has to wait for.
  struct Answer {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    std::vector<Reach> reaches;
  };
  auto answer = std::make_shared<Answer>();
  auto resolve = [answer, host] {
    auto reaches = look_up(host);
    std::lock_guard lock(answer->mutex);
    answer->reaches = std::move(reaches);
    answer->done = true;
    answer->changed.notify_all();
  };
  try {
    base::SignalsBlocked blocked;
    std::thread(resolve).detach();
  } catch (const std::system_error&) {
    resolve();  // no thread to be had
  }
  auto registration = cancel.on_trigger([answer] {
    std::lock_guard lock(answer->mutex);
    answer->changed.notify_all();
  });
  std::unique_lock lock(answer->mutex);
  answer->changed.wait(lock, [&] { return answer->done || cancel.triggered(); });
  return answer->reaches;
}

Status check_realm(const std::string& registry_host, const Realm& realm, bool with_password,
                   const RealmRules& rules) {
  DEPOT_ASSIGN(HostPort registry, parse_host(registry_host));
  Reach registry_reach = reach_of_name(registry.host);
  Reach realm_reach = reach_of_name(realm.at.host);
  bool same_host = registry.host == realm.at.host ||
                   (registry_reach == Reach::kLoopback && realm_reach == Reach::kLoopback);
  auto no = [&](const std::string& reason) { return refused(registry_host, realm, reason); };

  // 2. Plain HTTP.
  auto plain = [&](const HostPort& at, const std::string& text) {
    return rules.plain_http_hosts.contains(at.host) || rules.plain_http_hosts.contains(text);
  };
  if (!realm.tls) {
    bool on_loopback = registry_reach == Reach::kLoopback && realm_reach == Reach::kLoopback;
    bool listed = plain(registry, lower(registry_host)) &&
                  (registry.host == realm.at.host || plain(realm.at, realm.authority));
    bool own = !with_password && registry.host == realm.at.host && inside(registry_reach) &&
               registry_reach != Reach::kLinkLocal;
    if (!on_loopback && !listed && !own) return no("it does not use https");
  }

  // 3. Where it leads. A registry's own host needs no second look.
  bool known = known_pair(registry.host, realm.at.host);
  if (!same_host && !known) {
    std::vector<Reach> places = {realm_reach};
    if (!reach_of_literal(realm.at.host) && rules.resolve) {
      for (Reach reach : rules.resolve(realm.at.host)) places.push_back(reach);
    }
    for (Reach place : places) {
      if (place == Reach::kLinkLocal) return no("it has a link-local address");
    }
    auto closed = std::find_if(places.begin(), places.end(), inside);
    if (closed != places.end() && !inside(registry_reach)) {
      std::vector<Reach> own;
      if (rules.resolve) own = rules.resolve(registry.host);
      if (std::none_of(own.begin(), own.end(), inside)) {
        return no("it has a " + std::string(reach_name(*closed)) +
                  " address and the registry a public one");
      }
    }
  }

  // 4. The password.
  if (!with_password || same_host || known) return base::ok_status();
  std::string domain = registrable_domain(registry.host);
  if (!domain.empty() && domain == registrable_domain(realm.at.host)) return base::ok_status();
  if (rules.consent && rules.consent(registry_host, realm.authority)) return base::ok_status();
  return no("nothing ties it to the registry, so it does not get the password")
      .with_hint("if that is its token server, allow it: --allow-realm " + registry_host + "=" +
                 realm.authority + ", or the request's realms");
}

}  // namespace depot::registry
