// The handles of the C API as Python holds them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "call.h"

namespace depot::python {

using Options = std::map<std::string, std::string>;

// Options by name; what is not there is NULL, the default.
class Texts {
 public:
  explicit Texts(Options options) : options_(std::move(options)) {
    for (auto& [name, value] : options_) c_string(value);
  }
  const char* operator[](const char* name) const {
    auto found = options_.find(name);
    return found == options_.end() ? nullptr : found->second.c_str();
  }

 private:
  Options options_;
};

// A handle that close() lets go of; calls under way keep it for themselves.
template <class H>
class Owner {
 public:
  Owner(const char* name, std::shared_ptr<H> handle) : name_(name), handle_(std::move(handle)) {}
  std::shared_ptr<H> get() const;  // raises when closed, or in a forked child
  void close() { handle_.reset(); }

 private:
  const char* name_;
  std::shared_ptr<H> handle_;
};

// The C API takes a build, and a machine while it connects, from one thread at a time.
struct SharedBuild {
  BuildHandle handle;
  Exclusive exclusive;
};
struct SharedMachine {
  MachineHandle handle;
  Exclusive exclusive;
};

class Client : public Owner<ClientHandle> {
 public:
  Client(const Options& options, std::vector<std::string> nodes, bool allow_plaintext,
         bool use_environment, int64_t max_message_size, py::object on_log);
  py::str builder() const;
};

class Build : public Owner<SharedBuild> {
 public:
  explicit Build(std::shared_ptr<SharedBuild> build) : Owner("build", std::move(build)) {}
};

class Machine : public Owner<SharedMachine> {
 public:
  explicit Machine(std::shared_ptr<SharedMachine> machine) : Owner("machine", std::move(machine)) {}
  void release();
};

}  // namespace depot::python
