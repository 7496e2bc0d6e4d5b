#include "registry/realm_names.h"

#include <algorithm>

#include "registry/address.h"

namespace depot::registry {

namespace {

// "a.b" is "x.a.b"'s, and its own.
bool under(std::string_view host, std::string_view domain) {
  if (host == domain) return true;
  return host.size() > domain.size() && host.substr(host.size() - domain.size()) == domain &&
         host[host.size() - domain.size() - 1] == '.';
}

// Token servers that live elsewhere than their registry: "*" stands for labels, the same ones on
// both sides. Sorted by who runs them.
struct Known {
  std::string_view registry, realm;
};
constexpr Known kKnown[] = {
    {"registry-1.docker.io", "auth.docker.io"},
    {"index.docker.io", "auth.docker.io"},
    {"docker.io", "auth.docker.io"},
    {"ghcr.io", "ghcr.io"},
    {"docker.pkg.github.com", "docker.pkg.github.com"},
    {"gcr.io", "gcr.io"},
    {"*.gcr.io", "gcr.io"},
    {"quay.io", "quay.io"},
    {"public.ecr.aws", "public.ecr.aws"},
    {"registry.gitlab.com", "gitlab.com"},
    {"registry.digitalocean.com", "api.digitalocean.com"},
    {"registry.depot.dev", "api.depot.dev"},
    {"rg.fr-par.scw.cloud", "api.scaleway.com"},
    {"rg.nl-ams.scw.cloud", "api.scaleway.com"},
    {"rg.pl-waw.scw.cloud", "api.scaleway.com"},
    {"registry.*.aliyuncs.com", "dockerauth.*.aliyuncs.com"},
};

bool matches_known(const Known& known, std::string_view registry, std::string_view realm) {
  size_t star = known.registry.find('*');
  if (star == std::string_view::npos) return known.registry == registry && known.realm == realm;
  std::string_view head = known.registry.substr(0, star), tail = known.registry.substr(star + 1);
  if (registry.size() <= head.size() + tail.size() || registry.substr(0, head.size()) != head ||
      registry.substr(registry.size() - tail.size()) != tail) {
    return false;
  }
  std::string_view labels =
      registry.substr(head.size(), registry.size() - head.size() - tail.size());
  std::string expected(known.realm);
  size_t place = expected.find('*');
  if (place != std::string::npos) expected.replace(place, 1, labels);
  return expected == realm;
}

// Names under these belong to different owners.
constexpr std::string_view kShared[] = {
    "aliyuncs.com",
    "amazonaws.com",
    "amazonaws.com.cn",
    "on.aws",
    "awsapprunner.com",
    "cloudfront.net",
    "elasticbeanstalk.com",
    "appspot.com",
    "run.app",
    "web.app",
    "firebaseapp.com",
    "cloudfunctions.net",
    "googleusercontent.com",
    "pkg.dev",
    "azurecr.io",
    "azurecr.cn",
    "azurecr.us",
    "azurewebsites.net",
    "windows.net",
    "azure.com",
    "azurecontainerapps.io",
    "azurecontainer.io",
    "azurefd.net",
    "azureedge.net",
    "jfrog.io",
    "github.io",
    "githubusercontent.com",
    "gitlab.io",
    "herokuapp.com",
    "herokussl.com",
    "netlify.app",
    "vercel.app",
    "now.sh",
    "pages.dev",
    "workers.dev",
    "trycloudflare.com",
    "fly.dev",
    "onrender.com",
    "railway.app",
    "ondigitalocean.app",
    "digitaloceanspaces.com",
    "scw.cloud",
    "oraclecloud.com",
    "ocir.io",
    "ngrok.io",
    "ngrok.app",
    "ngrok.dev",
    "ngrok-free.app",
    "loca.lt",
    "localhost.run",
    "ts.net",
    "sslip.io",
    "nip.io",
    "xip.io",
    "duckdns.org",
    "no-ip.org",
    "ddns.net",
    "dyndns.org",
    "hopto.org",
    "zapto.org",
    "eu.org",
    "us.com",
    "uk.com",
    "de.com",
    "co.com",
    "myshopify.com",
    "blogspot.com",
    "wordpress.com",
    "replit.dev",
    "repl.co",
    "glitch.me",
    "surge.sh",
    "deno.dev",
    "csb.app",
    "gitpod.io",
    "app.github.dev",
    "depot.run",
    "container-registry.com",
    "cloudapp.net",
    "linodeobjects.com",
    "nodebalancer.linode.com",
    "vultrobjects.com",
    "ovh.net",
    "your-server.de",
    "hetzner.cloud",
    "cloudapps.com",
    "openshiftapps.com",
    "civo.com",
    "stackit.cloud",
    "exoscale.com",
};

// Second labels under which country domains sell names.
constexpr std::string_view kSecond[] = {
    "ac",   "ad",   "asn", "asso",   "biz",   "co",   "com",  "conf",  "ed",   "edu",    "ernet",
    "firm", "gen",  "go",  "gob",    "gov",   "gouv", "gr",   "gub",   "id",   "idf",    "ind",
    "inf",  "info", "int", "k12",    "law",   "lg",   "ltd",  "me",    "mil",  "muni",   "ne",
    "net",  "nic",  "nom", "or",     "org",   "plc",  "pro",  "res",   "sch",  "school", "store",
    "tm",   "web",  "nhs", "police", "govt",  "iwi",  "geek", "maori", "kiwi", "priv",   "press",
    "ab",   "bc",   "on",  "qc",     "tokyo", "osaka"};

}  // namespace

bool known_pair(std::string_view registry, std::string_view realm) {
  return std::any_of(std::begin(kKnown), std::end(kKnown),
                     [&](const Known& known) { return matches_known(known, registry, realm); });
}

std::string registrable_domain(std::string_view host) {
  if (reach_of_literal(host)) return "";
  for (std::string_view shared : kShared) {
    if (under(host, shared)) return "";
  }
  size_t last = host.rfind('.');
  if (last == std::string_view::npos || last == 0) return "";
  size_t second = host.rfind('.', last - 1);
  std::string_view label = host.substr(second == std::string_view::npos ? 0 : second + 1,
                                       last - (second == std::string_view::npos ? 0 : second + 1));
  bool country = host.size() - last - 1 == 2;
  bool sells =
      country && std::find(std::begin(kSecond), std::end(kSecond), label) != std::end(kSecond);
  if (!sells) return std::string(second == std::string_view::npos ? host : host.substr(second + 1));
  if (second == std::string_view::npos || second == 0) return "";
  size_t third = host.rfind('.', second - 1);
  return std::string(third == std::string_view::npos ? host : host.substr(third + 1));
}

}  // namespace depot::registry
