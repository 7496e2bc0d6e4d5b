#include "filesync/packet.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <random>

#include "filesync/id_table.h"

namespace depot::filesync {
namespace {

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Stat full_stat() {
  Stat stat;
  stat.path = "a/b\xff";
  stat.mode = go_mode::kSetuid | 0755;
  stat.uid = 1000;
  stat.gid = 4294967295u;
  stat.size = int64_t{1} << 40;
  stat.mod_time = -1;
  stat.linkname = "target";
  stat.dev_major = 7;
  stat.dev_minor = 1 << 19;
  stat.xattrs = {{"user.a", std::string("\0\1", 2)}, {"user.empty", ""}};
  return stat;
}

std::string stat_message(const Stat& stat) {
  StatView view = view_of(stat);
  std::string out(stat_message_size(view), '\0');
  auto* begin = reinterpret_cast<uint8_t*>(out.data());
  EXPECT_EQ(write_stat_message(begin, view), begin + out.size());
  return out;
}

TEST(Packet, StatThereAndBack) {
  for (const Stat& stat : {Stat(), full_stat()}) {
    std::string message = stat_message(stat);
    EXPECT_EQ(message[0], 0);
    auto packet = decode_packet(bytes_of(message).subspan(kGrpcPrefix));
    ASSERT_TRUE(packet.ok());
    ASSERT_TRUE(packet->has_stat);
    EXPECT_EQ(packet->type, PacketType::kStat);
    EXPECT_EQ(packet->stat.path, stat.path);
    EXPECT_EQ(packet->stat.mode, stat.mode);
    EXPECT_EQ(packet->stat.uid, stat.uid);
    EXPECT_EQ(packet->stat.gid, stat.gid);
    EXPECT_EQ(packet->stat.size, stat.size);
    EXPECT_EQ(packet->stat.mod_time, stat.mod_time);
    EXPECT_EQ(packet->stat.linkname, stat.linkname);
    EXPECT_EQ(packet->stat.dev_major, stat.dev_major);
    EXPECT_EQ(packet->stat.dev_minor, stat.dev_minor);
    EXPECT_EQ(packet->stat.xattrs, stat.xattrs);
  }
}

TEST(Packet, EndOfListIsNothing) {
  uint8_t out[kGrpcPrefix];
  EXPECT_EQ(write_end_of_list(out), out + kGrpcPrefix);
  auto packet = decode_packet({});
  ASSERT_TRUE(packet.ok());
  EXPECT_EQ(packet->type, PacketType::kStat);
  EXPECT_FALSE(packet->has_stat);
}

TEST(Packet, Data) {
  for (uint32_t id : {0u, 1u, 127u, 128u, 4294967295u}) {
    for (size_t size : {size_t{1}, size_t{127}, size_t{16 << 10}, size_t{(2 << 20) - 1}}) {
      std::vector<uint8_t> message(data_header_size(id) + size, 'x');
      write_data_header(message.data(), id, size);
      auto packet = decode_packet(std::span(message).subspan(kGrpcPrefix));
      ASSERT_TRUE(packet.ok());
      EXPECT_EQ(packet->type, PacketType::kData);
      EXPECT_EQ(packet->id, id);
      EXPECT_EQ(packet->data.size(), size);
    }
  }
}

TEST(Packet, ContentIsKnownByItsBeginning) {
  for (uint32_t id : {0u, 1u, 128u, 4294967295u}) {
    std::string packet = encode_packet(PacketType::kData, id, std::string(300, 'x'));
    size_t head = packet.size() - 300;
    for (size_t at = 0; at <= packet.size(); ++at) {
      auto content = content_of(bytes_of(packet).first(at), packet.size() - at);
      ASSERT_EQ(content.has_value(), at >= head) << id << " " << at;
      if (!content) continue;
      EXPECT_EQ(content->id, id);
      EXPECT_EQ(content->data.size(), at - head);
    }
    // Something comes after the content.
    EXPECT_FALSE(content_of(bytes_of(packet).first(head + 1), 300));
    EXPECT_FALSE(content_of(bytes_of(packet).first(head + 1), 298));
  }
  std::string id_beyond = "\x08\x02\x18\xff\xff\xff\xff\x1f\x22\x03xy";
  EXPECT_FALSE(content_of(bytes_of(id_beyond), 1));
  for (PacketType other : {PacketType::kStat, PacketType::kReq, PacketType::kFin, PacketType::kErr})
    EXPECT_FALSE(content_of(bytes_of(encode_packet(other, 1, "xy")), 0));
}

TEST(Packet, ErrAndShortOnes) {
  std::string message = err_message("why");
  auto err = decode_packet(bytes_of(message).subspan(kGrpcPrefix));
  ASSERT_TRUE(err.ok());
  EXPECT_EQ(err->type, PacketType::kErr);
  EXPECT_EQ(std::string(err->data.begin(), err->data.end()), "why");
  uint8_t out[kMaxShortMessage];
  uint8_t* end = write_short_message(out, PacketType::kReq, 4294967295u);
  ASSERT_LE(end, out + sizeof out);
  auto req = decode_packet(std::span<const uint8_t>(out + kGrpcPrefix, end));
  ASSERT_TRUE(req.ok());
  EXPECT_EQ(req->id, 4294967295u);
}

TEST(Packet, UnknownFieldsAreSkipped) {
  std::string packet = encode_packet(PacketType::kReq, 5, "");
  packet += std::string("\x28\x01\x32\x02xy\x39\0\0\0\0\0\0\0\0\x45\0\0\0\0", 20);
  auto decoded = decode_packet(bytes_of(packet));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->id, 5u);
}

TEST(Packet, MalformedOnes) {
  using namespace std::string_view_literals;
  for (auto bytes : {"\x08"sv, "\x08\x80"sv, "\x0a\x01x"sv,
                     "\x12\x05"
                     "ab"sv,
                     "\x1a\x01x"sv, "\x20\x01"sv, "\x22\xff\xff\xff\xff\xff\xff\xff\xff\x7f"sv,
                     "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"sv, "\x00\x01"sv, "\x0b"sv,
                     "\x12\x02\x08\x01"sv, "\x12\x04\x52\x02\x08\x01"sv, "\x12\x01\x0a"sv}) {
    auto packet = decode_packet(bytes_of(bytes));
    ASSERT_FALSE(packet.ok()) << testing::PrintToString(bytes);
    EXPECT_EQ(packet.status().code(), base::Code::kInvalidArgument);
    EXPECT_EQ(packet.status().hop(), base::Hop::kSession);
  }
}

TEST(Packet, Excess) {
  Stat stat;
  stat.path.assign(kMaxPath + 1, 'x');
  EXPECT_FALSE(decode_packet(bytes_of(stat_message(stat)).subspan(kGrpcPrefix)).ok());
  stat.path = "x";
  for (size_t i = 0; i <= kMaxXattrs; ++i) stat.xattrs.emplace_back("k", "v");
  EXPECT_FALSE(decode_packet(bytes_of(stat_message(stat)).subspan(kGrpcPrefix)).ok());
}

// Truncations and flipped bytes: any answer, no harm (the sanitizers watch).
TEST(Packet, Garbage) {
  std::mt19937 random(1);
  std::string good = stat_message(full_stat()).substr(kGrpcPrefix);
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(decode_packet(bytes_of(good.substr(0, size))).ok() && size > 0);
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    for (int i = 0; i < 3; ++i) bad[random() % bad.size()] = static_cast<char>(random());
    (void)decode_packet(bytes_of(bad));
  }
}

