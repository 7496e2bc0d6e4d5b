#include "machine/many.h"

#include <moby/buildkit/v1/control.pb.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "base/pool.h"
#include "buildkit/address.h"
#include "machine/join.h"
#include "machine/logins.h"
#include "machine/retry.h"
#include "registry/manifests.h"
#include "solve/events.h"
#include "solve/parts.h"
#include "solve/result.h"
#include "solve/step.h"

namespace depot::machine {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class Limit {
 public:
  explicit Limit(milliseconds timeout)
      : timed_(timeout.count() > 0), end_(Clock::now() + timeout) {}
  // 0: none.
  milliseconds left() const {
    if (!timed_) return milliseconds(0);
    return std::max(std::chrono::duration_cast<milliseconds>(end_ - Clock::now()), milliseconds(1));
  }

 private:
  bool timed_;
  Clock::time_point end_;
};

// Runs tasks side by side, and on the caller's thread what they ask of it. The first that fails
// triggers `stop`, and is what run() returns.
class SideBySide {
 public:
  explicit SideBySide(const base::Cancel& cancel) : stop(cancel.child()) {}
  ~SideBySide() { queue->close(); }
  SideBySide(const SideBySide&) = delete;
  SideBySide& operator=(const SideBySide&) = delete;

  const base::Cancel stop;
  const std::shared_ptr<solve::EventQueue> queue = std::make_shared<solve::EventQueue>();
  solve::OnStatus on_status;             // of batches that are pushed to the queue
  std::shared_ptr<StatusReport> report;  // mirrors those

  Status run(std::vector<std::function<Status()>> tasks) {
    base::Pool pool(tasks.size());
    DEPOT_TRY(pool.start());
    for (auto& task : tasks) {
      pool.add([this, task = std::move(task)] {
        fail(task());
        queue->push(solve::Event{});
      });
    }
    for (size_t running = tasks.size(); running > 0;) {
      solve::Event event = queue->pop();
      Status status;
      if (event.kind == solve::Event::Kind::kDone) --running;
      if (event.kind == solve::Event::Kind::kCall) status = answer(event);
      if (event.kind == solve::Event::Kind::kStatus) status = tell(event);
      fail(status);
    }
    std::lock_guard lock(mutex_);
    return first_;
  }

  // For a task: calls `fn`, one of the caller's functions, on the caller's thread. What is thrown
  // there is thrown here. Once one has said no, none is called any more.
  int32_t call(std::function<int32_t()> fn) {
    struct Told {
      int32_t code = 1;
      std::exception_ptr thrown;
    };
    auto told = std::make_shared<Told>();
    // Never cancelled: the task's own things are lent to `fn`.
    queue->call(
        [this, told, fn = std::move(fn)]() -> Status {
          if (refused_) return {};
          try {
            told->code = fn();
          } catch (...) {
            told->thrown = std::current_exception();
          }
          refused_ = told->code != 0 || told->thrown != nullptr;
          return {};
        },
        base::Cancel::never());
    if (told->thrown) std::rethrow_exception(told->thrown);
    return told->code;
  }
  // For functions whose answer is no refusal.
  int32_t ask(const std::function<int32_t()>& fn) {
    int32_t answer = 0;
    call([&] {
      answer = fn();
      return 0;
    });
    return answer;
  }

 private:
  void fail(const Status& status) {
    if (status.ok()) return;
    {
      std::lock_guard lock(mutex_);
      if (!first_.ok()) return;
      first_ = status;
    }
    stop.trigger();
  }

  static Status thrown() {
    return Status(Code::kCancelled, Hop::kCallback, "a callback threw an exception");
  }

  static Status answer(const solve::Event& event) {
    try {
      return event.call();
    } catch (...) {
      return thrown();
    }
  }

  Status tell(const solve::Event& event) {
    if (report) report->add(event.bytes);
    if (!on_status || refused_) return {};
    ::moby::buildkit::v1::StatusResponse batch;
    if (!batch.ParseFromString(event.bytes)) return {};
    try {
      int32_t code = on_status({batch, event.bytes, event.credential_uses});
      refused_ = code != 0;
      return code == 0 ? Status() : solve::callback_error("status", code);
    } catch (...) {
      refused_ = true;
      return thrown();
    }
  }

