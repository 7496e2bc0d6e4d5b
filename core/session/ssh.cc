// SSH: the daemon asks whether an id is forwarded, and opens a stream for each connection to it.
#include "session/ssh.h"

#include <moby/sshforward/v1/ssh.pb.h>

#include <algorithm>
#include <cstring>

#include "session/bytes_message.h"
#include "session/services.h"
#include "session/ssh_link.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
namespace proto = ::moby::sshforward::v1;

constexpr size_t kMaxMessage = 1 << 20;  // daemons send 32 KiB
constexpr size_t kPiece = 32 << 10;

Status not_forwarded(const std::string& id) {
  return Status(Code::kUnknown, Hop::kSession, "unset ssh forward key " + id);
}

// What an agent says, as gRPC messages.
class Answers final : public http2::BodySource {
 public:
  Answers(std::shared_ptr<SshLink> link, std::shared_ptr<Status> status)
      : link_(std::move(link)), status_(std::move(status)) {}

  http2::BodyRead read(std::span<uint8_t> out) override {
    size_t written = 0;
    while (written < out.size()) {
      if (offset_ == framed_.size() && !next()) break;
      size_t size = std::min(framed_.size() - offset_, out.size() - written);
      std::memcpy(out.data() + written, framed_.data() + offset_, size);
      offset_ += size;
      written += size;
    }
    if (offset_ < framed_.size()) return {written, http2::BodyState::kMore};
    if (ended_) return {written, http2::BodyState::kEnd};
    return {written, written > 0 ? http2::BodyState::kMore : http2::BodyState::kPending};
  }

 private:
  bool next() {
    if (ended_) return false;
    auto piece = link_->read(kPiece);
    ended_ = piece.end;
    if (ended_) *status_ = piece.status;
    if (piece.bytes.empty()) return false;
    uint8_t header[kBytesMessageHeader];
    write_bytes_message_header(header, piece.bytes.size());
    size_t size = sizeof header + piece.bytes.size();
    framed_.assign(1, '\0');
    for (int shift = 24; shift >= 0; shift -= 8)
      framed_.push_back(static_cast<char>(size >> shift & 0xff));
    framed_.append(reinterpret_cast<const char*>(header), sizeof header);
    framed_ += piece.bytes;
    offset_ = 0;
    return true;
  }

  std::shared_ptr<SshLink> link_;
  std::shared_ptr<Status> status_;
  std::string framed_;
  size_t offset_ = 0;
  bool ended_ = false;
};

class Forward final : public http2::CallHandler {
 public:
  Forward(std::shared_ptr<http2::Call> call, const Options& options, const Post& post)
      : call_(std::move(call)) {
    std::string id(call_->metadata().find("buildkit.ssh.id").value_or("default"));
    if (id.empty()) id = "default";
    auto agent = options.ssh.find(id);
    Status started = agent == options.ssh.end() ? not_forwarded(id) : options.ssh_thread->start();
    if (!started.ok()) {
      call_->finish(started);
      return;
    }
    SshLink::Signals signals;
    auto weak = std::weak_ptr<http2::Call>(call_);
    signals.readable = [post, weak] {
      post([weak] {
        if (auto alive = weak.lock()) alive->resume();
      });
    };
    signals.room = [post, weak] {
      post([weak] {
        if (auto alive = weak.lock()) alive->hold(false);
      });
    };
    link_ =
        std::make_shared<SshLink>(agent->second, options.ssh_thread->loop(), std::move(signals));
    auto status = std::make_shared<Status>();
    call_->stream(
        std::make_unique<Answers>(link_, status), [status, id, log = options.log]() -> Status {
          // The step only sees its connection end.
          if (!status->ok() && status->code() != Code::kCancelled) {
            base::log(log, base::LogLevel::kWarning, "ssh \"" + id + "\": " + status->message());
          }
          return *status;
        });
    link_->begin();
  }

  void on_message(std::span<const uint8_t> message) override {
    if (!link_) return;
    bool room = true;
    bool whole = BytesMessageReader().feed(message, true, [&](std::span<const uint8_t> data) {
      room = link_->write({reinterpret_cast<const char*>(data.data()), data.size()}) && room;
    });
    if (!whole)
      call_->finish(Status(Code::kInternal, Hop::kSession, "an SSH message cannot be parsed"));
    else if (!room)
      call_->hold(true);
  }

  void on_half_close() override {
    if (link_) link_->half_close();
  }

  void on_end(const Status&) override {
    if (link_) link_->abandon();
  }

 private:
  std::shared_ptr<http2::Call> call_;
  std::shared_ptr<SshLink> link_;
};

}  // namespace

void add_ssh(http2::GrpcServer& server, const Options& options, const Post& post) {
  if (options.ssh.empty()) return;
  server.add_unary(
      std::string(wire::kSshCheckAgent),
      [&options](std::span<const uint8_t> bytes, const http2::Headers&) -> Result<std::string> {
        proto::CheckAgentRequest request;
        if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
          return Status(Code::kInvalidArgument, Hop::kSession, "an SSH request cannot be parsed");
        std::string id = request.id().empty() ? "default" : request.id();
        if (!options.ssh.contains(id)) return not_forwarded(id);
        return std::string();
      });
  server.add(
      std::string(wire::kSshForwardAgent),
      [&options, post](auto call) {
        return std::make_unique<Forward>(std::move(call), options, post);
      },
      kMaxMessage);
}

}  // namespace depot::session
