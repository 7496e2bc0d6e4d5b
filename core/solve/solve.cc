#include "solve/solve.h"

#include <moby/buildkit/v1/control.pb.h>
#include <moby/buildkit/v1/frontend/gateway.pb.h>
#include <openssl/evp.h>

#include <array>
#include <filesystem>

#include "base/pool.h"
#include "session/file_sink.h"
#include "solve/cache.h"
#include "solve/events.h"
#include "solve/layout_export.h"
#include "solve/load_export.h"
#include "solve/local_export.h"
#include "solve/run.h"
#include "solve/stream.h"
#include "solve/tracker.h"

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Status;
namespace control = ::moby::buildkit::v1;

// Daemons up to 0.13 take 4 MiB messages.
constexpr size_t kMaxRequest = (4 << 20) - 1024;
constexpr size_t kPoolThreads = 4;
// Local dirs that are walked at a time; the daemon asks for three or four in a build.
constexpr size_t kMaxWalks = 64;

// Stable per directory and free of secrets: the daemon re-syncs a directory by it
// (protocol.md 2.1). Made from the path, not from a stored node id, so that CI runners that check
// out to the same path share what the builder has of it.
std::string shared_key(const Request& request) {
  auto context = request.locals.find("context");
  auto files = request.files.find("context");
  std::string text, name;
  if (context != request.locals.end()) {
    std::error_code error;
    auto path = std::filesystem::weakly_canonical(context->second, error);
    if (error) path = context->second;
    text = path.string();
    name = path.filename().string();
  } else if (files != request.files.end()) {
    // The same set of files, whatever is in them.
    for (const auto& [path, node] : files->second->nodes()) text += path + '\n';
    name = "files";
  } else {
    return "";
  }
  std::array<unsigned char, 32> hash{};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), hash.data(), &size, EVP_sha256(), nullptr);
  constexpr char kHex[] = "0123456789abcdef";
  std::string key;
  // gRPC metadata is printable ASCII: other bytes of the name are left to the hash.
  for (char c : name)
    if (c > ' ' && c < 0x7f) key.push_back(c);
  key.push_back(':');
  for (size_t i = 0; i < 8; ++i) {
    key.push_back(kHex[hash[i] >> 4]);
    key.push_back(kHex[hash[i] & 15]);
  }
  return key;
}

void encode(control::CacheOptionsEntry& to, const CacheEntry& entry) {
  to.set_type(entry.type);
  for (const auto& [key, value] : entry.attrs) (*to.mutable_attrs())[key] = value;
  for (const auto& [key, value] : entry.secrets) (*to.mutable_attrs())[key] = value.reveal();
}

std::string encode(const Request& request, const std::string& ref, const std::string& session) {
  control::SolveRequest message;
  message.set_ref(ref);
  message.set_session(session);
  // For a call we are the frontend ourselves, and ask the true one through the gateway.
  if (request.call.empty() && !request.fetch) message.set_frontend(request.frontend);
  for (const auto& [key, value] : request.attrs) (*message.mutable_frontendattrs())[key] = value;
  for (const auto& entitlement : request.entitlements) message.add_entitlements(entitlement);
  for (const auto& target : request.exports) {
    auto* exporter = message.add_exporters();
    exporter->set_type(target.type);
    for (const auto& [key, value] : target.attrs) (*exporter->mutable_attrs())[key] = value;
  }
  // Daemons before 0.13, and Depot's, read the first exporter here.
  if (!request.exports.empty()) {
    message.set_exporterdeprecated(request.exports[0].type);
    for (const auto& [key, value] : request.exports[0].attrs)
      (*message.mutable_exporterattrsdeprecated())[key] = value;
  }
  auto* cache = message.mutable_cache();
  for (const auto& entry : request.cache_to) encode(*cache->add_exports(), entry);
  for (const auto& entry : request.cache_from) encode(*cache->add_imports(), entry);
  // Frontends look for imports here.
  if (!request.frontend.empty() && !request.cache_from.empty())
    (*message.mutable_frontendattrs())["cache-imports"] =
        cache_imports_json(request.cache_from).reveal();
  message.set_internal(request.internal);
  return message.SerializeAsString();
}

