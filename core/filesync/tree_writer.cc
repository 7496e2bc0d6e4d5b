#include "filesync/tree_writer.h"

#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "filesync/tree_disk.h"

namespace depot::filesync {
namespace {

using base::Status;

struct Step {
  enum class Kind { kEntry, kData, kEnd, kFinish } kind;
  uint32_t id = 0;
  Stat stat;
  std::string bytes;

  size_t cost() const {
    return sizeof(Step) + stat.path.size() + stat.linkname.size() + bytes.size();
  }
};

class Writer final : public TreeWriter, public std::enable_shared_from_this<Writer> {
 public:
  Writer(TreeOptions options, const std::shared_ptr<base::Pool>& pool, std::function<void()> wake)
      : options_(std::move(options)), pool_(pool), wake_(std::move(wake)) {}

  // What was given up, or forgotten, leaves no half a file; also when the pool dropped our task.
  ~Writer() override {
    if (!finished_) give_up();
  }

  void add_entry(uint32_t id, Stat stat) override {
    add({Step::Kind::kEntry, id, std::move(stat), {}});
  }
  // Content waits for more of it, or for its end: waking a thread for each 32 KiB took as long as
  // writing them.
  void add_data(uint32_t id, std::span<const uint8_t> data) override {
    unannounced_ += data.size();
    Step step{Step::Kind::kData, id, {}, {}};
    {
      std::lock_guard lock(mutex_);
      if (!spare_.empty()) {
        step.bytes = std::move(spare_.back());
        spare_.pop_back();
      }
    }
    step.bytes.assign(reinterpret_cast<const char*>(data.data()), data.size());
    push(std::move(step));
    if (unannounced_ >= kBatch) announce();
  }
  void end_file(uint32_t id) override { add({Step::Kind::kEnd, id, {}, {}}); }
  void finish() override { add({Step::Kind::kFinish, 0, {}, {}}); }

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
  void add(Step step) {
    push(std::move(step));
    announce();
  }

  void push(Step step) {
    queued_ += step.cost();
    std::lock_guard lock(mutex_);
    steps_.push_back(std::move(step));
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

  // On the pool, one at a time. Takes all that waits at once, so that the lock is taken rarely.
  void run() {
    std::deque<Step> steps;
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (disk_) totals_ = disk_->totals();
        for (auto& step : steps) {
          size_t capacity = step.bytes.capacity();
          if (capacity < kWorthKeeping || capacity > kTooLarge || spare_.size() == kMostSpare)
            continue;
          step.bytes.clear();
          spare_.push_back(std::move(step.bytes));
        }
        steps.clear();
        steps.swap(steps_);
        if (steps.empty() || aborted_) {
          running_ = false;
          break;
        }
      }
      for (auto& step : steps) {
        if (aborted_) break;
        if (!failed_) note(done(step));
        size_t before = queued_.fetch_sub(step.cost());
        if (before >= kLow && before - step.cost() < kLow) wake_();
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

  Status done(const Step& step) {
    if (!disk_) DEPOT_TRY(open());
    switch (step.kind) {
      case Step::Kind::kEntry:
        return disk_->entry(step.id, step.stat);
      case Step::Kind::kData:
        return disk_->data(
            step.id, {reinterpret_cast<const uint8_t*>(step.bytes.data()), step.bytes.size()});
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

  static constexpr size_t kLow = 1 << 20;
  static constexpr size_t kBatch = 256 << 10;
  // Memory that goes from the one thread to the other and back, instead of through the allocator.
  static constexpr size_t kWorthKeeping = 4 << 10;
  static constexpr size_t kTooLarge = 64 << 10;
  static constexpr size_t kMostSpare = 64;

  const TreeOptions options_;
  std::optional<TreeDisk> disk_;          // of whoever runs
  const std::weak_ptr<base::Pool> pool_;  // its last owner must not be a task of its own
  const std::function<void()> wake_;
  size_t unannounced_ = 0;  // bytes; of the thread that adds
  std::atomic<size_t> queued_ = 0;
  std::atomic<bool> finished_ = false, aborted_ = false, failed_ = false;
  mutable std::mutex mutex_;
  std::deque<Step> steps_;
  std::vector<std::string> spare_;
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
