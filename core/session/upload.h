// Upload: what a build fetches from http://buildkit-session/<id>, which is how a context travels
// that is a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"

namespace depot::session {

class UploadSource {
 public:
  virtual ~UploadSource() = default;
  // read() is about to be called: from here on interrupt() reaches it. Must not block.
  virtual void begin() {}
  // Some of the bytes, in order, at most out.size(); 0: that was all. May block. On pool threads,
  // one call at a time.
  virtual base::Result<size_t> read(std::span<uint8_t> out) = 0;
  // Nobody wants the rest: a read() that blocks returns soon, with an error. Any thread.
  virtual void interrupt() = 0;
};

}  // namespace depot::session
