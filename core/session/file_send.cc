// FileSend: the daemon streams an export, of a file (oci, docker, tar) into an ExportSink, of a
// directory (local) into a tree (file_send_tree.cc). Both are one method; the export's number tells
// which it is.
#include "session/file_send.h"

#include <charconv>

#include "session/bytes_message.h"
#include "session/services.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Status;

// Absent or unparsable: daemons before 0.13, which have one exporter.
uint32_t export_index(const http2::Call& call) {
  uint32_t id = 0;
  if (auto text = call.metadata().find("buildkit-attachable-exporter-id"))
    std::from_chars(text->data(), text->data() + text->size(), id);
  return id;
}

class Receive final : public http2::CallHandler {
 public:
  Receive(std::shared_ptr<http2::Call> call, uint32_t id, const Options& options, Post post)
      : call_(std::move(call)), on_bytes_(options.on_export_bytes), post_(std::move(post)) {
    auto found = options.sinks.find(id);
    if (found == options.sinks.end()) {
      call_->finish(
          Status(Code::kUnknown, Hop::kSession, "exporter " + std::to_string(id) + " not found"));
      return;
    }
    auto ready = [post = post_, weak = std::weak_ptr<http2::Call>(call_)](Status status) {
      post([weak, status] {
        auto alive = weak.lock();
        if (!alive) return;
        if (status.ok())
          alive->hold(false);
        else
          alive->finish(status);
      });
    };
    if (Status status = found->second->open(std::move(ready)); !status.ok()) {
      call_->finish(status);
      return;
    }
    sink_ = found->second;
  }

  void on_message(std::span<const uint8_t> message) override {
    if (!sink_ || finishing_) return;
    bool room = true;
    bool whole = BytesMessageReader().feed(message, true, [&](std::span<const uint8_t> data) {
      bytes_ += data.size();
      room = sink_->write(data) && room;
    });
    if (!whole) {
      call_->finish(Status(Code::kInternal, Hop::kSession, "an export message cannot be parsed"));
      drop();
    } else if (!room) {
      call_->hold(true);
    }
  }

  void on_half_close() override {
    if (!sink_ || finishing_) return;
    finishing_ = true;
    // The daemon waits for our status: it is given when the bytes are safe, not before.
    sink_->finish([post = post_, weak = std::weak_ptr<http2::Call>(call_)](Status status) {
      post([weak, status] {
        if (auto call = weak.lock()) call->finish(status);
      });
    });
  }

  void on_end(const Status&) override {
    if (!finishing_) drop();
    if (on_bytes_) on_bytes_(bytes_);
  }

 private:
  void drop() {
    if (sink_) sink_->abort();
    sink_ = nullptr;
  }

  std::shared_ptr<http2::Call> call_;
  std::function<void(uint64_t)> on_bytes_;
  Post post_;
  std::shared_ptr<ExportSink> sink_;
  uint64_t bytes_ = 0;
  bool finishing_ = false;
};

}  // namespace

void add_file_send(http2::GrpcServer& server, const Options& options, const Post& post) {
  if (options.sinks.empty() && options.trees.empty()) return;
  server.add(std::string(wire::kFileSendDiffCopy),
             [&options, post](auto call) -> std::unique_ptr<http2::CallHandler> {
               uint32_t index = export_index(*call);
               if (options.trees.contains(index))
                 return receive_tree(std::move(call), index, options, post);
               return std::make_unique<Receive>(std::move(call), index, options, post);
             });
}

}  // namespace depot::session
