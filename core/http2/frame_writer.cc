#include "http2/frame_writer.h"

#include <algorithm>
#include <cstring>

namespace depot::http2 {

std::vector<nghttp2_nv> nv_list(const Headers& headers) {
  std::vector<nghttp2_nv> list;
  list.reserve(headers.size());
  for (const auto& header : headers)
    list.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(header.name.data())),
                    reinterpret_cast<uint8_t*>(const_cast<char*>(header.value.data())),
                    header.name.size(), header.value.size(), NGHTTP2_NV_FLAG_NONE});
  return list;
}

size_t FrameWriter::room_for(size_t length) const {
  size_t room = out_->room();
  if (room <= kFrameHeader) return 0;
  room -= kFrameHeader;
  if (room >= length) return length;
  return out_->size() > 0 ? 0 : room;
}

void FrameWriter::take_left() {
  size_t size = std::min(left_.size() - left_at_, out_->room());
  if (size == 0) return;
  std::memcpy(out_->reserve(size), left_.data() + left_at_, size);
  out_->commit(size);
  left_at_ += size;
  if (left_at_ == left_.size()) {
    left_.clear();
    left_at_ = 0;
  }
}

base::Status FrameWriter::produce(nghttp2_session* session, Output& out) {
  base::Status failure;
  out_ = &out;
  take_left();
  while (left_.empty() && out.room() > 0) {
    const uint8_t* frame = nullptr;
    ssize_t size = nghttp2_session_mem_send(session, &frame);
    if (size < 0) {
      failure = base::Status(
          base::Code::kInternal, base::Hop::kSession,
          std::string("HTTP/2 connection: ") + nghttp2_strerror(static_cast<int>(size)));
      break;
    }
    if (size == 0) break;  // nothing to say, or paused for want of room
    left_.assign(reinterpret_cast<const char*>(frame), static_cast<size_t>(size));
    take_left();
  }
  out_ = nullptr;
  return failure;
}

}  // namespace depot::http2
