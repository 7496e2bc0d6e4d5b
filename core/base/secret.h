// Secret: bytes that must not be logged, compared carelessly or left behind. It has no operator<<,
// no conversion to std::string, and zeroes its memory when it goes. reveal() is the only way in and
// easy to search for.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace depot::base {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view bytes) : bytes_(bytes) {}
  // Takes the string's memory over when it can and wipes what is left in `bytes`.
  static Secret take(std::string&& bytes);

  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  std::string_view reveal() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  size_t size() const { return bytes_.size(); }

 private:
  std::string bytes_;
};

// Overwrites memory in a way that the compiler does not remove.
void wipe(void* memory, size_t size);
// Overwrites a string's whole buffer, small-string storage too, and empties it.
void wipe(std::string& text);

}  // namespace depot::base
