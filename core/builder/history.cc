#include "builder/history.h"

#include <moby/buildkit/v1/control.pb.h>

#include <algorithm>
#include <utility>

#include "buildkit/errors.h"
#include "wire/methods.h"

namespace depot::builder {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
namespace wire_v1 = ::moby::buildkit::v1;

constexpr buildkit::Version kHistorySince{0, 11};
// Daemons keep 50 builds unless they are told otherwise.
constexpr size_t kMostRecords = 100000;
constexpr size_t kMostBytes = 256 << 20;

int64_t nanoseconds_of(const google::protobuf::Timestamp& stamp) {
  constexpr int64_t kMostSeconds = INT64_MAX / 1000000000 - 1;
  return std::clamp(stamp.seconds(), int64_t{0}, kMostSeconds) * 1000000000 + stamp.nanos();
}

template <class Map>
std::map<std::string, std::string> map_of(const Map& from) {
  return std::map<std::string, std::string>(from.begin(), from.end());
}

std::string value_of(const std::map<std::string, std::string>& attrs, const std::string& key) {
  auto found = attrs.find(key);
  return found == attrs.end() ? "" : found->second;
}

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

// docker buildx's name of a build, by what the builder knows of it: where the Dockerfile is, or the
// context or repository when it says no more, and the target.
std::string name_of(const std::map<std::string, std::string>& attrs) {
  if (auto given = value_of(attrs, "build-arg:BUILDKIT_BUILD_NAME"); !given.empty()) return given;
  std::string context = value_of(attrs, "context");
  if (auto local = value_of(attrs, "vcs:localdir:context"); context.empty() && local != ".")
    context = local;
  std::string file = value_of(attrs, "filename");
  if (file == "Dockerfile") file.clear();
  if (auto dir = value_of(attrs, "vcs:localdir:dockerfile"); !dir.empty() && dir != ".")
    file = dir + (file.empty() ? "" : "/" + file);
  std::string out = context.empty() ? last_part(file) : context;
  std::string target = value_of(attrs, "target");
  if (!target.empty()) out += out.empty() ? target : " (" + target + ")";
  return out.empty() ? value_of(attrs, "vcs:source") : out;
}

void add_blob(HistoryRecord& out, Blob::Kind kind, const wire_v1::Descriptor& from,
              const std::string& platform = "") {
  if (from.digest().empty()) return;
  Blob& blob = out.blobs.emplace_back();
  blob.kind = kind;
  blob.type = from.media_type();
  auto predicate = from.annotations().find("in-toto.io/predicate-type");
  if (predicate != from.annotations().end()) blob.type = predicate->second;
  blob.platform = platform;
  blob.digest = from.digest();
  blob.size = from.size();
}

void add_results(HistoryRecord& out, const wire_v1::BuildResultInfo& from,
                 const std::string& platform) {
  std::map<int64_t, const wire_v1::Descriptor*> results;  // in order
  for (const auto& [index, descriptor] : from.results()) results.emplace(index, &descriptor);
  for (const auto& [index, descriptor] : results)
    add_blob(out, Blob::Kind::kResult, *descriptor, platform);
  if (results.empty()) add_blob(out, Blob::Kind::kResult, from.resultdeprecated(), platform);
  for (const auto& one : from.attestations())
    add_blob(out, Blob::Kind::kAttestation, one, platform);
}

// As BuildKit's filters have it.
BuildState state_of(const wire_v1::BuildHistoryRecord& from) {
  if (!from.has_completedat()) return BuildState::kRunning;
  if (!from.has_error()) return BuildState::kCompleted;
  bool canceled = from.error().code() == static_cast<int32_t>(Code::kCancelled) ||
                  from.error().message().find("context canceled") != std::string::npos;
  return canceled ? BuildState::kCanceled : BuildState::kFailed;
}

HistoryRecord record_of(const wire_v1::BuildHistoryRecord& from) {
  HistoryRecord out;
  out.ref = from.ref();
  out.frontend = from.frontend();
  out.attrs = map_of(from.frontendattrs());
  out.name = name_of(out.attrs);
  for (const auto& one : from.exporters())
    out.exporters.emplace_back(one.type(), map_of(one.attrs()));
  out.response = map_of(from.exporterresponse());
  out.state = state_of(from);
  if (from.has_error()) {
    out.error = buildkit::status_from_grpc(from.error().code(), from.error().message(),
                                           from.error().SerializeAsString(), Hop::kSolve);
  }
  if (from.has_createdat()) out.created = nanoseconds_of(from.createdat());
  if (from.has_completedat()) out.completed = nanoseconds_of(from.completedat());
  out.total_steps = from.numtotalsteps();
  out.completed_steps = from.numcompletedsteps();
  out.cached_steps = from.numcachedsteps();
  out.warnings = from.numwarnings();
  out.pinned = from.pinned();
  add_blob(out, Blob::Kind::kLogs, from.logs());
  add_blob(out, Blob::Kind::kTrace, from.trace());
  add_blob(out, Blob::Kind::kError, from.externalerror());
  add_results(out, from.result(), "");
  std::map<std::string, const wire_v1::BuildResultInfo*> platforms;
  for (const auto& [platform, result] : from.results()) platforms.emplace(platform, &result);
  for (const auto& [platform, result] : platforms) add_results(out, *result, platform);
  return out;
}

Status no_such_build(const std::string& ref) {
  return Status(Code::kNotFound, Hop::kMachine,
                "no build '" + ref.substr(0, 100) + "' is in the builder's history")
      .with_hint("it may have gone: a builder keeps the newest builds, 50 unless it is told so");
}

Status check_ref(const std::string& ref) {
  if (ref.empty()) return base::usage_error("the build's ref is empty");
  return {};
}

// A builder that knows a ref but not its end waits six seconds for one that it does not know.
Status check_known(buildkit::Channel& channel, const std::string& ref, const Ask& how) {
  DEPOT_TRY(check_ref(ref));
  HistoryOptions options;
  options.ref = ref;
  return list_history(channel, {}, options, how).status();
}

}  // namespace

