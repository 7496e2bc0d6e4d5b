#include "registry/token_fetch.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string_view>
#include <utility>

#include "base/base64.h"
#include "base/secret.h"
#include "registry/form.h"
#include "registry/token_answer.h"

namespace depot::registry {

using base::Code;
using base::Hop;
using base::Result;
using base::Secret;
using base::Status;
using std::chrono::milliseconds;

namespace {

constexpr size_t kMaxAnswer = 1 << 20;
constexpr int kRetries = 3;
// The whole, below the 60 s that the builder waits; and one exchange of it.
constexpr milliseconds kWhole{50000}, kOne{20000}, kConnect{10000};

bool worth_another_try(int status) {
  return status == 429 || status == 500 || (status >= 502 && status <= 504);
}

// One exchange with the client, which `cancel` ends early.
class Sent {
 public:
  void watch(base::Cancel::Registration registration) {
    std::lock_guard guard(mutex_);
    if (!over_) registration_ = std::move(registration);
  }
  void over() {
    base::Cancel::Registration registration;  // ends after the lock: it may wait for its callback
    std::lock_guard guard(mutex_);
    over_ = true;
    registration = std::move(registration_);
  }

 private:
  std::mutex mutex_;
  bool over_ = false;
  base::Cancel::Registration registration_;
};

// Its steps run one after the other, on whichever thread brings the next.
class Fetch : public std::enable_shared_from_this<Fetch> {
 public:
  Fetch(std::shared_ptr<Shared> shared, TokenPlan plan, base::Cancel cancel,
        std::shared_ptr<Promise<Token>> promise)
      : shared_(std::move(shared)),
        plan_(std::move(plan)),
        cancel_(std::move(cancel)),
        promise_(std::move(promise)),
        deadline_(plan_.clock->now() + kWhole),
        post_(!plan_.credentials.secret.empty()) {}

  void send() {
    if (cancel_.triggered()) return finish(base::cancelled_error());
    milliseconds left = time_left();
    if (left <= milliseconds(0)) return finish(failure(Code::kDeadlineExceeded, "no time is left"));
    http::Request request = post_ ? oauth_request() : get_request();
    request.timeout = std::min(left, kOne);
    request.connect_timeout = std::min(left, kConnect);
    request.max_response = kMaxAnswer;
    if (!plan_.realm.tls) request.version = http::Version::kHttp1;
    auto sent = std::make_shared<Sent>();
    http::Client::CallId id = 0;
    bool open = shared_->with_client([&](http::Client& client) {
      id = client.send(std::move(request),
                       [self = shared_from_this(), sent](Result<http::Response> response) {
                         sent->over();
                         self->answered(std::move(response));
                       });
    });
    if (!open) return finish(base::cancelled_error());
    sent->watch(cancel_.on_trigger([shared = shared_, id] {
      shared->with_client([&](http::Client& client) { client.cancel(id); });
    }));
  }

 private:
  milliseconds time_left() const {
    return std::chrono::duration_cast<milliseconds>(deadline_ - plan_.clock->now());
  }

  std::string url(const std::string& query) const {
    const Realm& realm = plan_.realm;
    return (realm.tls ? "https://" : "http://") + realm.authority +
           (realm.path.empty() ? "/" : realm.path) + (query.empty() ? "" : "?" + query);
  }

  http::Request oauth_request() const {
    const Credentials& login = plan_.credentials;
    Query form;
    std::string scopes;
    for (const std::string& scope : plan_.scopes) scopes += (scopes.empty() ? "" : " ") + scope;
    if (!scopes.empty()) form["scope"] = {std::move(scopes)};
    form["service"] = {plan_.service};
    form["client_id"] = {"buildkit-client"};
    const char* secret = login.username.empty() ? "refresh_token" : "password";
    form["grant_type"] = {secret};
    if (!login.username.empty()) form["username"] = {login.username};
    std::string& copy = form[secret].emplace_back(login.secret.reveal());
    http::Request request;
    request.method = "POST";
    request.url = url(plan_.realm.query);
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
    request.body = Secret::take(encode_query(form));
    base::wipe(copy);
    return request;
  }

  http::Request get_request() const {
    Query query = parse_query(plan_.realm.query);
    if (!plan_.service.empty()) query["service"].push_back(plan_.service);
    for (const std::string& scope : plan_.scopes) query["scope"].push_back(scope);
    http::Request request;
    request.url = url(encode_query(query));
    if (!plan_.credentials.secret.empty()) request.authorization = basic();
    return request;
  }

  Secret basic() const {
    std::string both;
    both.reserve(plan_.credentials.username.size() + 1 + plan_.credentials.secret.size());
    both.append(plan_.credentials.username).append(":").append(plan_.credentials.secret.reveal());
    std::string encoded = base::base64_encode(both);
    base::wipe(both);
    std::string value;
    value.reserve(6 + encoded.size());
    value.append("Basic ").append(encoded);
    base::wipe(encoded);
    return Secret::take(std::move(value));
  }

