// Status and Result<T>: success, or one immutable base::Error. Cheap to copy (one shared pointer).
#pragma once

#include <cassert>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "base/error.h"

namespace depot::base {

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  explicit Status(Error error) : error_(std::make_shared<const Error>(std::move(error))) {}
  Status(Code code, Hop hop, std::string message);

  bool ok() const { return error_ == nullptr; }
  Code code() const { return error_ ? error_->code : Code::kOk; }
  Hop hop() const { return error_ ? error_->hop : Hop::kNone; }
  // Empty for OK.
  const std::string& message() const;
  // The error; only for !ok().
  const Error& error() const {
    assert(error_);
    return *error_;
  }

  // The same error with `prefix` and ": " before its message. OK stays OK.
  Status with_prefix(std::string_view prefix) const;
  Status with_hint(std::string hint) const;
  Status with_retryable(bool retryable) const;
  // The same error, its hop set if none was known.
  Status with_hop(Hop hop) const;

 private:
  std::shared_ptr<const Error> error_;
};

inline Status ok_status() {
  return Status();
}

// The usual suspects, by hop.
Status usage_error(std::string message);  // kInvalidArgument, Hop::kUsage
Status cancelled_error(std::string message = "cancelled by the caller");
Status internal_error(std::string message);  // a bug of ours
// From errno: ENOENT -> kNotFound, EACCES -> kPermissionDenied, ENOSPC -> kResourceExhausted, ...
// Message: "<what>: <strerror>". Hop::kLocal.
Status errno_error(int error_number, std::string_view what);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<1>, std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Status status) : state_(std::in_place_index<0>, std::move(status)) {  // NOLINT
    assert(!std::get<0>(state_).ok());
  }

  bool ok() const { return state_.index() == 1; }
  Status status() const { return ok() ? Status() : std::get<0>(state_); }
  const T& value() const& {
    assert(ok());
    return std::get<1>(state_);
  }
  T& value() & {
    assert(ok());
    return std::get<1>(state_);
  }
  T&& value() && {
    assert(ok());
    return std::move(std::get<1>(state_));
  }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

 private:
  std::variant<Status, T> state_;
};

}  // namespace depot::base

// if (Status s = expr; !s.ok()) return s;
#define DEPOT_TRY(expr)                                                          \
  do {                                                                           \
    if (::depot::base::Status depot_try_status = (expr); !depot_try_status.ok()) \
      return depot_try_status;                                                   \
  } while (false)

#define DEPOT_TRY_CONCAT_(a, b) a##b
#define DEPOT_TRY_CONCAT(a, b) DEPOT_TRY_CONCAT_(a, b)
// DEPOT_ASSIGN(auto x, f()): x = *f(), or returns f's status.
#define DEPOT_ASSIGN(lhs, expr) \
  DEPOT_ASSIGN_IMPL(DEPOT_TRY_CONCAT(depot_result_, __LINE__), lhs, expr)
#define DEPOT_ASSIGN_IMPL(result, lhs, expr) \
  auto result = (expr);                      \
  if (!result.ok()) return result.status();  \
  lhs = std::move(result).value()
