// Content.Write: a blob comes in messages, each answered before the next is looked at.
#include <containerd/services/content/v1/content.pb.h>

#include <deque>

#include "session/content.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
namespace proto = ::containerd::services::content::v1;

// The daemon waits for each answer before it goes on; who does not is refused, not stored.
constexpr size_t kMaxWaiting = 16;

void set_time(::google::protobuf::Timestamp* to, const timespec& from) {
  to->set_seconds(from.tv_sec);
  to->set_nanos(static_cast<int32_t>(from.tv_nsec));
}

// What one call writes. The pool's alone, by one task at a time.
class Ingest {
 public:
  explicit Ingest(std::shared_ptr<content::Store> store) : store_(std::move(store)) {}

  // The answer to one message, as containerd's server has it. `*last`: the call is over with it.
  Result<std::string> handle(const proto::WriteContentRequest& request, bool* last) {
    DEPOT_TRY(begin(request));
    if (!request.expected().empty()) expected_ = request.expected();
    if (request.total() > 0) total_ = request.total();

    proto::WriteContentResponse response;
    response.set_action(request.action());
    if (request.action() == proto::STAT) {
      auto status = writer_->status();
      set_time(response.mutable_started_at(), status.started);
      set_time(response.mutable_updated_at(), status.updated);
      response.set_total(total_);
    } else if (request.action() == proto::WRITE || request.action() == proto::COMMIT) {
      DEPOT_TRY(write(request));
    } else {
      return Status(Code::kInvalidArgument, Hop::kSession, "an unknown action of a write");
    }
    response.set_offset(writer_->status().offset);
    if (request.action() == proto::COMMIT) {
      DEPOT_ASSIGN(auto digest, writer_->commit(total_, expected_));
      response.set_digest(digest.text());
      *last = true;
    } else {
      response.set_digest(writer_->digest().text());
    }
    return response.SerializeAsString();
  }

 private:
  Status begin(const proto::WriteContentRequest& request) {
    std::string algorithm = "sha256";
    if (!request.expected().empty()) {
      DEPOT_ASSIGN(auto wanted, content::Digest::parse(request.expected()));
      // Somebody else may have brought it meanwhile. One of another size was cut off: it is
      // written again.
      if (store_->has(wanted, request.total() > 0 ? request.total() : total_)) {
        writer_ = nullptr;
        return Status(Code::kAlreadyExists, Hop::kSession,
                      "blob with expected digest " + wanted.text() + " exists");
      }
      algorithm = wanted.algorithm;
    }
    if (writer_) return {};
    if (request.ref().empty()) {
      return Status(Code::kInvalidArgument, Hop::kSession,
                    "the first message of a write must have a ref");
    }
    if (request.total() < 0 || request.offset() < 0)
      return Status(Code::kInvalidArgument, Hop::kSession, "a write's size is negative");
    DEPOT_ASSIGN(writer_, store_->write(request.ref(), request.total(), algorithm));
    return {};
  }

  Status write(const proto::WriteContentRequest& request) {
    const int64_t at = writer_->status().offset;
    if (request.offset() != 0 && request.offset() != at) {
      return Status(Code::kOutOfRange, Hop::kSession,
                    "write at " + std::to_string(request.offset()) +
                        " must be at the current offset " + std::to_string(at));
    }
    if (request.offset() == 0 && at > 0) DEPOT_TRY(writer_->restart());
    const std::string& data = request.data();
    const int64_t size = writer_->status().offset + static_cast<int64_t>(data.size());
    // Else a peer that never commits could fill the disk with what it said would be small.
    if (total_ > 0 && size > total_) {
      return Status(Code::kFailedPrecondition, Hop::kSession,
                    "a blob of " + std::to_string(total_) + " bytes has " + std::to_string(size) +
                        " or more");
    }
    return writer_->write({reinterpret_cast<const uint8_t*>(data.data()), data.size()});
  }

  const std::shared_ptr<content::Store> store_;
  std::shared_ptr<content::Writer> writer_;
  std::string expected_;
  int64_t total_ = 0;
};

