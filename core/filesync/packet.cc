#include "filesync/packet.h"

#include <sys/stat.h>

#include "filesync/wire.h"

namespace depot::filesync {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace go_mode {

uint32_t from_stat(uint32_t st_mode) {
  uint32_t mode = st_mode & kPerm;
  switch (st_mode & S_IFMT) {
    case S_IFDIR:
      mode |= kDir;
      break;
    case S_IFLNK:
      mode |= kSymlink;
      break;
    case S_IFBLK:
      mode |= kDevice;
      break;
    case S_IFCHR:
      mode |= kDevice | kCharDevice;
      break;
    case S_IFIFO:
      mode |= kNamedPipe;
      break;
    default:
      break;
  }
  if (st_mode & S_ISUID) mode |= kSetuid;
  if (st_mode & S_ISGID) mode |= kSetgid;
  if (st_mode & S_ISVTX) mode |= kSticky;
  return mode;
}

uint32_t to_permissions(uint32_t mode) {
  uint32_t bits = mode & kPerm;
  if (mode & kSetuid) bits |= S_ISUID;
  if (mode & kSetgid) bits |= S_ISGID;
  if (mode & kSticky) bits |= S_ISVTX;
  return bits;
}

}  // namespace go_mode

namespace {

Status malformed(const char* what) {
  return Status(Code::kInvalidArgument, Hop::kSession, std::string("malformed packet: ") + what);
}

Status decode_xattr(std::span<const uint8_t> bytes, Stat* stat) {
  if (stat->xattrs.size() >= kMaxXattrs) return malformed("too many xattrs");
  wire::Reader in(bytes);
  auto& entry = stat->xattrs.emplace_back();
  uint32_t field = 0;
  uint32_t type = 0;
  while (in.next(&field, &type)) {
    if (field == 1 || field == 2) {
      in.expect(type, wire::kBytes);
      if (!in.ok()) break;
      (field == 1 ? entry.first : entry.second) = in.text();
    } else {
      in.skip(type);
    }
  }
  return in.ok() ? Status() : malformed("xattr");
}

Status decode_stat(std::span<const uint8_t> bytes, Stat* stat) {
  wire::Reader in(bytes);
  uint32_t field = 0;
  uint32_t type = 0;
  while (in.next(&field, &type)) {
    if (field >= 1 && field <= 10) {
      in.expect(type, field == 1 || field == 7 || field == 10 ? wire::kBytes : wire::kVarint);
      if (!in.ok()) break;
    }
    switch (field) {
      case 1:
        stat->path = in.text();
        break;
      case 2:
        stat->mode = static_cast<uint32_t>(in.varint());
        break;
      case 3:
        stat->uid = static_cast<uint32_t>(in.varint());
        break;
      case 4:
        stat->gid = static_cast<uint32_t>(in.varint());
        break;
      case 5:
        stat->size = static_cast<int64_t>(in.varint());
        break;
      case 6:
        stat->mod_time = static_cast<int64_t>(in.varint());
        break;
      case 7:
        stat->linkname = in.text();
        break;
      case 8:
        stat->dev_major = static_cast<int64_t>(in.varint());
        break;
      case 9:
        stat->dev_minor = static_cast<int64_t>(in.varint());
        break;
      case 10: {
        auto entry = in.bytes();
        if (in.ok()) DEPOT_TRY(decode_xattr(entry, stat));
        break;
      }
      default:
        in.skip(type);
    }
  }
  if (!in.ok()) return malformed("stat");
  if (stat->path.size() > kMaxPath || stat->linkname.size() > kMaxPath)
    return malformed("path too long");
  return Status();
}

// Keeps the memory.
void clear(Stat* stat) {
  stat->path.clear();
  stat->linkname.clear();
  stat->xattrs.clear();
  stat->mode = stat->uid = stat->gid = 0;
  stat->size = stat->mod_time = stat->dev_major = stat->dev_minor = 0;
}

uint8_t* put_prefix(uint8_t* out, size_t size) {
  *out++ = 0;  // not compressed
  for (int shift = 24; shift >= 0; shift -= 8) *out++ = static_cast<uint8_t>(size >> shift);
  return out;
}

uint64_t bits(int64_t value) {
  return static_cast<uint64_t>(value);
}

size_t xattr_size(const std::pair<std::string, std::string>& xattr) {
  return wire::field_size(std::string_view(xattr.first)) +
         wire::field_size(std::string_view(xattr.second));
}

size_t text_size(std::string_view text) {
  return text.empty() ? 0 : wire::field_size(text);
}

size_t stat_size(const StatView& stat) {
  size_t size = text_size(stat.path) + wire::field_size(stat.mode) + wire::field_size(stat.uid) +
                wire::field_size(stat.gid) + wire::field_size(bits(stat.size)) +
                wire::field_size(bits(stat.mod_time)) + text_size(stat.linkname) +
                wire::field_size(bits(stat.dev_major)) + wire::field_size(bits(stat.dev_minor));
  for (const auto& xattr : stat.xattrs) {
    size_t entry = xattr_size(xattr);
    size += 1 + wire::varint_size(entry) + entry;
  }
  return size;
}

uint8_t* put_text(uint8_t* out, uint32_t field, std::string_view text) {
  return text.empty() ? out : wire::put_field(out, field, text);
}

}  // namespace

StatView view_of(const Stat& stat) {
  return {stat.path,     stat.mode,     stat.uid,       stat.gid,       stat.size,
          stat.mod_time, stat.linkname, stat.dev_major, stat.dev_minor, stat.xattrs};
}

Result<Packet> decode_packet(std::span<const uint8_t> bytes) {
  Packet packet;
  DEPOT_TRY(decode_packet(bytes, &packet));
  return packet;
}

Status decode_packet(std::span<const uint8_t> bytes, Packet* packet) {
  packet->type = PacketType::kStat;
  packet->has_stat = false;
  packet->id = 0;
  packet->data = {};
  wire::Reader in(bytes);
  uint32_t field = 0;
  uint32_t type = 0;
  while (in.next(&field, &type)) {
    switch (field) {
      case 1:
        in.expect(type, wire::kVarint);
        packet->type = static_cast<PacketType>(static_cast<uint32_t>(in.varint()));
        break;
      case 2: {
        in.expect(type, wire::kBytes);
        auto stat = in.bytes();
        if (!in.ok()) break;
        if (!packet->has_stat) clear(&packet->stat);
        packet->has_stat = true;
        DEPOT_TRY(decode_stat(stat, &packet->stat));
        break;
      }
      case 3:
        in.expect(type, wire::kVarint);
        packet->id = static_cast<uint32_t>(in.varint());
        break;
      case 4:
        in.expect(type, wire::kBytes);
        packet->data = in.bytes();
        break;
      default:
        in.skip(type);
    }
  }
  return in.ok() ? Status() : malformed("packet");
}

std::optional<Content> content_of(std::span<const uint8_t> bytes, size_t left) {
  // A tag and a number each; of a varint that is cut, or of more than 32 bits, nothing is said.
  size_t at = 0;
  auto number = [&](uint8_t tag, uint64_t* value) {
    if (at >= bytes.size() || bytes[at] != tag) return false;
    ++at;
    *value = 0;
    for (int shift = 0; shift < 35 && at < bytes.size(); shift += 7) {
      uint8_t byte = bytes[at++];
      *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return *value <= UINT32_MAX;
    }
    return false;
  };
  constexpr uint8_t kType = 1 << 3, kId = 3 << 3, kContent = 4 << 3 | 2;
  uint64_t type = 0, id = 0, size = 0;
  if (!number(kType, &type) || type != static_cast<uint64_t>(PacketType::kData)) return {};
  if (at < bytes.size() && bytes[at] == kId && !number(kId, &id)) return {};  // 0 is left out
  if (!number(kContent, &size) || size != bytes.size() - at + left) return {};
  return Content{static_cast<uint32_t>(id), bytes.subspan(at)};
}

size_t stat_message_size(const StatView& stat) {
  size_t size = stat_size(stat);
  return kGrpcPrefix + 1 + wire::varint_size(size) + size;
}

uint8_t* write_stat_message(uint8_t* out, const StatView& stat) {
  size_t size = stat_size(stat);
  out = put_prefix(out, 1 + wire::varint_size(size) + size);
  out = wire::put_varint(wire::put_tag(out, 2, wire::kBytes), size);
  out = put_text(out, 1, stat.path);
  out = wire::put_field(out, 2, stat.mode);
  out = wire::put_field(out, 3, stat.uid);
  out = wire::put_field(out, 4, stat.gid);
  out = wire::put_field(out, 5, bits(stat.size));
  out = wire::put_field(out, 6, bits(stat.mod_time));
  out = put_text(out, 7, stat.linkname);
  out = wire::put_field(out, 8, bits(stat.dev_major));
  out = wire::put_field(out, 9, bits(stat.dev_minor));
  for (const auto& xattr : stat.xattrs) {
    out = wire::put_varint(wire::put_tag(out, 10, wire::kBytes), xattr_size(xattr));
    out = wire::put_field(out, 1, std::string_view(xattr.first));
    out = wire::put_field(out, 2, std::string_view(xattr.second));
  }
  return out;
}

uint8_t* write_short_message(uint8_t* out, PacketType type, uint32_t id) {
  size_t size = 2 + wire::field_size(id);
  out = put_prefix(out, size);
  out = wire::put_field(out, 1, static_cast<uint64_t>(type));
  return wire::put_field(out, 3, id);
}

uint8_t* write_end_of_list(uint8_t* out) {
  return put_prefix(out, 0);
}

size_t data_header_size(uint32_t id) {
  return kGrpcPrefix + 2 + wire::field_size(id) + 4;
}

void write_data_header(uint8_t* out, uint32_t id, size_t size) {
  out = put_prefix(out, data_header_size(id) - kGrpcPrefix + size);
  out = wire::put_field(out, 1, static_cast<uint64_t>(PacketType::kData));
  out = wire::put_field(out, 3, id);
  out = wire::put_tag(out, 4, wire::kBytes);
  *out++ = static_cast<uint8_t>(size | 0x80);
  *out++ = static_cast<uint8_t>(size >> 7 | 0x80);
  *out = static_cast<uint8_t>(size >> 14 & 0x7f);
}

std::string encode_packet(PacketType type, uint32_t id, std::string_view data) {
  std::string out(2 + wire::field_size(id) + text_size(data), '\0');
  auto* at = reinterpret_cast<uint8_t*>(out.data());
  at = wire::put_field(at, 1, static_cast<uint64_t>(type));
  at = wire::put_field(at, 3, id);
  at = put_text(at, 4, data);
  out.resize(static_cast<size_t>(at - reinterpret_cast<uint8_t*>(out.data())));
  return out;
}

std::string err_message(std::string_view text) {
  std::string packet = encode_packet(PacketType::kErr, 0, text);
  uint8_t prefix[kGrpcPrefix];
  put_prefix(prefix, packet.size());
  return std::string(reinterpret_cast<char*>(prefix), kGrpcPrefix) + packet;
}

}  // namespace depot::filesync
