#include "builderd/books.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "builderd/leftovers.h"
#include "localbuilder/project_dirs.h"

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using localbuilder::BooksQuestion;
using localbuilder::Project;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr size_t kThreads = 4;
constexpr milliseconds kUsualPatience = std::chrono::minutes(5);
constexpr milliseconds kMostPatience = std::chrono::minutes(30);

HttpResponse json(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.headers.add("content-type", "application/json");
  response.body = std::move(body);
  return response;
}

// Not 404, which is how a daemon without books answers.
HttpResponse refusal(const Status& status) {
  int number = status.code() == Code::kInternal             ? 500
               : status.code() == Code::kFailedPrecondition ? 409
                                                            : 400;
  return json(number, localbuilder::format_error(status));
}

}  // namespace

Books::Books(base::EpollLoop& loop, ControlPlane& plane, std::string state_dir, base::LogSink log)
    : loop_(loop),
      plane_(plane),
      state_dir_(std::move(state_dir)),
      log_(std::move(log)),
      pool_(kThreads) {}

Books::~Books() {
  cancel_.trigger();
}

bool Books::knows(const std::string& path) {
  return path == localbuilder::kProjectsPath || path == localbuilder::kStopPath ||
         path == localbuilder::kResetPath;
}

void Books::handle(const HttpRequest& request, HttpService::Done done) {
  auto question = localbuilder::parse_question(request.body);
  if (!question.ok()) return done(refusal(question.status()));
  if (Status status = pool_.start(); !status.ok()) {
    return done(refusal(status.with_hop(Hop::kBuilder)));
  }
  if (request.path == localbuilder::kProjectsPath) return list(*question, std::move(done));
  if (request.path == localbuilder::kStopPath) return stop(*question, std::move(done));
  reset(*question, std::move(done));
}

template <class T>
void Books::run(std::function<T()> work, std::function<void(T)> then) {
  plane_.begin_work();
  pool_.add([this, work = std::move(work), then = std::move(then),
             alive = std::weak_ptr<int>(alive_)]() mutable {
    auto result = std::make_shared<T>(work());
    // Only the loop's thread may let go of `then`.
    loop_.post([this, alive = std::move(alive), then = std::move(then), result] {
      if (!alive.lock()) return;
      then(std::move(*result));
      plane_.end_work();
    });
  });
}

void Books::list(BooksQuestion question, HttpService::Done done) {
  milliseconds patience = question.patience.count() > 0 ? question.patience : kUsualPatience;
  auto deadline = steady_clock::now() + std::min(patience, kMostPatience);
  using Found = Result<std::vector<Project>>;
  run<Found>(
      [state_dir = state_dir_, project = question.project, cancel = cancel_, deadline]() -> Found {
        DEPOT_ASSIGN(auto projects, localbuilder::read_projects(state_dir, project));
        localbuilder::count_caches(state_dir, projects, cancel, deadline);
        return projects;
      },
      [this, done = std::move(done)](Found projects) {
        if (!projects.ok()) return done(refusal(projects.status()));
        plane_.describe(*projects);
        done(json(200, localbuilder::format_projects(*projects)));
      });
}

void Books::stop(const BooksQuestion& question, HttpService::Done done) {
  plane_.stop_machines(question.project, question.force,
                       [done = std::move(done)](Result<int64_t> machines) {
                         if (!machines.ok()) return done(refusal(machines.status()));
                         done(json(200, localbuilder::format_number("machines", *machines)));
                       });
}

void Books::reset(const BooksQuestion& question, HttpService::Done done) {
  if (!question.project) {
    return done(refusal(Status(Code::kInvalidArgument, Hop::kBuilder, "a reset needs a project")));
  }
  plane_.reset(*question.project, question.force,
               [this, done = std::move(done),
                alive = std::weak_ptr<int>(alive_)](Result<std::string> aside) {
                 if (!alive.lock()) return;
                 if (!aside.ok()) return done(refusal(aside.status()));
                 run<Result<int64_t>>(
                     [state_dir = state_dir_, aside = *aside, cancel = cancel_] {
                       return localbuilder::remove_aside(state_dir, aside, cancel,
                                                         steady_clock::time_point::max());
                     },
                     [done, log = log_](Result<int64_t> bytes) {
                       if (bytes.ok())
                         return done(json(200, localbuilder::format_number("bytes", *bytes)));
                       base::log(log, base::LogLevel::kError, bytes.status().message());
                       done(refusal(bytes.status()));
                     });
               });
}

void Books::remove_leftovers() {
  if (localbuilder::find_aside(state_dir_).empty()) return;
  if (Status status = pool_.start(); !status.ok()) {
    return base::log(log_, base::LogLevel::kError, status.message());
  }
  run<bool>(
      [state_dir = state_dir_, cancel = cancel_, log = log_] {
        remove_set_aside(state_dir, cancel, log);
        return true;
      },
      [](bool) {});
}

}  // namespace depot::builderd
