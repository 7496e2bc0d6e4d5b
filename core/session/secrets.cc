// Secrets: the daemon asks for the bytes behind an id, and gets those of the ids it was promised.
#include "session/secrets.h"

#include <moby/buildkit/secrets/v1/secrets.pb.h>

#include "base/small_file.h"
#include "session/services.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Secret;
using base::Status;
namespace proto = ::moby::buildkit::secrets::v1;

class FixedSecret final : public SecretSource {
 public:
  explicit FixedSecret(std::shared_ptr<const Secret> value) : value_(std::move(value)) {}
  void fetch(Done done) override { done(*value_); }

 private:
  std::shared_ptr<const Secret> value_;
};

class FileSecret final : public SecretSource {
 public:
  FileSecret(std::string path, std::shared_ptr<base::Pool> pool)
      : path_(std::move(path)), pool_(std::move(pool)) {}
  void fetch(Done done) override {
    pool_->add([path = path_, done = std::move(done)] {
      auto read = base::read_small_file(path, kMaxSecret);
      // A file that is gone is a mistake to be told of, not a secret that may be missing.
      if (!read.ok() && read.status().code() == Code::kNotFound) {
        base::Error error = read.status().error();
        error.code = Code::kFailedPrecondition;
        return done(Status(std::move(error)));
      }
      done(std::move(read));
    });
  }

 private:
  std::string path_;
  std::shared_ptr<base::Pool> pool_;
};

std::string encode(const Secret& secret) {
  proto::GetSecretResponse response;
  response.set_data(secret.reveal().data(), secret.size());
  std::string bytes = response.SerializeAsString();
  base::wipe(*response.mutable_data());
  return bytes;
}

}  // namespace

Status secret_too_large(const std::string& id) {
  return Status(Code::kResourceExhausted, Hop::kUsage,
                "secret \"" + id + "\" is larger than " + std::to_string(kMaxSecret) + " bytes")
      .with_hint("BuildKit takes secrets of 500 KiB; more can be a file of a named context");
}

std::shared_ptr<SecretSource> fixed_secret(std::shared_ptr<const Secret> value) {
  return std::make_shared<FixedSecret>(std::move(value));
}

std::shared_ptr<SecretSource> file_secret(std::string path, std::shared_ptr<base::Pool> pool) {
  return std::make_shared<FileSecret>(std::move(path), std::move(pool));
}

void add_secrets(http2::GrpcServer& server, const Options& options, const Post& post) {
  if (options.secrets.empty()) return;
  server.add_async_unary(
      std::string(wire::kSecretsGetSecret),
      [&options, post](const std::string& bytes, const http2::Headers&,
                       http2::GrpcServer::UnaryDone done) {
        proto::GetSecretRequest request;
        if (!request.ParseFromString(bytes)) {
          done(
              Status(Code::kInvalidArgument, Hop::kSession, "a secret's request cannot be parsed"));
          return;
        }
        std::string id = request.id();
        auto found = options.secrets.find(id);
        if (found == options.secrets.end()) {
          done(Status(Code::kNotFound, Hop::kSession, "not found"));
          return;
        }
        found->second->fetch(
            [post, id, done = std::move(done), failed = options.on_failed](Result<Secret> secret) {
              if (secret.ok() && secret->size() > kMaxSecret) secret = secret_too_large(id);
              // Shared, for tasks are copied and a secret should not be.
              auto answer = std::make_shared<Result<Secret>>(std::move(secret));
              post([answer, id, done, failed] {
                if (answer->ok()) return done(encode(**answer));
                Status status = answer->status();
                if (status.code() != Code::kNotFound && status.hop() != Hop::kUsage)
                  status = status.with_prefix("secret \"" + id + "\"");
                if (status.code() != Code::kNotFound && failed) failed(status);
                done(status);
              });
            });
      });
}

}  // namespace depot::session
