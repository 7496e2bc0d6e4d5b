#include "solve/tar_check.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Status;

constexpr size_t kNameSize = 100;
constexpr size_t kSizeAt = 124, kSizeSize = 12;
constexpr size_t kChecksumAt = 148, kChecksumSize = 8;
constexpr size_t kTypeAt = 156;
constexpr size_t kMagicAt = 257;
constexpr size_t kPrefixAt = 345, kPrefixSize = 155;
constexpr size_t kExtendedAt = 482, kMoreAt = 504;  // of sparse files' headers
constexpr size_t kMaxExtended = 1 << 20;
constexpr uint64_t kMaxSize = uint64_t{1} << 60;

std::string_view text_at(std::span<const uint8_t> block, size_t at, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(block.data()) + at, size);
  return text.substr(0, text.find('\0'));
}

// Octal digits among blanks and zeros, or with its first bit set a number of base 256. -1: neither.
int64_t number_at(std::span<const uint8_t> block, size_t at, size_t size) {
  uint64_t value = 0;
  if ((block[at] & 0x80) != 0) {
    if ((block[at] & 0x40) != 0) return -1;  // below zero
    for (size_t i = 0; i < size; ++i) {
      if (value > kMaxSize >> 8) return -1;
      value = value << 8 | (i == 0 ? block[at] & 0x3f : block[at + i]);
    }
    return value > kMaxSize ? -1 : static_cast<int64_t>(value);
  }
  std::string_view text(reinterpret_cast<const char*>(block.data()) + at, size);
  size_t first = text.find_first_not_of(std::string_view(" \0", 2));
  if (first == text.npos) return 0;
  text.remove_prefix(first);
  text = text.substr(0, text.find_first_of(std::string_view(" \0", 2)));
  for (char c : text) {
    if (c < '0' || c > '7') return -1;
    value = value << 3 | static_cast<uint64_t>(c - '0');
  }
  return static_cast<int64_t>(value);
}

bool has_no_content(char type) {
  return type >= '1' && type <= '6';
}

}  // namespace

bool is_tar_header(std::span<const uint8_t> block) {
  if (block.size() < kTarBlock) return false;
  int64_t stored = number_at(block, kChecksumAt, kChecksumSize);
  int64_t plain = 0, with_sign = 0;
  for (size_t i = 0; i < kTarBlock; ++i) {
    bool field = i >= kChecksumAt && i < kChecksumAt + kChecksumSize;
    plain += field ? ' ' : block[i];
    with_sign += field ? ' ' : static_cast<int8_t>(block[i]);
  }
  return stored > 0 && (stored == plain || stored == with_sign);
}

bool is_tar_prelude(std::span<const uint8_t> block) {
  char type = static_cast<char>(block[kTypeAt]);
  return type == 'x' || type == 'L' || type == 'K';
}

Status TarCheck::bad(const std::string& why) const {
  return Status(Code::kDataLoss, Hop::kLocal, "the context is no whole tar: " + why);
}

Status TarCheck::feed(std::span<const uint8_t> bytes) {
  while (!bytes.empty() && !done_) {
    size_t take;
    if (left_ > 0) {
      take = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
      body(bytes.first(take));
      left_ -= take;
    } else {
      take = std::min(kTarBlock - filled_, bytes.size());
      std::memcpy(block_ + filled_, bytes.data(), take);
      filled_ += take;
    }
    offset_ += take;
    bytes = bytes.subspan(take);
    if (left_ == 0 && filled_ == kTarBlock) {
      filled_ = 0;
      DEPOT_TRY(header());
    }
  }
  return Status();
}

Status TarCheck::header() {
  std::span<const uint8_t> block(block_);
  if (more_headers_) {
    more_headers_ = block[kMoreAt] != 0;
    if (!more_headers_) {
      left_ = content_ == 0 ? 0 : (content_ + kTarBlock - 1) / kTarBlock * kTarBlock;
    }
    return Status();
  }
  if (std::all_of(block.begin(), block.end(), [](uint8_t c) { return c == 0; })) {
    done_ = zeros_;
    zeros_ = true;
    return Status();
  }
  std::string at = std::to_string(offset_ - kTarBlock);
  if (zeros_) return bad("there is data behind its end, at byte " + at);
  if (!is_tar_header(block)) {
    return bad("no entry begins at byte " + at + ", where the " + std::to_string(size_) +
               " bytes that " + name_ + " says it has end");
  }
  int64_t size = number_at(block, kSizeAt, kSizeSize);
  type_ = static_cast<char>(block[kTypeAt]);
  bool of_next = type_ == 'x' || type_ == 'L' || type_ == 'K' || type_ == 'g';
  std::string name(text_at(block, 0, kNameSize));
  if (std::memcmp(block_ + kMagicAt, "ustar\0", 6) == 0) {
    auto prefix = text_at(block, kPrefixAt, kPrefixSize);
    if (!prefix.empty()) name = std::string(prefix) + "/" + name;
  }
  if (!of_next) {
    if (!next_name_.empty()) name = next_name_;
    if (next_size_ >= 0) size = next_size_;
    next_name_.clear();
    next_size_ = -1;
  }
  name_ = name;
  if (size < 0) return bad("the size of " + name_ + " is no number");
  if (has_no_content(type_)) size = 0;
  size_ = content_ = static_cast<uint64_t>(size);
  extended_.clear();
  more_headers_ = type_ == 'S' && block[kExtendedAt] != 0;
  if (!more_headers_) left_ = (content_ + kTarBlock - 1) / kTarBlock * kTarBlock;
  return Status();
}

void TarCheck::body(std::span<const uint8_t> bytes) {
  size_t own = static_cast<size_t>(std::min<uint64_t>(content_, bytes.size()));
  content_ -= own;
  bool wanted = type_ == 'x' || type_ == 'L';
  if (wanted && extended_.size() + own <= kMaxExtended)
    extended_.append(reinterpret_cast<const char*>(bytes.data()), own);
  if (!wanted || content_ > 0 || own == 0) return;
  if (type_ == 'x') {
    read_pax();
  } else {
    next_name_ = extended_.substr(0, extended_.find('\0'));
  }
}

// Records "LENGTH KEY=VALUE\n".
void TarCheck::read_pax() {
  std::string_view rest = extended_;
  while (!rest.empty()) {
    size_t length = 0, digits = 0;
    for (; digits < rest.size() && digits < 9 && rest[digits] >= '0' && rest[digits] <= '9';
         ++digits)
      length = length * 10 + static_cast<size_t>(rest[digits] - '0');
    if (length <= digits + 2 || length > rest.size() || rest[digits] != ' ') return;
    std::string_view record = rest.substr(digits + 1, length - digits - 2);
    rest.remove_prefix(length);
    if (record.starts_with("path=")) next_name_ = record.substr(5);
    if (record.starts_with("size=")) {
      uint64_t size = 0;
      for (char c : record.substr(5)) {
        if (c < '0' || c > '9' || size > kMaxSize / 10) return;
        size = size * 10 + static_cast<uint64_t>(c - '0');
      }
      next_size_ = static_cast<int64_t>(size);
    }
  }
}

Status TarCheck::finish() const {
  if (done_ || (left_ == 0 && filled_ == 0 && !more_headers_)) return Status();
  if (left_ > 0 || more_headers_) {
    return bad("it ends inside " + name_ + ", of whose " + std::to_string(size_) + " bytes " +
               std::to_string(size_ - content_) + " came");
  }
  return bad("it ends inside the header behind " + name_);
}

}  // namespace depot::solve
