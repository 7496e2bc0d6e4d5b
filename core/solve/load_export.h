// An export of type docker that goes into an image store here: `--load`.
#pragma once

#include <string>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/status.h"
#include "buildkit/control.h"
#include "load/loader.h"
#include "session/skim.h"
#include "solve/events.h"
#include "solve/request.h"

namespace depot::solve {

// Part of prepare(): a docker export that goes nowhere else goes into a store; takes "into" and
// "context".
base::Status prepare_load(Export& target, const base::Environment& environment);

bool loads(const Request& ready);

// Asks the stores of `ready` (a prepared request) whether they are there and what they take, and
// has the builder make what they take. `builder`: the address of the Docker Engine that builds, ""
// for any other: an image for that one needs no way to it. Blocks.
base::Status find_stores(Request& ready, const std::string& builder, const load::Options& options,
                         const Waiting& waiting);

// Has each image come without the layers that its store has, where store and builder can do that.
void send_apart(Request& ready, const std::vector<buildkit::Worker>& workers);
// Takes that back.
void send_whole(Request& ready);

// The names of an export, one by one.
std::vector<std::string> names_of(const Export& target);

// The loader of an export, whose progress is a step of its own.
std::shared_ptr<load::Loader> make_loader(const Export& target, load::Options options,
                                          const std::shared_ptr<EventQueue>& queue);

// Once the builder has made an image that is sent apart: gives its store what that lacks. `skim`
// has the image's index, `response` is the exporter's. Whatever fails but a cancel, the whole image
// may be sent instead. The caller's thread; `wait` runs its callbacks until the queue says that it
// is done, or has `stop` run.
struct Apart {
  std::shared_ptr<buildkit::Channel> channel;
  const session::Skim& skim;
  const std::map<std::string, std::string>& response;
  std::chrono::steady_clock::time_point deadline;
  base::Cancel cancel;
  load::Options options;
  base::LogSink log;
  std::function<void(std::function<void(const base::Status&)> stop)> wait;
};
base::Status load_apart(const Export& target, const std::shared_ptr<load::Loader>& loader,
                        const std::shared_ptr<EventQueue>& queue, const Apart& apart);

}  // namespace depot::solve