std::string encode_call(const Request& request) {
  if (request.fetch) {
    ::moby::buildkit::v1::frontend::SolveRequest message;
    message.mutable_definition()->ParseFromString(request.fetch->definition);
    message.set_evaluate(true);
    message.set_allowresultreturn(true);
    message.set_allowresultarrayref(true);
    return message.SerializeAsString();
  }
  if (request.call.empty()) return "";
  ::moby::buildkit::v1::frontend::SolveRequest message;
  message.set_frontend(request.frontend);
  for (const auto& [key, value] : request.attrs) (*message.mutable_frontendopt())[key] = value;
  message.set_allowresultreturn(true);
  message.set_allowresultarrayref(true);
  return message.SerializeAsString();
}

// The task that begins a run. A loop that has stopped, because the machine was released just then,
// drops what is posted to it; whoever waits for the end has to hear of that, too.
class Begin {
 public:
  Begin(std::shared_ptr<Run> run, std::shared_ptr<EventQueue> queue)
      : run_(std::move(run)), queue_(std::move(queue)) {}
  Begin(const Begin&) = delete;
  Begin& operator=(const Begin&) = delete;
  ~Begin() {
    if (!run_) return;
    run_->outcome = base::cancelled_error("the machine was released");
    queue_->push(Event{});
  }
  std::shared_ptr<Run> take() { return std::exchange(run_, nullptr); }

 private:
  std::shared_ptr<Run> run_;
  std::shared_ptr<EventQueue> queue_;
};

// What is still read when nobody wants it any more must not be waited for.
struct Interrupt {
  const std::map<std::string, std::shared_ptr<Stream>>& uploads;
  ~Interrupt() {
    for (const auto& [id, stream] : uploads) stream->interrupt();
  }
};

struct Sinks {
  std::map<uint32_t, std::shared_ptr<session::ExportSink>> all;
  std::vector<std::shared_ptr<session::FileSink>> files;
  std::map<uint32_t, filesync::TreeOptions> trees;
  std::vector<std::shared_ptr<load::Loader>> loaders;
  // The image whose index goes into `skim`, and what it then goes into.
  std::pair<const Export*, std::shared_ptr<load::Loader>> apart;
  std::shared_ptr<session::Skim> skim = std::make_shared<session::Skim>();
  // By this thread: the loop never waits for a store.
  ~Sinks() {
    for (const auto& loader : loaders) loader->stop();
  }
};

Status make_sinks(const Request& request, const load::Options& load,
                  const std::shared_ptr<base::Pool>& pool, const std::shared_ptr<EventQueue>& queue,
                  Sinks& sinks) {
  for (size_t i = 0; i < request.exports.size(); ++i) {
    const Export& target = request.exports[i];
    auto index = static_cast<uint32_t>(i);
    if (target.layout) continue;  // its blobs come as those of a cache
    if (target.tree) {
      sinks.trees[index] = *target.tree;
    } else if (target.load) {
      sinks.loaders.push_back(make_loader(target, load, queue));
      if (target.apart)
        sinks.apart = {&target, sinks.loaders.back()};
      else
        sinks.all[index] = sinks.loaders.back();
    } else if (target.writer) {
      sinks.all[index] = std::make_shared<CallbackSink>(queue, target.writer);
    } else if (!target.file.empty()) {
      DEPOT_ASSIGN(auto sink, session::FileSink::create(target.file, pool));
      sinks.files.push_back(sink);
      sinks.all[index] = sink;
    }
  }
  return {};
}

