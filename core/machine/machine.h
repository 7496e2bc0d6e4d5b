// One leased BuildKit machine: acquire, connect, solve, release.
//
// The heartbeat starts before the machine is asked for and runs until release; it and everything
// else that a failed acquire began is gone when acquire returns. release() may be called at any
// time, from any thread, as often as one likes; a solve under way then ends with kCancelled.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "buildkit/channel.h"
#include "buildkit/control.h"
#include "machine/build.h"
#include "machine/heartbeat.h"
#include "solve/solve.h"

namespace depot::machine {

struct WaitOptions {
  base::Cancel cancel = base::Cancel::never();
  // 0: five minutes for a machine that may have to boot; for a plain address, where a builder runs
  // or does not, 20 s, as buildx gives its own.
  std::chrono::milliseconds timeout{0};
};

struct SolveOptions {
  base::Cancel cancel = base::Cancel::never();
  std::chrono::milliseconds timeout{0};  // 0: none
  solve::OnStatus on_status;
};

class Machine {
 public:
  // `platform`: "amd64", "arm64", "linux/amd64", "linux/arm64"; empty: this computer's. Blocks.
  static base::Result<std::shared_ptr<Machine>> acquire(std::shared_ptr<Build> build,
                                                        const std::string& platform,
                                                        const WaitOptions& options);
  // One of the client's nodes.
  static base::Result<std::shared_ptr<Machine>> acquire_node(std::shared_ptr<Build> build,
                                                             size_t node,
                                                             const WaitOptions& options);
  ~Machine();

  // Blocks until ListWorkers answers. OK at once when connected. While another thread connects it
  // waits for the outcome, as long as its own options let it.
  base::Status connect(const WaitOptions& options);
  // Blocks. Connects first when that was not done.
  base::Result<solve::Result> solve(const solve::Request& request, const SolveOptions& options);
  // For a machine that makes this one solve: connects and solves in one go. The request leaves as
  // soon as the connection stands, a round trip before a builder that is asked first has answered;
  // where it does not stand at once, as connect() and solve().
  base::Result<solve::Result> solve_once(const solve::Request& request,
                                         const SolveOptions& options);
  // What its builder is asked besides a solve. Connects first when that was not done, then calls
  // `question` with the connection, the workers that it told of, a switch that also release()
  // triggers, and what is left of options.timeout (0: it was not limited). Blocks.
  using Question =
      std::function<base::Status(buildkit::Channel&, const std::vector<buildkit::Worker>&,
                                 const base::Cancel&, std::chrono::milliseconds left)>;
  base::Status ask(const WaitOptions& options, const Question& question);
  void release();

  const std::string& endpoint() const { return endpoint_.address; }
  const std::string& platform() const { return platform_; }
  // What its workers build, when it is connected.
  std::vector<std::string> worker_platforms() const;
  const std::shared_ptr<Build>& build() const { return build_; }

 private:
  Machine() = default;
  base::Status gone_reason() const;
  base::Status connect_alone(const base::Cancel& stop, std::chrono::milliseconds timeout);
  void set_limits();
  // What is wrong with the request is told before anything is asked of the network.
  base::Result<solve::Request> prepared(const solve::Request& request,
                                        const SolveOptions& options) const;
  std::chrono::milliseconds patience(const WaitOptions& options) const;
  base::Result<solve::RunOptions> run_options(const solve::Request& ready,
                                              const SolveOptions& options) const;
  // What the builder's history has of the build, into its result.
  void add_attestations(solve::Result& result, const solve::Request& ready,
                        const std::shared_ptr<buildkit::Channel>& channel,
                        const base::Cancel& cancel, std::chrono::milliseconds left) const;
  // To reach image stores on this side.
  load::Options load_options() const;
  // With what clients add to a builder's answer: the build's reference, and its name at Depot.
  base::Result<solve::Result> named(base::Result<solve::Result> result,
                                    const solve::Request& ready) const;
  // What docker's config says of proxies, as arguments of the build.
  void add_proxies(solve::Request& ready) const;

  std::shared_ptr<Build> build_;
  std::string platform_;  // "amd64" or "arm64"
  buildkit::Endpoint endpoint_;
  bool engine_ = false;   // a Docker Engine
  bool dialled_ = false;  // a connection that is made once, and tells nothing of whether it stands
  std::shared_ptr<Heartbeat> heartbeat_;
  base::Cancel gone_;  // triggered by release() and by the API's cancels_at

  mutable std::mutex mutex_;
  std::condition_variable connected_;           // connecting_ became false, or a wait is over
  bool connecting_ = false;                     // guarded by mutex_: one connect at a time
  std::shared_ptr<buildkit::Channel> channel_;  // guarded by mutex_
  std::vector<buildkit::Worker> workers_;       // guarded by mutex_
  bool released_ = false;                       // guarded by mutex_
  bool taken_away_ = false;                     // guarded by mutex_
};

// The whole flow: build, machine, solve, release, finish by how it went.
//
// `platform`: "amd64" or "arm64", one machine of that kind builds everything; "dynamic": each of
// the request's platforms is built by the machine that runs it, side by side, and the images that
// are pushed are joined here; empty: "dynamic" at the API of Depot and with several nodes, else one
// machine, of the request's platform when that has one, or this computer's.
inline constexpr char kDynamic[] = "dynamic";
struct FlowResult {
  solve::Result result;
  std::string build_id, build_url;
};
base::Result<FlowResult> run_flow(const std::shared_ptr<Client>& client, const BuildOptions& build,
                                  const std::string& platform, const solve::Request& request,
                                  const SolveOptions& options);

}  // namespace depot::machine
