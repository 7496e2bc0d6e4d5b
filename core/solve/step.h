// A step of ours in the status stream: an image on its way into a store of this side.
#pragma once

#include <functional>
#include <map>
#include <string>

#include <google/protobuf/timestamp.pb.h>

#include "base/status.h"
#include "load/loader.h"

namespace depot::solve {

// One thread at a time.
class Step {
 public:
  // `push` gets serialized StatusResponse messages. `layers` stands before a layer's id.
  Step(std::string name, std::string layers, std::function<void(std::string)> push);

  void begin() { push_vertex(nullptr); }
  void progress(const load::Progress& progress);
  void end(const base::Status& outcome) { push_vertex(&outcome); }

 private:
  void push_vertex(const base::Status* outcome);

  const std::string name_, layers_word_, digest_;
  std::function<void(std::string)> push_;
  google::protobuf::Timestamp started_;
  std::map<std::string, google::protobuf::Timestamp> layers_;
};

}  // namespace depot::solve
