// Whether an export has somewhere to go, asked before anything is sent. What can only be known when
// it is written (a disk that fills up) is told then.
#pragma once

#include <string>

#include "base/status.h"

namespace depot::solve {

// A file that replaces what is there, or a FIFO or device that is written into. Missing directories
// above it are made when the export begins.
base::Status check_file_destination(const std::string& path);
// A directory, made if it is not there.
base::Status check_directory_destination(const std::string& path);

}  // namespace depot::solve
