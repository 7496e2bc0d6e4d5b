// A real part (tests/parts/part), started here and gone when this is.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace depot::registry_test {

class Part {
 public:
  // `words` as tests/parts/part takes them. A part that does not start is a failure of the test,
  // with its reason on stderr, and leaves `info` null.
  explicit Part(std::vector<std::string> words);
  ~Part();
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  nlohmann::json info;

 private:
  int pid_ = -1, input_ = -1;
};

}  // namespace depot::registry_test
