// A Docker Engine's image store: GET /info says what kind it is, POST /images/load takes an archive
// and tells in lines of JSON how it goes.
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/said.h"
#include "base/wait.h"
#include "buildkit/dial.h"
#include "load/answer.h"
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

// It is not the builder that fails here.
Status here(const Status& status) {
  if (status.ok() || status.hop() != Hop::kMachine) return status;
  base::Error error = status.error();
  error.hop = Hop::kLocal;
  return Status(std::move(error));
}

Result<std::unique_ptr<buildkit::Dialled>> dial(const Target& target, const Options& options,
                                                const base::Cancel& cancel,
                                                steady_clock::time_point deadline) {
  DEPOT_ASSIGN(auto address, buildkit::parse_address(target.engine));
  buildkit::Endpoint endpoint;
  endpoint.address = target.engine;
  endpoint.allow_plaintext = options.allow_plaintext;
  endpoint.environment = std::make_shared<const base::Environment>(options.environment);
  auto dialled = buildkit::Dialled::connect(address, endpoint, cancel, deadline);
  if (!dialled.ok()) return here(dialled.status());
  return dialled;
}

std::string text_of(const json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// What an Engine says in its own words, on one line.
Status refused(Code code, const std::string& said) {
  bool full = said.find("no space left on device") != std::string::npos;
  return Status(full ? Code::kResourceExhausted : code, Hop::kLocal,
                said.empty() ? "the Docker Engine gave no reason" : base::one_line(said));
}

// The answer that is no success.
Status refused_by(int status, const std::string& body) {
  auto object = json::parse(body, nullptr, false);
  std::string said = object.is_object() ? text_of(object, "message") : body;
  Code code = status == 401 || status == 403   ? Code::kPermissionDenied
              : status == 404 || status == 501 ? Code::kUnimplemented
              : status == 503                  ? Code::kUnavailable
                                               : Code::kAborted;
  return refused(code, "HTTP " + std::to_string(status) + (said.empty() ? "" : ": " + said));
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

// All that is there. False: the connection is closed.
Result<bool> read_some(int fd, Answer& answer) {
  char buffer[16 << 10];
  for (;;) {
    ssize_t n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) {
      DEPOT_TRY(answer.feed({buffer, static_cast<size_t>(n)}));
      if (answer.done()) return true;
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    DEPOT_TRY(answer.end());
    return false;
  }
}

std::string request_head(const char* first, const char* more) {
  return std::string(first) +
         " HTTP/1.1\r\nHost: docker\r\nUser-Agent: libdepot\r\nConnection: close\r\n" + more +
         "\r\n";
}

}  // namespace

Result<Abilities> ask(const Target& target, const Options& options, const base::Cancel& cancel,
                      steady_clock::time_point deadline) {
  if (target.engine.empty()) {
    if (base::find_program(options.environment, target.command.front()).empty())
      return program_missing(target);
    return Abilities{};
  }
  deadline = std::min(deadline, steady_clock::now() + kConnectWithin);
  DEPOT_ASSIGN(auto dialled, dial(target, options, cancel, deadline));
  std::string request = request_head("GET /info", "");
  // It fits into what any socket holds. A closed one is told by the read.
  (void)!::send(dialled->fd(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  std::string body;
  Answer answer([&](std::string_view bytes) -> Status {
    if (body.size() + bytes.size() > kMaxInfo)
      return Status(Code::kDataLoss, Hop::kLocal, "the Docker Engine answers without end");
    body.append(bytes);
    return {};
  });
  base::Waiter waiter(cancel, deadline, Hop::kLocal);
  Status status;
  while (status.ok() && !answer.done()) {
    status = waiter.wait(dialled->fd(), POLLIN, "waiting for the Docker Engine").status();
    if (status.ok()) status = read_some(dialled->fd(), answer).status();
  }
  if (!status.ok()) return dialled->explain(status).with_prefix("asking " + target.engine);
  if (answer.status() != 200)
    return refused_by(answer.status(), body.substr(0, kMaxMessage)).with_prefix("asking " + target.engine);
  auto info = json::parse(body, nullptr, false);
  Abilities abilities;
  auto driver = info.is_object() ? info.find("DriverStatus") : info.end();
  if (driver != info.end() && driver->is_array()) {
    for (const auto& pair : *driver) {
      abilities.containerd_store |=
          pair.is_array() && pair.size() == 2 && pair[0] == "driver-type" &&
          pair[1] == "io.containerd.snapshotter.v1";
    }
  }
  return abilities;
}

Status import_into_engine(const Target& target, const Options& options, Feed& feed) {
  DEPOT_ASSIGN(auto dialled,
               dial(target, options, feed.stopping(), steady_clock::now() + kConnectWithin));
  const int fd = dialled->fd();
  Pump pump(fd, feed, true);
  pump.prepend(request_head("POST /images/load?quiet=0",
                            "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n"));
  Story story(options);
  std::string refusal;
  Answer* reading = nullptr;
  Answer answer([&](std::string_view bytes) -> Status {
    if (reading->status() == 200) return story.feed(bytes);
    refusal.append(bytes.substr(0, kMaxMessage - std::min(refusal.size(), kMaxMessage)));
    return {};
  });
  reading = &answer;
  Status broken;  // it stopped reading; why, it may still say
  for (;;) {
    feed.clear_event();
    if (feed.stopped()) return base::cancelled_error();
    if (broken.ok()) broken = pump.run();
    auto events = static_cast<short>(pump.waits_for_room() && broken.ok() ? POLLIN | POLLOUT : POLLIN);
    pollfd fds[] = {{feed.event(), POLLIN, 0}, {fd, events, 0}};
    if (::poll(fds, 2, -1) < 0 || (fds[1].revents & ~POLLOUT) == 0) continue;
    auto more = read_some(fd, answer);
    if (!more.ok()) return dialled->explain(broken.ok() ? more.status() : broken);
    if (answer.done()) break;
  }
  if (answer.status() != 200) return refused_by(answer.status(), refusal);
  DEPOT_TRY(story.finish());
  if (!pump.done()) return refused(Code::kAborted, "the Docker Engine answered before the image was whole");
  return {};
}

}  // namespace depot::load
