// Writes an nghttp2 session's frames into an Output; the bodies of DATA frames are put there by the
// session's own callbacks, while it works. Private to http2.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <string>
#include <vector>

#include "base/status.h"
#include "http2/headers.h"
#include "http2/output.h"

namespace depot::http2 {

constexpr size_t kFrameHeader = 9;

// Names and values stay where they are: `headers` outlives the list.
std::vector<nghttp2_nv> nv_list(const Headers& headers);

class FrameWriter {
 public:
  // Until `out` is full or there is nothing to say. Not ok: the session is dead.
  base::Status produce(nghttp2_session* session, Output& out);
  bool has_left() const { return left_at_ < left_.size(); }

  // The rest only within produce(), which is to say in callbacks.
  bool producing() const { return out_ != nullptr; }
  Output& out() { return *out_; }
  // Of `length` bytes that a DATA frame may have, how many have room; none: NGHTTP2_ERR_PAUSE. A
  // frame is begun only where it fits whole, except in an empty output.
  size_t room_for(size_t length) const;

 private:
  void take_left();

  Output* out_ = nullptr;
  // The end of a control frame that did not fit.
  std::string left_;
  size_t left_at_ = 0;
};

}  // namespace depot::http2
