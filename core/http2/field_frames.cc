#include "http2/field_frames.h"

#include <algorithm>
#include <cstring>

namespace depot::http2 {
namespace {

using base::Code;
using base::Hop;
using base::Status;

constexpr uint8_t kHeaders = 1, kContinuation = 9;
constexpr uint8_t kEndStream = 0x1, kEndHeaders = 0x4, kPadded = 0x8, kPriority = 0x20;
// SETTINGS_MAX_FRAME_SIZE, of which we say nothing.
constexpr size_t kMaxFrame = 16384;

Status broken(const char* what) {
  return Status(Code::kInternal, Hop::kSession, what);
}

// Fields that use no table, in nghttp2's or anybody's.
std::string_view stand_in(FieldFrames::Seen seen) {
  using namespace std::string_view_literals;
  switch (seen) {
    case FieldFrames::Seen::kResponse:
      return "\x88"sv;  // :status 200
    case FieldFrames::Seen::kInformational:
      return "\x08\x03"
             "100"sv;  // :status 100
    case FieldFrames::Seen::kTrailers:
      break;
  }
  return "\x00\x01x\x01x"sv;
}

}  // namespace

Status FieldFrames::begin_frame() {
  left_ = static_cast<size_t>(head_[0]) << 16 | static_cast<size_t>(head_[1]) << 8 | head_[2];
  uint8_t type = head_[3];
  int32_t id = static_cast<int32_t>(static_cast<uint32_t>(head_[5] & 0x7f) << 24 |
                                    static_cast<uint32_t>(head_[6]) << 16 |
                                    static_cast<uint32_t>(head_[7]) << 8 | head_[8]);
  if (in_block_ && (type != kContinuation || id != stream_id_))
    return broken("a frame between those of a field block");
  ours_ = type == kHeaders || in_block_;
  if (!ours_) return {};  // whatever is wrong with it is nghttp2's to say
  if (left_ > kMaxFrame) return broken("a frame that is too large");
  // Compressed they are no longer than that.
  if (block_.size() + left_ > max_bytes_) return broken("a field block that is too large");
  flags_ = head_[4];
  frame_at_ = block_.size();
  if (type == kHeaders) {
    if (id == 0) return broken("a field block without a stream");
    stream_id_ = id;
    end_stream_ = (flags_ & kEndStream) != 0;
    in_block_ = true;
  }
  return {};
}

Status FieldFrames::end_frame(const Take& take, const Pass& pass, bool& go_on) {
  head_size_ = 0;
  if (!ours_) return {};
  if (head_[3] == kHeaders) {
    // Around the fields may be padding, and a priority before them.
    std::string_view frame = std::string_view(block_).substr(frame_at_);
    size_t front = 0, back = 0;
    if ((flags_ & kPadded) != 0) {
      if (frame.empty()) return broken("a frame without its padding");
      back = static_cast<uint8_t>(frame[0]);
      front = 1;
    }
    if ((flags_ & kPriority) != 0) front += 5;
    if (front + back > frame.size()) return broken("a frame of padding alone");
    block_.resize(block_.size() - back);
    block_.erase(frame_at_, front);
  }
  if ((flags_ & kEndHeaders) == 0) return {};
  in_block_ = false;
  Block block;
  block.stream_id = stream_id_;
  block.end_stream = end_stream_;
  Status status = decoder_.decode({reinterpret_cast<const uint8_t*>(block_.data()), block_.size()},
                                  max_bytes_, block.headers, block.too_large);
  block_ = std::string();
  if (!status.ok()) return status;
  std::string_view fields = stand_in(take(block));
  std::array<uint8_t, kFrameHeader + 8> frame;
  auto id = static_cast<uint32_t>(stream_id_);
  frame = {0,
           0,
           static_cast<uint8_t>(fields.size()),
           kHeaders,
           static_cast<uint8_t>(kEndHeaders | (end_stream_ ? kEndStream : 0)),
           static_cast<uint8_t>(id >> 24),
           static_cast<uint8_t>(id >> 16),
           static_cast<uint8_t>(id >> 8),
           static_cast<uint8_t>(id)};
  std::copy(fields.begin(), fields.end(), frame.begin() + kFrameHeader);
  go_on = pass({frame.data(), kFrameHeader + fields.size()});
  return {};
}

Status FieldFrames::feed(std::span<const uint8_t> bytes, const Take& take, const Pass& pass) {
  // Frames that are passed on go together, as they lie.
  size_t from = 0, at = 0;
  bool go_on = true;
  auto pass_until = [&](size_t end) {
    if (end > from) go_on = pass(bytes.subspan(from, end - from));
    from = end;
  };
  while (go_on && at < bytes.size()) {
    if (head_size_ < kFrameHeader) {
      size_t part = std::min(kFrameHeader - head_size_, bytes.size() - at);
      std::memcpy(head_.data() + head_size_, bytes.data() + at, part);
      bool cut = part < kFrameHeader;  // it began in an earlier piece, or ends in a later one
      size_t begin = at;
      head_size_ += part;
      at += part;
      if (head_size_ < kFrameHeader) {
        pass_until(begin);
        from = at;  // kept in head_
        break;
      }
      if (Status status = begin_frame(); !status.ok()) {
        pass_until(begin);
        return status;
      }
      if (ours_) {
        pass_until(begin);
        from = at;
      } else if (cut) {
        from = at;
        go_on = pass(head_);
      }
    } else {
      size_t part = std::min(left_, bytes.size() - at);
      if (ours_) {
        block_.append(reinterpret_cast<const char*>(bytes.data()) + at, part);
        from = at + part;
      }
      left_ -= part;
      at += part;
    }
    if (go_on && head_size_ == kFrameHeader && left_ == 0) DEPOT_TRY(end_frame(take, pass, go_on));
  }
  if (go_on) pass_until(at);
  return {};
}

}  // namespace depot::http2
