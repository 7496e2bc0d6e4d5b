#include "builderd/leases.h"

#include <algorithm>

namespace depot::builderd {

void Leases::hold(const std::string& build, const std::string& machine) {
  leases_[{build, machine}] = clock_.now();
}

bool Leases::renew(const std::string& build, const std::string& machine) {
  auto it = leases_.find({build, machine});
  if (it == leases_.end()) return false;
  it->second = clock_.now();
  return true;
}

bool Leases::release(const std::string& build) {
  return std::erase_if(leases_, [&](const auto& one) { return one.first.first == build; }) > 0;
}

std::vector<Leases::Lease> Leases::expire() {
  std::vector<Lease> expired;
  Time now = clock_.now();
  std::erase_if(leases_, [&](const auto& one) {
    if (one.second + expiry_ > now) return false;
    expired.push_back({one.first.first, one.first.second});
    return true;
  });
  return expired;
}

bool Leases::held(const std::string& machine) const {
  return std::any_of(leases_.begin(), leases_.end(),
                     [&](const auto& one) { return one.first.second == machine; });
}

std::vector<std::string> Leases::machines_of(const std::string& build) const {
  std::vector<std::string> machines;
  for (const auto& [key, last] : leases_) {
    if (key.first == build) machines.push_back(key.second);
  }
  return machines;
}

std::vector<std::string> Leases::builds_on(const std::string& machine) const {
  std::vector<std::string> builds;
  for (const auto& [key, last] : leases_) {
    if (key.second == machine) builds.push_back(key.first);
  }
  return builds;
}

std::vector<Leases::Lease> Leases::all() const {
  std::vector<Lease> all;
  for (const auto& [key, last] : leases_) all.push_back({key.first, key.second});
  return all;
}

std::optional<Leases::Time> Leases::next_expiry() const {
  std::optional<Time> next;
  for (const auto& [key, last] : leases_) {
    if (!next || last + expiry_ < *next) next = last + expiry_;
  }
  return next;
}

}  // namespace depot::builderd
