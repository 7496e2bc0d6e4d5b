// A real part (tests/parts/part) for a C++ test: started here, gone when this is.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

class Part {
 public:
  // `words` as tests/parts/part takes them. Throws when the part does not start; its reason is on
  // stderr.
  explicit Part(const std::vector<std::string>& words) {
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0)
      throw std::runtime_error("pipe");
    std::vector<char*> argv{const_cast<char*>(kProgram)};
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::execv(kProgram, argv.data());
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    std::string line;
    for (char c; ::read(out[0], &c, 1) == 1 && c != '\n';) line += c;
    ::close(out[0]);
    if (line.empty()) {
      stop();
      throw std::runtime_error("a part did not start");
    }
    info = nlohmann::json::parse(line);
  }
  ~Part() { stop(); }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  nlohmann::json info;

 private:
  static constexpr const char* kProgram = DEPOT_SOURCE_DIR "/tests/parts/part";

  void stop() {
    ::close(input_);
    ::waitpid(pid_, nullptr, 0);
  }

  pid_t pid_ = -1;
  int input_ = -1;
};
