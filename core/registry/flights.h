// One run for all who ask for the same thing at the same time, and a promise that is always kept.
// Private to the module.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"

namespace depot::registry {

// Calls `done` once: with what it is given first, or with kCancelled when it goes without (a pool
// or a loop that ends drops its tasks). Any thread.
template <class T>
class Promise {
 public:
  using Done = std::function<void(base::Result<T>)>;
  explicit Promise(Done done) : done_(std::move(done)) {}
  ~Promise() { settle(base::cancelled_error()); }
  Promise(const Promise&) = delete;
  Promise& operator=(const Promise&) = delete;

  void settle(base::Result<T> result) {
    if (settled_.exchange(true)) return;
    Done done = std::move(done_);
    done(std::move(result));
  }

 private:
  std::atomic<bool> settled_{false};
  Done done_;
};

// Flights by key. Whoever asks joins the flight under way, or starts one. A caller that cancels
// leaves at once; the last one to leave cancels the flight. Any thread; `done` is never called
// under a lock, nor on the stack of join().
template <class T>
class Flights : public std::enable_shared_from_this<Flights<T>> {
 public:
  using Done = typename Promise<T>::Done;
  using Post = std::function<void(std::function<void()>)>;
  using Start = std::function<void(const base::Cancel&, std::shared_ptr<Promise<T>>)>;

  // More keys than this at a time are refused: they are the far side's choice.
  static constexpr size_t kMaxFlights = 256;

  // All flights end with `root`. `post` runs a task on another thread, or drops it.
  Flights(base::Cancel root, Post post) : root_(std::move(root)), post_(std::move(post)) {}

  // `start` is called from here, outside locks, if there is no flight to join; it must not settle
  // the promise before it returns.
  void join(const std::string& key, const base::Cancel& cancel, Done done, const Start& start) {
    auto waiter = std::make_shared<Waiter>();
    waiter->done = std::move(done);
    std::shared_ptr<Flight> flight;
    bool first = false;
    {
      std::lock_guard guard(mutex_);
      auto found = flights_.find(key);
      if (found != flights_.end()) {
        flight = found->second;
      } else if (flights_.size() < kMaxFlights) {
        first = true;
        flight = std::make_shared<Flight>(Flight{key, root_.child(), {}});
        flights_[key] = flight;
      }
      if (flight) flight->waiters.push_back(waiter);
    }
    if (!flight) {
      return later(std::move(waiter->done),
                   base::Status(base::Code::kResourceExhausted, base::Hop::kRegistry,
                                "too many registries are asked for at a time"));
    }
    watch(cancel, flight, waiter);
    if (!first) return;
    start(flight->cancel, std::make_shared<Promise<T>>(
                              [self = this->shared_from_this(), flight](base::Result<T> result) {
                                self->land(flight, std::move(result));
                              }));
  }

  // Calls `done` from another thread.
  void later(Done done, base::Result<T> result) {
    auto promise = std::make_shared<Promise<T>>(std::move(done));
    post_([promise, result = std::move(result)] { promise->settle(result); });
  }

 private:
  struct Waiter {
    std::mutex mutex;
    Done done;  // empty once called
    base::Cancel::Registration registration;
    // Both are for the caller to end outside the lock.
    std::pair<Done, base::Cancel::Registration> take() {
      std::lock_guard guard(mutex);
      std::pair<Done, base::Cancel::Registration> out;
      out.first = std::exchange(done, nullptr);
      out.second = std::move(registration);
      return out;
    }
  };
  struct Flight {
    std::string key;
    base::Cancel cancel;
    std::vector<std::shared_ptr<Waiter>> waiters;  // under Flights::mutex_
  };

  void watch(const base::Cancel& cancel, const std::shared_ptr<Flight>& flight,
             const std::shared_ptr<Waiter>& waiter) {
    // A switch that is triggered already calls back at once, on this stack, where `done` may not be
    // called: then it goes through post().
    auto registering = std::make_shared<std::atomic<bool>>(true);
    auto registration = cancel.on_trigger([self = this->weak_from_this(),
                                           weak_flight = std::weak_ptr<Flight>(flight),
                                           weak_waiter = std::weak_ptr<Waiter>(waiter), registering,
                                           caller = std::this_thread::get_id()] {
      auto flights = self.lock();
      auto left = weak_flight.lock();
      auto who = weak_waiter.lock();
      if (!flights || !left || !who) return;
      bool here = registering->load() && std::this_thread::get_id() == caller;
      flights->leave(left, who, here);
    });
    registering->store(false);
    std::lock_guard guard(waiter->mutex);
    if (waiter->done) waiter->registration = std::move(registration);
  }

  void leave(const std::shared_ptr<Flight>& flight, const std::shared_ptr<Waiter>& waiter,
             bool on_callers_stack) {
    auto [done, registration] = waiter->take();
    if (!done) return;
    bool last = false;
    {
      std::lock_guard guard(mutex_);
      auto& waiters = flight->waiters;
      waiters.erase(std::remove(waiters.begin(), waiters.end(), waiter), waiters.end());
      last = waiters.empty() && forget(flight);
    }
    if (last) flight->cancel.trigger();
    if (on_callers_stack) {
      later(std::move(done), base::cancelled_error());
    } else {
      done(base::cancelled_error());
    }
  }

  void land(const std::shared_ptr<Flight>& flight, base::Result<T> result) {
    std::vector<std::shared_ptr<Waiter>> waiters;
    {
      std::lock_guard guard(mutex_);
      forget(flight);
      waiters.swap(flight->waiters);
    }
    for (const auto& waiter : waiters) {
      Done done;
      {
        auto taken = waiter->take();
        done = std::move(taken.first);
      }
      if (done) done(result);
    }
  }

  // Under mutex_. True if it was under way; a later flight of the same key is left alone.
  bool forget(const std::shared_ptr<Flight>& flight) {
    auto found = flights_.find(flight->key);
    if (found == flights_.end() || found->second != flight) return false;
    flights_.erase(found);
    return true;
  }

  const base::Cancel root_;
  const Post post_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace depot::registry
