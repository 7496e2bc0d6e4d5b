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
#include "load/story.h"

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
constexpr std::chrono::seconds kConnectWithin{20};
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
  Story story(options.on_progress);
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
