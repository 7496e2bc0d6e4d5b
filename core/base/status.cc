#include "base/status.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace depot::base {
namespace {

constexpr std::array<std::string_view, 17> kCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

constexpr std::array<std::string_view, 12> kHopNames = {"none",  "usage",    "local",   "api",
                                                        "proxy", "builder",  "machine", "session",
                                                        "solve", "registry", "helper",  "callback"};

template <class F>
Status edited(const Status& status, F&& edit) {
  if (status.ok()) return status;
  Error copy = status.error();
  edit(copy);
  return Status(std::move(copy));
}

Code code_of_errno(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return Code::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermissionDenied;
    case EEXIST:
      return Code::kAlreadyExists;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return Code::kResourceExhausted;
    case EINVAL:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return Code::kInvalidArgument;
    case ECANCELED:
      return Code::kCancelled;
    case ETIMEDOUT:
      return Code::kDeadlineExceeded;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return Code::kUnavailable;
    default:
      return Code::kUnknown;
  }
}

}  // namespace

std::string_view code_name(Code code) {
  auto index = static_cast<size_t>(code);
  return index < kCodeNames.size() ? kCodeNames[index] : "Unknown";
}

std::string_view hop_name(Hop hop) {
  auto index = static_cast<size_t>(hop);
  return index < kHopNames.size() ? kHopNames[index] : "none";
}

Code code_from_number(int64_t number) {
  return number >= 0 && number <= 16 ? static_cast<Code>(number) : Code::kUnknown;
}

Status::Status(Code code, Hop hop, std::string message) {
  Error error;
  error.code = code;
  error.hop = hop;
  error.message = std::move(message);
  error.retryable = code == Code::kUnavailable;
  error_ = std::make_shared<const Error>(std::move(error));
}

const std::string& Status::message() const {
  static const std::string* const kEmpty = new std::string;
  return error_ ? error_->message : *kEmpty;
}

Status Status::with_prefix(std::string_view prefix) const {
  return edited(*this, [&](Error& e) { e.message = std::string(prefix) + ": " + e.message; });
}

Status Status::with_hint(std::string hint) const {
  return edited(*this, [&](Error& e) { e.hint = std::move(hint); });
}

Status Status::with_retryable(bool retryable) const {
  return edited(*this, [&](Error& e) { e.retryable = retryable; });
}

Status Status::with_hop(Hop hop) const {
  if (ok() || error_->hop != Hop::kNone) return *this;
  return edited(*this, [&](Error& e) { e.hop = hop; });
}

Status usage_error(std::string message) {
  return Status(Code::kInvalidArgument, Hop::kUsage, std::move(message));
}

Status cancelled_error(std::string message) {
  return Status(Code::kCancelled, Hop::kNone, std::move(message));
}

Status internal_error(std::string message) {
  return Status(Code::kInternal, Hop::kNone, std::move(message));
}

Status errno_error(int error_number, std::string_view what) {
  std::array<char, 128> buffer{};
  // The GNU strerror_r: it may or may not use the buffer, and is thread-safe, unlike strerror.
  const char* text = strerror_r(error_number, buffer.data(), buffer.size());
  return Status(code_of_errno(error_number), Hop::kLocal, std::string(what) + ": " + text);
}

}  // namespace depot::base