// The loop's side. Outlives its call while a message is on the pool.
class Flow : public std::enable_shared_from_this<Flow> {
 public:
  Flow(std::shared_ptr<ContentContext> context, const std::shared_ptr<http2::Call>& call,
       std::shared_ptr<content::Store> store)
      : context_(std::move(context)),
        call_(call),
        ingest_(std::make_unique<Ingest>(std::move(store))) {}

  void message(std::span<const uint8_t> bytes) {
    auto call = call_.lock();
    if (over_ || !call) return;
    auto request = std::make_shared<proto::WriteContentRequest>();
    Status wrong;
    if (waiting_.size() >= kMaxWaiting)
      wrong = Status(Code::kResourceExhausted, Hop::kSession, "writes do not wait for answers");
    else if (!request->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      wrong = Status(Code::kInvalidArgument, Hop::kSession, "a write cannot be parsed");
    if (!wrong.ok()) {
      call->finish(wrong);
      return end();
    }
    waiting_.push_back(std::move(request));
    // Until it is answered no more than a window comes.
    call->hold(true);
    next();
  }

  void half_close() {
    half_closed_ = true;
    next();
  }

  // No more is wanted of it: the file goes, on the pool.
  void end() {
    over_ = true;
    waiting_.clear();
    if (!busy_) drop();
  }

 private:
  void next() {
    if (busy_ || over_) return;
    auto call = call_.lock();
    if (!call) return;
    if (waiting_.empty()) {
      call->hold(false);
      if (half_closed_) {
        call->finish({});
        end();
      }
      return;
    }
    busy_ = true;
    context_->on_pool([self = shared_from_this(), request = std::move(waiting_.front())] {
      bool last = false;
      auto answer = self->ingest_->handle(*request, &last);
      // Before the answer, since the next writer under this ref may come on its heels.
      if (last || !answer.ok()) self->ingest_ = nullptr;
      self->context_->post(
          [self, answer = std::move(answer), last] { self->answered(answer, last); });
    });
    waiting_.pop_front();
  }

  void answered(const Result<std::string>& answer, bool last) {
    busy_ = false;
    context_->note(answer.status());
    auto call = call_.lock();
    if (call && !over_) {
      if (answer.ok()) call->send(answer.value());
      if (!answer.ok() || last) call->finish(answer.status());
    }
    if (over_ || !answer.ok() || last) return end();
    next();
  }

  void drop() {
    if (ingest_) context_->on_pool([ingest = std::shared_ptr<Ingest>(std::move(ingest_))] {});
  }

  const std::shared_ptr<ContentContext> context_;
  const std::weak_ptr<http2::Call> call_;
  std::unique_ptr<Ingest> ingest_;  // the pool's while busy_
  std::deque<std::shared_ptr<proto::WriteContentRequest>> waiting_;
  bool busy_ = false;
  bool over_ = false;
  bool half_closed_ = false;
};

class Write final : public http2::CallHandler {
 public:
  Write(const std::shared_ptr<http2::Call>& call, const Options& options,
        const std::shared_ptr<ContentContext>& context) {
    auto store = store_of(call->metadata(), options);
    if (!store.ok())
      call->finish(store.status());
    else
      flow_ = std::make_shared<Flow>(context, call, std::move(*store));
  }

  void on_message(std::span<const uint8_t> message) override {
    if (flow_) flow_->message(message);
  }
  void on_half_close() override {
    if (flow_) flow_->half_close();
  }
  void on_end(const Status&) override {
    if (flow_) flow_->end();
  }

 private:
  std::shared_ptr<Flow> flow_;
};

}  // namespace

void add_content_write(http2::GrpcServer& server, const Options& options,
                       const std::shared_ptr<ContentContext>& context) {
  server.add(std::string(wire::kContentWrite),
             [&options, context](auto call) -> std::unique_ptr<http2::CallHandler> {
               auto id = call->metadata().find(kStoreId);
               auto skim = options.skims.find(id ? std::string(*id) : std::string());
               if (skim != options.skims.end()) return skim_write(std::move(call), skim->second);
               return std::make_unique<Write>(call, options, context);
             });
}

}  // namespace depot::session
