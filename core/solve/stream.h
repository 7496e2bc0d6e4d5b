// A context, or a Dockerfile, that is read once and in order: standard input, a pipe, an archive, a
// function of the caller's.
//
// What it is shows at its beginning, as docker buildx has it: bzip2, gzip, xz, zstd or a tar's
// header make an archive, which the builder fetches (session/upload.h); anything else is the text
// of a Dockerfile.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/status.h"
#include "session/upload.h"
#include "solve/request.h"
#include "solve/tar_check.h"

namespace depot::solve {

class Stream final : public session::UploadSource {
 public:
  // From `offset` on, which goes up with each call; 0: that was all.
  using Read = std::function<base::Result<size_t>(uint64_t offset, std::span<uint8_t> out)>;
  enum class Kind { kEmpty, kArchive, kText };

  static std::shared_ptr<Stream> standard_input();
  // A file that is no directory; it is opened when it is looked at.
  static std::shared_ptr<Stream> of_file(std::string path);
  static std::shared_ptr<Stream> of_function(Read read, std::string name);

  // What is read for one solve: a regular file can be read again, the others are what they are.
  std::shared_ptr<Stream> for_solve(const std::shared_ptr<Stream>& self) const;

  // Waits for the beginning. The same answer each time, until read() was called.
  base::Result<Kind> look(const Waiting& waiting);
  // All of it, which is a text. The same each time.
  base::Result<std::string> text(const Waiting& waiting);
  bool is_regular_file() const { return regular_; }
  const std::string& name() const { return name_; }

  base::Result<size_t> read(std::span<uint8_t> out) override;
  void begin() override;
  void interrupt() override;
  // A solve has had some of it, so that there is nothing whole for another.
  bool given() const;
  // What went wrong in read(), if it did.
  base::Status failure() const;

 private:
  base::Status open();
  // Until `head_` has `size` bytes, or there are no more.
  base::Status fill_head(size_t size, const Waiting& waiting);
  base::Result<size_t> pull(std::span<uint8_t> out, const Waiting& waiting);
  base::Status wait_readable(const Waiting& waiting);
  base::Status fail(base::Status status);

  std::string name_;
  std::string path_;  // to be opened
  Read read_;
  bool regular_ = false;
  base::UniqueFd own_;
  int fd_ = -1;
  base::UniqueFd wake_;  // an eventfd: do not wait any more

  std::mutex pulling_;   // one reader at a time
  uint64_t offset_ = 0;  // of the next byte to pull
  std::string head_;     // what look() and text() have read
  size_t given_ = 0;     // of head_, by read()
  bool ended_ = false;
  bool checked_ = false;  // it is a plain tar, and check_ follows it
  TarCheck check_;

  mutable std::mutex mutex_;
  bool begun_ = false;  // by read()
  bool interrupted_ = false;
  base::Status failure_;
};

}  // namespace depot::solve
