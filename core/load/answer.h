// The answer to one HTTP/1.1 request, read from bytes as they come. No I/O. Private to the module.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace depot::load {

class Answer {
 public:
  // `body` gets the body's bytes; its error ends the reading.
  explicit Answer(std::function<base::Status(std::string_view)> body) : body_(std::move(body)) {}

  // The next bytes; those behind the answer are dropped. kUnavailable for what is no HTTP.
  base::Status feed(std::string_view bytes);
  // There are no more. kUnavailable when the answer is not whole.
  base::Status end();

  // 0 until the head is there.
  int status() const { return status_; }
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State { kHead, kSized, kToEnd, kChunkSize, kChunk, kChunkEnd, kTrailer, kDone };
  base::Status read_head();
  // A line without its end out of line_ and `bytes`; false: not there yet.
  base::Result<bool> read_line(std::string_view& bytes);
  base::Status read_chunk_size();

  std::function<base::Status(std::string_view)> body_;
  State state_ = State::kHead;
  std::string head_, line_;
  int status_ = 0;
  uint64_t left_ = 0;  // of the body, or of the chunk
};

}  // namespace depot::load
