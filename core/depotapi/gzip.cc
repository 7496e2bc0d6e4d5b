#include "depotapi/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>

namespace depot::depotapi {
namespace {

using base::Code;
using base::Hop;
using base::Status;

constexpr int kGzip = 15 + 16;  // window bits, and zlib's way to say "a gzip header"

Status no_memory() {
  return Status(Code::kResourceExhausted, Hop::kLocal, "out of memory");
}

Bytef* input(std::string_view data) {  // zlib does not write there; its type is older than const
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(data.data()));
}

}  // namespace

base::Result<std::string> gunzip(std::string_view data, size_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzip) != Z_OK) return no_memory();
  struct Guard {
    z_stream* stream;
    ~Guard() { inflateEnd(stream); }
  } guard{&stream};
  std::string out;
  std::array<Bytef, 16384> buffer;
  for (;;) {
    // In steps: zlib counts its input in 32 bits.
    if (stream.avail_in == 0) {
      size_t step = std::min<size_t>(data.size(), 1 << 30);
      stream.next_in = input(data);
      stream.avail_in = static_cast<uInt>(step);
      data.remove_prefix(step);
    }
    stream.next_out = buffer.data();
    stream.avail_out = buffer.size();
    int rc = inflate(&stream, Z_NO_FLUSH);
    size_t made = buffer.size() - stream.avail_out;
    if (made > limit - out.size()) {
      return Status(
          Code::kResourceExhausted, Hop::kApi,
          "the answer unpacks to more than the " + std::to_string(limit) + " bytes allowed for it");
    }
    out.append(reinterpret_cast<char*>(buffer.data()), made);
    bool more = stream.avail_in > 0 || !data.empty();
    if (rc == Z_STREAM_END) {
      if (!more) return out;
      if (inflateReset(&stream) != Z_OK) return no_memory();
      continue;
    }
    if (rc == Z_MEM_ERROR) return no_memory();
    if (rc != Z_OK || (!more && made == 0))
      return Status(Code::kInternal, Hop::kApi, "the answer's gzip data is broken");
  }
}

base::Result<std::string> gzip(std::string_view data) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    return no_memory();
  std::string out(deflateBound(&stream, data.size()), '\0');
  stream.next_in = input(data);
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  int rc = data.size() > (1u << 30) ? Z_STREAM_ERROR : deflate(&stream, Z_FINISH);
  size_t made = stream.total_out;
  deflateEnd(&stream);
  if (rc != Z_STREAM_END) return base::internal_error("a message could not be compressed");
  out.resize(made);
  return out;
}

}  // namespace depot::depotapi
