// Field blocks of the peer, decompressed (RFC 7541). Private to http2.
//
// nghttp2 ends the connection for a field of more than 64 KiB. The trailers of a failed build hold
// the Dockerfile, in base64, and are longer soon. What is sent is nghttp2's to compress.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>

#include "base/status.h"
#include "http2/headers.h"

namespace depot::http2 {

class HpackDecoder {
 public:
  // Appends to `headers` what `block` holds. Not ok: it is broken, and with it the connection.
  // `too_large`: more than `max_bytes` came out, counted as RFC 9113 does (names, values, 32 bytes
  // each); the rest was left out, but is known to the table.
  base::Status decode(std::span<const uint8_t> block, size_t max_bytes, Headers& headers,
                      bool& too_large);

 private:
  // What SETTINGS_HEADER_TABLE_SIZE is when nothing is said of it.
  static constexpr size_t kMaxTable = 4096;

  const Header* at(uint64_t index) const;
  void remember(Header field);
  void shrink(size_t size);

  std::deque<Header> table_;  // the newest first
  size_t table_bytes_ = 0;
  size_t table_size_ = kMaxTable;  // as the peer has it
};

}  // namespace depot::http2
