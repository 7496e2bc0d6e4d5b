#include "http/engine.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/signals.h"
#include "http/proxy.h"

namespace depot::http {

using base::Code;
using base::Hop;
using base::Status;

Engine::Engine(Options options)
    : options_(std::move(options)),
      environment_(options_.environment ? *options_.environment : base::Environment::of_process()) {
}

Engine::~Engine() = default;

bool Engine::usable_here() const {
  pid_t owner = owner_.load();
  return owner == 0 || owner == getpid();
}

bool Engine::on_loop_thread() const {
  return usable_here() && thread_id_.load() == std::this_thread::get_id();
}

Status Engine::start_thread() {
  if (thread_.joinable() || multi_) return base::ok_status();
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  multi_ = initialised == CURLE_OK ? curl_multi_init() : nullptr;
  if (!multi_)
    return Status(Code::kFailedPrecondition, Hop::kLocal, "libcurl cannot be loaded or started")
        .with_hint("install libcurl.so.4 (Debian: libcurl4)");
  Status status;
  base::SignalsBlocked blocked;
  try {
    owner_ = getpid();
    thread_ = std::thread([self = shared_from_this()] { self->run(); });
  } catch (const std::system_error& error) {
    owner_ = 0;
    curl_multi_cleanup(multi_);
    multi_ = nullptr;
    status = base::errno_error(error.code().value(), "cannot start a thread for HTTP");
  }
  return status;
}

void Engine::wake() {
  if (wake_pending_ || closed_) return;
  wake_pending_ = true;
  curl_multi_wakeup(multi_);
}

void Engine::post(Task task) {
  if (!usable_here()) return;
  std::lock_guard lock(mutex_);
  if (closed_ || !start_thread().ok()) return;
  posted_.push_back(std::move(task));
  wake();
}

base::Loop::TimerId Engine::run_after(std::chrono::milliseconds delay, Task task) {
  return timers_.add(delay, std::move(task));
}

void Engine::cancel_timer(TimerId id) {
  timers_.cancel(id);
}

Client::CallId Engine::send(Request request, Client::Done done) {
  Status status;
  Client::CallId id = 0;
  {
    std::lock_guard lock(mutex_);
    id = next_call_++;
    if (closed_)
      status = base::cancelled_error("the HTTP client is closed");
    else
      status = start_thread();
    if (status.ok()) {
      arrived_.push_back(std::make_unique<Call>(this, id, std::move(request), std::move(done)));
      wake();
      return id;
    }
  }
  done(status);
  return id;
}

void Engine::cancel(Client::CallId id) {
  std::lock_guard lock(mutex_);
  if (closed_ || !multi_) return;
  cancelled_.push_back(id);
  wake();
}

void Engine::stop() {
  bool self = on_loop_thread();
  std::thread thread;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    thread = std::move(thread_);
    if (multi_) wake();
  }
  if (!thread.joinable()) return;
  if (self)
    thread.detach();
  else
    thread.join();
}

void Engine::run() {
  thread_id_ = std::this_thread::get_id();
  for (;;) {
    bool stopping = false;
    turn(&stopping);
    if (stopping) break;
    poll();
  }
  shut_down();
}

void Engine::turn(bool* stopping) {
  std::vector<Task> tasks;
  std::vector<std::unique_ptr<Call>> arrived;
  std::vector<Client::CallId> cancelled;
  {
    std::lock_guard lock(mutex_);
    wake_pending_ = false;
    *stopping = stopping_;
    if (stopping_) return;
    tasks.swap(posted_);
    arrived.swap(arrived_);
    cancelled.swap(cancelled_);
  }
  for (auto& call : arrived) {
    Client::CallId id = call->transfer.id;
    calls_.emplace(id, std::move(call));
    begin(id);
  }
  for (auto& task : tasks) {
    task();
    task = nullptr;
  }
  for (Client::CallId id : cancelled) finish(id, base::cancelled_error());
  look_at_probes();
  timers_.run_due();
  int running = 0;
  curl_multi_perform(multi_, &running);
  take_messages();
}

