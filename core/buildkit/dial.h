// A connection that the transport is given instead of making it: the standard input and output of a
// client program, or an HTTP/1.1 connection to a Docker Engine that was upgraded. And one to an
// Engine's API, for who speaks that.
//
// The bytes go between the transport and the other end without passing through us: a program holds
// the other end of a socket pair.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/said.h"
#include "base/status.h"
#include "buildkit/address.h"
#include "buildkit/channel.h"

namespace depot::buildkit {

// "plain text to ADDRESS is refused ...".
base::Status plaintext_refused(const std::string& address);

class Dialled {
 public:
  // Blocks until there is a connection, or a program was started. For a Docker Engine it is one to
  // its API.
  static base::Result<std::unique_ptr<Dialled>> connect(
      const Address& address, const Endpoint& endpoint, const base::Cancel& cancel,
      std::chrono::steady_clock::time_point deadline);
  // The same to a BuildKit: for a Docker Engine until it has agreed.
  static base::Result<std::unique_ptr<Dialled>> open(
      const Address& address, const Endpoint& endpoint, const base::Cancel& cancel,
      std::chrono::steady_clock::time_point deadline);
  ~Dialled() { end(); }
  // Ends the connection; the program is killed and reaped.
  void end() const;

  int fd() const { return socket_.get(); }
  // A descriptor for the transport, which closes it.
  base::Result<base::UniqueFd> take_fd();
  // The program has ended, or the other end closed the connection. Any thread.
  bool over() const;
  // What the program said and how it ended, added to a failure of the connection. Blocks for a
  // moment where the program is just ending. Any thread.
  base::Status explain(const base::Status& status) const;

 private:
  Dialled() = default;

  mutable std::mutex mutex_;  // of child_
  base::UniqueFd socket_;
  std::string words_;  // the command as one would type it; empty without a program
  std::unique_ptr<base::Child> child_;
  base::Said said_;
};

}  // namespace depot::buildkit
