#include "filesync/tree_writer.h"

#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "filesync/tree_disk.h"

namespace depot::filesync {
namespace {

using base::Status;

// Steps travel in one run of bytes, a header and what it tells each, so that neither thread takes
// memory or a lock for a step of its own and what waits is counted as it is.
struct Step {
  enum class Kind : uint8_t { kEntry, kData, kEnd, kFinish } kind;
  uint32_t id;
  uint32_t size;  // of the bytes after it: a STAT packet, or content
};

class Writer final : public TreeWriter, public std::enable_shared_from_this<Writer> {
 public:
  Writer(TreeOptions options, const std::shared_ptr<base::Pool>& pool, std::function<void()> wake)
      : options_(std::move(options)), pool_(pool), wake_(std::move(wake)) {}

  // What was given up, or forgotten, leaves no half a file; also when the pool dropped our task.
  ~Writer() override {
    if (!finished_) give_up();
  }

  void add_entry(uint32_t id, std::span<const uint8_t> packet) override {
    push(Step::Kind::kEntry, id, packet);
  }
  void add_data(uint32_t id, std::span<const uint8_t> data) override {
    push(Step::Kind::kData, id, data);
  }
  void end_file(uint32_t id) override { push(Step::Kind::kEnd, id, {}); }
  void finish() override {
    push(Step::Kind::kFinish, 0, {});
    hand_over();
  }

  void abort() override {
    aborted_ = true;
    schedule();
  }

  size_t queued() const override { return gathered_.size() + queued_; }
  bool finished() const override { return finished_; }
  Status status() const override {
    std::lock_guard lock(mutex_);
    return status_;
  }
  TreeTotals totals() const override {
    std::lock_guard lock(mutex_);
    return totals_;
  }

 private:
  // What comes is gathered until it is worth a lock and another thread's waking: to wake one for
  // each small file, or each 32 KiB of a large one, took as long as writing them. What comes first
  // goes step by step: a small export is on the disk as it comes, and whether there can be such a
  // directory is known before all has come.
  void push(Step::Kind kind, uint32_t id, std::span<const uint8_t> bytes) {
    Step step{kind, id, static_cast<uint32_t>(bytes.size())};
    if (!continues(step)) {
      last_ = gathered_.size();
      gathered_.append(reinterpret_cast<const char*>(&step), sizeof step);
    }
    gathered_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (gathered_.size() >= kBatch || handed_over_ < kBatch) hand_over();
  }

  // Content after content of the same file: one step, which is written with one call.
  bool continues(const Step& step) {
    if (step.kind != Step::Kind::kData || gathered_.empty()) return false;
    Step last;
    std::memcpy(&last, gathered_.data() + last_, sizeof last);
    if (last.kind != step.kind || last.id != step.id) return false;
    last.size += step.size;
    std::memcpy(gathered_.data() + last_, &last, sizeof last);
    return true;
  }

  void hand_over() {
    handed_over_ += gathered_.size();
    queued_ += gathered_.size();
    {
      std::lock_guard lock(mutex_);
      if (!waiting_.empty() && waiting_.back().size() + gathered_.size() <= kRoom) {
        waiting_.back() += gathered_;
        gathered_.clear();
      } else {
        waiting_.push_back(std::move(gathered_));
        gathered_ = {};
        if (!spare_.empty()) {
          gathered_ = std::move(spare_.back());
          spare_.pop_back();
        }
      }
    }
    // Once: growing by doubling left as much again behind.
    if (gathered_.capacity() < kRoom) gathered_.reserve(kRoom);
    schedule();
  }

  void schedule() {
    {
      std::lock_guard lock(mutex_);
      if (running_) return;
      running_ = true;
    }
    if (auto pool = pool_.lock()) pool->add([self = shared_from_this()] { self->run(); });
  }

