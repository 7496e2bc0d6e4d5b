// The addresses of a host, without waiting for a name server. Private to the buildkit module.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/status.h"

struct addrinfo;

namespace depot::buildkit {

// What is an address already is answered at once; a name is looked up on a thread of its own, which
// is left alone when nobody waits for it any more.
class Lookup {
 public:
  static base::Result<std::shared_ptr<Lookup>> start(const std::string& host,
                                                     const std::string& port);
  ~Lookup();

  // Readable when there is an answer; -1 when there was one at once.
  int event() const { return done_.get(); }
  // The rest once there is one.
  base::Status status() const;
  const addrinfo* found() const { return found_; }

 private:
  void run(int flags);

  std::string host_, port_;
  addrinfo* found_ = nullptr;
  int error_ = 0;
  std::atomic<bool> answered_{false};  // orders the two above
  base::UniqueFd done_;
};

}  // namespace depot::buildkit
