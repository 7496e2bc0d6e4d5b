#include "progress/log_window.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "progress/cells.h"

namespace depot::progress {
namespace {

// Length of the escape sequence at the start of `text`; 0 when its end is not there yet.
size_t sequence_length(std::string_view text) {
  if (text.size() < 2) return 0;
  if (text[1] == '[') {
    for (size_t i = 2; i < text.size(); ++i)
      if (text[i] >= 0x40 && text[i] <= 0x7e) return i + 1;
    return 0;
  }
  if (text[1] == ']') {
    for (size_t i = 2; i < text.size(); ++i) {
      if (text[i] == '\a') return i + 1;
      if (text[i] == '\x1b' && i + 1 < text.size()) return i + 2;
    }
    return 0;
  }
  if (text[1] >= 0x20 && text[1] <= 0x2f) return text.size() < 3 ? 0 : 3;
  return 2;
}

// Whether `text`, which begins with a byte of UTF-8, may go on in the next piece.
bool cut_character(std::string_view text) {
  auto first = static_cast<unsigned char>(text[0]);
  size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
  if (text.size() >= length) return false;
  return std::all_of(text.begin() + 1, text.end(),
                     [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; });
}

}  // namespace

void LogWindow::write(std::string_view data) {
  std::string joined;
  if (!rest_.empty()) {
    joined = rest_ + std::string(data);
    rest_.clear();
    data = joined;
  }
  for (size_t at = 0; at < data.size();) {
    std::string_view left = data.substr(at);
    auto c = static_cast<unsigned char>(left[0]);
    if (c == 0x1b) {
      size_t length = sequence_length(left);
      if (length == 0 && left.size() < kMaxEscape) {
        rest_ = std::string(left);
        return;
      }
      escape(left.substr(0, length));
      at += std::max<size_t>(length, 1);
    } else if (c < 0x20 || c == 0x7f) {
      control(static_cast<char>(c));
      ++at;
    } else if (cut_character(left)) {
      rest_ = std::string(left);
      return;
    } else {
      put(next_character(data, at));
    }
  }
}

void LogWindow::put(char32_t character) {
  auto cells = static_cast<size_t>(cells_of(character));
  if (cells == 0 || cells > width_) return;
  if (column_ + cells > width_) new_line();
  Line& line = lines_[row_];
  if (line.size() < column_ + cells) line.resize(column_ + cells, U' ');
  // Half of a wide character that is written over goes too.
  if (line[column_] == 0 && column_ > 0) line[column_ - 1] = U' ';
  line[column_] = character;
  if (cells == 2) line[column_ + 1] = 0;
  column_ += cells;
  if (column_ < line.size() && line[column_] == 0) line[column_] = U' ';
}

void LogWindow::new_line() {
  column_ = 0;
  ++row_;
  fit();
}

void LogWindow::fit() {
  while (lines_.size() <= row_) lines_.emplace_back();
  while (lines_.size() > height_) {
    lines_.pop_front();
    row_ -= row_ > 0 ? 1 : 0;
  }
}

void LogWindow::control(char character) {
  if (character == '\n') new_line();
  if (character == '\r') column_ = 0;
  if (character == '\b' && column_ > 0) --column_;
  if (character == '\t') column_ = std::min((column_ / 8 + 1) * 8, width_ - 1);
}

void LogWindow::escape(std::string_view sequence) {
  if (sequence.size() < 3 || sequence[1] != '[') return;
  std::array<size_t, 2> numbers{};
  size_t count = 0;
  std::string_view inner = sequence.substr(2, sequence.size() - 3);
  for (size_t at = 0; at < inner.size() && count < numbers.size(); ++count) {
    for (; at < inner.size() && inner[at] >= '0' && inner[at] <= '9'; ++at)
      numbers[count] =
          std::min<size_t>(numbers[count] * 10 + static_cast<size_t>(inner[at] - '0'), 9999);
    ++at;  // the semicolon
  }
  size_t by = std::max<size_t>(numbers[0], 1);
  Line& line = lines_[row_];
  switch (sequence.back()) {
    case 'A':
      row_ -= std::min(row_, by);
      break;
    case 'B':
      row_ = std::min(row_ + by, lines_.size() - 1);
      break;
    case 'C':
      column_ = std::min(column_ + by, width_ - 1);
      break;
    case 'D':
      column_ -= std::min(column_, by);
      break;
    case 'G':
      column_ = std::min(by, width_) - 1;
      break;
    case 'H':
    case 'f':
      row_ = std::min(by, height_) - 1;
      column_ = std::min(std::max<size_t>(numbers[1], 1), width_) - 1;
      fit();
      break;
    case 'K':
      if (numbers[0] == 0) line.resize(std::min(line.size(), column_));
      if (numbers[0] == 1) std::fill_n(line.begin(), std::min(line.size(), column_ + 1), U' ');
      if (numbers[0] == 2) line.clear();
      break;
    case 'J':
      if (numbers[0] == 0) {
        line.resize(std::min(line.size(), column_));
        for (size_t i = row_ + 1; i < lines_.size(); ++i) lines_[i].clear();
      } else {
        for (size_t i = 0; i < (numbers[0] == 1 ? row_ : lines_.size()); ++i) lines_[i].clear();
      }
      break;
    default:
      break;  // colours and the like
  }
}

void LogWindow::resize(size_t height, size_t width) {
  if (height == height_ && width == width_) return;
  height_ = std::max<size_t>(height, 1);
  width_ = std::max<size_t>(width, 2);
  for (auto& line : lines_) line.resize(std::min(line.size(), width_));
  column_ = std::min(column_, width_ - 1);
  fit();
}

std::vector<std::string> LogWindow::lines() const {
  std::vector<std::string> out;
  for (const auto& line : lines_) {
    std::string text;
    for (char32_t c : line)
      if (c != 0) append_character(text, c);
    text.resize(text.find_last_not_of(' ') + 1);
    if (text.empty()) continue;
    out.push_back(clean(text));
  }
  return out;
}

}  // namespace depot::progress
