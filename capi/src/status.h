// depot_status: one batch, wrapped for the time of a callback.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "depot/status.h"
#include "solve/events.h"

namespace moby::buildkit::v1 {
class StatusResponse;
}

// Borrows both; lists of C strings are made when they are asked for and live as long as this.
struct depot_status {
  const moby::buildkit::v1::StatusResponse* batch;
  const std::string* bytes;
  const std::vector<depot::solve::CredentialUse>* credential_uses;
  mutable std::string json;
  mutable std::vector<std::vector<const char*>> string_lists;
  mutable std::vector<std::vector<depot_range>> range_lists;
  mutable std::deque<std::string> excerpts;
};
