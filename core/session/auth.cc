// Auth: the daemon asks for credentials and tokens of registries; registry::Auth decides.
#include <moby/filesync/v1/auth.pb.h>

#include "session/services.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
namespace proto = ::moby::filesync::v1;

// Parses the request, calls `call(request, done)`, and brings the answer back to the session's
// thread: registry::Auth answers on threads of its own.
template <class Request, class Call>
http2::GrpcServer::AsyncUnary method(const Post& post, const OnFailed& failed, Call call) {
  return [post, failed, call = std::move(call)](std::string bytes, const http2::Headers&,
                                                http2::GrpcServer::UnaryDone done) {
    Request request;
    if (!request.ParseFromString(bytes)) {
      done(Status(Code::kInvalidArgument, Hop::kSession, "an auth request cannot be parsed"));
      return;
    }
    call(request, [post, failed, done = std::move(done)](Result<std::string> given) {
      // Shared, for tasks are copied and a password should not be.
      auto answer = std::make_shared<Result<std::string>>(std::move(given));
      post([done, failed, answer] {
        const Status& status = answer->status();
        // Unavailable is what daemons take for "ask me otherwise".
        if (!status.ok() && status.code() != Code::kUnavailable && failed) failed(status);
        done(std::move(*answer));
      });
    });
  };
}

using Done = std::function<void(Result<std::string>)>;

template <class Message>
Result<std::string> encode(const Message& message) {
  return message.SerializeAsString();
}

}  // namespace

void add_auth(http2::GrpcServer& server, const std::shared_ptr<registry::Auth>& auth,
              const Post& post, const OnFailed& failed) {
  server.add_async_unary(
      std::string(wire::kAuthCredentials),
      method<proto::CredentialsRequest>(post, failed, [auth](const auto& request, Done done) {
        auth->credentials(request.host(), base::Cancel::never(),
                          [done = std::move(done)](Result<registry::Credentials> found) {
                            if (!found.ok()) return done(found.status());
                            proto::CredentialsResponse response;
                            response.set_username(found->identity_token ? "" : found->username);
                            response.set_secret(std::string(found->secret.reveal()));
                            auto bytes = encode(response);
                            base::wipe(*response.mutable_secret());
                            done(std::move(bytes));
                          });
      }));
  server.add_async_unary(
      std::string(wire::kAuthFetchToken),
      method<proto::FetchTokenRequest>(post, failed, [auth](const auto& request, Done done) {
        registry::TokenRequest token;
        token.host = request.host();
        token.realm = request.realm();
        token.service = request.service();
        token.scopes.assign(request.scopes().begin(), request.scopes().end());
        auth->fetch_token(std::move(token), base::Cancel::never(),
                          [done = std::move(done)](Result<registry::Token> fetched) {
                            if (!fetched.ok()) return done(fetched.status());
                            proto::FetchTokenResponse response;
                            response.set_token(std::string(fetched->token.reveal()));
                            response.set_expiresin(fetched->expires_in);
                            response.set_issuedat(fetched->issued_at);
                            auto bytes = encode(response);
                            base::wipe(*response.mutable_token());
                            done(std::move(bytes));
                          });
      }));
  server.add_async_unary(
      std::string(wire::kAuthGetTokenAuthority),
      method<proto::GetTokenAuthorityRequest>(post, failed, [auth](const auto& request, Done done) {
        auth->token_authority(request.host(), request.salt(), base::Cancel::never(),
                              [done = std::move(done)](Result<registry::Auth::PublicKey> key) {
                                if (!key.ok()) return done(key.status());
                                proto::GetTokenAuthorityResponse response;
                                response.set_publickey(key->data(), key->size());
                                done(encode(response));
                              });
      }));
  server.add_async_unary(
      std::string(wire::kAuthVerifyTokenAuthority),
      method<proto::VerifyTokenAuthorityRequest>(
          post, failed, [auth](const auto& request, Done done) {
            auth->verify(request.host(), request.payload(), request.salt(), base::Cancel::never(),
                         [done = std::move(done)](Result<std::string> is_signed) {
                           if (!is_signed.ok()) return done(is_signed.status());
                           proto::VerifyTokenAuthorityResponse response;
                           response.set_signed_(*is_signed);
                           done(encode(response));
                         });
          }));
}

}  // namespace depot::session
