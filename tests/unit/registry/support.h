// What these tests stand on: folders and programs of their own, a server on loopback that answers
// as it is told, the real parts, and a way to wait for an answer.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/environment.h"
#include "base/log.h"
#include "base/status.h"

namespace depot::registry_test {

// Far more than anything takes; what runs into it has failed.
constexpr std::chrono::seconds kPatience{60};

inline base::Environment environment_of(std::map<std::string, std::string, std::less<>> values) {
  return base::Environment(std::move(values));
}

class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "registry-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path(const std::string& name = "") const {
    return name.empty() ? path_ : path_ + "/" + name;
  }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // docker-credential-<suffix> as a shell script; $here is this folder.
  void helper(const std::string& suffix, const std::string& body) const {
    write("docker-credential-" + suffix, "#!/bin/sh\nhere='" + path_ + "'\n" + body + "\n");
    ::chmod(path("docker-credential-" + suffix).c_str(), 0755);
  }
  // Docker's config here, helpers here too.
  base::Environment environment(std::map<std::string, std::string, std::less<>> more = {}) const {
    more.emplace("PATH", path_ + ":/usr/bin:/bin");
    more.emplace("DOCKER_CONFIG", path_);
    return base::Environment(std::move(more));
  }

 private:
  std::string path_;
};

// One answer that comes on any thread.
template <class T>
class Answer {
 public:
  std::function<void(base::Result<T>)> done() {
    return [state = state_](base::Result<T> result) {
      if (state->calls.fetch_add(1) == 0) state->promise.set_value(std::move(result));
    };
  }
  // Waits, once.
  base::Result<T> get() {
    auto future = state_->promise.get_future();
    if (future.wait_for(kPatience) != std::future_status::ready) {
      ADD_FAILURE() << "no answer";
      return base::internal_error("no answer");
    }
    return future.get();
  }
  bool come() const { return state_->calls.load() > 0; }
  int calls() const { return state_->calls.load(); }

 private:
  struct State {
    std::promise<base::Result<T>> promise;
    std::atomic<int> calls{0};
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// A gate that opens once.
class Gate {
 public:
  void open() {
    std::lock_guard guard(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// Log lines, kept.
class Lines {
 public:
  base::LogSink sink() {
    return [this](base::LogLevel, std::string_view line) {
      std::lock_guard guard(mutex_);
      all_ += std::string(line) + "\n";
    };
  }
  std::string all() {
    std::lock_guard guard(mutex_);
    return all_;
  }

 private:
  std::mutex mutex_;
  std::string all_;
};

inline std::string everything(const base::Status& status) {
  if (status.ok()) return "";
  return status.message() + "\n" + status.error().hint + "\n" + status.error().log_tail;
}

// An HTTP/1.1 server on 127.0.0.1 for what no real token server does. Its answers are made by a
// function, on a thread for each connection; an empty answer holds the connection until the caller
// or the server goes.
class Server {
 public:
  struct Request {
    std::string method, target, body;
    std::map<std::string, std::string> headers;  // names in lower case
  };
  using Handler = std::function<std::string(const Request&)>;

  explicit Server(Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string realm() const { return "http://" + host() + "/token"; }
  std::vector<Request> requests();
  // Waits until so many requests came.
  bool wait_for(size_t count);

  static std::string answer(int status, std::string_view body, const std::string& more = "");

 private:
  void serve(int fd);

  Handler handler_;
  int listener_ = -1, stop_ = -1;
  uint16_t port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Request> requests_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace depot::registry_test