Result<std::vector<HistoryRecord>> list_history(buildkit::Channel& channel,
                                                const std::vector<buildkit::Worker>& workers,
                                                const HistoryOptions& options, const Ask& how) {
  if (options.limit < 0) return base::usage_error("the history's limit is negative");
  wire_v1::BuildHistoryRequest request;
  // Its Ref is not used: a builder that was asked for one by it and then told to delete it keeps
  // it on its disk until it starts anew.
  request.set_earlyexit(true);
  request.set_activeonly(options.active_only);
  for (const auto& filter : options.filters) {
    DEPOT_ASSIGN(std::string made, parse_history_filter(filter));
    if (!made.empty()) request.add_filter(made);
  }
  if (request.filter_size() > 0)
    DEPOT_TRY(buildkit::check_version("filters of its build history", {0, 20}, workers,
                                      "list all builds and look at what they are"));
  if (options.ref.empty()) request.set_limit(options.limit);  // ignored before 0.20
  std::vector<HistoryRecord> out;
  size_t bytes = 0;
  Status status = ask(channel, wire::kControlListenBuildHistory, request.SerializeAsString(), how,
                      [&](const std::string& message) -> Status {
                        wire_v1::BuildHistoryEvent event;
                        if (!event.ParseFromString(message))
                          return Status(Code::kInternal, Hop::kMachine,
                                        "ListenBuildHistory: a record cannot be parsed");
                        if (event.type() == wire_v1::DELETED || !event.has_record()) return {};
                        if (!options.ref.empty() && event.record().ref() != options.ref) return {};
                        bytes += message.size();
                        if (out.size() >= kMostRecords || bytes > kMostBytes)
                          return Status(Code::kResourceExhausted, Hop::kMachine,
                                        "the builder's history is longer than can be listed")
                              .with_hint("give a limit or filters");
                        out.push_back(record_of(event.record()));
                        return {};
                      });
  DEPOT_TRY(explain_missing(status, "a build history", kHistorySince));
  // A build that ended just then is there as running, too.
  std::stable_sort(out.begin(), out.end(), [](const HistoryRecord& a, const HistoryRecord& b) {
    bool a_runs = a.state == BuildState::kRunning, b_runs = b.state == BuildState::kRunning;
    return a_runs != b_runs ? a_runs : a.created > b.created;
  });
  if (!options.ref.empty()) {
    if (out.empty()) return no_such_build(options.ref);
    out.erase(out.begin(), out.end() - 1);
  } else if (options.limit > 0 && out.size() > static_cast<size_t>(options.limit)) {
    out.resize(static_cast<size_t>(options.limit));
  }
  return out;
}

Status read_logs(buildkit::Channel& channel, const std::string& ref, const OnMessage& on_status,
                 const Ask& how) {
  DEPOT_TRY(check_known(channel, ref, how));
  wire_v1::StatusRequest request;
  request.set_ref(ref);
  return ask(channel, wire::kControlStatus, request.SerializeAsString(), how, on_status);
}

Status delete_history(buildkit::Channel& channel, const std::string& ref, const Ask& how) {
  DEPOT_TRY(check_known(channel, ref, how));
  wire_v1::UpdateBuildHistoryRequest request;
  request.set_ref(ref);
  request.set_delete_(true);
  auto answer =
      ask_once(channel, wire::kControlUpdateBuildHistory, request.SerializeAsString(), how);
  return explain_missing(answer.status(), "a build history", kHistorySince);
}

}  // namespace depot::builder
