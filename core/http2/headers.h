// What both ends of an HTTP/2 connection have in common.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace depot::http2 {

struct Header {
  std::string name;  // lower case
  std::string value;
};

class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> list) : list_(list) {}
  void add(std::string name, std::string value) {
    list_.push_back({std::move(name), std::move(value)});
  }
  // First value, or nullopt. HTTP/2 names are lower case on the wire; so must `name` be.
  std::optional<std::string_view> find(std::string_view name) const;
  // Every value of a repeated header, in order.
  std::vector<std::string_view> all(std::string_view name) const;
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  size_t size() const { return list_.size(); }

 private:
  std::vector<Header> list_;
};

// What a body has to say when it is pulled.
enum class BodyState {
  kMore,     // there is more; pull again
  kPending,  // nothing now; resume() will be called when there is
  kEnd,      // that was all
};

}  // namespace depot::http2