void Engine::poll() {
  constexpr std::chrono::milliseconds kLong = std::chrono::hours(24);
  auto timeout = static_cast<int>(std::min(timers_.next().value_or(kLong), kLong).count());
  std::vector<curl_waitfd> sockets;
  for (auto& [origin, asking] : probes_)
    if (asking->probe.socket() >= 0)
      sockets.push_back({asking->probe.socket(), CURL_WAIT_POLLIN, 0});
  curl_multi_poll(multi_, sockets.data(), static_cast<unsigned>(sockets.size()), timeout, nullptr);
}

void Engine::take_messages() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode code = message->data.result;
    Completion* owner = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
    owner->complete(code);
  }
}

void Engine::begin(Client::CallId id) {
  Call& call = *calls_.at(id);
  Transfer& transfer = call.transfer;
  if (Status status = transfer.check(); !status.ok()) return finish(id, status);
  auto spent = std::chrono::steady_clock::now() - transfer.began;
  // Bounded first: the longest of durations does not fit into nanoseconds.
  auto whole = std::clamp<std::chrono::milliseconds>(
      transfer.request.timeout, std::chrono::milliseconds(0), std::chrono::hours(24 * 365));
  auto left = std::chrono::ceil<std::chrono::milliseconds>(whole - spent);
  if (left.count() <= 0) return finish(id, transfer.deadline_status());
  transfer.deadline = run_after(left, [this, id] {
    auto it = calls_.find(id);
    if (it == calls_.end()) return;
    it->second->transfer.deadline = 0;
    finish(id, it->second->transfer.deadline_status());
  });
  ask_version(call);
}

void Engine::launch(Call& call, long version) {
  Transfer& transfer = call.transfer;
  std::string proxy = options_.unix_socket.empty()
                          ? proxy_for(transfer.url, options_.proxy, environment_)
                          : std::string();
  if (Status status = proxy.empty() ? Status() : check_proxy(proxy); !status.ok())
    return finish(transfer.id, status);
  if (Status status = transfer.prepare(options_, proxy, version, &call); !status.ok())
    return finish(transfer.id, status);
  if (CURLMcode code = curl_multi_add_handle(multi_, transfer.easy); code != CURLM_OK)
    finish(transfer.id, base::internal_error(std::string("curl: ") + curl_multi_strerror(code)));
}

void Engine::transferred(Client::CallId id, CURLcode code) {
  auto it = calls_.find(id);
  if (it == calls_.end()) return;
  // Whatever was known of the server may have changed with it.
  if (code != CURLE_OK) versions_.erase(it->second->transfer.url.origin);
  finish(id, it->second->transfer.result(code));
}

void Engine::finish(Client::CallId id, base::Result<Response> result) {
  auto node = calls_.extract(id);
  if (node.empty()) return;
  Transfer& transfer = node.mapped()->transfer;
  if (transfer.deadline) cancel_timer(transfer.deadline);
  if (transfer.easy) curl_multi_remove_handle(multi_, transfer.easy);
  if (options_.log && !transfer.url.shown.empty()) {
    auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - transfer.began);
    base::log(options_.log, base::LogLevel::kDebug,
              transfer.title() + ": " +
                  (result.ok() ? std::to_string(result->status)
                               : std::string(base::code_name(result.status().code()))) +
                  " after " + std::to_string(took.count()) + " ms");
  }
  Client::Done done = std::move(transfer.done);
  node.mapped().reset();  // secrets go before the caller's code runs
  done(std::move(result));
}

void Engine::shut_down() {
  std::vector<Task> tasks;
  std::vector<std::unique_ptr<Call>> arrived;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;  // what a callback sends from now on ends at once
    tasks.swap(posted_);
    arrived.swap(arrived_);
    cancelled_.clear();
  }
  for (auto& call : arrived) {
    Client::CallId id = call->transfer.id;
    calls_.emplace(id, std::move(call));
  }
  while (!calls_.empty())
    finish(calls_.begin()->first, base::cancelled_error("the HTTP client was closed"));
  while (!probes_.empty()) drop_probe(std::string(probes_.begin()->first));
  tasks.clear();
  timers_.clear();
  curl_multi_cleanup(multi_);
}

}  // namespace depot::http
