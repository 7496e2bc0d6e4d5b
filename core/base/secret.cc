#include "base/secret.h"

#include <cstring>

namespace depot::base {

void wipe(void* memory, size_t size) {
  if (size == 0) return;
  explicit_bzero(memory, size);
}

void wipe(std::string& text) {
  // Up to the capacity, not the size: a string that shrank still has its old bytes behind it.
  text.resize(text.capacity());
  wipe(text.data(), text.size());
  text.clear();
}

Secret Secret::take(std::string&& bytes) {
  Secret secret;
  secret.bytes_ = std::move(bytes);
  wipe(bytes);
  return secret;
}

Secret::Secret(Secret&& other) noexcept : bytes_(std::move(other.bytes_)) {
  wipe(other.bytes_);
}

Secret& Secret::operator=(const Secret& other) {
  if (this != &other) {
    wipe(bytes_);
    bytes_ = other.bytes_;
  }
  return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe(bytes_);
    bytes_ = std::move(other.bytes_);
    wipe(other.bytes_);
  }
  return *this;
}

Secret::~Secret() {
  wipe(bytes_);
}

}  // namespace depot::base
