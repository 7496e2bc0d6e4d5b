#include "solve/tracker.h"

#include <moby/buildkit/v1/control.pb.h>

namespace depot::solve {

void Tracker::add(const ::moby::buildkit::v1::StatusResponse& batch) {
  for (const auto& vertex : batch.vertexes()) {
    if (vertexes_.size() >= kMaxVertexes && !vertexes_.contains(vertex.digest())) continue;
    vertexes_[vertex.digest()].name = vertex.name().substr(0, 4096);
    if (!vertex.error().empty() && !vertex.error().ends_with("context canceled"))
      failed_ = vertex.digest();
  }
  for (const auto& log : batch.logs()) {
    auto it = vertexes_.find(log.vertex());
    if (it == vertexes_.end()) continue;
    std::string& tail = it->second.tail;
    if (tail.empty()) {
      with_tail_.push_back(log.vertex());
      if (with_tail_.size() > kMaxTails) {
        if (auto old = vertexes_.find(with_tail_.front()); old != vertexes_.end())
          old->second.tail = std::string();
        with_tail_.pop_front();
      }
    }
    tail +=
        log.msg().size() > kTailBytes ? log.msg().substr(log.msg().size() - kTailBytes) : log.msg();
    if (tail.size() > 2 * kTailBytes) tail.erase(0, tail.size() - kTailBytes);
  }
}

base::Status Tracker::enrich(const base::Status& status) const {
  if (status.ok()) return status;
  base::Error error = status.error();
  if (error.vertex_digest.empty()) error.vertex_digest = failed_;
  auto it = vertexes_.find(error.vertex_digest);
  if (it == vertexes_.end()) return base::Status(std::move(error));
  error.vertex_name = it->second.name;
  std::string_view tail = it->second.tail;
  while (!tail.empty() && (tail.back() == '\n' || tail.back() == '\r')) tail.remove_suffix(1);
  size_t lines = 0;
  size_t start = tail.size();
  while (start > 0) {
    if (tail[start - 1] == '\n' && ++lines == kTailLines) break;
    --start;
  }
  error.log_tail = std::string(tail.substr(start));
  return base::Status(std::move(error));
}

}  // namespace depot::solve
