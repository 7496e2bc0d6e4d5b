#include "http2/hpack_decoder.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace depot::http2 {
namespace {

using base::Code;
using base::Hop;
using base::Status;

constexpr size_t kFieldCost = 32;

struct StaticField {
  std::string_view name, value;
};

// RFC 7541, Appendix A.
constexpr std::array<StaticField, 61> kStatic = {{
    {":authority", ""},
    {":method", "GET"},
    {":method", "POST"},
    {":path", "/"},
    {":path", "/index.html"},
    {":scheme", "http"},
    {":scheme", "https"},
    {":status", "200"},
    {":status", "204"},
    {":status", "206"},
    {":status", "304"},
    {":status", "400"},
    {":status", "404"},
    {":status", "500"},
    {"accept-charset", ""},
    {"accept-encoding", "gzip, deflate"},
    {"accept-language", ""},
    {"accept-ranges", ""},
    {"accept", ""},
    {"access-control-allow-origin", ""},
    {"age", ""},
    {"allow", ""},
    {"authorization", ""},
    {"cache-control", ""},
    {"content-disposition", ""},
    {"content-encoding", ""},
    {"content-language", ""},
    {"content-length", ""},
    {"content-location", ""},
    {"content-range", ""},
    {"content-type", ""},
    {"cookie", ""},
    {"date", ""},
    {"etag", ""},
    {"expect", ""},
    {"expires", ""},
    {"from", ""},
    {"host", ""},
    {"if-match", ""},
    {"if-modified-since", ""},
    {"if-none-match", ""},
    {"if-range", ""},
    {"if-unmodified-since", ""},
    {"last-modified", ""},
    {"link", ""},
    {"location", ""},
    {"max-forwards", ""},
    {"proxy-authenticate", ""},
    {"proxy-authorization", ""},
    {"range", ""},
    {"referer", ""},
    {"refresh", ""},
    {"retry-after", ""},
    {"server", ""},
    {"set-cookie", ""},
    {"strict-transport-security", ""},
    {"transfer-encoding", ""},
    {"user-agent", ""},
    {"vary", ""},
    {"via", ""},
    {"www-authenticate", ""},
}};

// RFC 7541, Appendix B, is a canonical code: the lengths say all of it. The last is of EOS.
constexpr size_t kSymbols = 257, kShortest = 5, kLongest = 30;
constexpr std::array<uint8_t, kSymbols> kLengths = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,
    5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10, 13, 6,  7,  7,  7,  7,  7,  7,
    7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,
    15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,  5,  6,  7,  7,
    7,  7,  7,  15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30};

struct Huffman {
  std::array<uint16_t, kSymbols> symbols{};         // by length, then by value
  std::array<uint32_t, kLongest + 2> first_code{};  // of a length, left-aligned to kLongest bits
  std::array<uint16_t, kLongest + 2> first_symbol{};
};

constexpr Huffman make_huffman() {
  Huffman made;
  uint32_t code = 0;
  uint16_t at = 0;
  for (size_t length = 1; length <= kLongest; ++length) {
    made.first_code[length] = code << (kLongest - length);
    made.first_symbol[length] = at;
    for (size_t symbol = 0; symbol < kSymbols; ++symbol) {
      if (kLengths[symbol] != length) continue;
      made.symbols[at++] = static_cast<uint16_t>(symbol);
      ++code;
    }
    code <<= 1;
  }
  made.first_code[kLongest + 1] = 1U << kLongest;
  return made;
}
constexpr Huffman kHuffman = make_huffman();

std::optional<std::string> huffman_decoded(std::span<const uint8_t> bytes) {
  std::string out;
  out.reserve(bytes.size() * 8 / 6);
  uint64_t bits = 0;  // the next ones at the top of `count`
  size_t count = 0;
  size_t at = 0;
  for (;;) {
    while (count <= 56 && at < bytes.size()) {
      bits = bits << 8 | bytes[at++];
      count += 8;
    }
    if (count == 0) return out;
    // The next bits, filled up with ones as the encoder does.
    uint64_t next = count >= kLongest
                        ? bits >> (count - kLongest)
                        : bits << (kLongest - count) | ((1U << (kLongest - count)) - 1);
    auto code = static_cast<uint32_t>(next & ((1U << kLongest) - 1));
    size_t length = kShortest;
    while (code >= kHuffman.first_code[length + 1]) ++length;
    if (length > count) {
      // Filled up with less than a byte of ones, or cut off.
      bool filling = count < 8 && code == (1U << kLongest) - 1;
      if (filling) return out;
      return std::nullopt;
    }
    auto symbol = kHuffman.symbols[kHuffman.first_symbol[length] +
                                   ((code - kHuffman.first_code[length]) >> (kLongest - length))];
    if (symbol == kSymbols - 1) return std::nullopt;  // EOS must not be there
    out.push_back(static_cast<char>(symbol));
    count -= length;
  }
}

