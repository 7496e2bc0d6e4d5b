// Content.Write into a Skim. What is kept is small and in memory, so the loop answers by itself.
#include "session/skim.h"

#include <containerd/services/content/v1/content.pb.h>

#include "content/digest.h"
#include "session/content.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
namespace proto = ::containerd::services::content::v1;

constexpr size_t kMaxAll = 16 << 20;
// Of answers that the builder does not take. It waits for each.
constexpr size_t kMaxQueued = 64 << 10;

class SkimWrite final : public http2::CallHandler {
 public:
  SkimWrite(std::shared_ptr<http2::Call> call, std::shared_ptr<Skim> skim)
      : call_(std::move(call)), skim_(std::move(skim)) {}

  void on_message(std::span<const uint8_t> bytes) override {
    if (over_) return;
    proto::WriteContentRequest request;
    Result<std::string> answer = std::string();
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      answer = Status(Code::kInvalidArgument, Hop::kSession, "a write cannot be parsed");
    else
      answer = handle(request);
    if (answer.ok() && call_->queued() > kMaxQueued)
      answer = Status(Code::kResourceExhausted, Hop::kSession, "writes do not wait for answers");
    if (answer.ok()) call_->send(answer.value());
    if (!answer.ok() || over_) {
      over_ = true;
      call_->finish(answer.status());
    }
  }
  void on_half_close() override {
    if (!over_) call_->finish({});
    over_ = true;
  }
  void on_end(const Status&) override { over_ = true; }

 private:
  Result<std::string> handle(const proto::WriteContentRequest& request) {
    if (!request.ref().empty()) ref_ = request.ref();
    if (!request.expected().empty()) expected_ = request.expected();
    if (!Skim::wants(ref_))
      return Status(Code::kAlreadyExists, Hop::kSession, "blob " + expected_ + " exists");
    if (request.total() > Skim::kMaxBlob || blob_.size() + request.data().size() > Skim::kMaxBlob)
      return Status(Code::kResourceExhausted, Hop::kSession, "a manifest is too large");
    if (request.action() == proto::WRITE || request.action() == proto::COMMIT) {
      // Written again from the start, or on from where it is.
      if (request.offset() == 0 && !request.data().empty()) blob_.clear();
      if (!request.data().empty() && request.offset() != static_cast<int64_t>(blob_.size()))
        return Status(Code::kOutOfRange, Hop::kSession, "a write is not at the current offset");
      blob_ += request.data();
    } else if (request.action() != proto::STAT) {
      return Status(Code::kInvalidArgument, Hop::kSession, "an unknown action of a write");
    }
    proto::WriteContentResponse response;
    response.set_action(request.action());
    response.set_offset(static_cast<int64_t>(blob_.size()));
    response.set_total(request.total());
    if (request.action() == proto::COMMIT) {
      std::string digest = content::digest_of(blob_).text();
      response.set_digest(digest);
      if (!expected_.empty() && digest != expected_)
        return Status(Code::kFailedPrecondition, Hop::kSession,
                      "a blob is not what its digest says");
      DEPOT_TRY(skim_->add(digest, std::move(blob_)));
      over_ = true;
    }
    return response.SerializeAsString();
  }

  std::shared_ptr<http2::Call> call_;
  std::shared_ptr<Skim> skim_;
  std::string ref_, expected_, blob_;
  bool over_ = false;
};

}  // namespace

Status Skim::add(const std::string& digest, std::string blob) {
  std::lock_guard lock(mutex_);
  if (size_ + blob.size() > kMaxAll)
    return Status(Code::kResourceExhausted, Hop::kSession, "too many manifests");
  size_ += blob.size();
  blobs_[digest] = std::move(blob);
  return {};
}

std::optional<std::string> Skim::blob(const std::string& digest) const {
  std::lock_guard lock(mutex_);
  auto it = blobs_.find(digest);
  return it == blobs_.end() ? std::nullopt : std::optional<std::string>(it->second);
}

std::unique_ptr<http2::CallHandler> skim_write(std::shared_ptr<http2::Call> call,
                                               std::shared_ptr<Skim> skim) {
  return std::make_unique<SkimWrite>(std::move(call), std::move(skim));
}

}  // namespace depot::session
