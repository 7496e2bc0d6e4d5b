// What a layout must have for an image of it to be built from. Any thread; blocks on the disk.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "content/store.h"

namespace depot::content {

// Follows the manifest `digest` (of `size` bytes, unless that is 0) as far as this computer can: it
// is what its digest says, and the blobs that it names are there and of their sizes. Of an index at
// least one image must be whole, since a layout needs not have every platform. kNotFound and
// kDataLoss name the blob.
base::Status check_image(const Store& store, const Digest& digest, int64_t size);

}  // namespace depot::content
