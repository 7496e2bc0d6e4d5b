// The last lines of what a step prints, as a small terminal would show them: a progress bar that
// goes back to the start of its line is one line.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace depot::progress {

class LogWindow {
 public:
  LogWindow(size_t height, size_t width) : height_(height), width_(width), lines_(1) {}

  // Cut anywhere.
  void write(std::string_view data);
  void resize(size_t height, size_t width);
  // Clean text, from the top; lines that are blank are left out.
  std::vector<std::string> lines() const;

 private:
  static constexpr size_t kMaxEscape = 64;  // bytes of a sequence that has not ended

  // U+0 is the second cell of a wide character.
  using Line = std::u32string;

  void put(char32_t character);
  void control(char character);
  void escape(std::string_view sequence);
  void new_line();
  void fit();

  size_t height_, width_;
  std::deque<Line> lines_;
  size_t row_ = 0, column_ = 0;
  std::string rest_;  // of a character or a sequence
};

}  // namespace depot::progress