TEST(GoMode, FromStat) {
  EXPECT_EQ(go_mode::from_stat(S_IFDIR | 01777), 1u << 31 | 1u << 20 | 0777);
  EXPECT_EQ(go_mode::from_stat(S_IFLNK | 0777), 1u << 27 | 0777);
  EXPECT_EQ(go_mode::from_stat(S_IFREG | 06755), 1u << 23 | 1u << 22 | 0755);
  EXPECT_EQ(go_mode::from_stat(S_IFCHR | 0600), 1u << 26 | 1u << 21 | 0600);
  EXPECT_EQ(go_mode::from_stat(S_IFBLK | 0600), 1u << 26 | 0600);
  EXPECT_EQ(go_mode::from_stat(S_IFIFO | 0600), 1u << 25 | 0600);
  EXPECT_EQ(go_mode::from_stat(S_IFSOCK | 0755), 0755u);
  EXPECT_EQ(go_mode::to_permissions(go_mode::from_stat(S_IFREG | 07123)), 07123u);
}

TEST(IdTable, PathsOfThoseThatMayBeAskedFor) {
  IdTable table;
  for (int chunk = 0; chunk < 3; ++chunk) {
    IdChunk ids;
    std::string dir = "dir" + std::to_string(chunk);
    ids.add(dir, false);
    ids.add(dir + "/a", true);
    ids.add(dir + "/b", true);
    ids.add("root" + std::to_string(chunk), true);
    table.append(std::move(ids));
    table.append(IdChunk());
  }
  EXPECT_EQ(table.size(), 12u);
  EXPECT_FALSE(table.claim(0));   // a directory
  EXPECT_FALSE(table.claim(12));  // not sent yet
  EXPECT_FALSE(table.claim(4294967295u));
  const char* paths[] = {"", "dir1/a", "dir1/b", "root1"};
  for (uint32_t id = 5; id < 8; ++id) {
    ASSERT_TRUE(table.claim(id));
    EXPECT_FALSE(table.claim(id));
    EXPECT_EQ(table.path(id), paths[id - 4]);
  }
}

}  // namespace
}  // namespace depot::filesync
