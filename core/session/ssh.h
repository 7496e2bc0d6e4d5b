// Forwarded SSH agents: what `RUN --mount=type=ssh` speaks to.
//
// Each connection to the socket in a step is one ForwardAgent stream. What comes out of it goes to
// an agent's socket here, or to an agent of ours that holds keys; unless it is to be passed on as
// it is, nothing but listing keys and signing gets through. All conversations share one thread,
// which starts with the first, so that neither a slow agent nor a signature delays the session.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "base/epoll_loop.h"
#include "base/status.h"
#include "ssh/agent.h"

namespace depot::session {

struct SshAgent {
  std::string socket;                      // of an agent; or
  std::shared_ptr<const ssh::Agent> keys;  // an agent of ours
  bool raw = false;                        // the socket's bytes are nobody's business
};

// The thread of the conversations.
class SshThread {
 public:
  SshThread() : loop_(std::make_shared<base::EpollLoop>()) {}
  // Ends it and waits for that; not on the thread itself.
  ~SshThread();
  SshThread(const SshThread&) = delete;
  SshThread& operator=(const SshThread&) = delete;

  // kResourceExhausted when there is no thread to be had. One caller at a time.
  base::Status start();
  // Tasks posted once it has ended are never run: hold on to the loop by this alone.
  std::weak_ptr<base::EpollLoop> loop() const { return loop_; }

 private:
  std::shared_ptr<base::EpollLoop> loop_;
  std::thread thread_;
};

}  // namespace depot::session
