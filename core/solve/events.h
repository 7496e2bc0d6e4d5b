// What the loop thread has for the thread that called run(): status batches, export bytes, the end.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "session/secrets.h"
#include "session/session.h"
#include "solve/request.h"

namespace depot::solve {

class CallbackSink;

// A registry's password, or what stands for it, is about to be given to somebody.
struct CredentialUse {
  std::string host;      // the registry
  std::string receiver;  // its token server; empty: the builder
};

struct Event {
  enum class Kind { kStatus, kExport, kExportEnd, kCall, kDone } kind = Kind::kDone;
  std::string bytes;
  std::shared_ptr<CallbackSink> sink;
  // kCall: another callback of the caller's. Not ok: it wants the solve to stop.
  std::function<base::Status()> call = {};
  std::vector<CredentialUse> credential_uses = {};  // kStatus
};

class EventQueue {
 public:
  // Bytes of status batches that may wait for a slow callback before the stream is held back.
  static constexpr size_t kStatusHigh = 4 << 20;

  void push(Event event);
  // Has `fn` run on the thread that pops, as a kCall, and waits for that: for threads of a pool.
  // False when it was not run, or `cancel` was triggered meanwhile: then it may be running still,
  // so it must own what it uses.
  bool call(std::function<base::Status()> fn, const base::Cancel& cancel);
  // Nothing is popped any more: drops what is there and what comes.
  void close();
  Event pop();  // blocks
  // Whether so many bytes of status batches wait that the stream is to be held, and later, whether
  // it is to go on: true once for each time that it was held.
  bool holds();
  bool resumes();

 private:
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<Event> events_;
  size_t status_bytes_ = 0;
  bool held_ = false;
  bool closed_ = false;
};

// A status batch with a step of our own, that tells of this.
Event credential_event(const std::string& host, const std::string& receiver);

// An export that goes to a callback of the caller's.
class CallbackSink final : public session::ExportSink,
                           public std::enable_shared_from_this<CallbackSink> {
 public:
  CallbackSink(std::shared_ptr<EventQueue> queue, std::shared_ptr<ExportWriter> writer)
      : queue_(std::move(queue)), writer_(std::move(writer)) {}

  base::Status open(std::function<void(base::Status)> ready) override;
  bool write(std::span<const uint8_t> data) override;
  void finish(std::function<void(base::Status)> done) override;
  void abort() override;
  bool complete() const override;

  // The caller's thread: hands one event to the callback. Not ok: it wants the solve to stop.
  base::Status deliver(const Event& event);

 private:
  static constexpr size_t kHigh = 4 << 20;
  static constexpr size_t kLow = 1 << 20;

  std::shared_ptr<EventQueue> queue_;
  std::shared_ptr<ExportWriter> writer_;
  mutable std::mutex mutex_;
  std::function<void(base::Status)> ready_;
  std::function<void(base::Status)> done_;
  size_t queued_ = 0;
  bool opened_ = false, held_ = false, broken_ = false, complete_ = false;
};

// A secret that a callback of the caller's gives.
class CallbackSecret final : public session::SecretSource {
 public:
  CallbackSecret(std::string id, std::shared_ptr<EventQueue> queue,
                 std::shared_ptr<SecretReader> reader)
      : id_(std::move(id)), queue_(std::move(queue)), reader_(std::move(reader)) {}
  void fetch(Done done) override;

 private:
  std::string id_;
  std::shared_ptr<EventQueue> queue_;
  std::shared_ptr<SecretReader> reader_;
};

// The error of a callback that returned `code`.
base::Status callback_error(const std::string& which, int32_t code);

}  // namespace depot::solve