std::map<std::string, std::shared_ptr<session::SecretSource>> make_secrets(
    const Request& request, const std::shared_ptr<base::Pool>& pool,
    const std::shared_ptr<EventQueue>& queue) {
  std::map<std::string, std::shared_ptr<session::SecretSource>> secrets;
  for (const auto& secret : request.secrets) {
    auto& source = secrets[secret.id];
    if (secret.reader)
      source = std::make_shared<CallbackSecret>(secret.id, queue, secret.reader);
    else if (secret.value)
      source = session::fixed_secret(secret.value);
    else
      source = session::file_secret(secret.file, pool);
  }
  return secrets;
}

// Our side of the story, where the daemon's error is only what it made of it.
Status told_by(const std::vector<Status>& failures, const Status& outcome) {
  for (const auto& failure : failures) {
    if (outcome.message().find(failure.message()) == std::string::npos) continue;
    base::Error error = outcome.error();  // which has the step and the lines
    error.code = failure.code();
    error.hop = failure.hop();
    // What a registry's was for is the daemon's to tell.
    if (failure.hop() != Hop::kRegistry && failure.hop() != Hop::kHelper)
      error.message = failure.message();
    if (!failure.error().hint.empty()) error.hint = failure.error().hint;
    error.retryable = failure.error().retryable;
    return Status(std::move(error));
  }
  return outcome;
}

// What is kept of the status batches.
struct Watch {
  Tracker tracker;
  StatsFold stats;
};

Stats stats_of(const Watch& watch, const Run& run, std::chrono::steady_clock::time_point began) {
  Stats stats = watch.stats.stats();
  stats.connect = run.begun_at - began;
  stats.solve = std::chrono::steady_clock::now() - run.begun_at;
  for (const auto& synced : run.synced) {
    stats.context_entries += synced.stats;
    stats.context_files += synced.files;
    stats.context_bytes += synced.data_bytes;
    stats.sent_bytes += synced.wire_bytes;
  }
  stats.export_bytes = run.export_bytes;
  for (const auto& tree : run.received) stats.export_bytes += tree.totals.bytes;
  return stats;
}

// The caller's thread: runs callbacks until the loop says that everything has ended. `end`: has it
// end before.
Status deliver_events(EventQueue& queue, const std::shared_ptr<Run>& run,
                      buildkit::Channel& channel, const RunOptions& options, Watch& watch,
                      const std::function<void(const Status&)>& end) {
  Status stopped;
  auto stop = [&](const Status& why) {
    if (!stopped.ok()) return;
    stopped = why;
    end(why);
  };
  for (;;) {
    Event event = queue.pop();
    Status status;
    try {
      switch (event.kind) {
        case Event::Kind::kDone:
          return stopped;
        case Event::Kind::kStatus: {
          control::StatusResponse batch;
          if (!batch.ParseFromString(event.bytes)) {
            base::log(options.log, base::LogLevel::kWarning, "a status message cannot be parsed");
            break;
          }
          watch.tracker.add(batch);
          watch.stats.add(batch);
          if (options.on_status && stopped.ok()) {
            if (int32_t code = options.on_status({batch, event.bytes, event.credential_uses});
                code != 0)
              status = callback_error("status", code);
          }
          break;
        }
        case Event::Kind::kExport:
        case Event::Kind::kExportEnd:
          if (stopped.ok()) status = event.sink->deliver(event);
          break;
        case Event::Kind::kCall:
          if (stopped.ok()) status = event.call();
          break;
      }
    } catch (...) {
      // A callback that lets an exception out of C: it stops the solve like any other refusal.
      status = Status(Code::kCancelled, Hop::kCallback, "a callback threw an exception");
    }
    if (!status.ok()) stop(status);
    if (event.kind == Event::Kind::kStatus && queue.resumes())
      channel.loop().post([run] { run->resume_status(); });
  }
}

}  // namespace

