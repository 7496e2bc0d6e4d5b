// The handles of the C API as Python holds them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
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

// A list of texts as C takes it.
class TextList {
 public:
  explicit TextList(std::vector<std::string> given) : texts_(std::move(given)) {
    for (const auto& one : texts_) pointers_.push_back(c_string(one));
    pointers_.push_back(nullptr);
  }
  TextList(const TextList&) = delete;
  TextList& operator=(const TextList&) = delete;
  // What the pointers are to moves along.
  TextList(TextList&&) = default;
  TextList& operator=(TextList&&) = default;
  const char* const* get() const { return pointers_.data(); }

 private:
  std::vector<std::string> texts_;
  std::vector<const char*> pointers_;
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
