#include "filesync/id_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace depot::filesync {
namespace {

constexpr uint32_t kClaimed = 1u << 31;

void put_u16(std::string* out, size_t value) {
  auto number = static_cast<uint16_t>(value);
  out->append(reinterpret_cast<const char*>(&number), sizeof number);
}

std::string_view text_at(const std::string& text, size_t at) {
  uint16_t size;
  std::memcpy(&size, text.data() + at, sizeof size);
  return std::string_view(text).substr(at + sizeof size, size);
}

}  // namespace

void IdChunk::add(std::string_view path, bool requestable) {
  if (!requestable) {
    slots_.push_back(0);
    return;
  }
  size_t slash = path.rfind('/');
  std::string_view dir = slash == std::string_view::npos ? "" : path.substr(0, slash + 1);
  std::string_view name = path.substr(dir.size());
  if (!has_dir_ || text_at(text_, dir_) != dir) {
    has_dir_ = true;
    dir_ = static_cast<uint32_t>(text_.size());
    put_u16(&text_, dir.size());
    text_ += dir;
  }
  slots_.push_back(static_cast<uint32_t>(text_.size()) + 1);
  text_.append(reinterpret_cast<const char*>(&dir_), sizeof dir_);
  put_u16(&text_, name.size());
  text_ += name;
}

void IdTable::append(IdChunk chunk) {
  chunk.slots_.shrink_to_fit();
  chunk.text_.shrink_to_fit();
  uint64_t count = chunk.slots_.size();
  if (count == 0) return;
  parts_.push_back({size_, std::move(chunk)});
  size_ += count;
}

size_t IdTable::find(uint32_t id) const {
  auto part = std::upper_bound(parts_.begin(), parts_.end(), id,
                               [](uint64_t wanted, const Part& p) { return wanted < p.first; });
  return static_cast<size_t>(part - parts_.begin()) - 1;
}

bool IdTable::claim(uint32_t id) {
  if (id >= size_) return false;
  Part& part = parts_[find(id)];
  uint32_t& slot = part.chunk.slots_[id - part.first];
  if (slot == 0 || (slot & kClaimed) != 0) return false;
  slot |= kClaimed;
  return true;
}

std::string IdTable::path(uint32_t id) const {
  const Part& part = parts_[find(id)];
  const std::string& text = part.chunk.text_;
  size_t at = (part.chunk.slots_[id - part.first] & ~kClaimed) - 1;
  uint32_t dir;
  std::memcpy(&dir, text.data() + at, sizeof dir);
  std::string path(text_at(text, dir));
  path += text_at(text, at + sizeof dir);
  return path;
}

size_t IdTable::memory() const {
  size_t bytes = parts_.capacity() * sizeof(Part);
  for (const auto& part : parts_)
    bytes += part.chunk.slots_.capacity() * sizeof(uint32_t) + part.chunk.text_.capacity();
  return bytes;
}

}  // namespace depot::filesync
