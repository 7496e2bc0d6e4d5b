// One registered build: CreateBuild when it is made, FinishBuild once.
//
// The outcome is told by name. A Build that goes without having been told is reported as failed, in
// the background, as far as the process lives that long: never as a success.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "depotapi/build_api.h"
#include "machine/client.h"
#include "machine/status_report.h"

namespace depot::solve {
struct Request;
}

namespace depot::machine {

enum class Outcome { kSuccess = 1, kFailed = 2, kCanceled = 3 };

struct BuildOptions {
  std::string project, token, build_id, context_dir;
  std::vector<std::string> tags;
  // Told to the API with the tags: what becomes of the result, and which stage it is.
  bool push = false, load = false;
  std::string target;
  std::vector<depotapi::Output> outputs;
  // The image is kept in Depot's registry, under the build's id and these tags. Tags alone say so.
  bool save = false;
  std::vector<std::string> save_tags;
  base::Cancel cancel = base::Cancel::never();
  std::chrono::milliseconds timeout{30000};
};

class Build {
 public:
  // Blocks: finds token and project, starts the local builder if that is the choice, CreateBuild.
  // Of options.timeout, CreateBuild has a third at least, however long a CI's token took.
  static base::Result<std::shared_ptr<Build>> create(std::shared_ptr<Client> client,
                                                     const BuildOptions& options);
  ~Build();

  // Blocks for 35 s at most; works after a cancel too. Once the API has answered, further calls do
  // nothing and return the same; after a failure that may pass, the next call tries again.
  base::Status finish(Outcome outcome, const std::string& message);
  // The local builder ends when it has had nothing to do for a while: starts it again (it knows its
  // builds). Does nothing with another API. Blocks.
  base::Status wake_builder(const base::Cancel& cancel,
                            std::chrono::steady_clock::time_point deadline) const;

  const std::string& id() const { return id_; }
  const std::string& project() const { return project_; }
  const std::string& url() const { return url_; }
  const std::shared_ptr<Client>& client() const { return client_; }
  // Null with a plain address.
  const std::shared_ptr<depotapi::BuildApi>& api() const { return api_; }
  // The API's HTTP client, whose loop carries heartbeats. Null with a plain address.
  const std::shared_ptr<http::Client>& api_http() const { return api_http_; }
  // Where its status is mirrored to. Null with a plain address.
  const std::shared_ptr<StatusReport>& status_report() const { return status_report_; }
  const base::Secret& token() const { return token_; }
  // host -> base64 "user:password", from CreateBuild.
  const std::vector<std::pair<std::string, base::Secret>>& credentials() const {
    return credentials_;
  }
  // Its token is the login for Depot's registry: where CreateBuild gave none, or was somebody
  // else's.
  bool token_is_login() const {
    return client_->kind() == Client::Kind::kDepot && credentials_.empty();
  }
  // Says in `request`, before it is prepared, where its image is saved. A usage error when it is to
  // be, and this build was made without.
  base::Status add_save(solve::Request& request) const;

 private:
  Build() = default;
  void begin_status_report();

  std::shared_ptr<Client> client_;
  std::shared_ptr<http::Client> api_http_;
  std::shared_ptr<depotapi::BuildApi> api_;
  std::shared_ptr<StatusReport> status_report_;
  std::string id_, project_, url_;
  base::Secret token_;  // the build token: everything after CreateBuild uses it
  std::vector<std::pair<std::string, base::Secret>> credentials_;
  std::vector<std::string> saved_as_;  // names that the API gave
  bool saves_ = false;
  std::mutex mutex_;
  bool joined_ = false;              // somebody else made it and finishes it
  bool finished_ = false;            // guarded by mutex_
  base::Status finish_status_;       // guarded by mutex_: what further calls return
  Outcome told_ = Outcome::kFailed;  // guarded by mutex_: what to tell when this goes unfinished
  std::string message_ = "the build was dropped without an outcome";  // guarded by mutex_
};

}  // namespace depot::machine
