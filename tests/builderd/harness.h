// What the tests of the running daemon stand on: a place of its own for each test, the daemon in
// it, a client of its API, and a look at what is left on the host afterwards.
//
// The whole program lives in a mount namespace of its own, so that a test may mount what it likes.
// Nothing here sleeps: ends of processes are waited for by pidfd, starts by the readiness pipe.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/status.h"
#include "depot/cli/v1/build.pb.h"
#include "localbuilder/launcher.h"
#include "wire/methods.h"

namespace depot::builderd_test {

namespace api = ::depot::cli::v1;

// Far more than anything takes; who runs into it has failed.
inline std::chrono::steady_clock::time_point deadline() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(90);
}

// $DEPOT_TEST_ENGINE, or the folder that packaging/engine/install made.
std::filesystem::path engine_dir();

struct Answer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// One HTTP/1.1 exchange on a Unix socket; status 0 if there was none.
Answer http(const std::string& socket, const std::string& method, const std::string& path,
            const std::vector<std::string>& headers, std::string_view body);

// An API error as "code: message", or the response.
template <class Response>
struct Outcome {
  bool ok = false;
  std::string error;  // the JSON, whole
  int status = 0;
  Response response;
};

template <class Response, class Request>
Outcome<Response> call(const std::string& socket, std::string_view path, const std::string& token,
                       const Request& request) {
  std::vector<std::string> headers = {"Content-Type: application/proto",
                                      "Connect-Protocol-Version: 1"};
  if (!token.empty()) headers.push_back("Authorization: Bearer " + token);
  Answer answer = http(socket, "POST", std::string(path), headers, request.SerializeAsString());
  Outcome<Response> outcome;
  outcome.status = answer.status;
  outcome.ok = answer.status == 200 && outcome.response.ParseFromString(answer.body);
  if (!outcome.ok) outcome.error = answer.body;
  return outcome;
}

base::UniqueFd open_process(pid_t pid);
// Waits; false at the deadline.
bool wait_for_end(const base::UniqueFd& process);
// All of them, children first.
std::vector<pid_t> descendants(pid_t pid);
// Programs whose command line holds `text`, without their children.
std::vector<pid_t> processes_with(const std::string& text);
// Runs a program to its end; its output in `output`.
int run(const std::vector<std::string>& argv, std::string* output = nullptr);

class DaemonTest : public testing::Test {
 protected:
  void SetUp() override;
  // Stops the daemon and looks whether anything is left.
  void TearDown() override;

  localbuilder::LaunchOptions launch_options() const;
  // Starts the daemon with these flags in place of the usual ones.
  base::Status start(std::vector<std::string> flags = {});
  pid_t daemon_pid() const;  // by the socket; -1: nobody listens
  std::string log() const;

  api::CreateBuildResponse create(const std::string& project = "p");
  // Until it is not pending any more.
  Outcome<api::GetBuildKitConnectionResponse> connect(const api::CreateBuildResponse& build,
                                                      api::BuilderPlatform platform);
  Outcome<api::FinishBuildResponse> finish(const api::CreateBuildResponse& build);
  // buildctl with the identity that GetBuildKitConnection gave.
  int buildctl(const api::GetBuildKitConnectionResponse::ActiveConnection& machine,
               std::vector<std::string> arguments, std::string* output);
  // What a test must not leave: processes, mounts, the socket, control groups.
  void expect_nothing_left(const std::vector<base::UniqueFd>& processes);

  std::filesystem::path dir_, runtime_, state_;
  std::string socket_;
  std::string engine_;
  std::string buildkitd_;
};

}  // namespace depot::builderd_test
