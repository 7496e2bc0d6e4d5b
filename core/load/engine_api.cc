#include "load/engine_api.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/said.h"
#include "load/answer.h"

namespace depot::load {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using nlohmann::json;
using std::chrono::steady_clock;

namespace {

// It is not the builder that fails here.
Status here(const Status& status) {
  if (status.ok() || status.hop() != Hop::kMachine) return status;
  base::Error error = status.error();
  error.hop = Hop::kLocal;
  return Status(std::move(error));
}

constexpr size_t kMaxRefusal = 4 << 10;

Status no_success(int code, const std::string& body) {
  Status status = refused_by(code, body.substr(0, kMaxRefusal));
  if (code != 404) return status;
  base::Error error = status.error();
  error.code = Code::kNotFound;
  return Status(std::move(error));
}

}  // namespace

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

std::string request_head(const std::string& first, const char* more) {
  return first + " HTTP/1.1\r\nHost: docker\r\nUser-Agent: libdepot\r\n" + more + "\r\n";
}

Status refused(Code code, const std::string& said) {
  bool full = said.find("no space left on device") != std::string::npos;
  return Status(full ? Code::kResourceExhausted : code, Hop::kLocal,
                said.empty() ? "the Docker Engine gave no reason" : base::one_line(said));
}

Status refused_by(int status, const std::string& body) {
  auto object = json::parse(body, nullptr, false);
  std::string said = body;
  if (object.is_object())
    said = object.contains("message") && object["message"].is_string()
               ? object["message"].get<std::string>()
               : "";
  Code code = status == 401 || status == 403   ? Code::kPermissionDenied
              : status == 404 || status == 501 ? Code::kUnimplemented
              : status == 503                  ? Code::kUnavailable
                                               : Code::kAborted;
  return refused(code, "HTTP " + std::to_string(status) + (said.empty() ? "" : ": " + said));
}

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

Result<std::unique_ptr<EngineApi>> EngineApi::connect(const Target& target, const Options& options,
                                                      const base::Cancel& cancel,
                                                      steady_clock::time_point deadline) {
  DEPOT_ASSIGN(auto dialled, dial(target, options, cancel, deadline));
  return std::unique_ptr<EngineApi>(new EngineApi(std::move(dialled), cancel, deadline));
}

Status EngineApi::ask(std::string request, Answer& answer) {
  const int fd = dialled_->fd();
  // It fits into what any socket holds. A closed one is told by the read.
  (void)!::send(fd, request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  base::wipe(request);
  Status status;
  while (status.ok() && !answer.done()) {
    status = waiter_.wait(fd, POLLIN, "waiting for the Docker Engine").status();
    if (status.ok()) status = read_some(fd, answer).status();
  }
  return status.ok() ? status : dialled_->explain(status);
}

Result<std::string> EngineApi::get(const std::string& path, size_t limit) {
  std::string body;
  Answer answer([&](std::string_view bytes) -> Status {
    if (body.size() + bytes.size() > limit)
      return Status(Code::kDataLoss, Hop::kLocal, "the Docker Engine answers without end");
    body.append(bytes);
    return {};
  });
  DEPOT_TRY(ask(request_head("GET " + path, ""), answer));
  if (answer.status() == 200) return body;
  return no_success(answer.status(), body);
}

Status EngineApi::post(const std::string& path, const base::Secret& headers,
                       const std::function<Status(std::string_view)>& told) {
  std::string refusal;
  Answer* reading = nullptr;
  Answer answer([&](std::string_view bytes) -> Status {
    if (reading->status() < 300) return told(bytes);
    refusal.append(bytes.substr(0, kMaxRefusal - std::min(refusal.size(), kMaxRefusal)));
    return {};
  });
  reading = &answer;
  std::string more(headers.reveal());
  more += "Content-Length: 0\r\n";
  std::string request = request_head("POST " + path, more.c_str());
  base::wipe(more);
  DEPOT_TRY(ask(std::move(request), answer));
  return answer.status() < 300 ? Status() : no_success(answer.status(), refusal);
}

}  // namespace depot::load