  // On the pool, one at a time.
  void run() {
    for (std::string batch; take(&batch);) {
      for (size_t at = 0; at < batch.size() && !aborted_;) {
        Step step;
        std::memcpy(&step, batch.data() + at, sizeof step);
        at += sizeof step;
        const auto* bytes = reinterpret_cast<const uint8_t*>(batch.data() + at);
        at += step.size;
        if (!failed_) note(done(step, {bytes, step.size}));
      }
      size_t before = queued_.fetch_sub(batch.size());
      if (before >= kLow && before - batch.size() < kLow) wake_();
    }
    if (aborted_ || failed_) give_up();
  }

  // The next batch, for the memory of the last.
  bool take(std::string* batch) {
    std::lock_guard lock(mutex_);
    if (disk_) totals_ = disk_->totals();
    if (batch->capacity() >= kRoom) {
      batch->clear();
      spare_.push_back(std::move(*batch));
    }
    running_ = !waiting_.empty() && !aborted_;
    if (!running_) return false;
    *batch = std::move(waiting_.front());
    waiting_.pop_front();
    return true;
  }

  Status open() {
    std::error_code error;
    std::filesystem::path root(options_.root);
    if (!std::filesystem::exists(root, error)) {
      if (root.has_parent_path()) std::filesystem::create_directories(root.parent_path(), error);
      if (::mkdir(root.c_str(), 0700) != 0 && errno != EEXIST)
        return base::errno_error(errno, "cannot make directory " + options_.root);
    }
    DEPOT_ASSIGN(RootDir opened, RootDir::open(options_.root));
    disk_.emplace(std::move(opened), options_);
    return {};
  }

  Status done(const Step& step, std::span<const uint8_t> bytes) {
    if (!disk_) DEPOT_TRY(open());
    switch (step.kind) {
      case Step::Kind::kEntry: {
        DEPOT_TRY(decode_packet(bytes, &packet_));
        return disk_->entry(step.id, packet_.stat);
      }
      case Step::Kind::kData:
        return disk_->data(step.id, bytes);
      case Step::Kind::kEnd:
        return disk_->end_file(step.id);
      case Step::Kind::kFinish:
        break;
    }
    Status status = disk_->finish();
    {
      std::lock_guard lock(mutex_);
      totals_ = disk_->totals();
    }
    if (status.ok()) {
      finished_ = true;
      wake_();
    }
    return status;
  }

  void note(const Status& status) {
    if (status.ok()) return;
    failed_ = true;
    {
      std::lock_guard lock(mutex_);
      status_ = status;
    }
    wake_();
  }

  // Nobody else runs: running_ is set again only when something comes, and then nothing is done.
  void give_up() {
    std::lock_guard lock(mutex_);
    if (!given_up_ && disk_) disk_->give_up();
    given_up_ = true;
  }

  static constexpr size_t kLow = 256 << 10;
  static constexpr size_t kBatch = 128 << 10;
  static constexpr size_t kRoom = kBatch + (64 << 10);  // the last step comes whole

  const TreeOptions options_;
  std::optional<TreeDisk> disk_;  // of whoever runs, as is the next
  Packet packet_;
  const std::weak_ptr<base::Pool> pool_;  // its last owner must not be a task of its own
  const std::function<void()> wake_;
  std::string gathered_;      // steps; of the thread that adds, as are the next two
  size_t last_ = 0;           // of which this one came last
  uint64_t handed_over_ = 0;  // bytes, in all
  std::atomic<size_t> queued_ = 0;
  std::atomic<bool> finished_ = false, aborted_ = false, failed_ = false;
  mutable std::mutex mutex_;
  std::deque<std::string> waiting_;
  std::vector<std::string> spare_;  // memory of what was done, for what comes
  bool running_ = false, given_up_ = false;
  Status status_;
  TreeTotals totals_;
};

}  // namespace

std::shared_ptr<TreeWriter> TreeWriter::start(TreeOptions options,
                                              const std::shared_ptr<base::Pool>& pool,
                                              std::function<void()> wake) {
  return std::make_shared<Writer>(std::move(options), pool, std::move(wake));
}

}  // namespace depot::filesync
