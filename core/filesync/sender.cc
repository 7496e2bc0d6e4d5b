#include "filesync/sender.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "filesync/exchange.h"
#include "filesync/sent_record.h"
#include "filesync/virtual_tree.h"
#include "filesync/walker.h"

namespace depot::filesync {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

// REQ and FIN are a few bytes; ERR carries a text.
constexpr size_t kMaxPacket = 64 << 10;
constexpr size_t kMaxErrorText = 4 << 10;
// What the smallest of receivers takes as one message.
constexpr size_t kMaxStatMessage = 4 << 20;
// Enough to be worth waking a loop that waits. The first entries leave sooner: the receiver may
// need no more.
constexpr size_t kWorthSending = 32 << 10;
constexpr size_t kWorthSendingFirst = 4 << 10;
// Less is copied: a frame of its own would cost more.
constexpr size_t kLeastLoan = 4 << 10;

// Packs entries into blocks.
class StatSink final : public EntrySink {
 public:
  StatSink(Exchange& exchange, SentRecord* record) : exchange_(exchange), record_(record) {}

  bool add(const StatView& stat) override {
    size_t size = stat_message_size(stat);
    if (size > kMaxStatMessage) {
      failure_ = Status(Code::kResourceExhausted, Hop::kLocal,
                        "extended attributes of " + std::string(stat.path) + " are too large");
      return false;
    }
    if (!make_room(size)) return false;
    block_.size += static_cast<size_t>(write_stat_message(block_.end(), stat) - block_.end());
    block_.ids.add(stat.path, go_mode::is_requestable(stat.mode));
    if (record_) record_->add(stat.path, stat.size, go_mode::is_requestable(stat.mode));
    ++block_.stats;
    return block_.size < worth_ || !exchange_.hungry() || flush();
  }
  bool wanted() const override { return !exchange_.stopped(); }

  void finish() {
    if (!make_room(kGrpcPrefix)) return;
    block_.size += static_cast<size_t>(write_end_of_list(block_.end()) - block_.end());
    flush();
  }
  // What came before leaves first, as upstream has it.
  void fail(const Status& status) {
    if (flush()) exchange_.push_stats(Block::of_error(status));
  }
  const Status& failure() const { return failure_; }

 private:
  bool make_room(size_t size) {
    if (block_.room() >= size) return true;
    if (!flush()) return false;
    block_ = Block::with_capacity(Block::kStats, std::max(size, kStatBlock));
    return true;
  }
  bool flush() {
    if (block_.size == 0) return true;
    worth_ = kWorthSending;
    return exchange_.push_stats(std::exchange(block_, Block()));
  }

  Exchange& exchange_;
  SentRecord* const record_;
  Block block_;
  size_t worth_ = kWorthSendingFirst;
  Status failure_;
};

void walk(Exchange& exchange, const std::string& path, const Filter& filter, bool reset_owner,
          SentRecord* record) {
  StatSink sink(exchange, record);
  TreeView tree{nullptr, exchange.files()};
  if (!path.empty() || tree.overlay == nullptr) {
    auto root = RootDir::open(path);
    if (!root.ok()) return sink.fail(root.status());
    exchange.set_root(std::move(*root));
    tree.root = &exchange.root();
  }
  auto created = EntryFilter::create(filter, tree.root, tree.overlay);
  if (!created.ok()) return sink.fail(created.status());
  auto entry_filter = std::make_shared<const EntryFilter>(std::move(created).value());
  exchange.set_filter(entry_filter);
  Status status = walk_tree(tree, *entry_filter, reset_owner, sink);
  if (!sink.failure().ok()) status = sink.failure();
  if (status.ok()) {
    sink.finish();
  } else if (!exchange.stopped()) {
    sink.fail(status);
  }
}

class SenderImpl final : public Sender {
 public:
  explicit SenderImpl(SenderOptions options)
      : record_(std::move(options.record)),
        pool_(std::move(options.readers)),
        walkers_(std::move(options.walkers)),
        exchange_(std::make_shared<Exchange>(options.max_queued_stat_bytes,
                                             options.max_queued_data_bytes, std::move(options.wake),
                                             std::move(options.log), std::move(options.files))) {}

  ~SenderImpl() override { exchange_->stop(); }

  void start(std::string root, Filter filter, bool reset_owner) {
    walkers_->add([exchange = exchange_, root = std::move(root), filter = std::move(filter),
                   reset_owner,
                   record = record_] { walk(*exchange, root, filter, reset_owner, record.get()); });
  }

  Status on_packet(std::span<const uint8_t> bytes) override {
    if (phase_ == Phase::kOver) return status_;
    Status status = handle(bytes);
    if (!status.ok()) {
      phase_ = Phase::kOver;
      status_ = status;
    }
    return status;
  }

