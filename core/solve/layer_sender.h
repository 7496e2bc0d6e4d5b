// Sends the layers that a Docker Engine lacks from the builder's content store into a load. Private
// to the module. The loop's, but for what is said otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "buildkit/channel.h"
#include "load/archive.h"
#include "session/session.h"

namespace depot::solve {

class LayerSender : public std::enable_shared_from_this<LayerSender> {
 public:
  // `present`: how many of the layers are there already. `done` is called once, on the loop.
  LayerSender(std::shared_ptr<buildkit::Channel> channel, std::shared_ptr<session::ExportSink> sink,
              load::Image image, std::vector<std::string> names, size_t present,
              std::function<void(base::Status)> done)
      : channel_(std::move(channel)),
        sink_(std::move(sink)),
        image_(std::move(image)),
        names_(std::move(names)),
        next_(present),
        done_(std::move(done)) {}

  void start();
  // The first reason counts.
  void fail(const base::Status& why);

 private:
  void next_layer();
  bool take(const buildkit::Message& message);
  void layer_done(const base::Status& status);
  void write(const std::string& bytes);
  void resume();

  std::shared_ptr<buildkit::Channel> channel_;
  std::shared_ptr<session::ExportSink> sink_;
  const load::Image image_;
  const std::vector<std::string> names_;
  std::set<std::string> sent_;
  size_t next_;
  int64_t got_ = 0;  // of the layer
  std::shared_ptr<buildkit::Call> call_;
  std::function<void(base::Status)> done_;
};

}  // namespace depot::solve
