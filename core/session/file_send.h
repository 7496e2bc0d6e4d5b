// FileSend's two kinds of target: bytes of a file, packets of a tree. Private to the module.
#pragma once

#include <cstdint>
#include <memory>

#include "http2/grpc.h"
#include "session/services.h"

namespace depot::session {

// Export `index`, one of options.trees.
std::unique_ptr<http2::CallHandler> receive_tree(std::shared_ptr<http2::Call> call, uint32_t index,
                                                 const Options& options, const Post& post);

}  // namespace depot::session
