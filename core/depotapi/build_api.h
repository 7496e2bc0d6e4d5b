// Depot's build API (protocol.md 14): Connect unary calls with the proto codec over http::Client.
//
// Any thread. The calls that block take a cancel and a timeout; the asynchronous ones call `done`
// on the HTTP client's thread, exactly once. Nothing here outlives the HTTP client it was made
// with. Retries (429, 5xx, transport failures; capped exponential backoff with full jitter,
// Retry-After honoured) happen inside, within the timeout, and only where
// a repeat is safe: CreateBuild is never sent twice once a byte of the request may have arrived.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/status.h"
#include "http/client.h"

namespace depot::depotapi {

enum class Platform { kAmd64 = 1, kArm64 = 2 };
enum class Outcome { kSuccess, kFailed, kCanceled };

struct BuildApiOptions {
  std::shared_ptr<http::Client> http;
  std::string base_url;  // "https://api.depot.dev", "http://host:port"; no trailing slash needed
  base::LogSink log;
};

// How long a call may take, all its tries together, and what stops it before.
struct CallOptions {
  base::Cancel cancel = base::Cancel::never();
  std::chrono::milliseconds timeout{30000};
};

struct Output {
  std::string kind;  // an exporter's name
  std::map<std::string, std::string> attributes;
};

struct NewBuild {
  std::string project;  // empty: the token's
  std::vector<std::string> tags;
  bool push = false;
  bool load = false;
  bool save = false;                   // the result is kept in Depot's registry
  std::vector<std::string> save_tags;  // under these tags of the project, too
  std::string target;                  // the stage of the Dockerfile; empty: the last
  std::vector<Output> outputs;
};

struct CreatedBuild {
  std::string id, project, url;
  base::Secret token;                                             // for every later call
  std::vector<std::pair<std::string, base::Secret>> credentials;  // host, base64 "user:password"
  std::vector<std::string> tags;  // names of images that a build which is saved is to push
};

struct FoundBuild {
  std::string id, project, url;
};

// Numbers of depot.cli.v1; a server may have more.
enum class BuildState : int32_t {
  kUnknown = 0,
  kRunning = 1,
  kFinished = 2,
  kFailed = 3,
  kCanceled = 4
};

struct ListedBuild {
  std::string id;
  BuildState state = BuildState::kUnknown;
  int64_t created = 0, finished = 0;  // nanoseconds since 1970; 0: not told, not yet
};

struct BuildPage {
  std::vector<ListedBuild> builds;  // the newest first
  std::string next;                 // for the page after it; empty: that was the last
};

// Where an image that was saved is, and the login that may pull it.
struct PullInfo {
  std::string reference;
  std::string username;
  base::Secret password;
  // What was saved: one for a build, one for each target of a bake.
  struct Target {
    std::string name;               // "" for a build; else `reference` + "-" + name is its image
    std::vector<std::string> tags;  // that it was built under
    bool saved = false;
  };
  std::vector<Target> targets;
};

struct MachineAnswer {
  bool active = false;
  std::chrono::milliseconds wait{0};  // pending: ask again after this (bounded: 100 ms to 60 s)
  // active:
  std::string endpoint;  // "tcp://host:port" or "unix:///path"
  std::string server_name, ca_pem, cert_pem;
  base::Secret key_pem;
  bool gzip = false;
};

class BuildApi {
 public:
  using CancelsAt = std::optional<std::chrono::system_clock::time_point>;

  static std::shared_ptr<BuildApi> create(BuildApiOptions options);
  virtual ~BuildApi() = default;

  virtual base::Result<CreatedBuild> create_build(const NewBuild& build, const base::Secret& token,
                                                  const CallOptions& options) = 0;
  // By the token of a user, a project or of the build itself.
  virtual base::Result<FoundBuild> get_build(const std::string& build_id, const base::Secret& token,
                                             const CallOptions& options) = 0;
  // `size`: of the page; the server may give fewer. `page`: BuildPage::next of the one before.
  virtual base::Result<BuildPage> list_builds(const std::string& project, int32_t size,
                                              const std::string& page, const base::Secret& token,
                                              const CallOptions& options) = 0;
  virtual base::Result<PullInfo> get_pull_info(const std::string& build_id,
                                               const base::Secret& token,
                                               const CallOptions& options) = 0;
  // A password for Depot's registry, user "x-token": of all that `project` saved, or of a build.
  // Empty: not told.
  virtual base::Result<base::Secret> get_pull_token(const std::string& project,
                                                    const std::string& build_id,
                                                    const base::Secret& token,
                                                    const CallOptions& options) = 0;
  virtual base::Result<MachineAnswer> get_connection(const std::string& build_id, Platform platform,
                                                     const base::Secret& token,
                                                     const CallOptions& options) = 0;
  virtual base::Status finish_build(const std::string& build_id, Outcome outcome,
                                    const std::string& message, const base::Secret& token,
                                    const CallOptions& options) = 0;
  // Not retried: the next beat comes soon, after one without an answer on a fresh connection. Any
  // thread.
  virtual void report_health(const std::string& build_id, Platform platform,
                             const base::Secret& token, std::chrono::milliseconds timeout,
                             std::function<void(base::Result<CancelsAt>)> done) = 0;
  // ReportStatusStream, a stream for each call; where a server has none, ReportStatus, its unary
  // sibling. `status_responses` are serialized moby.buildkit.v1.StatusResponse messages. A server
  // that has neither: kUnimplemented. Not retried. Any thread.
  virtual void report_status(const std::string& build_id,
                             const std::vector<std::string>& status_responses,
                             const base::Secret& token, std::chrono::milliseconds timeout,
                             std::function<void(base::Status)> done) = 0;
  // For a build nobody finished: sent once, in the background. Keeps the HTTP client until then.
  virtual void finish_build_later(const std::string& build_id, Outcome outcome,
                                  const std::string& message, const base::Secret& token) = 0;
};

}  // namespace depot::depotapi
