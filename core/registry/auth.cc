#include "registry/auth.h"

#include <string>
#include <utility>

#include "registry/core.h"

namespace depot::registry {

using base::Cancel;
using base::Code;
using base::Hop;
using base::Status;

namespace {

constexpr size_t kMaxScopes = 100, kMaxScopeText = 64 << 10, kMaxService = 4 << 10;
constexpr size_t kMaxQuestion = 64 << 10;  // salt and payload are 32 bytes each

Status check_request(const TokenRequest& request) {
  DEPOT_TRY(check_host(request.host));
  size_t size = 0;
  for (const std::string& scope : request.scopes) size += scope.size();
  if (request.scopes.size() > kMaxScopes || size > kMaxScopeText ||
      request.service.size() > kMaxService) {
    return Status(Code::kResourceExhausted, Hop::kRegistry,
                  "the builder asks for too much at once of registry " + request.host);
  }
  return base::ok_status();
}

class AuthImpl final : public Auth {
 public:
  explicit AuthImpl(AuthOptions options) : core_(Core::create(std::move(options))) {}
  ~AuthImpl() override { core_->close(); }

  void credentials(std::string host, const Cancel& cancel, Done<Credentials> done) override {
    Status valid = check_host(host);
    if (!valid.ok()) return core_->refuse<Credentials>(std::move(done), valid);
    core_->find(host, cancel,
                [core = core_, host, done = std::move(done)](base::Result<Credentials> found) {
                  if (found.ok() && !found->empty()) core->report(host, "");
                  done(std::move(found));
                });
  }

  void login(std::string host, const Cancel& cancel, Done<Credentials> done) override {
    Status valid = check_host(host);
    if (!valid.ok()) return core_->refuse<Credentials>(std::move(done), valid);
    core_->find(host, cancel, std::move(done));
  }

  void fetch_token(TokenRequest request, const Cancel& cancel, Done<Token> done) override {
    Status valid = check_request(request);
    if (!valid.ok()) return core_->refuse<Token>(std::move(done), valid);
    core_->fetch(std::move(request), cancel, std::move(done));
  }

  void token_authority(std::string host, std::string salt, const Cancel& cancel,
                       Done<PublicKey> done) override {
    Status valid = check_question(host, salt, "");
    if (!valid.ok()) return core_->refuse<PublicKey>(std::move(done), valid);
    core_->public_key(host, salt, cancel, std::move(done));
  }

  void verify(std::string host, std::string payload, std::string salt, const Cancel& cancel,
              Done<std::string> done) override {
    Status valid = check_question(host, salt, payload);
    if (!valid.ok()) return core_->refuse<std::string>(std::move(done), valid);
    core_->sign(host, salt, payload, cancel, std::move(done));
  }

 private:
  Status check_question(const std::string& host, const std::string& salt,
                        const std::string& payload) const {
    if (core_->environment().truthy("BUILDKIT_NO_CLIENT_TOKEN")) {
      return Status(Code::kUnavailable, Hop::kRegistry, "client side tokens disabled");
    }
    DEPOT_TRY(check_host(host));
    if (salt.size() > kMaxQuestion || payload.size() > kMaxQuestion) {
      return Status(Code::kResourceExhausted, Hop::kRegistry,
                    "the builder asks too long a question about registry " + host);
    }
    return base::ok_status();
  }

  const std::shared_ptr<Core> core_;
};

}  // namespace

std::shared_ptr<Auth> Auth::create(AuthOptions options) {
  return std::make_shared<AuthImpl>(std::move(options));
}

}  // namespace depot::registry
