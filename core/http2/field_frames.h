// Takes the field blocks (HEADERS, CONTINUATION) out of what a server sends, and gives a session of
// nghttp2's short ones for them, so that it goes on knowing which streams begin and end. See
// hpack_decoder.h for why. Private to http2.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/status.h"
#include "http2/frame_writer.h"
#include "http2/hpack_decoder.h"

namespace depot::http2 {

class FieldFrames {
 public:
  struct Block {
    int32_t stream_id = 0;
    bool end_stream = false;
    bool too_large = false;  // `headers` is not all
    Headers headers;
  };
  // What nghttp2 is to see of a block.
  enum class Seen { kResponse, kInformational, kTrailers };
  using Take = std::function<Seen(Block& block)>;
  // False: stop, nothing more is wanted.
  using Pass = std::function<bool(std::span<const uint8_t> bytes)>;

  explicit FieldFrames(size_t max_bytes) : max_bytes_(max_bytes) {}
  // `take` gets each block; `pass` all other frames as they are, and what stands for the blocks.
  base::Status feed(std::span<const uint8_t> bytes, const Take& take, const Pass& pass);

 private:
  base::Status begin_frame();
  base::Status end_frame(const Take& take, const Pass& pass, bool& go_on);

  const size_t max_bytes_;
  HpackDecoder decoder_;
  std::array<uint8_t, kFrameHeader> head_{};
  size_t head_size_ = 0;  // of head_; the whole of it while in a frame
  size_t left_ = 0;       // of the frame's payload
  bool ours_ = false;     // the frame is one of a block
  int32_t stream_id_ = 0;
  uint8_t flags_ = 0;
  // A block that is coming, and where its last frame begins.
  bool in_block_ = false;
  bool end_stream_ = false;
  size_t frame_at_ = 0;
  std::string block_;
};

}  // namespace depot::http2
