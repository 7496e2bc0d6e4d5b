// Receiver half of the fsutil exchange (protocol.md 4): takes the STATs of a sender, asks for the
// content of every regular file, and has a TreeWriter put it on the disk.
//
// No socket I/O: the sender's packets go in by on_packet(), what is to be said to it is pulled by
// fill(), as gRPC messages packed back to back.
//
// Invariants: ids count every STAT from 0; each file is asked for once; FIN leaves when all that
// was listed is on the disk and closed; nothing leaves after ERR. What a sender may not do ends the
// exchange: paths out of order or out of the tree, content that nobody asked for or beyond the size
// announced, a list without end.
//
// Threads: every method on one thread (the session's loop); `wake` is called from any.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/pool.h"
#include "base/status.h"
#include "filesync/path_validator.h"
#include "filesync/tree_writer.h"

namespace depot::filesync {

struct ReceiverOptions {
  TreeOptions tree;
  std::shared_ptr<base::Pool> pool;
  std::function<void()> wake;  // there may be something to fill(), or room again; must not block
  size_t max_queued = 512 << 10;
  uint32_t max_entries = 10'000'000;
};

class Receiver {
 public:
  enum State { kMore, kPending, kEnd };
  struct Fill {
    size_t bytes = 0;
    State state = kMore;
  };

  static std::unique_ptr<Receiver> start(ReceiverOptions options);
  // Gives up what is not finished, without waiting for the disk.
  ~Receiver();

  // One whole Packet of the sender. Not ok: the exchange is over with that error; fill() says ERR
  // to the sender and ends.
  base::Status on_packet(std::span<const uint8_t> packet);
  // What came of a Packet that is not whole, `left` bytes of it to follow. True takes it, which is
  // done with content alone, and what follows comes here as well. As with on_packet(), what went
  // wrong is in status().
  bool on_part(std::span<const uint8_t> bytes, size_t left);
  // Too much waits for the disk: hold the sender back until `wake`.
  bool full() const { return writer_->queued() > options_.max_queued; }
  // Any out.size() >= 1 makes progress.
  Fill fill(std::span<uint8_t> out);
  // kEnd's reason: ok when FIN was exchanged.
  base::Status status() const { return failure_; }
  // Everything that was listed is in its place.
  bool complete() const { return fin_received_; }
  TreeTotals totals() const { return writer_->totals(); }

 private:
  Receiver(ReceiverOptions options) : options_(std::move(options)) {}

  base::Status on_stat(const Stat& stat, std::span<const uint8_t> packet);
  base::Status on_data(uint32_t id, std::span<const uint8_t> data);
  base::Status on_content(uint32_t id, std::span<const uint8_t> data);
  void maybe_finish();
  base::Status fail(base::Status status);

  // Of an id: whether content is on its way.
  enum class File : uint8_t { kNone, kAsked, kWhole };

  ReceiverOptions options_;
  std::shared_ptr<TreeWriter> writer_;
  Packet packet_;  // the last that came whole; its memory serves the next
  PathValidator validator_;
  std::vector<File> files_;
  uint64_t outstanding_ = 0;       // files asked for that are not whole
  size_t path_bytes_ = 0;          // of all entries
  std::deque<uint32_t> requests_;  // REQs that have not left
  // Fewer than these wait for more of them while the sender has as many to answer: a message of
  // their own for each would be most of what we send.
  static constexpr size_t kRequestsAtOnce = 64;
  bool requests_due() const {
    return requests_.size() >= kRequestsAtOnce ||
           (!requests_.empty() && outstanding_ < requests_.size() + kRequestsAtOnce);
  }
  std::string out_;  // what did not fit into the last fill()
  size_t out_at_ = 0;
  std::optional<uint32_t> in_part_;  // whose content is coming in parts
  bool listed_ = false, finishing_ = false, fin_sent_ = false, fin_received_ = false;
  bool err_sent_ = false;
  base::Status failure_;
};

}  // namespace depot::filesync
