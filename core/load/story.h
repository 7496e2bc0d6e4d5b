// The lines of JSON that an Engine writes while it takes an image in. No I/O. Private to the
// module.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "load/loader.h"

namespace depot::load {

class Story {
 public:
  // `tell` hears of layers, not too often; it may be null.
  explicit Story(std::function<void(const Progress&)> tell) : tell_(std::move(tell)) {}

  base::Status feed(std::string_view bytes);
  // That was all: the first error that was told, if there was one.
  base::Status finish();

 private:
  void read_line();
  void tell();

  std::function<void(const Progress&)> tell_;
  std::string line_;
  Progress pending_;
  std::chrono::steady_clock::time_point told_{};
  base::Status failure_;
};

}  // namespace depot::load
