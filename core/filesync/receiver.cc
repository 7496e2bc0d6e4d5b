#include "filesync/receiver.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "filesync/packet.h"

namespace depot::filesync {

using base::Code;
using base::Hop;
using base::Status;

namespace {

constexpr size_t kMaxErrText = 4096;
// Of all entries: ten million of them with names of the usual length have less.
constexpr size_t kMaxPathBytes = size_t{1} << 30;

Status broken(std::string message) {
  return Status(Code::kInternal, Hop::kSession, "export: " + std::move(message));
}

}  // namespace

std::unique_ptr<Receiver> Receiver::start(ReceiverOptions options) {
  std::unique_ptr<Receiver> made(new Receiver(std::move(options)));
  made->writer_ = TreeWriter::start(made->options_.tree, made->options_.pool, made->options_.wake);
  return made;
}

Receiver::~Receiver() {
  if (!fin_received_) writer_->abort();
}

Status Receiver::fail(Status status) {
  if (failure_.ok()) {
    failure_ = std::move(status);
    writer_->abort();
  }
  return failure_;
}

Status Receiver::on_packet(std::span<const uint8_t> bytes) {
  if (!failure_.ok()) return failure_;
  if (fin_received_) return {};  // whatever comes after it means nothing
  if (Status status = decode_packet(bytes, &packet_); !status.ok()) return fail(status);
  switch (packet_.type) {
    case PacketType::kStat:
      if (packet_.has_stat) return on_stat(packet_.stat, bytes);
      if (listed_) return fail(broken("the list ends twice"));
      listed_ = true;
      maybe_finish();
      return {};
    case PacketType::kData:
      return on_data(packet_.id, packet_.data);
    case PacketType::kFin:
      if (!fin_sent_) return fail(broken("the builder ended it before we did"));
      fin_received_ = true;
      return {};
    case PacketType::kErr: {
      std::string text(reinterpret_cast<const char*>(packet_.data.data()),
                       std::min(packet_.data.size(), kMaxErrText));
      err_sent_ = true;  // the peer knows
      return fail(Status(Code::kUnknown, Hop::kSession, "error from sender: " + text));
    }
    case PacketType::kReq:
      return fail(broken("the builder asks for a file of its own"));
  }
  return {};  // packets of kinds to come
}

bool Receiver::on_part(std::span<const uint8_t> bytes, size_t left) {
  if (!in_part_) {
    auto content = content_of(bytes, left);
    if (!content) return false;
    in_part_ = content->id;
    bytes = content->data;
  }
  if (failure_.ok() && !fin_received_) (void)on_content(*in_part_, bytes);
  if (left == 0) in_part_.reset();
  return true;
}

Status Receiver::on_stat(const Stat& stat, std::span<const uint8_t> packet) {
  if (listed_) return fail(broken("an entry after the end of the list"));
  if (files_.size() >= options_.max_entries)
    return fail(
        Status(Code::kResourceExhausted, Hop::kSession,
               "the export has more than " + std::to_string(options_.max_entries) + " entries"));
  path_bytes_ += stat.path.size() + stat.linkname.size();
  if (path_bytes_ > kMaxPathBytes)
    return fail(
        Status(Code::kResourceExhausted, Hop::kSession, "the export has too many long names"));
  if (Status status = validator_.check(stat); !status.ok()) return fail(status);
  if (stat.linkname.find('\0') != std::string::npos)
    return fail(broken("a link with a NUL: " + stat.path));
  auto id = static_cast<uint32_t>(files_.size());
  bool ask = go_mode::is_requestable(stat.mode) && stat.linkname.empty();
  files_.push_back(ask ? File::kAsked : File::kNone);
  if (ask) {
    if (stat.size < 0) return fail(broken("a file of negative size: " + stat.path));
    requests_.push_back(id);
    ++outstanding_;
  }
  writer_->add_entry(id, packet);
  return {};
}

Status Receiver::on_data(uint32_t id, std::span<const uint8_t> data) {
  if (!data.empty()) return on_content(id, data);
  if (id >= files_.size() || files_[id] != File::kAsked)
    return fail(broken("invalid file request " + std::to_string(id)));
  files_[id] = File::kWhole;
  --outstanding_;
  writer_->end_file(id);
  maybe_finish();
  return {};
}

Status Receiver::on_content(uint32_t id, std::span<const uint8_t> data) {
  if (id >= files_.size() || files_[id] != File::kAsked)
    return fail(broken("invalid file request " + std::to_string(id)));
  if (!data.empty()) writer_->add_data(id, data);
  return {};
}

void Receiver::maybe_finish() {
  if (finishing_ || !listed_ || outstanding_ > 0) return;
  finishing_ = true;
  writer_->finish();
}

Receiver::Fill Receiver::fill(std::span<uint8_t> out) {
  size_t done = 0;
  if (failure_.ok()) {
    if (Status status = writer_->status(); !status.ok()) (void)fail(status);
  }
  for (;;) {
    // What is begun is told to its end, also when the exchange has failed meanwhile.
    size_t rest = std::min(out_.size() - out_at_, out.size() - done);
    if (rest > 0) std::memcpy(out.data() + done, out_.data() + out_at_, rest);
    done += rest;
    out_at_ += rest;
    if (out_at_ < out_.size()) return {done, kMore};
    out_.clear();
    out_at_ = 0;
    if (!failure_.ok()) {
      if (err_sent_) return {done, kEnd};
      err_sent_ = true;
      out_ = err_message(failure_.message());
      continue;
    }
    if (fin_received_) return {done, kEnd};
    if (requests_due()) {
      uint8_t message[kMaxShortMessage];
      for (int i = 0; i < 256 && !requests_.empty(); ++i) {
        uint8_t* end = write_short_message(message, PacketType::kReq, requests_.front());
        out_.append(reinterpret_cast<char*>(message), static_cast<size_t>(end - message));
        requests_.pop_front();
      }
      continue;
    }
    if (finishing_ && writer_->finished() && !fin_sent_) {
      uint8_t message[kMaxShortMessage];
      uint8_t* end = write_short_message(message, PacketType::kFin, 0);
      out_.assign(reinterpret_cast<char*>(message), static_cast<size_t>(end - message));
      fin_sent_ = true;
      continue;
    }
    return {done, done > 0 ? kMore : kPending};
  }
}

}  // namespace depot::filesync
