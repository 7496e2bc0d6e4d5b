// The readers' half of Exchange: files in, DATA messages out.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "filesync/exchange.h"

namespace depot::filesync {
namespace {

using base::Status;

// Less room than this is not worth a system call: the block is full.
constexpr size_t kLeastContent = 2 << 10;
constexpr off_t kHere = -1;  // preadv2: where the last read ended
constexpr size_t kMaxHeader = kGrpcPrefix + 2 + 6 + 4;
constexpr size_t kLeastRoom = kMaxHeader + kLeastContent + kMaxShortMessage;
static_assert(kDataBlock >= kMessagesPerBlock * kDataMessage + kMaxShortMessage);

// Upstream sends a file that it cannot open as an empty one and says nothing: a build then succeeds
// with a wrong image. Only a file that is gone, or is no file any more, is sent so here. Whatever
// else keeps it from being read (permissions, descriptors, a file server that went away) fails the
// transfer.
bool is_gone(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENXIO || error == ENODEV;
}

void end_file(Block* block, OpenFile* file) {
  uint8_t* end = write_short_message(block->end(), PacketType::kData, file->id);
  block->size = static_cast<size_t>(end - block->bytes.get());
  file->close();
}

void fail(Block* block, OpenFile* file, int error, const char* what) {
  file->close();
  Status status = base::errno_error(error, std::string(what) + " " + file->path);
  if (error == EACCES || error == EPERM)
    status = status.with_hint("make it readable, or list it in .dockerignore");
  block->outcome = std::move(status);
}

}  // namespace

Block Exchange::new_data_block() {
  ++data_blocks_;
  if (spare_.empty()) return Block::with_capacity(Block::kData, kDataBlock);
  Block block = std::move(spare_.back());
  spare_.pop_back();
  block.size = 0;
  block.data_bytes = 0;
  return block;
}

void Exchange::add_data(Block block, Step step) {
  if (no_more_reading() || (block.size == 0 && step != Step::kFailed)) {
    --data_blocks_;
    spare_.push_back(std::move(block));
    return;
  }
  Status failure = std::exchange(block.outcome, Status());
  if (block.size > 0) {
    data_.push_back(std::move(block));
  } else {
    --data_blocks_;
  }
  if (step == Step::kFailed) {
    requests_.clear();
    data_.push_back(Block::of_error(failure));
  }
}

void Exchange::work(std::shared_ptr<OpenFile> file) {
  std::unique_lock lock(mutex_);
  while (!no_more_reading()) {
    // The open files of one exchange are few, however many are asked for.
    if (!file->is_open() && (requests_.empty() || parked_.size() >= kMaxReaders)) break;
    bool memory = data_blocks_ < max_data_blocks_;
    // One that stalls is read ahead as far as there is memory.
    if (file->is_open() && (!memory || (!file->stalls && file->read > 0))) {
      file->stalls = false;
      parked_.push_back(std::exchange(file, std::make_shared<OpenFile>()));
      wake_loop(lock);  // it may have come and gone since the last block
      lock.lock();
      continue;
    }
    if (!memory) break;
    Block block = new_data_block();
    lock.unlock();
    Step step = fill_block(&block, file.get());
    lock.lock();
    add_data(std::move(block), step);
    wake_loop(lock);
    lock.lock();
    if (step == Step::kFailed) break;
  }
  --active_;
}

// The loop's own reading, of what is in memory already.
void Exchange::read_here(std::unique_lock<std::mutex>& lock) {
  auto found =
      std::find_if(parked_.begin(), parked_.end(), [](auto& file) { return !file->stalls; });
  if (found == parked_.end() || data_blocks_ >= max_data_blocks_) return;
  auto file = std::move(*found);
  parked_.erase(found);
  Block block = new_data_block();
  lock.unlock();
  Step step = Step::kGoOn;
  while (step == Step::kGoOn && file->is_open()) step = read_some(&block, file.get(), false);
  lock.lock();
  add_data(std::move(block), step);
  // First again: a file at a time is what disks like, here and over there.
  if (file->is_open()) parked_.push_front(std::move(file));
}

Exchange::Step Exchange::fill_block(Block* block, OpenFile* file) {
  while (!stopped()) {
    Step step = file->is_open() ? read_some(block, file, true) : open_next(block, file);
    if (step != Step::kGoOn) return step;
  }
  return Step::kNothing;
}

Exchange::Step Exchange::open_next(Block* block, OpenFile* file) {
  if (block->room() < kLeastRoom) return Step::kFull;
  std::shared_ptr<const EntryFilter> filter;
  {
    std::lock_guard lock(mutex_);
    if (no_more_reading() || requests_.empty()) return Step::kNothing;
    file->id = requests_.front();
    requests_.pop_front();
    file->path = ids_.path(file->id);
    filter = filter_;
  }
  file->read = 0;
  file->expected = 0;
  file->stalls = false;
  const VirtualFile* given = files_ ? files_->file(file->path) : nullptr;
  if (given != nullptr && (!filter || filter->may_read(file->path))) {
    file->given = given;
    file->expected = given->read ? given->size.value_or(0) : given->bytes.size();
    return Step::kGoOn;
  }
  // Not blocking: a FIFO may have taken the file's place.
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
  int error = ENOENT;
  if (given == nullptr && root_ && (!filter || filter->may_read(file->path))) {
    file->fd.reset(root_->open_beneath(file->path, kFlags));
    error = file->fd.valid() ? 0 : errno;
  }
  if (error == 0) {
    struct stat info;
    if (::fstat(file->fd.get(), &info) != 0) {
      error = errno;
    } else if (!S_ISREG(info.st_mode)) {
      error = ENOENT;  // it is not what was announced
    } else {
      file->expected = static_cast<uint64_t>(info.st_size);
    }
  }
  if (error == 0) return Step::kGoOn;
  if (!is_gone(error)) {
    fail(block, file, error, "open");
    return Step::kFailed;
  }
  end_file(block, file);
  return Step::kGoOn;
}

Exchange::Step Exchange::read_some(Block* block, OpenFile* file, bool may_wait) {
  size_t header = data_header_size(file->id);
  size_t limit = block->capacity - kMaxShortMessage;  // the file's end must always fit
  // One byte more than there should be, so that reading less tells the end without another call.
  uint64_t wanted = file->expected > file->read ? file->expected - file->read + 1 : 1;
  iovec parts[kMessagesPerBlock];
  size_t count = 0;
  uint64_t asked = 0;
  for (size_t at = block->size; count < kMessagesPerBlock && asked < wanted;) {
    if (at + header + kLeastContent > limit) break;
    size_t size = std::min(kDataMessage - header, limit - at - header);
    parts[count++] = {block->bytes.get() + at + header, size};
    asked += size;
    at += header + size;
  }
  if (count == 0) return Step::kFull;
  size_t got = 0;
  Step step = file->given != nullptr ? read_given(block, file, parts, count, may_wait, &got)
                                     : read_fd(block, file, parts, count, may_wait, &got);
  if (step != Step::kGoOn) return step;
  size_t left = got;
  for (size_t i = 0; left > 0; ++i) {
    size_t size = std::min(left, parts[i].iov_len);
    write_data_header(static_cast<uint8_t*>(parts[i].iov_base) - header, file->id, size);
    block->size += header + size;
    left -= size;
  }
  file->read += got;
  block->data_bytes += got;
  // What grew or shrank since its STAT is sent as it is now: the STAT's size binds nobody.
  bool at_end = got == 0 || (got < asked && file->read == file->expected);
  if (at_end) end_file(block, file);
  return Step::kGoOn;
}

Exchange::Step Exchange::read_fd(Block* block, OpenFile* file, const iovec* parts, size_t count,
                                 bool may_wait, size_t* got) {
  ssize_t size;
  do {
    size =
        ::preadv2(file->fd.get(), parts, static_cast<int>(count), kHere, may_wait ? 0 : RWF_NOWAIT);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && !may_wait && (errno == EAGAIN || errno == EOPNOTSUPP || errno == ENOSYS)) {
    file->stalls = true;
    return Step::kNothing;
  }
  if (size < 0) {
    fail(block, file, errno, "read");
    return Step::kFailed;
  }
  *got = static_cast<size_t>(size);
  return Step::kGoOn;
}

Exchange::Step Exchange::read_given(Block* block, OpenFile* file, const iovec* parts, size_t count,
                                    bool may_wait, size_t* got) {
  const VirtualFile& given = *file->given;
  // A function of the caller's takes the time it takes.
  if (given.read && !may_wait) {
    file->stalls = true;
    return Step::kNothing;
  }
  for (size_t i = 0; i < count; ++i) {
    auto* to = static_cast<uint8_t*>(parts[i].iov_base);
    for (size_t filled = 0; filled < parts[i].iov_len;) {
      uint64_t at = file->read + *got;
      std::span<uint8_t> out(to + filled, parts[i].iov_len - filled);
      size_t size = 0;
      if (!given.read) {
        size = std::min(out.size(), given.bytes.size() - static_cast<size_t>(at));
        std::memcpy(out.data(), given.bytes.data() + at, size);
      } else {
        auto read = given.read(at, out);
        Status status = read.status();
        if (read.ok()) size = *read;
        // What builders are told first they compare with what they have.
        bool wrong = given.size && (size == 0 ? at != *given.size : at + size > *given.size);
        if (status.ok() && (wrong || size > out.size())) {
          status = Status(base::Code::kDataLoss, base::Hop::kCallback,
                          "the content of " + file->path + " has " +
                              (size == 0 ? std::to_string(at) + " bytes" : "more bytes") + ", " +
                              std::to_string(given.size.value_or(0)) + " were announced");
        }
        if (!status.ok()) {
          block->outcome = status;
          file->close();
          return Step::kFailed;
        }
      }
      if (size == 0) return Step::kGoOn;
      filled += size;
      *got += size;
    }
  }
  return Step::kGoOn;
}

}  // namespace depot::filesync