  void answered(Result<http::Response> response) {
    if (cancel_.triggered()) return finish(base::cancelled_error());
    if (!response.ok()) {
      Status status = response.status();
      if (status.code() == Code::kUnavailable && retry()) return;
      Hop hop = status.hop() == Hop::kProxy ? Hop::kProxy : Hop::kRegistry;
      return finish(Status(status.code(), hop, about() + ": " + status.message())
                        .with_hint(status.error().hint)
                        .with_retryable(status.error().retryable));
    }
    int status = response->status;
    if (worth_another_try(status) && retry()) return;
    bool no_oauth =
        status == 401 || status == 404 || (status == 405 && !plan_.credentials.username.empty());
    if (post_ && no_oauth) {
      post_ = false;
      return send();
    }
    Result<Token> token = status >= 200 && status < 300 ? parse_token(response->body, post_)
                                                        : Result<Token>(refusal(*response));
    base::wipe(response->body);
    if (!token.ok() && token.status().code() == Code::kDataLoss) {
      return finish(token.status().with_prefix(about()));
    }
    finish(std::move(token));
  }

  // On the client's thread, which has the timers. False when there is no more try.
  bool retry() {
    milliseconds delay = plan_.retry_delay * (1 << tried_);
    if (tried_ >= kRetries || delay >= time_left()) return false;
    ++tried_;
    // The timer and the switch race for the next step; both come on the client's thread.
    auto sent = std::make_shared<Sent>();
    auto taken = std::make_shared<std::atomic<bool>>(false);
    auto next = [self = shared_from_this(), sent, taken] {
      if (taken->exchange(true)) return;
      sent->over();
      self->send();  // which looks at the switch first
    };
    bool open =
        shared_->with_client([&](http::Client& client) { client.loop().run_after(delay, next); });
    if (!open) return false;
    sent->watch(cancel_.on_trigger([shared = shared_, weak = weak_from_this(), taken] {
      shared->with_client([&](http::Client& client) {
        client.loop().post([weak, taken] {
          auto self = weak.lock();
          if (self && !taken->exchange(true)) self->finish(base::cancelled_error());
        });
      });
    }));
    return true;
  }

  Status refusal(const http::Response& response) const {
    const Credentials& login = plan_.credentials;
    bool anonymous = login.secret.empty();
    int number = response.status;
    Secret header = anonymous ? Secret() : basic();
    std::string_view encoded = header.reveal().substr(std::min<size_t>(6, header.size()));
    std::string reason = refusal_reason(response.body, {login.secret.reveal(), encoded});
    std::string text = "HTTP status " + std::to_string(number);
    if (!reason.empty()) text += ": " + reason;
    std::string log_in = "log in: docker login " + plan_.host;
    if (number == 401 && anonymous) {
      return failure(Code::kUnauthenticated, "it gives no token without a login (" + text + ")")
          .with_hint(log_in);
    }
    if (number == 401) {
      return failure(Code::kUnauthenticated, "it does not accept the login (" + text + ")")
          .with_hint("the password or token may have expired; " + log_in);
    }
    if (number == 403) {
      return failure(Code::kPermissionDenied, "it does not allow this (" + text + ")")
          .with_hint(anonymous ? log_in
                               : "the login for " + plan_.host + " may lack rights to " +
                                     "what the build pulls or pushes");
    }
    if (number >= 300 && number < 400) {
      return failure(Code::kFailedPrecondition,
                     "it sends its callers elsewhere, which is not followed (" + text + ")");
    }
    if (number == 429 || number >= 500) return failure(Code::kUnavailable, text);
    return failure(number == 404 ? Code::kNotFound : Code::kUnknown, text);
  }

  std::string about() const {
    return std::string("cannot fetch a") + (plan_.credentials.secret.empty() ? "n anonymous" : "") +
           " token of registry " + plan_.host + " from " + plan_.realm.authority;
  }
  Status failure(Code code, const std::string& reason) const {
    return Status(code, Hop::kRegistry, about() + ": " + reason);
  }

  void finish(Result<Token> result) { promise_->settle(std::move(result)); }

  const std::shared_ptr<Shared> shared_;
  const TokenPlan plan_;
  const base::Cancel cancel_;
  const std::shared_ptr<Promise<Token>> promise_;
  const std::chrono::steady_clock::time_point deadline_;
  bool post_;  // the next exchange is the OAuth one
  int tried_ = 0;
};

}  // namespace

void start_token_fetch(std::shared_ptr<Shared> shared, TokenPlan plan, const base::Cancel& cancel,
                       std::shared_ptr<Promise<Token>> promise) {
  std::make_shared<Fetch>(std::move(shared), std::move(plan), cancel, std::move(promise))->send();
}

}  // namespace depot::registry
