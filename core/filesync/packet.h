// The two messages of the fsutil exchange, coded by hand: a hundred thousand Stats go straight into
// the bytes that leave, and what comes in is checked field by field (protocol.md 4.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace depot::filesync {

// Go's os.FileMode, which is what Stat.mode holds; not st_mode.
namespace go_mode {
inline constexpr uint32_t kDir = 1u << 31;
inline constexpr uint32_t kAppend = 1u << 30;
inline constexpr uint32_t kExclusive = 1u << 29;
inline constexpr uint32_t kTemporary = 1u << 28;
inline constexpr uint32_t kSymlink = 1u << 27;
inline constexpr uint32_t kDevice = 1u << 26;
inline constexpr uint32_t kNamedPipe = 1u << 25;
inline constexpr uint32_t kSocket = 1u << 24;
inline constexpr uint32_t kSetuid = 1u << 23;
inline constexpr uint32_t kSetgid = 1u << 22;
inline constexpr uint32_t kCharDevice = 1u << 21;
inline constexpr uint32_t kSticky = 1u << 20;
inline constexpr uint32_t kIrregular = 1u << 19;
inline constexpr uint32_t kType =
    kDir | kSymlink | kDevice | kNamedPipe | kSocket | kCharDevice | kIrregular;
inline constexpr uint32_t kPerm = 0777;

// The socket bit is left out, as fsutil leaves it out: a socket looks like an empty file.
uint32_t from_stat(uint32_t st_mode);
// Back to permission bits with S_ISUID, S_ISGID and S_ISVTX; no file type.
uint32_t to_permissions(uint32_t mode);
inline bool is_dir(uint32_t mode) {
  return (mode & kDir) != 0;
}
inline bool is_symlink(uint32_t mode) {
  return (mode & kSymlink) != 0;
}
// Whether a receiver may ask for the content.
inline bool is_requestable(uint32_t mode) {
  return (mode & kType) == 0;
}
}  // namespace go_mode

struct Stat {
  std::string path;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t size = 0;
  int64_t mod_time = 0;  // ns since the epoch
  std::string linkname;
  int64_t dev_major = 0;
  int64_t dev_minor = 0;
  std::vector<std::pair<std::string, std::string>> xattrs;
};

// What encoding needs of a Stat, without owning any of it.
struct StatView {
  std::string_view path;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t size = 0;
  int64_t mod_time = 0;
  std::string_view linkname;
  int64_t dev_major = 0;
  int64_t dev_minor = 0;
  std::span<const std::pair<std::string, std::string>> xattrs;
};
StatView view_of(const Stat& stat);

enum class PacketType : uint32_t { kStat = 0, kReq = 1, kData = 2, kFin = 3, kErr = 4 };

struct Packet {
  PacketType type = PacketType::kStat;  // numbers beyond kErr are kept as they came
  bool has_stat = false;                // kStat without one: the end of the list
  Stat stat;                            // means nothing without has_stat
  uint32_t id = 0;
  std::span<const uint8_t> data;  // points into the decoded bytes
};

// Bounds of what is accepted from a peer.
inline constexpr size_t kMaxXattrs = 4096;
inline constexpr size_t kMaxPath = 64 << 10;

// The beginning of a DATA packet, `left` bytes of which are to come, when all of them are content:
// fields in the order of their numbers, as every Go program writes them. Not taken for one when it
// may be something else.
struct Content {
  uint32_t id = 0;
  std::span<const uint8_t> data;  // what there is of it, which may be nothing
};
std::optional<Content> content_of(std::span<const uint8_t> bytes, size_t left);

// Unknown fields are skipped; wrong wire types, truncation and excess are errors.
base::Result<Packet> decode_packet(std::span<const uint8_t> bytes);
// The same into one that was used before, whose memory is used again: for who decodes a hundred
// thousand. After an error it means nothing.
base::Status decode_packet(std::span<const uint8_t> bytes, Packet* packet);

inline constexpr size_t kGrpcPrefix = 5;

// One STAT packet as a gRPC message. stat_message_size() is exact.
size_t stat_message_size(const StatView& stat);
uint8_t* write_stat_message(uint8_t* out, const StatView& stat);

// A packet without content as a gRPC message: REQ, FIN, or the DATA that ends a file. Writes at
// most kMaxShortMessage bytes.
inline constexpr size_t kMaxShortMessage = kGrpcPrefix + 2 + 6;
uint8_t* write_short_message(uint8_t* out, PacketType type, uint32_t id);
// The end of the list: a message of no bytes at all.
uint8_t* write_end_of_list(uint8_t* out);

// What stands before the content in a DATA message. Its length depends on the id alone (the length
// is a padded varint), so content can be read in place before its size is known.
size_t data_header_size(uint32_t id);
// `size` < 2 MiB. Writes data_header_size(id) bytes.
void write_data_header(uint8_t* out, uint32_t id, size_t size);

std::string err_message(std::string_view text);
// Any Packet as bytes, without the gRPC prefix.
std::string encode_packet(PacketType type, uint32_t id, std::string_view data);

}  // namespace depot::filesync
