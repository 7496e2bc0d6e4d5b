#include "solve/load_export.h"

#include <moby/buildkit/v1/control.pb.h>

#include <algorithm>
#include <chrono>

#include "base/id.h"
#include "buildkit/version.h"
#include "load/archive.h"
#include "load/present.h"
#include "solve/layer_sender.h"
#include "solve/step.h"

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Status;
using base::usage_error;
namespace control = ::moby::buildkit::v1;

std::string take(Export& target, const char* key) {
  auto it = target.attrs.find(key);
  if (it == target.attrs.end()) return "";
  std::string value = std::move(it->second);
  target.attrs.erase(it);
  return value;
}

Status lacks(const load::Target& store, const std::string& what) {
  return Status(Code::kFailedPrecondition, Hop::kLocal,
                store.name + "'s image store keeps no images of " + what)
      .with_hint("turn the containerd image store of the Docker Engine on, or push the image");
}

// The task that begins it. A loop that has stopped, because the machine was released just then,
// drops what is posted to it.
class Begin {
 public:
  Begin(std::shared_ptr<LayerSender> sender, std::function<void(const Status&)> done)
      : sender_(std::move(sender)), done_(std::move(done)) {}
  Begin(const Begin&) = delete;
  Begin& operator=(const Begin&) = delete;
  ~Begin() {
    if (sender_) done_(base::cancelled_error("the machine was released"));
  }
  std::shared_ptr<LayerSender> take() { return std::exchange(sender_, nullptr); }

 private:
  std::shared_ptr<LayerSender> sender_;
  std::function<void(const Status&)> done_;
};

}  // namespace

Status prepare_load(Export& target, const base::Environment& environment) {
  const bool stored = target.type == "docker" && target.file.empty() && !target.writer;
  if (!stored) {
    if (target.attrs.contains("into"))
      return usage_error("an export with a destination, or of type '" + target.type +
                         "', goes into no image store")
          .with_hint("into=STORE is for type=docker without dest");
    return {};
  }
  std::string into = take(target, "into"), context = take(target, "context");
  DEPOT_ASSIGN(target.load, load::parse_target(into, context, environment));
  return {};
}

bool loads(const Request& ready) {
  return std::any_of(ready.exports.begin(), ready.exports.end(),
                     [](const Export& one) { return one.load.has_value(); });
}

Status find_stores(Request& ready, const std::string& builder, const load::Options& options,
                   const Waiting& waiting) {
  auto deadline = std::chrono::steady_clock::now() +
                  (waiting.timeout.count() > 0 ? waiting.timeout : std::chrono::hours(1));
  for (Export& one : ready.exports) {
    if (!one.load) continue;
    if (!builder.empty() && (!one.load->named || one.load->engine == builder)) {
      one.load.reset();
      continue;
    }
    DEPOT_ASSIGN(auto store, load::ask(*one.load, options, waiting.cancel, deadline));
    if (store.containerd_store) {
      // It reads both; the other one has no room for several images, nor for attestations.
      one.type = "oci";
      continue;
    }
    one.apart = store.knows_layers;
    auto platform = ready.attrs.find("platform");
    if (platform != ready.attrs.end() && platform->second.find(',') != std::string::npos)
      return lacks(*one.load, "several platforms");
    for (const auto& [type, value] : ready.attestations)
      if (value.find("disabled=true") == std::string::npos)
        return lacks(*one.load, "attestations (" + type + ")");
  }
  return {};
}

void send_apart(Request& ready, const std::vector<buildkit::Worker>& workers) {
  // The first that is known to write an index into a store of ours, whose name is a fixed one: so
  // there is one such export in a build.
  const bool can = buildkit::oldest_version(workers) >= buildkit::Version{0, 13};
  // Nor is it for what cannot be done again, should it fail: bytes that a callback has got, or a
  // context that was read.
  bool taken = !ready.uploads.empty() ||
               std::any_of(ready.exports.begin(), ready.exports.end(), [](const Export& one) {
                 auto tar = one.attrs.find("tar");
                 return one.writer || (tar != one.attrs.end() && tar->second == "false");
               });
  for (Export& one : ready.exports) {
    one.apart = one.apart && one.load && can && !taken;
    if (!one.apart) continue;
    one.attrs["tar"] = "false";
    taken = true;
  }
}

