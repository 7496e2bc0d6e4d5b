// FileSend for a directory: the daemon sends fsutil packets on a method declared with BytesMessages
// (protocol.md 3.2), and filesync::Receiver writes what they say.
//
// A daemon of 0.31 or newer promises, by a header, to send the whole result as one tree. Older ones
// send a stream of its own for each platform, side by side, each below a folder of its own.
#include "filesync/receiver.h"
#include "session/file_send.h"
#include "session/services.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Status;

class ReceiverBody final : public http2::BodySource {
 public:
  explicit ReceiverBody(std::shared_ptr<filesync::Receiver> receiver)
      : receiver_(std::move(receiver)) {}

  http2::BodyRead read(std::span<uint8_t> out) override {
    auto fill = receiver_->fill(out);
    switch (fill.state) {
      case filesync::Receiver::kMore:
        return {fill.bytes, http2::BodyState::kMore};
      case filesync::Receiver::kPending:
        return {fill.bytes, http2::BodyState::kPending};
      case filesync::Receiver::kEnd:
        break;
    }
    return {fill.bytes, http2::BodyState::kEnd};
  }

 private:
  std::shared_ptr<filesync::Receiver> receiver_;
};

class ReceiveTree final : public http2::CallHandler {
 public:
  ReceiveTree(std::shared_ptr<http2::Call> call, uint32_t index, const Options& options,
              const Post& post)
      : call_(std::move(call)), index_(index), on_received_(options.on_received) {
    const filesync::TreeOptions& tree = options.trees.at(index);
    bool one_tree = call_->metadata().find("buildkit-exporter-multi-platform").value_or("") == "1";
    if (tree.remove_others && !one_tree) {
      Status lacks(Code::kFailedPrecondition, Hop::kMachine,
                   "this builder cannot do mode=delete: BuildKit can since 0.31");
      tell({}, lacks, false);
      call_->finish(lacks);
      return;
    }
    filesync::ReceiverOptions receiver;
    receiver.tree = tree;
    receiver.pool = options.pool;
    receiver.wake = [this_call = std::weak_ptr<http2::Call>(call_), post, held = held_] {
      post([this_call, held] {
        auto alive = this_call.lock();
        if (!alive) return;
        if (auto release = std::exchange(held->release, nullptr)) release();
        alive->resume();
      });
    };
    receiver_ = filesync::Receiver::start(std::move(receiver));
    call_->stream(std::make_unique<ReceiverBody>(receiver_),
                  [receiver = receiver_] { return receiver->status(); });
  }

  void on_message(std::span<const uint8_t> packet) override {
    if (!receiver_) return;
    (void)receiver_->on_packet(packet);  // what is wrong with it is said next
    received();
  }

  bool on_part(std::span<const uint8_t> bytes, size_t left) override {
    if (!receiver_ || !receiver_->on_part(bytes, left)) return false;
    if (receiver_->status().ok())
      hold_back();  // content is no reason to say anything
    else
      received();
    return true;
  }

  void on_end(const Status& why) override {
    if (!receiver_) return;
    Status status = receiver_->status();
    if (status.ok() && !receiver_->complete())
      status = why.ok() ? Status(Code::kDataLoss, Hop::kSession, "the export broke off") : why;
    tell(receiver_->totals(), status, receiver_->complete());
    receiver_ = nullptr;
  }

 private:
  // The one whom the peer is held back for; shared with the writer's thread's posts alone.
  struct Held {
    std::function<void()> release;
  };

  // Says what there is to say: after a failure ERR, then its status ends the call.
  void received() {
    call_->resume();
    if (receiver_->status().ok()) hold_back();
  }

  void hold_back() {
    if (!receiver_->full() || held_->release) return;
    call_->hold(true);
    held_->release = [weak = std::weak_ptr<http2::Call>(call_),
                      receiver = std::weak_ptr<filesync::Receiver>(receiver_)] {
      if (auto call = weak.lock()) call->hold(false);
    };
  }

  void tell(const filesync::TreeTotals& totals, const Status& status, bool complete) {
    if (on_received_) on_received_({index_, totals, status, complete});
  }

  std::shared_ptr<http2::Call> call_;
  const uint32_t index_;
  std::function<void(const TreeReceived&)> on_received_;
  std::shared_ptr<Held> held_ = std::make_shared<Held>();
  std::shared_ptr<filesync::Receiver> receiver_;
};

}  // namespace

std::unique_ptr<http2::CallHandler> receive_tree(std::shared_ptr<http2::Call> call, uint32_t index,
                                                 const Options& options, const Post& post) {
  return std::make_unique<ReceiveTree>(std::move(call), index, options, post);
}

}  // namespace depot::session