  std::mutex mutex_;
  Status first_;          // guarded by mutex_
  bool refused_ = false;  // the caller's thread
};

// Its functions are called in turn with those of the other parts.
void take_turns(solve::Request& request, SideBySide& all) {
  if (request.login_reader) {
    request.login_reader = std::make_shared<solve::LoginReader>(
        [&all, reader = request.login_reader](const std::string& host, auto& out) {
          return all.call([&] { return (*reader)(host, out); });
        });
  }
  if (request.realm_reader) {
    request.realm_reader = std::make_shared<solve::RealmReader>(
        [&all, reader = request.realm_reader](const std::string& host, const std::string& realm) {
          return all.ask([&] { return (*reader)(host, realm); });
        });
  }
  for (auto& secret : request.secrets) {
    if (!secret.reader) continue;
    secret.reader = std::make_shared<solve::SecretReader>(
        [&all, reader = secret.reader](const std::string& id, auto& out) {
          return all.call([&] { return (*reader)(id, out); });
        });
  }
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : ",") + text;
  return out;
}

// What is wrong with the request, or came from the caller, is nobody's in particular.
Status blame(const Status& status, const Share& share) {
  if (status.hop() == Hop::kUsage || status.hop() == Hop::kCallback ||
      status.code() == Code::kCancelled)
    return status;
  return status.with_prefix(joined(share.platforms));
}

Result<solve::Result> solve_part(const std::shared_ptr<Build>& build, solve::Request request,
                                 const Part& part, const SolveOptions& options, const Limit& limit,
                                 SideBySide& all) {
  take_turns(request, all);
  const auto asked = Clock::now();
  auto machine = part.machine;
  if (!machine) {
    WaitOptions wait;
    wait.cancel = all.stop;
    wait.timeout = limit.left();
    DEPOT_ASSIGN(machine, Machine::acquire_node(build, part.share.node, wait));
  }
  const auto acquired = Clock::now() - asked;
  SolveOptions solve;
  solve.cancel = all.stop;
  solve.timeout = limit.left();
  if (options.on_status) {
    solve.on_status = [&all, &options](const solve::StatusBatch& batch) {
      return all.call([&] { return options.on_status(batch); });
    };
  }
  auto result = solve_with_retries(*machine, request, solve);
  machine->release();
  if (result.ok()) result->stats.acquire = acquired;
  return result;
}

// Of what a part pushed. Builders before 0.11 tell the digest alone.
Result<std::string> pushed_by(const solve::Result& result) {
  std::string descriptor = solve::descriptor_of(result.response);
  if (!descriptor.empty()) return descriptor;
  std::string digest = solve::value_of(result.response, "containerimage.digest");
  if (digest.empty())
    return Status(Code::kInternal, Hop::kMachine, "the builder does not tell what it pushed");
  return R"({"digest":")" + digest + "\"}";
}

Result<solve::MergedIndex> join_pushed(const Build& build, const solve::Request& ready,
                                       const solve::JoinedImage& image,
                                       const std::vector<std::string>& descriptors,
                                       const Limit& limit, SideBySide& all) {
  registry::ManifestsOptions options;
  DEPOT_ASSIGN(options.auth, make_auth(build, ready, all.queue));
  options.http = build.client()->http();
  options.log = build.client()->options().log;
  if (limit.left().count() > 0) options.timeout = std::min(options.timeout, limit.left());
  if (image.insecure)
    for (const auto& name : image.names)
      options.plain_http_hosts.insert(name.substr(0, name.find('/')));
  registry::Manifests manifests(std::move(options));
  solve::Step step("merging manifest list " + joined(image.names), "", [&all](std::string bytes) {
    solve::Event event;
    event.kind = solve::Event::Kind::kStatus;
    event.bytes = std::move(bytes);
    all.queue->push(std::move(event));
  });
  step.begin();
  auto index = join(manifests, image, descriptors, all.stop);
  step.end(index.status());
  return index;
}

// They ran side by side, so the longest of each time counts.
void add(solve::Stats& to, const solve::Stats& one) {
  using Stats = solve::Stats;
  for (auto time : {&Stats::acquire, &Stats::connect, &Stats::solve, &Stats::context,
                    &Stats::exporting, &Stats::pushing})
    to.*time = std::max(to.*time, one.*time);
  for (auto count : {&Stats::steps, &Stats::cached_steps, &Stats::completed_steps})
    to.*count += one.*count;
  for (auto count : {&Stats::context_entries, &Stats::context_files, &Stats::context_bytes,
                     &Stats::sent_bytes, &Stats::export_bytes})
    to.*count += one.*count;
}

