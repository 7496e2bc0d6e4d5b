// One conversation between a step and an agent, on two threads: the session's, which has the
// stream, and the SshThread, which has the agent. Private to the module.
//
// Invariants: neither thread waits for the other; each hands over bytes and tells the other that
// there are some. At most kHigh bytes and one read more wait in either direction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "session/ssh.h"

namespace depot::session {

class SshLink : public std::enable_shared_from_this<SshLink> {
 public:
  // What the session's thread is told, by way of its own queue; each may be spurious.
  struct Signals {
    std::function<void()> readable;  // read() has something, or the end
    std::function<void()> room;      // write() takes more
  };

  SshLink(SshAgent agent, std::weak_ptr<base::EpollLoop> loop, Signals signals);
  ~SshLink();

  // The session's thread.

  // Connects: an agent may speak first, where nobody reads along.
  void begin() { post_step(); }
  // Bytes of the step's. False: enough for now, until `room`.
  bool write(std::string_view bytes);
  // The step will say nothing more.
  void half_close();
  // The stream is gone; nothing is read or written any more.
  void abandon();

  struct Piece {
    std::string bytes;  // empty: nothing there now
    bool end = false;   // and there never will be; `status` says why
    base::Status status;
  };
  Piece read(size_t max);

 private:
  static constexpr size_t kHigh = 256 << 10, kLow = 64 << 10;

  // The SshThread's.
  void post_step();
  void step();
  void connect();
  void converse();
  bool answer_messages();
  void pass_on();
  void read_socket();
  void write_socket();
  void watch();
  void reply(std::string bytes);
  void finish(base::Status status);
  bool reply_room();

  const SshAgent agent_;
  const std::weak_ptr<base::EpollLoop> loop_;
  const Signals signals_;

  std::mutex mutex_;
  std::string from_step_;
  std::deque<std::string> to_step_;
  size_t to_step_bytes_ = 0;
  bool step_ended_ = false, step_held_ = false, abandoned_ = false;
  bool ended_ = false, reader_full_ = false;
  base::Status status_;

  // Of the SshThread alone.
  base::UniqueFd socket_;
  int connect_tries_ = 0;
  bool waiting_to_connect_ = false;
  bool shut_ = false, closed_ = false, half_closed_ = false;
  bool asked_ = false;  // the agent has a request and has not answered yet
  uint32_t watched_ = 0;
  std::string to_socket_;
  ssh::AgentMessages requests_, answers_;
};

}  // namespace depot::session
