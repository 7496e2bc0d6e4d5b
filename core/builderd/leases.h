// Leases: which build holds which machine, and since when it has been silent. Pure bookkeeping on a
// clock; loop thread only.
//
// A machine may be held by many builds (they share its cache and its work). A build keeps its lease
// by reporting health; one that is silent for the expiry loses it, because its client is dead and
// nobody else would ever give the machine back.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace depot::builderd {

class Leases {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Lease {
    std::string build;
    std::string machine;  // its key
  };

  Leases(const base::Clock& clock, std::chrono::milliseconds expiry)
      : clock_(clock), expiry_(expiry) {}

  // Makes or renews a lease.
  void hold(const std::string& build, const std::string& machine);
  // Renews it if there is one; false if there is none (any more).
  bool renew(const std::string& build, const std::string& machine);
  // Gives back all that the build holds; true if there was something.
  bool release(const std::string& build);
  // Removes and returns those that have been silent for too long.
  std::vector<Lease> expire();

  bool held(const std::string& machine) const;
  // Of the build, or on the machine.
  std::vector<std::string> machines_of(const std::string& build) const;
  std::vector<std::string> builds_on(const std::string& machine) const;
  std::vector<Lease> all() const;
  size_t size() const { return leases_.size(); }
  std::optional<Time> next_expiry() const;

 private:
  const base::Clock& clock_;
  const std::chrono::milliseconds expiry_;
  std::map<std::pair<std::string, std::string>, Time> leases_;  // {build, machine}: last word
};

}  // namespace depot::builderd
