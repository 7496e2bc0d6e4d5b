// What a program says on its standard error (or output), for an error that tells of it.
//
// It goes into a file in memory that does not grow, so that nobody has to read along and the
// program never waits for a reader.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/process.h"
#include "base/status.h"

namespace depot::base {

class Said {
 public:
  static Result<Said> create();
  int fd() const { return file_.get(); }
  // The end of it, 4 KiB at most, without what is blank.
  std::string tail() const;

 private:
  UniqueFd file_;
};

// `text` on one line of at most 500 bytes, of which the end counts.
std::string one_line(const std::string& text);
// A command as one would type it.
std::string joined(const std::vector<std::string>& words);
// "ended with exit code 1", "was killed by signal 9", "has ended".
std::string describe(const ProgramEnd& end);

}  // namespace depot::base
