// FileSync: what the daemon asks of a local directory, sent by filesync::Sender.
#include <algorithm>

#include "filesync/sender.h"
#include "session/services.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Status;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Go's url.QueryUnescape; what cannot be decoded becomes empty, as in BuildKit's own client.
std::string query_unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out.push_back(' ');
    } else if (text[i] == '%') {
      if (i + 2 >= text.size()) return {};
      int high = hex_digit(text[i + 1]);
      int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return {};
      out.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool truthy(std::string_view value) {
  constexpr std::string_view kTrue[] = {"1", "t", "T", "true", "TRUE", "True"};
  return std::find(std::begin(kTrue), std::end(kTrue), value) != std::end(kTrue);
}

// REQ and FIN have a few bytes, ERR has a text.
constexpr size_t kMaxPacket = 64 << 10;

class SenderBody final : public http2::BodySource {
 public:
  explicit SenderBody(std::shared_ptr<filesync::Sender> sender) : sender_(std::move(sender)) {}

  http2::BodyRead read(std::span<uint8_t> out) override {
    auto fill = sender_->fill(out);
    return {fill.bytes, body_state(fill.state)};
  }

  http2::BodyLoan lend(size_t max) override {
    auto loan = sender_->lend(max);
    return {std::move(loan.bytes), body_state(loan.state)};
  }

 private:
  static http2::BodyState body_state(filesync::Sender::State state) {
    switch (state) {
      case filesync::Sender::kMore:
        return http2::BodyState::kMore;
      case filesync::Sender::kPending:
        return http2::BodyState::kPending;
      case filesync::Sender::kEnd:
        break;
    }
    return http2::BodyState::kEnd;
  }

  std::shared_ptr<filesync::Sender> sender_;
};

class DiffCopy final : public http2::CallHandler {
 public:
  DiffCopy(std::shared_ptr<http2::Call> call, const Options& options, const Post& post)
      : call_(std::move(call)), on_synced_(options.on_synced) {
    const auto& metadata = call_->metadata();
    totals_.dir_name = std::string(metadata.find("dir-name").value_or(""));
    auto local = options.locals.find(totals_.dir_name);
    auto files = options.files.find(totals_.dir_name);
    if (local == options.locals.end() && files == options.files.end()) {
      call_->finish(Status(Code::kNotFound, Hop::kSession,
                           "no access allowed to dir \"" + totals_.dir_name + "\""));
      return;
    }
    filesync::SenderOptions sender;
    if (local != options.locals.end()) sender.root = local->second;
    if (files != options.files.end()) sender.files = files->second;
    sender.filter.include = metadata_values(metadata, "include-patterns");
    sender.filter.exclude = metadata_values(metadata, "exclude-patterns");
    sender.filter.follow_paths = metadata_values(metadata, "followpaths");
    sender.readers = options.pool;
    sender.walkers = options.walkers;
    sender.log = options.log;
    if (options.record_sent) sender.record = record_ = std::make_shared<filesync::SentRecord>();
    sender.wake = [post, weak = std::weak_ptr<http2::Call>(call_)] {
      post([weak] {
        if (auto alive = weak.lock()) alive->resume();
      });
    };
    auto started = filesync::Sender::start(std::move(sender));
    if (!started.ok()) {
      totals_.status = started.status();
      if (on_synced_) on_synced_(totals_);
      call_->finish(started.status());
      return;
    }
    sender_ = std::move(started).value();
    call_->stream(std::make_unique<SenderBody>(sender_),
                  [sender = sender_] { return sender->status(); });
  }

  void on_message(std::span<const uint8_t> packet) override {
    if (!sender_) return;
    // A refusal ends the exchange: the sender says ERR to the daemon, then its status ends the
    // call.
    Status status = sender_->on_packet(packet);
    if (!status.ok()) {
      call_->finish(status);
      return;
    }
    if (sender_->ending()) call_->resume();
  }

  void on_end(const Status&) override {
    if (!sender_) return;
    auto totals = sender_->totals();
    totals_.stats = totals.stats;
    totals_.files = totals.files;
    totals_.data_bytes = totals.data_bytes;
    totals_.wire_bytes = totals.wire_bytes;
    totals_.status = sender_->status();
    if (record_) totals_.sent = record_->take();
    sender_ = nullptr;
    if (on_synced_) on_synced_(totals_);
  }

 private:
  std::shared_ptr<http2::Call> call_;
  std::shared_ptr<filesync::Sender> sender_;
  std::function<void(const SyncTotals&)> on_synced_;
  std::shared_ptr<filesync::SentRecord> record_;
  SyncTotals totals_;
};

// TarStream must be there, but nobody is to use it.
class Refused final : public http2::CallHandler {
 public:
  explicit Refused(const std::shared_ptr<http2::Call>& call) {
    call->finish(Status(Code::kUnknown, Hop::kSession, "failed to negotiate protocol"));
  }
  void on_message(std::span<const uint8_t>) override {}
};

}  // namespace

std::vector<std::string> metadata_values(const http2::Headers& metadata, std::string_view key) {
  bool encoded = truthy(metadata.find(std::string(key) + "-encoded").value_or(""));
  std::vector<std::string> values;
  for (std::string_view value : metadata.all(key))
    values.push_back(encoded ? query_unescape(value) : std::string(value));
  return values;
}

void add_file_sync(http2::GrpcServer& server, const Options& options, const Post& post) {
  if (options.locals.empty() && options.files.empty()) return;
  server.add(
      std::string(wire::kFileSyncDiffCopy),
      [&options, post](auto call) {
        return std::make_unique<DiffCopy>(std::move(call), options, post);
      },
      kMaxPacket);
  server.add(std::string(wire::kFileSyncTarStream),
             [](auto call) { return std::make_unique<Refused>(call); });
}

}  // namespace depot::session
