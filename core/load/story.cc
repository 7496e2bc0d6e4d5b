#include "load/story.h"

#include <nlohmann/json.hpp>

#include "load/engine_api.h"

namespace depot::load {
namespace {

using base::Code;
using base::Hop;
using base::Status;
using nlohmann::json;
using std::chrono::steady_clock;

constexpr size_t kMaxLine = 256 << 10;
// As often as a display can show it.
constexpr std::chrono::milliseconds kTellEvery{100};

std::string text_of(const json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

}  // namespace

Status Story::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    size_t end = bytes.find('\n');
    std::string_view piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > kMaxLine)
      return Status(Code::kDataLoss, Hop::kLocal, "the Docker Engine answers without end");
    line_.append(piece);
    if (end == std::string_view::npos) return {};
    bytes.remove_prefix(end + 1);
    read_line();
  }
  return {};
}

Status Story::finish() {
  read_line();
  tell();
  return failure_;
}

void Story::read_line() {
  auto line = json::parse(line_, nullptr, false);
  line_.clear();
  if (!line.is_object()) return;
  std::string error = text_of(line, "error");
  if (auto detail = line.find("errorDetail"); detail != line.end() && detail->is_object())
    if (auto said = text_of(*detail, "message"); !said.empty()) error = said;
  if (!error.empty() && failure_.ok()) failure_ = refused(Code::kAborted, error);
  auto progress = line.find("progressDetail");
  if (progress == line.end() || !progress->is_object()) return;
  Progress now{text_of(line, "id"), text_of(line, "status")};
  if (now.id.empty()) return;
  auto number = [&](const char* key) -> int64_t {
    auto it = progress->find(key);
    return it != progress->end() && it->is_number_integer() ? it->get<int64_t>() : 0;
  };
  now.current = number("current");
  now.total = number("total");
  // The last of a layer, and one in a while.
  if (now.id != pending_.id) tell();
  pending_ = std::move(now);
  if (steady_clock::now() - told_ >= kTellEvery) tell();
}

void Story::tell() {
  if (pending_.id.empty() || !tell_) return;
  tell_(std::exchange(pending_, Progress{}));
  told_ = steady_clock::now();
}

}  // namespace depot::load
