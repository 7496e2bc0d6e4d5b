// FileSink: an export into a file that appears when it is whole.
#pragma once

#include <memory>
#include <string>

#include "base/pool.h"
#include "base/status.h"
#include "session/session.h"

namespace depot::session {

// Bytes go to a hidden file beside `path`, written by the pool and never by the session's thread;
// commit() renames it over `path`. Without commit() nothing is left and an old file at `path`
// stays. A path that exists and is no regular file (a FIFO, /dev/stdout), or is one in a directory
// that may not be written, is written directly; into a file that is a mount of its own the whole
// export is copied at last.
class FileSink final : public ExportSink, public std::enable_shared_from_this<FileSink> {
 public:
  // Checks `path` now, before anything is sent: a directory there is an error; missing parents are
  // made when the export begins.
  static base::Result<std::shared_ptr<FileSink>> create(std::string path,
                                                        std::shared_ptr<base::Pool> pool);
  ~FileSink() override;

  base::Status open(std::function<void(base::Status)> ready) override;
  bool write(std::span<const uint8_t> data) override;
  void finish(std::function<void(base::Status)> done) override;
  void abort() override;
  bool complete() const override;

  // After the solve succeeded and complete(), on any thread but the session's: makes the file
  // appear.
  base::Status commit();
  // Why writing failed, if it did: the daemon only hears that it did.
  base::Status failure() const;

 private:
  struct State;
  FileSink(std::shared_ptr<State> state, std::shared_ptr<base::Pool> pool);
  std::shared_ptr<State> state_;
  std::shared_ptr<base::Pool> pool_;
};

}  // namespace depot::session
