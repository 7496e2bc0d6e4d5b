// Sender half of the fsutil exchange (protocol.md 4): sends a directory's STATs, then the content
// of the files the receiver asks for.
//
// The sender does no socket I/O. Packets of the receiver go in by on_packet(); what is to be sent
// is pulled by fill(), as gRPC messages (5-byte prefix and Packet) packed back to back, thousands
// of STATs to a call. A walker produces entries, a few readers prefetch content, on pools of the
// caller's: neither start(), fill() nor the destructor touches the disk or waits for who does. A
// disk that stalls must not delay the session's health, nor a cancel.
//
// Invariants: STATs ascend in walk order; ids count every STAT from 0; the empty STAT ends the list
// once; DATA only for ids that were asked for; one FIN; nothing leaves after ERR. Memory is
// bounded: the walker stops ahead of `max_queued_stat_bytes`, the readers ahead of
// `max_queued_data_bytes`.
//
// Threads: every method on one thread (the session's loop); `wake` is called from any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/pool.h"
#include "base/shared_bytes.h"
#include "base/status.h"

namespace depot::filesync {

class SentRecord;
class VirtualTree;

struct Filter {
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::vector<std::string> follow_paths;
};

struct SenderOptions {
  std::string root;  // resolved through symlinks; must be a directory, or empty with files alone
  std::shared_ptr<const VirtualTree> files;  // laid over it; null: none
  Filter filter;
  bool reset_owner = true;  // uid = gid = 0 in every STAT: builds must not depend on who runs them
  // There is something to fill() again. Called at most once per kPending; any thread; must not
  // block (post to the loop).
  std::function<void()> wake;
  // Shared by the session's senders. Blocking reads run on `readers`, each walk as one task of
  // `walkers`, which waits for the stream; one that serves both would wait for itself. Held by the
  // sender: who must not wait for the disk, holds them longer.
  std::shared_ptr<base::Pool> readers, walkers;
  size_t max_queued_stat_bytes = 4 << 20;
  size_t max_queued_data_bytes = 2 << 20;
  base::LogSink log;
  std::shared_ptr<SentRecord> record;  // null: nobody wants to know
};

struct SenderTotals {
  uint64_t stats = 0;       // entries sent
  uint64_t files = 0;       // files whose content was asked for
  uint64_t data_bytes = 0;  // content sent
  uint64_t wire_bytes = 0;  // all packets
};

class Sender {
 public:
  enum State { kMore, kPending, kEnd };
  struct Fill {
    size_t bytes = 0;
    State state = kMore;
  };
  struct Loan {
    base::SharedBytes bytes;
    State state = kMore;
  };

  // Starts the walk. A root that cannot be opened and a bad pattern are told by fill() and
  // status().
  static base::Result<std::unique_ptr<Sender>> start(SenderOptions options);
  // Stops walker and reads, without waiting for them; `wake` is not called afterwards.
  virtual ~Sender() = default;

  // One whole Packet of the receiver (no gRPC prefix). Not ok: the exchange is over with that
  // error; finish the stream with it.
  virtual base::Status on_packet(std::span<const uint8_t> packet) = 0;
  // Writes up to out.size() bytes; makes progress with any size >= 1. kEnd: all is said, status()
  // tells how it went.
  virtual Fill fill(std::span<uint8_t> out) = 0;
  // The same without a copy, tried first: the next bytes as they lie, at most `max`. None and
  // kMore: too few lie together, fill() gathers them. Memory that is lent counts as queued.
  virtual Loan lend(size_t max) = 0;
  // The receiver has said FIN, or it is over: fill() now. What it asks for comes later, by `wake`.
  virtual bool ending() const = 0;
  virtual base::Status status() const = 0;
  virtual SenderTotals totals() const = 0;
};

}  // namespace depot::filesync