base::Result<Result> run(const std::shared_ptr<buildkit::Channel>& channel, const Request& request,
                         const RunOptions& options, Came* came) {
  if (came) *came = Came{};
  const auto began = std::chrono::steady_clock::now();
  if (!channel->usable_here()) {
    return Status(Code::kFailedPrecondition, Hop::kUsage,
                  "this process is a fork of the one that opened the connection")
        .with_hint("build first after fork(), or start the child anew by exec()");
  }
  auto queue = options.queue ? options.queue : std::make_shared<EventQueue>();
  struct Closer {
    EventQueue& queue;
    ~Closer() {
      queue.close();
    }  // threads of the pool may wait for an answer that nobody gives now
  } closer{*queue};
  auto pool = std::make_shared<base::Pool>(kPoolThreads);
  // Joined when this returns, by this thread: the loop never waits for a disk.
  auto walkers = std::make_shared<base::Pool>(kMaxWalks);
  Interrupt interrupt{request.uploads};  // before the pools are joined
  DEPOT_TRY(pool->start());
  Sinks sinks;
  DEPOT_TRY(make_sinks(request, options.load, pool, queue, sinks));
  for (const auto& line : request.warnings) base::log(options.log, base::LogLevel::kWarning, line);

  auto run = std::make_shared<Run>(channel, queue);
  std::string message = encode(request, run->ref, run->session_id);
  run->call = encode_call(request);
  if (request.fetch) {
    run->read_file = request.fetch->file;
    run->read_limit = request.fetch->limit;
  }
  if (message.size() > kMaxRequest) {
    return base::usage_error("the solve request has " + std::to_string(message.size()) +
                             " bytes; builders take 4 MiB");
  }
  session::Options session;
  session.shared_key = shared_key(request);
  // The directory that a relative path means is the one it means now.
  for (const auto& [name, dir] : request.locals)
    session.locals.emplace(name, std::filesystem::absolute(dir).string());
  for (const auto& [name, files] : request.files) session.files.emplace(name, files);
  for (const auto& [id, stream] : request.uploads) session.uploads.emplace(id, stream);
  session.sinks = sinks.all;
  session.trees = sinks.trees;
  if (sinks.apart.first) session.skims["export"] = sinks.skim;
  session.record_sent = request.record_context;
  session.stores = request.stores;
  session.auth = options.auth;
  session.secrets = make_secrets(request, pool, queue);
  for (const auto& one : request.ssh) session.ssh.emplace(one.id, one.agent);
  // Ended by this thread, as the pools are.
  std::shared_ptr<session::SshThread> ssh_thread;
  if (!request.ssh.empty()) ssh_thread = std::make_shared<session::SshThread>();
  session.ssh_thread = ssh_thread;
  session.pool = pool;
  session.walkers = walkers;
  session.log = options.log;
  channel->loop().post([begin = std::make_shared<Begin>(run, queue), session = std::move(session),
                        message = std::move(message),
                        limits = Run::Limits{options.timeout, options.connect_within},
                        log = options.log]() mutable {
    begin->take()->start(std::move(session), std::move(message), limits, std::move(log));
  });
  auto on_cancel = options.cancel.on_trigger(
      [channel, run] { channel->loop().post([run] { run->stop(base::cancelled_error()); }); });
  auto on_gone = options.machine_gone.on_trigger([channel, run, why = options.why_gone] {
    channel->loop().post(
        [run, why] { run->stop(why ? why() : base::cancelled_error("the machine was released")); });
  });

  Watch watch;
  const Tracker& tracker = watch.tracker;
  Status stopped = deliver_events(*queue, run, *channel, options, watch, [&](const Status& why) {
    channel->loop().post([run, why] { run->stop(why); });
  });
  Status outcome = run->outcome;
  if (came) came->begun = run->begun;
  // The loop that would have told which reason it was had ended already.
  if (options.machine_gone.triggered() && outcome.code() == Code::kCancelled && options.why_gone &&
      stopped.ok() && !options.cancel.triggered())
    outcome = options.why_gone();
  if (!outcome.ok()) {
    // A full disk is the story, not what the daemon made of our refusal.
    for (const auto& sink : sinks.files) {
      if (Status failure = sink->failure(); !failure.ok()) return failure;
    }
    for (const auto& loader : sinks.loaders) {
      if (Status failure = loader->failure(); !failure.ok() && stopped.ok()) return failure;
    }
    if (Status failure = blamed_tree(run->received, outcome); !failure.ok()) return failure;
    for (const auto& [id, stream] : request.uploads) {
      if (Status failure = stream->failure(); !failure.ok() && stopped.ok()) return failure;
    }
    // The same for a file of the context that could not be read, or whose function refused.
    if (stopped.ok() && outcome.code() != Code::kCancelled) {
      for (const auto& synced : run->synced)
        if (synced.status.hop() == Hop::kLocal || synced.status.hop() == Hop::kCallback)
          return tracker.enrich(synced.status);
    }
    if (outcome.code() == Code::kUnavailable) outcome = channel->explain(outcome);
    return tracker.enrich(told_by(run->failures, outcome));
  }
  // The last callback may have refused after the daemon was done.
  if (!stopped.ok()) return stopped;
  control::SolveResponse response;
  if (!response.ParseFromString(run->response))
    return Status(Code::kInternal, Hop::kMachine, "Solve: the answer cannot be parsed");
  for (const auto& [index, sink] : sinks.all) {
    if (!sink->complete()) {
      return Status(Code::kDataLoss, Hop::kMachine,
                    "the builder did not send export " + std::to_string(index + 1))
          .with_hint("builders before 0.13 make one export of a build: ask for one at a time");
    }
  }
  if (sinks.apart.first) {
    if (came) came->apart = true;
    std::map<std::string, std::string> answer;
    for (const auto& [key, value] : response.exporterresponse()) answer.emplace(key, value);
    auto both = options.cancel.child();
    auto either = options.machine_gone.on_trigger([both] { both.trigger(); });
    auto limit = options.timeout.count() > 0 ? options.timeout : std::chrono::hours(24 * 365);
    auto wait = [&](const std::function<void(const Status&)>& end) {
      stopped = deliver_events(*queue, run, *channel, options, watch, end);
    };
    Status loaded = load_apart(
        *sinks.apart.first, sinks.apart.second, queue,
        {channel, *sinks.skim, answer, began + limit, both, options.load, options.log, wait});
    if (!stopped.ok()) return stopped;
    if (options.machine_gone.triggered() && options.why_gone && !options.cancel.triggered())
      return options.why_gone();
    // What the store said is the story, not that the layers then were nobody's.
    if (Status failure = sinks.apart.second->failure(); !failure.ok()) return failure;
    DEPOT_TRY(loaded);
  }
  DEPOT_TRY(check_trees(sinks.trees, run->received, options.log));
  for (const auto& sink : sinks.files) DEPOT_TRY(sink->commit());
  Result result;
  result.ref = run->ref;
  for (const auto& [key, value] : response.exporterresponse()) result.response.emplace(key, value);
  DEPOT_TRY(finish_layout_export(request, result.response, options.cancel));
  DEPOT_TRY(finish_cache(request, value_of(result.response, "cache.manifest"), options.cancel,
                         options.log));
  result.stats = stats_of(watch, *run, began);
  result.synced = std::move(run->synced);
  result.fetched = std::move(run->file_read);
  if (!request.call.empty()) {
    ::moby::buildkit::v1::frontend::SolveResponse answer;
    if (!answer.ParseFromString(run->gateway_answer))
      return Status(Code::kInternal, Hop::kMachine, "the gateway's answer cannot be parsed");
    for (const auto& [key, value] : answer.result().metadata()) result.response[key] = value;
    DEPOT_ASSIGN(result.call, read_answer(request.call, result.response));
  }
  return result;
}

}  // namespace depot::solve
