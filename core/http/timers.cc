#include "http/timers.h"

#include <algorithm>

namespace depot::http {

base::Loop::TimerId Timers::add(std::chrono::milliseconds delay, base::Loop::Task task) {
  base::Loop::TimerId id = next_id_++;
  auto when = Clock::now() + std::clamp<std::chrono::milliseconds>(
                                 delay, std::chrono::milliseconds(0), std::chrono::hours(24 * 365));
  tasks_.emplace(std::pair(when, id), std::move(task));
  times_.emplace(id, when);
  return id;
}

void Timers::cancel(base::Loop::TimerId id) {
  auto it = times_.find(id);
  if (it == times_.end()) return;
  auto node = tasks_.extract({it->second, id});  // destroyed last: it may own anything
  times_.erase(it);
}

void Timers::run_due() {
  auto now = Clock::now();
  while (!tasks_.empty() && tasks_.begin()->first.first <= now) {
    auto node = tasks_.extract(tasks_.begin());
    times_.erase(node.key().second);
    node.mapped()();
  }
}

std::optional<std::chrono::milliseconds> Timers::next() const {
  if (tasks_.empty()) return std::nullopt;
  auto left = tasks_.begin()->first.first - Clock::now();
  return std::max(std::chrono::milliseconds(0), std::chrono::ceil<std::chrono::milliseconds>(left));
}

void Timers::clear() {
  times_.clear();
  auto tasks = std::move(tasks_);
  tasks_.clear();
}

}  // namespace depot::http
