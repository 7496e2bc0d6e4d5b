// Signals and threads: the host program's signals are handled by its own threads, never by ours.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace depot::base {

// Blocks every signal in the calling thread for as long as it lives; a thread started meanwhile
// never gets any.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace depot::base
