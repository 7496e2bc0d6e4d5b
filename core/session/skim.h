// A content store that an export is written to for its index alone: it keeps configs and manifests,
// and says of every layer that it has it already. So the builder tells what the image is made of
// and sends none of it.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace depot::session {

class Skim {
 public:
  // A whole blob, verified; kept. kResourceExhausted for more than an image's index has.
  base::Status add(const std::string& digest, std::string blob);
  // Any thread.
  std::optional<std::string> blob(const std::string& digest) const;

  // Of a blob that the builder would write under `ref`, as containerd's clients name them.
  static bool wants(std::string_view ref) { return !ref.starts_with("layer-"); }
  static constexpr int64_t kMaxBlob = 4 << 20;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> blobs_;
  size_t size_ = 0;
};

}  // namespace depot::session
