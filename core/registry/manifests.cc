#include "registry/manifests.h"

#include <algorithm>
#include <condition_variable>
#include <utility>

#include "base/base64.h"
#include "base/secret.h"
#include "content/digest.h"
#include "registry/address.h"
#include "registry/challenge.h"
#include "registry/realm.h"
#include "registry/token_answer.h"

namespace depot::registry {

using base::Cancel;
using base::Code;
using base::Hop;
using base::Result;
using base::Secret;
using base::Status;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr milliseconds kOne{20000}, kConnect{10000};
constexpr int kRepeats = 3;
constexpr int kRedirects = 5;
constexpr char kAccept[] =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, */*";

bool worth_another_try(int status) {
  return status == 429 || status == 500 || (status >= 502 && status <= 504);
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Names come from canonical ones; nothing else may steer a URL.
bool sound(const std::string& text) {
  return !text.empty() && text.find("..") == std::string::npos &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("/._-:+").find(c) != std::string_view::npos;
         });
}

// Docker Hub's images are called after one host and kept at another.
std::string host_of(const Repository& repository) {
  return repository.host == "docker.io" ? "registry-1.docker.io" : repository.host;
}

// "https://host/any" and a Location of it, which may be a path.
std::string absolute(const std::string& url, const std::string& location) {
  if (!location.starts_with('/')) return location;
  size_t scheme = url.find("://");
  if (location.starts_with("//")) return url.substr(0, scheme + 1) + location;
  return url.substr(0, url.find('/', scheme + 3)) + location;
}

// Waits for one answer that comes on another thread: `cancel` brings it soon.
template <class T, class Ask>
Result<T> wait_for(Ask ask, const Cancel& cancel, Clock::time_point deadline) {
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<T>> answer;
  };
  auto state = std::make_shared<State>();
  Cancel own = cancel.child();
  ask(own, [state](Result<T> answer) {
    std::lock_guard lock(state->mutex);
    state->answer.emplace(std::move(answer));
    state->changed.notify_all();
  });
  std::unique_lock lock(state->mutex);
  auto there = [&] { return state->answer.has_value(); };
  bool late = !state->changed.wait_until(lock, deadline, there);
  if (late) {
    lock.unlock();
    own.trigger();
    lock.lock();
    state->changed.wait(lock, there);
    if (!state->answer->ok() && !cancel.triggered())
      return Status(Code::kDeadlineExceeded, Hop::kRegistry, "no time is left");
  }
  return std::move(*state->answer);
}

Secret basic(const Credentials& login) {
  std::string both = login.username + ":";
  both.append(login.secret.reveal());
  std::string encoded = base::base64_encode(both);
  base::wipe(both);
  std::string value;
  value.reserve(6 + encoded.size());
  value.append("Basic ").append(encoded);
  base::wipe(encoded);
  return Secret::take(std::move(value));
}

}  // namespace

// One call, as far as it does not change on the way.
struct Manifests::Exchange {
  Repository repository;
  std::string what;  // for errors: "manifest app:1 of registry.example"
  std::string method, url, content_type, body;
  bool writes = false;
  size_t max = kMaxManifest;
  Clock::time_point deadline;

  std::string about() const { return (writes ? "cannot push " : "cannot read ") + what; }
  milliseconds left() const {
    return std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
  }
  Status failure(Code code, const std::string& why) const {
    return Status(code, Hop::kRegistry, about() + ": " + why);
  }
  Status refusal(const http::Response& response, const Secret& authorization) const {
    int number = response.status;
    std::string_view value = authorization.reveal();
    size_t blank = value.find(' ');
    if (blank != std::string_view::npos) value.remove_prefix(blank + 1);
    std::string text = "HTTP status " + std::to_string(number);
    if (std::string why = refusal_reason(response.body, {value}); !why.empty()) text += ": " + why;
    std::string log_in = "log in: docker login " + repository.host;
    if (number == 401) return failure(Code::kUnauthenticated, text).with_hint(log_in);
    if (number == 403)
      return failure(Code::kPermissionDenied, text)
          .with_hint(authorization.empty() ? log_in
                                           : "the login for " + repository.host +
                                                 " may lack rights to this repository");
    if (number == 429 || number >= 500)
      return failure(Code::kUnavailable, text).with_retryable(true);
    if (number == 404) return failure(Code::kNotFound, text);
    if (number == 413) return failure(Code::kResourceExhausted, text);
    return failure(number == 400 ? Code::kInvalidArgument : Code::kUnknown, text);
  }
};

bool Manifests::is_plain(const std::string& host) const {
  if (options_.plain_http_hosts.contains(host)) return true;
  auto at = parse_host(host);
  return at.ok() && reach_of_name(at->host) == Reach::kLoopback;
}

Result<http::Response> Manifests::repeated(const Exchange& exchange, const Secret& authorization,
                                           const Cancel& cancel) {
  for (int tried = 0;; ++tried) {
    milliseconds left = exchange.left();
    if (left <= milliseconds(0))
      return exchange.failure(Code::kDeadlineExceeded, "no time is left");
    http::Request request;
    request.method = exchange.method;
    request.url = exchange.url;
    if (!exchange.writes) request.headers.emplace_back("Accept", kAccept);
    if (!exchange.content_type.empty())
      request.headers.emplace_back("Content-Type", exchange.content_type);
    request.body = Secret(exchange.body);
    request.authorization = authorization;
    if (exchange.url.starts_with("http://")) request.version = http::Version::kHttp1;
    request.timeout = std::min(left, kOne);
    request.connect_timeout = std::min(left, kConnect);
    request.max_response = exchange.max;
    auto response = options_.http->fetch(std::move(request), cancel);
    if (cancel.triggered()) return base::cancelled_error();
    bool passing = response.ok() ? worth_another_try(response->status)
                                 : response.status().code() == Code::kUnavailable;
    milliseconds delay = options_.retry_delay * (1 << tried);
    if (passing && response.ok() && response->retry_after())
      delay = std::max(delay, *response->retry_after());
    if (passing && tried < kRepeats && delay < exchange.left()) {
      if (cancel.wait_for(delay)) return base::cancelled_error();
      continue;
    }
    if (response.ok()) return response;
    Status status = response.status();
    Hop hop = status.hop() == Hop::kProxy ? Hop::kProxy : Hop::kRegistry;
    return Status(status.code(), hop, exchange.about() + ": " + status.message())
        .with_hint(status.error().hint)
        .with_retryable(status.error().retryable);
  }
}

Result<http::Response> Manifests::redirected(const Exchange& exchange, http::Response response,
                                             const Cancel& cancel) {
  Exchange next = exchange;
  for (int followed = 0; is_redirect(response.status) && !exchange.writes; ++followed) {
    std::string location = absolute(next.url, response.header("location"));
    bool plain = location.starts_with("http://") && exchange.url.starts_with("http://");
    if (followed == kRedirects || (!plain && !location.starts_with("https://")))
      return exchange.failure(Code::kFailedPrecondition,
                              "it sends its callers to where they cannot follow");
    next.url = location;
    DEPOT_ASSIGN(response, repeated(next, Secret(), cancel));
  }
  return response;
}

Result<Secret> Manifests::log_in(const Exchange& exchange, const http::Response& refusal,
                                 const Cancel& cancel) {
  std::string host = host_of(exchange.repository);
  const Challenge* bearer = nullptr;
  const Challenge* plain = nullptr;
  std::vector<Challenge> challenges;
  for (const auto& [name, value] : refusal.headers) {
    if (name != "www-authenticate") continue;
    for (auto& one : parse_challenges(value)) challenges.push_back(std::move(one));
  }
  for (const auto& one : challenges) {
    if (one.scheme == "bearer" && bearer == nullptr) bearer = &one;
    if (one.scheme == "basic" && plain == nullptr) plain = &one;
  }
  if (bearer != nullptr) {
    TokenRequest request;
    request.host = host;
    request.realm = bearer->field("realm");
    request.service = bearer->field("service");
    request.scopes = {"repository:" + exchange.repository.name +
                      (exchange.writes ? ":pull,push" : ":pull")};
    request.for_builder = false;
    auto token = wait_for<Token>(
        [&](const Cancel& own, Auth::Done<Token> done) {
          options_.auth->fetch_token(request, own, std::move(done));
        },
        cancel, exchange.deadline);
    if (!token.ok()) return token.status().with_prefix(exchange.about());
    std::string value = "Bearer ";
    value.append(token->token.reveal());
    return Secret::take(std::move(value));
  }
  if (plain == nullptr) return exchange.refusal(refusal, Secret());
  auto login = wait_for<Credentials>(
      [&](const Cancel& own, Auth::Done<Credentials> done) {
        options_.auth->login(host, own, std::move(done));
      },
      cancel, exchange.deadline);
  if (!login.ok()) return login.status().with_prefix(exchange.about());
  if (login->secret.empty() || login->username.empty()) return exchange.refusal(refusal, Secret());
  return basic(*login);
}

Result<http::Response> Manifests::run(Exchange exchange, const Cancel& cancel) {
  std::string host = host_of(exchange.repository);
  if (!sound(exchange.repository.name) || !parse_host(host).ok())
    return base::usage_error("'" + exchange.repository.text() + "' is no repository");
  exchange.url = (is_plain(host) ? "http://" : "https://") + host + "/v2/" +
                 exchange.repository.name + exchange.url;
  exchange.deadline = Clock::now() + options_.timeout;
  const Login key{host, exchange.repository.name, exchange.writes};
  Secret authorization;
  {
    std::lock_guard lock(mutex_);
    if (auto known = logins_.find(key); known != logins_.end()) authorization = known->second;
  }
  bool fresh = false;
  for (;;) {
    DEPOT_ASSIGN(auto response, repeated(exchange, authorization, cancel));
    // A token that was good a while ago may have expired: once more with a new one.
    if (response.status != 401 || fresh) {
      DEPOT_ASSIGN(response, redirected(exchange, std::move(response), cancel));
      bool found = exchange.method != "HEAD" || response.status != 404;
      if (found && (response.status < 200 || response.status > 299))
        return exchange.refusal(response, authorization);
      return response;
    }
    fresh = true;
    DEPOT_ASSIGN(authorization, log_in(exchange, response, cancel));
    std::lock_guard lock(mutex_);
    logins_[key] = authorization;
  }
}

namespace {

// "manifest host/app:1" or "manifest host/app@sha256:...".
std::string named(const Repository& repository, const std::string& reference) {
  bool digest = reference.find(':') != std::string::npos;
  return repository.text() + (digest ? "@" : ":") + reference;
}

Status check_digest(const std::string& digest, const std::string& bytes, const std::string& what) {
  DEPOT_ASSIGN(auto wanted, content::Digest::parse(digest));
  content::Hasher hasher(wanted.algorithm);
  hasher.add({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  if (hasher.digest() == wanted) return {};
  return Status(Code::kDataLoss, Hop::kRegistry,
                "cannot read " + what + ": the registry sent bytes of another digest, " +
                    hasher.digest().text());
}

}  // namespace

Result<Manifest> Manifests::get(const Repository& repository, const std::string& reference,
                                const Cancel& cancel) {
  if (!sound(reference)) return base::usage_error("'" + reference + "' is no tag and no digest");
  std::string what = "manifest " + named(repository, reference);
  DEPOT_ASSIGN(
      auto response,
      run({repository, what, "GET", "/manifests/" + reference, "", "", false, kMaxManifest, {}},
          cancel));
  if (reference.find(':') != std::string::npos)
    DEPOT_TRY(check_digest(reference, response.body, what));
  std::string type = response.header("content-type");
  type.resize(std::min(type.find_first_of("; \t"), type.size()));
  std::string digest = content::digest_of(response.body).text();
  return Manifest{std::move(type), std::move(digest), std::move(response.body)};
}

Result<std::optional<std::string>> Manifests::find(const Repository& repository,
                                                   const std::string& reference,
                                                   const Cancel& cancel) {
  if (!sound(reference)) return base::usage_error("'" + reference + "' is no tag and no digest");
  DEPOT_ASSIGN(auto response, run({repository,
                                   "manifest " + named(repository, reference),
                                   "HEAD",
                                   "/manifests/" + reference,
                                   "",
                                   "",
                                   false,
                                   kMaxManifest,
                                   {}},
                                  cancel));
  if (response.status == 404) return std::optional<std::string>();
  if (reference.find(':') != std::string::npos) return std::optional<std::string>(reference);
  return std::optional<std::string>(response.header("docker-content-digest"));
}

Result<std::string> Manifests::blob(const Repository& repository, const std::string& digest,
                                    size_t max_bytes, const Cancel& cancel) {
  DEPOT_TRY(content::Digest::parse(digest).status());
  std::string what = "blob " + named(repository, digest);
  DEPOT_ASSIGN(
      auto response,
      run({repository, what, "GET", "/blobs/" + digest, "", "", false, max_bytes, {}}, cancel));
  DEPOT_TRY(check_digest(digest, response.body, what));
  return std::move(response.body);
}

Status Manifests::put(const Repository& repository, const std::string& reference,
                      const Manifest& manifest, const Cancel& cancel) {
  if (!sound(reference)) return base::usage_error("'" + reference + "' is no tag and no digest");
  auto there = find(repository, reference, cancel);
  if (there.ok() && *there == manifest.digest) return {};
  if (cancel.triggered()) return base::cancelled_error();
  base::log(options_.log, base::LogLevel::kDebug,
            "pushing " + manifest.digest + " as " + named(repository, reference));
  return run({repository,
              named(repository, reference),
              "PUT",
              "/manifests/" + reference,
              manifest.media_type,
              manifest.bytes,
              true,
              kMaxManifest,
              {}},
             cancel)
      .status();
}

}  // namespace depot::registry
