// A program that is started without a shell, watched, killed and reaped; nothing of it is left.
//
// It gets default signals, the given environment and no descriptors but those it is given. It is
// killed as a group, with what it started, and reaped through its pidfd, so that no other child of
// the host is touched. Linux 5.4 or later.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/environment.h"
#include "base/fd.h"
#include "base/status.h"

namespace depot::base {

// How a program ended. Unknown when somebody else in the host reaped it.
struct ProgramEnd {
  bool known = false;
  int exit_code = -1;  // -1: ended by `signal`
  int signal = 0;
};

struct Program {
  std::vector<std::string> arguments;  // the first is the absolute path
  std::vector<std::string> variables;  // "NAME=value"
  // Which descriptor of ours is which of the program's; it has no others.
  std::vector<std::pair<int, int>> files;
  // A session of its own, without a terminal: what would ask on one fails instead. False: a process
  // group of its own alone.
  bool session = false;
};

// "NAME=value" of all of them.
std::vector<std::string> variables_of(const Environment& environment);

// The program `name` in the PATH of `environment`, as an absolute path; empty when there is none.
// Relative entries of PATH are passed over.
std::string find_program(const Environment& environment, std::string_view name);

// A started program, killed and reaped at the latest when this goes.
class Child {
 public:
  // The errno of starting it, Hop::kLocal: "cannot start PATH: ...".
  static Result<std::unique_ptr<Child>> start(const Program& program);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Readable once the program has ended. -1: it had ended, and was reaped by somebody else, before
  // it could be opened (the host ignores SIGCHLD or waits for every child).
  int pidfd() const { return pidfd_.get(); }
  bool ended() const;
  // SIGKILL to the whole group, unless it was reaped.
  void kill();
  // Waits for a program that ended or was killed. SIGKILL does not wait for the program, so neither
  // does this, for long.
  ProgramEnd reap();

 private:
  Child(pid_t pid, UniqueFd pidfd);

  pid_t pid_;
  UniqueFd pidfd_;
  bool reaped_ = false;
  ProgramEnd end_;
};

}  // namespace depot::base
