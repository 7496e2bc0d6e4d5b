#include "http2/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <climits>

namespace depot::http2 {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace {

constexpr int kGzipFormat = 16 + MAX_WBITS;  // zlib's way to ask for gzip framing alone

Status damaged() {
  return Status(Code::kInvalidArgument, Hop::kApi, "the message is not valid gzip");
}

struct Inflater {
  z_stream stream{};
  bool good = inflateInit2(&stream, kGzipFormat) == Z_OK;
  ~Inflater() {
    if (good) inflateEnd(&stream);
  }
};

}  // namespace

Result<std::string> gunzip(std::string_view bytes, size_t max_bytes) {
  Inflater inflater;
  if (!inflater.good) return Status(Code::kResourceExhausted, Hop::kApi, "no memory for gzip");
  if (bytes.empty() || bytes.size() > UINT_MAX) return damaged();
  z_stream& stream = inflater.stream;
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  for (;;) {
    char buffer[16 << 10];
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    int code = inflate(&stream, Z_NO_FLUSH);
    size_t got = sizeof buffer - stream.avail_out;
    if (out.size() + got > max_bytes) {
      return Status(Code::kResourceExhausted, Hop::kApi,
                    "the message is larger than " + std::to_string(max_bytes) + " bytes");
    }
    out.append(buffer, got);
    if (code == Z_STREAM_END) {
      if (stream.avail_in == 0) return out;
      if (inflateReset(&stream) != Z_OK) return damaged();  // another member
    } else if (code != Z_OK || (got == 0 && stream.avail_in == 0)) {
      return damaged();
    }
  }
}

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipFormat, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return std::string();
  }
  std::string out(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  int code = deflate(&stream, Z_FINISH);
  out.resize(code == Z_STREAM_END ? static_cast<size_t>(stream.total_out) : 0);
  deflateEnd(&stream);
  return out;
}

}  // namespace depot::http2