// Takes what it reads off the front.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> block) : rest_(block) {}
  bool empty() const { return rest_.empty(); }
  uint8_t peek() const { return rest_.front(); }

  std::optional<uint64_t> number(int prefix_bits) {
    if (rest_.empty()) return std::nullopt;
    uint64_t mask = (1U << prefix_bits) - 1;
    uint64_t value = rest_.front() & mask;
    rest_ = rest_.subspan(1);
    if (value < mask) return value;
    for (int shift = 0; shift <= 28 && !rest_.empty(); shift += 7) {
      uint8_t byte = rest_.front();
      rest_ = rest_.subspan(1);
      value += static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return std::nullopt;
  }

  std::optional<std::string> text() {
    if (rest_.empty()) return std::nullopt;
    bool packed = (rest_.front() & 0x80) != 0;
    auto size = number(7);
    if (!size || *size > rest_.size()) return std::nullopt;
    auto bytes = rest_.first(*size);
    rest_ = rest_.subspan(*size);
    if (packed) return huffman_decoded(bytes);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

 private:
  std::span<const uint8_t> rest_;
};

size_t cost(const Header& field) {
  return field.name.size() + field.value.size() + kFieldCost;
}

Status broken(const char* what) {
  return Status(Code::kInternal, Hop::kSession, std::string("a broken field block: ") + what);
}

}  // namespace

const Header* HpackDecoder::at(uint64_t index) const {
  static const std::array<Header, kStatic.size()> fixed = [] {
    std::array<Header, kStatic.size()> made;
    for (size_t i = 0; i < made.size(); ++i)
      made[i] = {std::string(kStatic[i].name), std::string(kStatic[i].value)};
    return made;
  }();
  if (index == 0) return nullptr;
  if (index <= fixed.size()) return &fixed[index - 1];
  index -= fixed.size() + 1;
  return index < table_.size() ? &table_[index] : nullptr;
}

void HpackDecoder::shrink(size_t size) {
  while (table_bytes_ > size) {
    table_bytes_ -= cost(table_.back());
    table_.pop_back();
  }
}

void HpackDecoder::remember(Header field) {
  size_t size = cost(field);
  if (size > table_size_) return shrink(0);
  shrink(table_size_ - size);
  table_bytes_ += size;
  table_.push_front(std::move(field));
}

Status HpackDecoder::decode(std::span<const uint8_t> block, size_t max_bytes, Headers& headers,
                            bool& too_large) {
  Reader reader(block);
  size_t made = 0;
  auto emit = [&](const Header& field) {
    made += cost(field);
    if (made > max_bytes) too_large = true;
    if (!too_large) headers.add(field.name, field.value);
  };
  bool may_resize = true;
  while (!reader.empty()) {
    uint8_t first = reader.peek();
    if ((first & 0xe0) == 0x20) {  // the table's size
      auto size = reader.number(5);
      if (!size || *size > kMaxTable || !may_resize) return broken("table size");
      table_size_ = *size;
      shrink(table_size_);
      continue;
    }
    may_resize = false;
    if ((first & 0x80) != 0) {  // a field that is known
      auto index = reader.number(7);
      const Header* field = index ? at(*index) : nullptr;
      if (field == nullptr) return broken("index");
      emit(*field);
      continue;
    }
    // A value, and a name unless that is known.
    bool indexed = (first & 0x40) != 0;
    auto index = reader.number(indexed ? 6 : 4);
    if (!index) return broken("number");
    Header field;
    if (*index != 0) {
      const Header* known = at(*index);
      if (known == nullptr) return broken("index");
      field.name = known->name;
    } else {
      auto name = reader.text();
      if (!name) return broken("name");
      field.name = *std::move(name);
    }
    auto value = reader.text();
    if (!value) return broken("value");
    field.value = *std::move(value);
    emit(field);
    if (indexed) remember(std::move(field));
  }
  return {};
}

}  // namespace depot::http2
