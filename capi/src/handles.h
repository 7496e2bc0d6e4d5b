// What stands behind the opaque handles, and the small things they share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "call.h"
#include "depot/depot.h"
#include "machine/build.h"
#include "machine/client.h"
#include "machine/machine.h"
#include "solve/request.h"
#include "solve/result.h"
#include "solve/solve.h"

namespace depot::capi {

// A callback's user_data, let go of exactly once: when the last thing that may still call the
// callback is gone. Nothing is freed before own(): until a call has succeeded the data is the
// caller's.
class UserData {
 public:
  explicit UserData(void* data) : data_(data) {}
  UserData(const UserData&) = delete;
  UserData& operator=(const UserData&) = delete;
  ~UserData() {
    if (free_ != nullptr) free_(data_);
  }
  void own(depot_free_cb free) { free_ = free; }
  void* get() const { return data_; }

 private:
  void* data_;
  depot_free_cb free_ = nullptr;
};

base::Cancel cancel_of(const depot_cancel* cancel);

}  // namespace depot::capi

struct depot_error {
  depot::base::Status status;
  std::string text;
  std::vector<std::string> excerpts;  // of each source
};

struct depot_cancel {
  depot::base::Cancel cancel;
};

struct depot_client {
  std::shared_ptr<depot::machine::Client> client;
};

struct depot_build {
  std::shared_ptr<depot::machine::Build> build;
};

struct depot_machine {
  std::shared_ptr<depot::machine::Machine> machine;
};

struct depot_solve_request {
  depot::solve::Request request;
};

struct depot_result {
  depot::solve::Result result;
  std::string build_id;
  std::string build_url;
  std::string descriptor;
  std::string metadata;
  std::vector<const std::string*> keys;
  depot::capi::CallView call;
  std::vector<depot::solve::SentFile> sent;
};