// See attestations.cc; each platform has its own.
constexpr char kProvenance[] = "buildx.build.provenance";

// As of one solve: what the first part's builder told, and what all of them did.
solve::Result result_of(std::vector<Result<solve::Result>> results) {
  solve::Result out = std::move(*results[0]);
  for (size_t i = 1; i < results.size(); ++i) {
    solve::Result& one = *results[i];
    for (auto& synced : one.synced) out.synced.push_back(std::move(synced));
    for (auto& attestation : one.attestations) out.attestations.push_back(std::move(attestation));
    for (auto& [key, value] : one.response)
      if (key.starts_with(kProvenance)) out.response.emplace(key, std::move(value));
    add(out.stats, one.stats);
  }
  return out;
}

}  // namespace

Status connect_all(const std::shared_ptr<Build>& build, const WaitOptions& options,
                   std::vector<std::shared_ptr<Machine>>& machines) {
  const auto& nodes = build->client()->nodes();
  machines.resize(nodes.size());
  SideBySide all(options.cancel);
  Limit limit(options.timeout);
  std::vector<std::function<Status()>> tasks;
  for (size_t i = 0; i < nodes.size(); ++i) {
    tasks.emplace_back([&, i]() -> Status {
      WaitOptions wait{all.stop, limit.left()};
      auto machine = Machine::acquire_node(build, i, wait);
      Status status = machine.status();
      wait.timeout = limit.left();
      if (status.ok()) status = (*machine)->connect(wait);
      if (!status.ok()) return blame(status, {i, {nodes[i].name}});
      machines[i] = std::move(*machine);
      return {};
    });
  }
  Status status = all.run(std::move(tasks));
  if (!status.ok()) machines.clear();
  return status;
}

Result<solve::Result> solve_parts(const std::shared_ptr<Build>& build,
                                  const solve::Request& request, const solve::Request& ready,
                                  std::vector<Part> parts, const SolveOptions& options) {
  DEPOT_ASSIGN(auto image, solve::joined_image(ready));
  for (const auto& part : parts) {
    auto address = buildkit::parse_address(build->client()->nodes()[part.share.node].name);
    if (image && address.ok() && address->engine)
      return base::usage_error("a Docker Engine cannot push a part of an image")
          .with_hint("it pushes no image without a tag; name builders that are no Docker Engine");
  }
  Limit limit(options.timeout);
  SideBySide all(options.cancel);
  all.on_status = options.on_status;
  all.report = build->status_report();
  std::vector<Result<solve::Result>> results(parts.size(), base::internal_error("not run"));
  std::vector<std::function<Status()>> tasks;
  for (size_t i = 0; i < parts.size(); ++i) {
    tasks.emplace_back([&, i]() -> Status {
      results[i] = solve_part(build, solve::part_of(request, ready, parts[i].share.platforms),
                              parts[i], options, limit, all);
      parts[i].machine.reset();
      return blame(results[i].status(), parts[i].share);
    });
  }
  DEPOT_TRY(all.run(std::move(tasks)));

  std::optional<solve::MergedIndex> merged;
  if (image) {
    std::vector<std::string> descriptors;
    for (const auto& result : results) {
      DEPOT_ASSIGN(std::string descriptor, pushed_by(*result));
      descriptors.push_back(std::move(descriptor));
    }
    DEPOT_TRY(all.run({[&]() -> Status {
      DEPOT_ASSIGN(merged, join_pushed(*build, ready, *image, descriptors, limit, all));
      return {};
    }}));
  }
  solve::Result out = result_of(std::move(results));
  if (merged) {
    // The rest is of images that nobody asked for.
    std::erase_if(out.response, [](const auto& one) {
      return !one.first.starts_with(kProvenance) && one.first != solve::kDepotBuild;
    });
    out.response["containerimage.digest"] = merged->digest;
    out.response["image.name"] = joined(image->names);
    out.response["containerimage.descriptor"] = base::base64_encode(merged->descriptor);
  }
  return out;
}

}  // namespace depot::machine
