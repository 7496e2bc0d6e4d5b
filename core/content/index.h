// index.json of a layout: which manifest has which name. Any thread; blocks on the disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "content/store.h"

namespace depot::content {

// What BuildKit's clients call a manifest in an index.
struct Name {
  std::string value;
  bool tag = true;  // a tag alone ("latest"); else the full name of an image
};

// One entry, as far as it is of interest here.
struct Entry {
  std::string media_type;
  std::string digest;  // as it stands there
  int64_t size = 0;
  std::string image_name;  // annotation io.containerd.image.name
  std::string ref_name;    // annotation org.opencontainers.image.ref.name
};

// The entries in their order. kNotFound without an index.json, kDataLoss when it is none.
base::Result<std::vector<Entry>> read_index(const Store& store);
// The entry named `tag`: by its full name before by its tag. Null when there is none.
const Entry* find_entry(const std::vector<Entry>& entries, const std::string& tag);

// Adds a manifest under each name, in place of what had that name, and makes the directory a
// layout. `descriptor` is JSON, and its blob must be in the store: kDataLoss else. Several
// processes may do this at the same time; readers see the index before or after, never in between.
base::Status put_index(const Store& store, const std::string& descriptor,
                       const std::vector<Name>& names, const base::Cancel& cancel);

// Removes what no manifest of the index leads to. kUnavailable when another build is writing.
base::Status reset(Store& store);

}  // namespace depot::content
