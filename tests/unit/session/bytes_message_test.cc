#include "session/bytes_message.h"

#include <gtest/gtest.h>
#include <moby/filesync/v1/filesync.pb.h>

#include <random>
#include <string>

#include "http2/server.h"
#include "session/services.h"

namespace depot::session {
namespace {

using Slices = std::vector<std::span<const uint8_t>>;

std::span<const uint8_t> bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

struct Read {
  bool whole = false;
  std::string data;
};
Read read(const Slices& slices, BytesMessageReader reader = {}) {
  Read result;
  auto take = [&](std::span<const uint8_t> piece) {
    EXPECT_FALSE(piece.empty());
    result.data.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  };
  for (auto slice : slices) (void)reader.feed(slice, false, take);
  result.whole = reader.feed({}, true, take);
  return result;
}
Read read(const std::string& text) {
  return read(Slices{bytes(text)});
}

TEST(BytesMessage, ReadsWhatProtobufWrites) {
  for (size_t size : {0, 1, 127, 128, 16383, 16384, 70000}) {
    ::moby::filesync::v1::BytesMessage message;
    message.set_data(std::string(size, 'x'));
    Read result = read(message.SerializeAsString());
    EXPECT_TRUE(result.whole);
    EXPECT_EQ(result.data, std::string(size, 'x'));
  }
}

TEST(BytesMessage, WritesWhatProtobufReads) {
  for (size_t size : {0, 1, 127, 128, 16383, 16384, 65536, (1 << 21) + 3}) {
    std::string text(kBytesMessageHeader, '\0');
    write_bytes_message_header(std::span<uint8_t, kBytesMessageHeader>(
                                   reinterpret_cast<uint8_t*>(text.data()), kBytesMessageHeader),
                               size);
    text += std::string(size, 'y');
    ::moby::filesync::v1::BytesMessage message;
    ASSERT_TRUE(message.ParseFromString(text)) << size;
    EXPECT_EQ(message.data(), std::string(size, 'y'));
    EXPECT_EQ(read(text).data, message.data()) << "a padded length";
  }
}

TEST(BytesMessage, ReadsAcrossSlicesCutAnywhere) {
  std::mt19937 random(5);
  std::string text = "\x0a\x85\x80\x80\x00hello";
  text[4] = '\0';
  text = std::string("\x0a\x85\x80\x80\x00", 5) + "hello";
  text += std::string("\x10\x05", 2);                     // field 2, varint
  text += std::string("\x19", 1) + std::string(8, '\1');  // field 3, fixed64
  text += std::string("\x25", 1) + std::string(4, '\1');  // field 4, fixed32
  text += std::string("\x2a\x03xyz", 5);                  // field 5, bytes
  text += std::string("\x0a\x00", 2) + std::string("\x0a\x06 world", 8);
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size();) {
      size_t size = std::min<size_t>(random() % 6, text.size() - at);
      pieces.push_back(text.substr(at, size));  // empty ones too
      at += size;
    }
    Slices slices;
    for (const auto& piece : pieces) slices.push_back(bytes(piece));
    Read result = read(slices);
    ASSERT_TRUE(result.whole);
    ASSERT_EQ(result.data, "hello world");
  }
}

TEST(BytesMessage, RefusesWhatIsNone) {
  const std::string bad[] = {
      "\x0a",                                                           // no length
      std::string("\x0a\x05hell", 6),                                   // cut
      std::string("\x00\x01", 2),                                       // field 0
      std::string("\x0b", 1),                                           // group
      std::string("\x0f", 1),                                           // wire type 7
      std::string("\x19\x01", 2),                                       // cut fixed64
      std::string("\x25\x01", 2),                                       // cut fixed32
      std::string("\x10\xff", 2),                                       // cut varint
      "\x10" + std::string(10, '\xff') + "\x01",                        // 11 bytes of varint
      std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11),  // 2^64 - 1 bytes
  };
  for (const auto& text : bad) EXPECT_FALSE(read(text).whole) << testing::PrintToString(text);
  EXPECT_TRUE(read("").whole);
  EXPECT_TRUE(read(Slices{}).whole);
}

TEST(BytesMessage, ReadsOneAfterTheOtherAndNoneAfterABadOne) {
  BytesMessageReader reader;
  std::string data;
  auto take = [&](std::span<const uint8_t> piece) {
    data.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  };
  EXPECT_TRUE(reader.feed(bytes("\x0a\x03one"), true, take));
  EXPECT_TRUE(reader.feed(bytes("\x0a"), false, take));
  EXPECT_TRUE(reader.feed(bytes("\x05 t"), false, take));
  EXPECT_TRUE(reader.feed(bytes("wo \x10\x01"), true, take));
  EXPECT_EQ(data, "one two ");
  EXPECT_FALSE(reader.feed(bytes("\x0a\x03t"), true, take));
  EXPECT_FALSE(reader.feed(bytes("\x0a\x05three"), true, take));
  EXPECT_EQ(data, "one two t");
}

TEST(BytesMessage, SurvivesAnyBytes) {
  std::mt19937 random(6);
  for (int round = 0; round < 20000; ++round) {
    std::string text(random() % 30, '\0');
    for (auto& c : text) c = static_cast<char>(random() % 3 ? random() % 32 : random());
    (void)read(text);
  }
}

TEST(Metadata, DecodesWhatIsMarkedAsEncoded) {
  http2::Headers plain{{"exclude-patterns", "a%20b"}, {"exclude-patterns", "c+d"}};
  EXPECT_EQ(metadata_values(plain, "exclude-patterns"), (std::vector<std::string>{"a%20b", "c+d"}));
  EXPECT_TRUE(metadata_values(plain, "followpaths").empty());
  http2::Headers encoded{{"exclude-patterns", "a%20b+c"},   {"exclude-patterns", "%C3%A4%c3%a4"},
                         {"exclude-patterns", "plain"},     {"exclude-patterns", "%2Fx%0A"},
                         {"exclude-patterns", "bad%zz"},    {"exclude-patterns", "cut%2"},
                         {"exclude-patterns-encoded", "1"}, {"followpaths", "a%20b"}};
  EXPECT_EQ(metadata_values(encoded, "exclude-patterns"),
            (std::vector<std::string>{"a b c", "\xc3\xa4\xc3\xa4", "plain", "/x\n", "", ""}));
  EXPECT_EQ(metadata_values(encoded, "followpaths"), std::vector<std::string>{"a%20b"});
  for (const char* no : {"0", "false", "", "yes"}) {
    http2::Headers off{{"k", "a%20b"}, {"k-encoded", no}};
    EXPECT_EQ(metadata_values(off, "k"), std::vector<std::string>{"a%20b"}) << no;
  }
}

}  // namespace
}  // namespace depot::session
