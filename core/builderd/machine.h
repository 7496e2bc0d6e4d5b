// Machine: one buildkitd with its own cache, reachable over mutual TLS on a loopback port.
//
// Stopped -> starting -> ready -> stopping -> stopped. All on the loop's thread; nothing waits: the
// control socket of its process 1 (machine_init.h), its log pipe and a pidfd bring the events. Each
// start has a certificate authority and a server name of its own, so an identity of an earlier
// start opens nothing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/epoll_loop.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/status.h"
#include "builderd/certificates.h"
#include "builderd/log_file.h"
#include "localbuilder/locate.h"

namespace depot::builderd {

struct MachineConfig {
  std::string project;
  std::string architecture;  // "amd64" or "arm64"
  std::string directory;     // of this machine: its cache and log live here
  std::string private_dir;   // see MachineSetup
  localbuilder::Engine engine;
  std::string snapshotter = "overlayfs";
  std::vector<std::string> environment;  // NAME=value, of buildkitd
};

// What a client needs to get in.
struct MachineAccess {
  std::string endpoint;  // tcp://127.0.0.1:port
  std::string server_name;
  Identity identity;
  std::string ca_certificate;
};

class Machine {
 public:
  enum class State { kStopped, kStarting, kReady, kStopping };
  // Called after every change of state, on the loop, never from inside start() or stop().
  using OnChange = std::function<void(Machine&)>;

  Machine(base::EpollLoop& loop, MachineConfig config, base::LogSink log, OnChange on_change);
  // Kills what still runs and waits for it.
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Starts it, or has it started again once it has stopped. No effect when starting or ready.
  base::Status start();
  // SIGTERM, and SIGKILL after ten seconds. No effect when stopped.
  void stop();
  // SIGKILL to everything in it.
  void kill();

  State state() const { return state_; }
  // Of the last start that failed, or the last run that ended unasked; ok otherwise.
  const base::Status& failure() const { return failure_; }
  // For kReady alone.
  base::Result<MachineAccess> access_for(const std::string& build_id) const;

  const MachineConfig& config() const { return config_; }
  std::string key() const { return config_.project + "/" + config_.architecture; }
  pid_t pid() const { return pid_; }
  uint64_t start_time() const { return start_time_; }

 private:
  base::Status launch();
  void on_control();
  void on_output();
  void on_exit();
  void become(State state);
  base::Status describe_failure() const;

  base::EpollLoop& loop_;
  const MachineConfig config_;
  const base::LogSink log_;
  const OnChange on_change_;
  const std::string cgroup_;
  State state_ = State::kStopped;
  base::Status failure_;
  bool restart_ = false;  // start() came while it was stopping
  std::unique_ptr<LogFile> output_log_;
  std::unique_ptr<CertificateAuthority> authority_;
  std::string server_name_;
  uint16_t port_ = 0;
  base::UniqueFd control_, output_, process_;
  pid_t pid_ = -1;
  uint64_t start_time_ = 0;
  std::string last_word_;  // how process 1 says it ended
  base::Loop::TimerId timer_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // guards tasks posted to the loop
};

}  // namespace depot::builderd
