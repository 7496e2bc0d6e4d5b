// An archive on its way into a store: what is common to an Engine and to a program. Private to the
// module.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "load/feed.h"
#include "load/loader.h"

namespace depot::load {

// How the store is spoken to, on the loader's own thread. Each returns when the store has the whole
// image, when it refuses it, or soon after feed.stop().
base::Status import_into_engine(const Target& target, const Options& options, Feed& feed);
base::Status import_into_program(const Target& target, const Options& options, Feed& feed);

// Sends what comes out of a Feed into a non-blocking socket, framed or as it is.
class Pump {
 public:
  Pump(int fd, Feed& feed, bool chunked) : fd_(fd), feed_(feed), chunked_(chunked) {}
  // Ahead of everything.
  void prepend(std::string bytes) { head_ = std::move(bytes); }

  // As much as goes without waiting. kUnavailable when nobody reads any more.
  base::Status run();
  bool waits_for_room() const { return !head_.empty() || !chunk_.empty() || !tail_.empty(); }
  // All that the feed had, and its end.
  bool done() const { return done_; }

 private:
  bool next();

  int fd_;
  Feed& feed_;
  bool chunked_;
  std::string head_, chunk_, tail_;
  size_t sent_ = 0;  // of the three together
  bool ended_ = false, done_ = false;
};

}  // namespace depot::load
