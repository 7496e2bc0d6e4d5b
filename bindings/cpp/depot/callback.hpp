// How C++ functions get through C frames: a callback may return nothing or an int, and may throw.
// An exception never enters the library: it is put aside, the solve is stopped, and depot.hpp
// throws it again from the call that it belongs to, with its type and contents as they were.
#ifndef DEPOT_CALLBACK_HPP
#define DEPOT_CALLBACK_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <type_traits>
#include <utility>

namespace depot {

/// A function of yours that takes Args and returns nothing (go on), or an int: 0 to go on, anything
/// else stops the solve and comes back by error::user_code(). Made from any callable; empty when
/// made from nullptr or an empty std::function.
template <class... Args>
class Callback {
 public:
  Callback() = default;
  Callback(std::nullptr_t) {}  // NOLINT: implicit on purpose, as std::function has it
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, Callback> &&
                                              std::is_invocable_v<std::decay_t<F>&, Args...>>>
  Callback(F&& f) {  // NOLINT: implicit on purpose
    if (is_empty(f)) return;
    if constexpr (std::is_void_v<std::invoke_result_t<std::decay_t<F>&, Args...>>) {
      function_ = [own = std::decay_t<F>(std::forward<F>(f))](Args... args) mutable {
        own(std::forward<Args>(args)...);
        return std::int32_t{0};
      };
    } else {
      function_ = std::forward<F>(f);
    }
  }

  explicit operator bool() const { return static_cast<bool>(function_); }
  std::int32_t operator()(Args... args) const { return function_(std::forward<Args>(args)...); }

 private:
  template <class F>
  static bool is_empty(const F&) {
    return false;
  }
  template <class R, class... A>
  static bool is_empty(const std::function<R(A...)>& f) {
    return !f;
  }
  template <class R, class... A>
  static bool is_empty(R (*const& f)(A...)) {
    return f == nullptr;
  }

  std::function<std::int32_t(Args...)> function_;
};

namespace detail {

// What a callback returns after it threw where one place is enough to keep the exception in.
constexpr std::int32_t kThrew = std::numeric_limits<std::int32_t>::min();

// Exceptions that callbacks of a request threw, by the number which the callback returned for them;
// the library gives that number back in the error of the solve it stopped, so also with several
// solves at once each finds its own. Holds the latest few: one whose solve failed of something else
// before is not asked for again.
class Thrown {
 public:
  std::int32_t keep(std::exception_ptr exception) noexcept {
    std::lock_guard<std::mutex> lock(mutex_);
    last_ = last_ == -1 ? kThrew + 1 : last_ + 1;
    kept_[slot(last_)] = {last_, std::move(exception)};
    return last_;
  }
  // Null when nothing is kept under that number.
  std::exception_ptr take(std::int32_t number) noexcept {
    std::lock_guard<std::mutex> lock(mutex_);
    if (number == 0 || kept_[slot(number)].first != number) return nullptr;
    kept_[slot(number)].first = 0;
    return std::exchange(kept_[slot(number)].second, nullptr);
  }

 private:
  static std::size_t slot(std::int32_t number) { return static_cast<std::uint32_t>(number) % 16; }

  std::mutex mutex_;
  std::int32_t last_ = kThrew;
  std::array<std::pair<std::int32_t, std::exception_ptr>, 16> kept_{};
};

}  // namespace detail
}  // namespace depot

#endif
