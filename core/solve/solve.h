// One build: session, Solve and Status of one ref, run together and ended in the right order.
//
// Order: the session is opened first and, when the connection stands, Status and Solve; the daemon
// waits for what comes late. Solve's answer is the truth: a Status that breaks is only logged. When
// Solve has answered, the session is closed and Status gets 5 s of silence before it is cancelled
// (the last vertices and logs still come). Cancelling is Solve's RST_STREAM; session and Status
// then get 100 ms to end by themselves, so that the final states arrive, and are cut off.
//
// Threads: the protocol lives on the channel's loop. The thread that called run() sleeps on a queue
// and runs every callback of the caller's (status batches, export bytes), one at a time: no thread
// is added, none of the library's waits for user code, and a slow callback only holds back the
// stream it belongs to.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/log.h"
#include "base/status.h"
#include "buildkit/channel.h"
#include "load/loader.h"
#include "registry/auth.h"
#include "session/session.h"
#include "solve/call.h"
#include "solve/events.h"
#include "solve/request.h"
#include "solve/stats.h"

namespace moby::buildkit::v1 {
class StatusResponse;
}

namespace depot::solve {

// One status batch: parsed, as it came, and what of it is ours to tell.
struct StatusBatch {
  const ::moby::buildkit::v1::StatusResponse& message;
  const std::string& bytes;
  const std::vector<CredentialUse>& credential_uses;
};
// Non-zero stops the solve.
using OnStatus = std::function<int32_t(const StatusBatch&)>;

struct RunOptions {
  base::Cancel cancel = base::Cancel::never();
  // The machine was released or taken away while we ran; `why_gone` then tells which.
  base::Cancel machine_gone = base::Cancel::never();
  std::function<base::Status()> why_gone;
  std::chrono::milliseconds timeout{0};  // 0: none
  // For the connection to stand; 0: as long as one attempt takes.
  std::chrono::milliseconds connect_within{0};
  OnStatus on_status;
  std::shared_ptr<registry::Auth> auth;
  // For `auth`'s callbacks, which are the caller's: ends with the run. Null: one is made.
  std::shared_ptr<EventQueue> queue;
  load::Options load;  // for exports into image stores
  base::LogSink log;
};

// What a build said of its making, in the builder's history.
struct Attestation {
  std::string type;      // of the predicate, "https://slsa.dev/provenance/v1"
  std::string platform;  // "" when the build has one for all
  std::string digest;    // of its blob in the builder
  int64_t size = 0;
};

struct Result {
  std::string ref;
  std::map<std::string, std::string> response;  // exporter response
  std::vector<session::SyncTotals> synced;      // what each FileSync call sent
  Stats stats;
  std::vector<Attestation> attestations;  // of a request with record_provenance
  std::string fetched;                    // of a request with a fetch: the file
  CallAnswer call;                        // of a request with a call; `method` is "" else
};

// How far a run came that failed.
struct Came {
  bool begun = false;  // the builder was asked for something; if not, there was no connection, and
                       // the same may be run again
  bool apart = false;  // all but the image that was to be sent apart is there: send_whole() and run
                       // again
};

// Blocks. Not on the channel's loop thread. `request` must have been through prepare().
base::Result<Result> run(const std::shared_ptr<buildkit::Channel>& channel, const Request& request,
                         const RunOptions& options, Came* came = nullptr);

}  // namespace depot::solve
