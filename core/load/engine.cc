// A Docker Engine's image store: GET /info says what kind it is, POST /images/load takes an archive
// and tells in lines of JSON how it goes.
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/process.h"
#include "load/answer.h"
#include "load/engine_api.h"
#include "load/import.h"

namespace depot::load {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using nlohmann::json;
using std::chrono::steady_clock;

constexpr size_t kMaxInfo = 4 << 20;
constexpr size_t kMaxMessage = 4 << 10;
constexpr size_t kMaxLine = 256 << 10;
constexpr std::chrono::seconds kConnectWithin{20};
// As often as a display can show it.
constexpr std::chrono::milliseconds kTellEvery{100};

std::string text_of(const json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// The lines of JSON that an Engine writes while it loads.
class Story {
 public:
  explicit Story(const Options& options) : options_(options) {}

  Status feed(std::string_view bytes) {
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

  Status finish() {
    read_line();
    tell();
    return failure_;
  }

 private:
  void read_line() {
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

  void tell() {
    if (pending_.id.empty() || !options_.on_progress) return;
    options_.on_progress(std::exchange(pending_, Progress{}));
    told_ = steady_clock::now();
  }

  const Options& options_;
  std::string line_;
  Progress pending_;
  steady_clock::time_point told_{};
  Status failure_;
};

}  // namespace

Result<Abilities> ask(const Target& target, const Options& options, const base::Cancel& cancel,
                      steady_clock::time_point deadline) {
  if (target.engine.empty()) {
    if (base::find_program(options.environment, target.command.front()).empty())
      return program_missing(target);
    return Abilities{};
  }
  deadline = std::min(deadline, steady_clock::now() + kConnectWithin);
  Result<std::string> body = std::string();
  auto api = EngineApi::connect(target, options, cancel, deadline);
  body = api.ok() ? (*api)->get("/info", kMaxInfo) : Result<std::string>(api.status());
  if (!body.ok()) return body.status().with_prefix("asking " + target.engine);
  auto info = json::parse(*body, nullptr, false);
  Abilities abilities;
  auto driver = info.is_object() ? info.find("DriverStatus") : info.end();
  if (driver != info.end() && driver->is_array()) {
    for (const auto& pair : *driver) {
      abilities.containerd_store |= pair.is_array() && pair.size() == 2 &&
                                    pair[0] == "driver-type" &&
                                    pair[1] == "io.containerd.snapshotter.v1";
    }
  }
  // Podman's service looks like one, but has no layer that is not in the archive.
  abilities.knows_layers =
      !abilities.containerd_store && info.is_object() && !info.contains("BuildahVersion");
  return abilities;
}

Status import_into_engine(const Target& target, const Options& options, Feed& feed) {
  DEPOT_ASSIGN(auto dialled,
               dial(target, options, feed.stopping(), steady_clock::now() + kConnectWithin));
  const int fd = dialled->fd();
  Pump pump(fd, feed, true);
  pump.prepend(request_head(
      "POST /images/load?quiet=0",
      "Connection: close\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n"));
  Story story(options);
  std::string refusal;
  Answer* reading = nullptr;
  Answer answer([&](std::string_view bytes) -> Status {
    if (reading->status() == 200) return story.feed(bytes);
    refusal.append(bytes.substr(0, kMaxMessage - std::min(refusal.size(), kMaxMessage)));
    return {};
  });
  reading = &answer;
  Status broken;  // it stopped reading; why, its answer or the end of that says
  for (;;) {
    feed.clear_event();
    if (feed.stopped()) return base::cancelled_error();
    if (broken.ok()) broken = pump.run();
    auto events =
        static_cast<short>(pump.waits_for_room() && broken.ok() ? POLLIN | POLLOUT : POLLIN);
    pollfd fds[] = {{feed.event(), POLLIN, 0}, {fd, events, 0}};
    if (::poll(fds, 2, -1) < 0 || (fds[1].revents & ~POLLOUT) == 0) continue;
    auto more = read_some(fd, answer);
    if (!more.ok()) return dialled->explain(more.status());
    if (answer.done()) break;
  }
  if (answer.status() != 200) return refused_by(answer.status(), refusal);
  DEPOT_TRY(story.finish());
  if (!pump.done())
    return refused(Code::kAborted, "the Docker Engine answered before the image was whole");
  return {};
}

}  // namespace depot::load
