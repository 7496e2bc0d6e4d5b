// An export of type local: a directory of ours that the builder fills.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "session/session.h"
#include "solve/request.h"

namespace depot::solve {

// Checks the destination, which is a directory or may become one, and sets `target.tree`; takes the
// attributes that are not for the builder: "keep-setuid" and "devices".
base::Status prepare_local(Export& target);

// After a failure: ours, if it is the story: a disk that is full, or what the builder may not send.
// That the builder then broke off is none.
base::Status blamed_tree(const std::vector<session::TreeReceived>& received,
                         const base::Status& outcome);

// After a success of the builder's: whether all of each directory came.
base::Status check_trees(const std::map<uint32_t, filesync::TreeOptions>& trees,
                         const std::vector<session::TreeReceived>& received,
                         const base::LogSink& log);

}  // namespace depot::solve
