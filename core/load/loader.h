// An export of type docker (or oci) that goes into an image store on this side while it comes.
//
// A thread of its own takes the bytes from the session and gives them to the store, so that neither
// a store that is slow nor one that hangs delays the session; what the store has no room for yet
// holds the builder back. The builder is told that the export is safe when the store has said so.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/status.h"
#include "load/target.h"
#include "session/session.h"

namespace depot::load {

// What a store tells while it takes an image in.
struct Progress {
  std::string id;  // of a layer
  std::string status;
  int64_t current = 0, total = 0;
};

struct Options {
  base::Environment environment;  // of client programs
  bool allow_plaintext = false;   // to a Docker Engine on another computer
  // The loader's thread; on_progress not too often.
  std::function<void()> on_begin = {};
  std::function<void(const Progress&)> on_progress = {};
  std::function<void(const base::Status&)> on_end = {};
};

// What a store can take.
struct Abilities {
  bool containerd_store = false;  // images of several platforms, and attestations
  bool knows_layers = false;      // an archive may lack those that it has
};

// Whether the store is there, and what it takes. Blocks, for as long as `deadline` and `cancel` let
// it.
base::Result<Abilities> ask(const Target& target, const Options& options,
                            const base::Cancel& cancel,
                            std::chrono::steady_clock::time_point deadline);

// "podman, which ..., is not in PATH".
base::Status program_missing(const Target& target);

class Loader final : public session::ExportSink {
 public:
  Loader(Target target, Options options);
  ~Loader() override;

  base::Status open(std::function<void(base::Status)> ready) override;
  bool write(std::span<const uint8_t> data) override;
  void finish(std::function<void(base::Status)> done) override;
  void abort() override;
  bool complete() const override;

  // Ends what is under way and waits for that, which takes no time. Not on the session's thread.
  void stop();
  // Why the store did not take it, if it did not.
  base::Status failure() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace depot::load