  Fill fill(std::span<uint8_t> out) override {
    Fill fill;
    while (phase_ != Phase::kOver && fill.bytes < out.size()) {
      if (!has_block()) {
        fill.state = kPending;
        break;
      }
      auto bytes = take(out.size() - fill.bytes);
      std::memcpy(out.data() + fill.bytes, bytes.data(), bytes.size());
      fill.bytes += bytes.size();
    }
    if (phase_ == Phase::kOver) fill.state = kEnd;
    return fill;
  }

  Loan lend(size_t max) override {
    Loan loan;
    if (phase_ == Phase::kOver) {
      loan.state = kEnd;
    } else if (!has_block()) {
      loan.state = kPending;
    } else if (std::min(max, block_->size - sent_) >= kLeastLoan) {
      loan.bytes = {take(max), block_};
      if (phase_ == Phase::kOver) loan.state = kEnd;
    }
    return loan;
  }

  bool ending() const override { return phase_ != Phase::kOpen; }

  Status status() const override { return status_; }

  SenderTotals totals() const override {
    SenderTotals totals = totals_;
    totals.files = exchange_->requested();
    return totals;
  }

 private:
  enum class Phase { kOpen, kFinishing, kOver };

  Status handle(std::span<const uint8_t> bytes) {
    if (bytes.size() > kMaxPacket)
      return Status(Code::kResourceExhausted, Hop::kSession,
                    "packet of " + std::to_string(bytes.size()) + " bytes from receiver");
    DEPOT_ASSIGN(Packet packet, decode_packet(bytes));
    switch (packet.type) {
      case PacketType::kErr: {
        std::string text(packet.data.begin(), packet.data.end());
        if (text.size() > kMaxErrorText) text.resize(kMaxErrorText);
        return Status(Code::kUnknown, Hop::kSession, "error from receiver: " + text);
      }
      case PacketType::kReq:
        if (phase_ == Phase::kFinishing) return unexpected("REQ after FIN");
        DEPOT_TRY(exchange_->request(packet.id));
        if (record_) record_->ask(packet.id);
        start_readers();
        return Status();
      case PacketType::kFin:
        if (phase_ == Phase::kFinishing) return unexpected("FIN after FIN");
        phase_ = Phase::kFinishing;
        exchange_->finish();
        return Status();
      case PacketType::kStat:
        return unexpected("STAT");
      case PacketType::kData:
        return unexpected("DATA");
    }
    return Status();  // of a later version: upstream ignores them, too
  }

  static Status unexpected(const char* what) {
    return Status(Code::kInvalidArgument, Hop::kSession,
                  std::string("unexpected packet from receiver: ") + what);
  }

  // Up to `max` bytes of the block, which count as sent.
  std::span<const uint8_t> take(size_t max) {
    size_t size = std::min(max, block_->size - sent_);
    std::span<const uint8_t> bytes(block_->bytes.get() + sent_, size);
    sent_ += size;
    totals_.wire_bytes += size;
    if (sent_ == block_->size && block_->last) {
      status_ = block_->outcome;
      phase_ = Phase::kOver;
    }
    return bytes;
  }

  // Whether there is a block with something left to send, if need be a new one.
  bool has_block() {
    if (block_ && sent_ < block_->size) return true;
    block_ = nullptr;
    Block block;
    bool taken = exchange_->take(&block);
    start_readers();
    if (!taken) return false;
    totals_.stats += block.stats;
    totals_.data_bytes += block.data_bytes;
    // Back to the exchange once it is sent, and nobody has a loan of it any more.
    block_ =
        std::shared_ptr<Block>(new Block(std::move(block)), [exchange = exchange_](Block* sent) {
          exchange->recycle(std::move(*sent));
          delete sent;
        });
    sent_ = 0;
    return true;
  }

  void start_readers() {
    for (auto& file : exchange_->readers_to_start())
      pool_->add([exchange = exchange_, file = std::move(file)] { exchange->work(file); });
  }

  const std::shared_ptr<SentRecord> record_;
  const std::shared_ptr<base::Pool> pool_;
  const std::shared_ptr<base::Pool> walkers_;
  const std::shared_ptr<Exchange> exchange_;
  Phase phase_ = Phase::kOpen;
  Status status_;
  std::shared_ptr<Block> block_;  // being sent
  size_t sent_ = 0;
  SenderTotals totals_;
};

}  // namespace

Result<std::unique_ptr<Sender>> Sender::start(SenderOptions options) {
  if (!options.readers || !options.walkers)
    return base::internal_error("a sender needs pools of readers and walkers");
  DEPOT_TRY(options.walkers->start());
  auto root = std::move(options.root);
  auto filter = std::move(options.filter);
  bool reset_owner = options.reset_owner;
  auto sender = std::make_unique<SenderImpl>(std::move(options));
  sender->start(std::move(root), std::move(filter), reset_owner);
  return std::unique_ptr<Sender>(std::move(sender));
}

}  // namespace depot::filesync
