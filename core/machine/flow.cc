// run_flow: a whole build, on one machine or on several.
#include <algorithm>
#include <utility>

#include "machine/logins.h"
#include "machine/machine.h"
#include "machine/many.h"
#include "machine/retry.h"
#include "solve/parts.h"
#include "solve/platform.h"

namespace depot::machine {
namespace {

using base::Code;
using base::Result;
using base::Status;
using Clock = std::chrono::steady_clock;

std::vector<std::string> platforms_of(const solve::Request& ready) {
  std::vector<std::string> out;
  auto wanted = ready.attrs.find("platform");
  if (wanted == ready.attrs.end()) return out;
  for (size_t start = 0; start <= wanted->second.size();) {
    size_t end = std::min(wanted->second.find(',', start), wanted->second.size());
    // What is none is the frontend's to refuse.
    std::string text = wanted->second.substr(start, end - start);
    auto platform = solve::canonical_platform(text);
    out.push_back(platform.ok() ? *platform : text);
    start = end + 1;
  }
  return out;
}

// The kind of the only machine: `platform` if that names one, else the request's if it has one.
std::string one_machine(const std::string& platform, const solve::Request& ready) {
  if (!platform.empty() && platform != kDynamic) return platform;
  auto wanted = platforms_of(ready);
  bool kind = wanted.size() == 1 && (wanted[0] == "linux/arm64" || wanted[0] == "linux/amd64");
  return kind ? wanted[0] : "";
}

// Whether there is a choice to make among the client's machines.
bool chooses(const Client& client, const std::string& platform, const solve::Request& ready) {
  bool dynamic = platform.empty() ? client.kind() != Client::Kind::kLocal : platform == kDynamic;
  return dynamic && client.nodes().size() > 1 && ready.attrs.contains("platform");
}

// The parts of the build by machine; none: there is no choice.
Result<std::vector<Part>> divide(const std::shared_ptr<Build>& build, const std::string& platform,
                                 const solve::Request& ready, const WaitOptions& wait) {
  const Client& client = *build->client();
  std::vector<Part> parts;
  if (!chooses(client, platform, ready)) return parts;
  auto wanted = platforms_of(ready);
  std::vector<std::shared_ptr<Machine>> machines(client.nodes().size());
  auto shares = assign(client.nodes(), wanted);
  if (!shares) {
    DEPOT_TRY(connect_all(build, wait, machines));
    auto nodes = client.nodes();
    for (size_t i = 0; i < nodes.size(); ++i)
      for (const auto& one : machines[i]->worker_platforms())
        if (auto canonical = solve::canonical_platform(one); canonical.ok())
          nodes[i].platforms.push_back(*canonical);
    shares = assign_somehow(nodes, wanted);
  }
  // What a frontend is asked is the same on all of them.
  if (!ready.call.empty()) shares = std::vector<Share>{{shares->front().node, wanted}};
  for (auto& share : *shares) {
    auto machine = machines[share.node];
    parts.push_back({std::move(share), std::move(machine)});
  }
  return parts;
}

}  // namespace

Result<FlowResult> run_flow(const std::shared_ptr<Client>& client, const BuildOptions& options,
                            const std::string& platform, const solve::Request& request,
                            const SolveOptions& solve_options) {
  // One switch and one clock for all of it.
  const auto began = Clock::now();
  BuildOptions build_options = options;
  base::Cancel either = solve_options.cancel.child();
  auto also = options.cancel.on_trigger([either] { either.trigger(); });
  build_options.cancel = either;
  if (build_options.context_dir.empty()) {
    auto context = request.locals.find("context");
    if (context != request.locals.end()) build_options.context_dir = context->second;
  }
  DEPOT_ASSIGN(solve::Request ready, solve::prepare(request, client->options().environment,
                                                    {either, solve_options.timeout}));
  for (const auto& tag : request.tags) {
    auto& tags = build_options.tags;
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
  }
  for (const auto& one : ready.exports) {
    build_options.push |= pushes(one);
    build_options.load |= one.load.has_value();
    build_options.outputs.push_back({one.type, one.attrs});
  }
  if (auto stage = ready.attrs.find("target"); stage != ready.attrs.end())
    build_options.target = stage->second;
  build_options.save |= request.save;
  for (const auto& tag : request.save_tags) {
    auto& tags = build_options.save_tags;
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
  }
  const bool timed = solve_options.timeout.count() > 0;
  const auto deadline = began + solve_options.timeout;
  // Of the caller's time; zero is "as long as each step has by itself".
  auto left = [&] {
    if (!timed) return std::chrono::milliseconds(0);
    auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    return std::max(rest, std::chrono::milliseconds(1));
  };
  if (timed) build_options.timeout = std::min(build_options.timeout, left());
  // Told before anybody hears of the build, as far as it is known then.
  if (chooses(*client, platform, ready) && ready.call.empty()) {
    auto shares = assign(client->nodes(), platforms_of(ready));
    if (shares && shares->size() > 1) DEPOT_TRY(solve::check_divisible(ready));
  }
  const auto asked = Clock::now();
  DEPOT_ASSIGN(auto build, Build::create(client, build_options));
  const auto registered = Clock::now() - asked;
  auto attempt = [&]() -> Result<FlowResult> {
    WaitOptions wait;
    wait.cancel = either;
    wait.timeout = left();
    DEPOT_ASSIGN(auto parts, divide(build, platform, ready, wait));
    SolveOptions solve = solve_options;
    solve.cancel = either;
    solve.timeout = left();
    if (parts.size() > 1) {
      // Again, for where it is saved is known only now.
      solve::Request saved = request;
      DEPOT_TRY(build->add_save(saved));
      DEPOT_ASSIGN(solve::Request whole,
                   solve::prepare(saved, client->options().environment, {either, solve.timeout}));
      DEPOT_TRY(solve::check_divisible(whole));
      DEPOT_ASSIGN(auto result, solve_parts(build, saved, whole, std::move(parts), solve));
      result.stats.acquire += registered;
      return FlowResult{std::move(result), build->id(), build->url()};
    }
    auto machine = parts.empty() ? nullptr : parts[0].machine;
    if (!machine) {
      auto acquired = parts.empty() ? Machine::acquire(build, one_machine(platform, ready), wait)
                                    : Machine::acquire_node(build, parts[0].share.node, wait);
      if (!acquired.ok()) return acquired.status();
      machine = std::move(*acquired);
    }
    const auto acquired = Clock::now() - asked;
    solve.timeout = left();
    auto result = solve_with_retries(*machine, request, solve);
    machine->release();
    if (!result.ok()) return result.status();
    result->stats.acquire = acquired;
    return FlowResult{std::move(*result), build->id(), build->url()};
  };
  auto result = attempt();
  Status status = result.status();
  Status finished;
  if (status.ok())
    finished = build->finish(Outcome::kSuccess, "");
  else if (status.code() == Code::kCancelled)
    finished = build->finish(Outcome::kCanceled, "");
  else
    finished = build->finish(Outcome::kFailed, status.message());
  // The image is there: that the API did not hear of it does not unmake it.
  if (!finished.ok())
    base::log(client->options().log, base::LogLevel::kWarning,
              "the API was not told how the build ended: " + finished.message());
  return result;
}

}  // namespace depot::machine