void send_whole(Request& ready) {
  for (Export& one : ready.exports) {
    if (one.apart) one.attrs.erase("tar");
    one.apart = false;
  }
}

std::vector<std::string> names_of(const Export& target) {
  std::vector<std::string> names;
  auto it = target.attrs.find("name");
  std::string_view rest = it == target.attrs.end() ? std::string_view() : it->second;
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    auto name = canonical_name(std::string(rest.substr(0, comma)));
    if (name.ok()) names.push_back(*name);
    rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
  }
  return names;
}

Status load_apart(const Export& target, const std::shared_ptr<load::Loader>& loader,
                  const std::shared_ptr<EventQueue>& queue, const Apart& apart) {
  auto said = [&](const char* key) {
    auto it = apart.response.find(key);
    return it == apart.response.end() ? std::string() : it->second;
  };
  auto manifest = apart.skim.blob(said("containerimage.digest"));
  if (!manifest)
    return Status(Code::kDataLoss, Hop::kSolve, "the builder sent no manifest of the image");
  DEPOT_ASSIGN(std::string config_digest, load::config_of(*manifest));
  auto config = apart.skim.blob(config_digest);
  if (!config)
    return Status(Code::kDataLoss, Hop::kSolve, "the builder sent no config of the image");
  DEPOT_ASSIGN(load::Image image, load::read_image(*manifest, *config));
  auto names = names_of(target);
  DEPOT_ASSIGN(size_t present, load::layers_present(*target.load, apart.options, image, names,
                                                    apart.cancel, apart.deadline));
  base::log(apart.log, base::LogLevel::kInfo,
            "of " + std::to_string(image.layers.size()) + " layers " + target.load->name + " has " +
                std::to_string(present) + " already");
  auto outcome = std::make_shared<Status>();
  auto done = [outcome, queue](const Status& status) {
    *outcome = status;
    queue->push(Event{});
  };
  auto sender = std::make_shared<LayerSender>(apart.channel, loader, std::move(image), names,
                                              present, std::move(done));
  auto& loop = apart.channel->loop();
  auto stop = [&loop, sender](const Status& why) {
    loop.post([sender, why] { sender->fail(why); });
  };
  auto on_cancel = apart.cancel.on_trigger([stop] { stop(base::cancelled_error()); });
  loop.post([begin = std::make_shared<Begin>(sender, done)] { begin->take()->start(); });
  auto left = std::chrono::ceil<std::chrono::milliseconds>(apart.deadline -
                                                           std::chrono::steady_clock::now());
  loop.post([&loop, left, weak = std::weak_ptr<LayerSender>(sender)] {
    loop.run_after(left, [weak] {
      if (auto late = weak.lock())
        late->fail(Status(Code::kDeadlineExceeded, Hop::kSolve,
                          "the image was not loaded within the solve's timeout"));
    });
  });
  apart.wait(stop);
  return *outcome;
}

std::shared_ptr<load::Loader> make_loader(const Export& target, load::Options options,
                                          const std::shared_ptr<EventQueue>& queue) {
  auto step = std::make_shared<Step>("importing to " + target.load->name, "loading layer ",
                                     [queue](std::string bytes) {
                                       Event event;
                                       event.kind = Event::Kind::kStatus;
                                       event.bytes = std::move(bytes);
                                       queue->push(std::move(event));
                                     });
  options.on_begin = [step] { step->begin(); };
  options.on_progress = [step](const load::Progress& progress) { step->progress(progress); };
  options.on_end = [step](const Status& outcome) { step->end(outcome); };
  return std::make_shared<load::Loader>(*target.load, std::move(options));
}

}  // namespace depot::solve
