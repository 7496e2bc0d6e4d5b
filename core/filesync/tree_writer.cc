#include "filesync/tree_writer.h"

#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

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
    announce();
  }
  // Content waits for more of it, or for its end: waking a thread for each 32 KiB took as long as
  // writing them.
  void add_data(uint32_t id, std::span<const uint8_t> data) override {
    push(Step::Kind::kData, id, data);
    unannounced_ += data.size();
    if (unannounced_ >= kBatch) announce();
  }
  void end_file(uint32_t id) override {
    push(Step::Kind::kEnd, id, {});
    announce();
  }
  void finish() override {
    push(Step::Kind::kFinish, 0, {});
    announce();
  }

  void abort() override {
    aborted_ = true;
    schedule();
  }

  size_t queued() const override { return queued_; }
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
  void push(Step::Kind kind, uint32_t id, std::span<const uint8_t> bytes) {
    Step step{kind, id, static_cast<uint32_t>(bytes.size())};
    std::lock_guard lock(mutex_);
    if (waiting_.capacity() < kRoom) waiting_.reserve(kRoom);
    if (continues(step)) {
      queued_ += bytes.size();
    } else {
      queued_ += sizeof step + bytes.size();
      last_ = waiting_.size();
      waiting_.append(reinterpret_cast<const char*>(&step), sizeof step);
    }
    waiting_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

  // Content after content of the same file, both waiting: one step, which is written with one call.
  bool continues(const Step& step) {
    if (step.kind != Step::Kind::kData || last_ >= waiting_.size()) return false;
    Step last;
    std::memcpy(&last, waiting_.data() + last_, sizeof last);
    if (last.kind != step.kind || last.id != step.id || last.size + step.size > kWrite)
      return false;
    last.size += step.size;
    std::memcpy(waiting_.data() + last_, &last, sizeof last);
    return true;
  }

  void announce() {
    unannounced_ = 0;
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

  // On the pool, one at a time. Takes all that waits at once, and leaves the memory of what it took
  // last for what comes next.
  void run() {
    std::string steps;
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (disk_) totals_ = disk_->totals();
        steps.clear();
        steps.swap(waiting_);
        if (steps.empty() || aborted_) {
          running_ = false;
          break;
        }
      }
      for (size_t at = 0; at < steps.size() && !aborted_;) {
        Step step;
        std::memcpy(&step, steps.data() + at, sizeof step);
        at += sizeof step;
        const auto* bytes = reinterpret_cast<const uint8_t*>(steps.data() + at);
        at += step.size;
        if (!failed_) note(done(step, {bytes, step.size}));
        size_t cost = sizeof step + step.size;
        size_t before = queued_.fetch_sub(cost);
        if (before >= kLow && before - cost < kLow) wake_();
      }
    }
    if (aborted_ || failed_) give_up();
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
        DEPOT_ASSIGN(Packet packet, decode_packet(bytes));
        return disk_->entry(step.id, *packet.stat);
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
  // Taken at once, touched as it is needed: growing by doubling left as much again behind. What
  // waits when the peer is held back, and what it may have sent by then.
  static constexpr size_t kRoom = 2304 << 10;
  static constexpr size_t kBatch = 256 << 10;
  static constexpr size_t kWrite = 128 << 10;

  const TreeOptions options_;
  std::optional<TreeDisk> disk_;          // of whoever runs
  const std::weak_ptr<base::Pool> pool_;  // its last owner must not be a task of its own
  const std::function<void()> wake_;
  size_t unannounced_ = 0;  // bytes; of the thread that adds
  std::atomic<size_t> queued_ = 0;
  std::atomic<bool> finished_ = false, aborted_ = false, failed_ = false;
  mutable std::mutex mutex_;
  std::string waiting_;  // steps
  size_t last_ = 0;      // of which this one came last
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
