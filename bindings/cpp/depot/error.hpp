// depot::error: what every call of depot.hpp throws when the library says no; and the few things
// the other headers share.
//
// An error is immutable and cheap to copy (copies share it); it may be read by several threads.
// Everything that it returns is a copy and lives on its own.
#ifndef DEPOT_ERROR_HPP
#define DEPOT_ERROR_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "depot/error.h"

// Exceptions are caught in other shared objects than they were thrown in only if their type is seen
// from outside, whatever the program's own -fvisibility is.
#if defined(__GNUC__)
#define DEPOT_HPP_VISIBLE __attribute__((visibility("default")))
#else
#define DEPOT_HPP_VISIBLE
#endif

namespace depot {

/// A source file (Dockerfile) that an error points at: its name, its bytes as BuildKit read them,
/// and the places in it.
struct ErrorSource {
  std::string file;
  std::string data;
  std::vector<depot_range> ranges;
  std::string excerpt;  ///< the lines around the place, as docker buildx shows them
};

/// One detail of the gRPC status as the server sent it.
struct ErrorDetail {
  std::string type_url;
  std::string bytes;
};

class DEPOT_HPP_VISIBLE error : public std::exception {
 public:
  /// Takes `raw` over; it may be NULL (no memory for the story), then only the code is known.
  error(depot_code code, depot_error* raw) : code_(code), raw_(raw, depot_error_free) {}

  /// The message, one line; as std::exception has it, it lives as long as the error.
  const char* what() const noexcept override {
    const char* text = depot_error_message(raw_.get());
    return *text != '\0' ? text : depot_code_name(code_);
  }

  /// DEPOT_* and DEPOT_HOP_*; tolerate numbers you do not know.
  depot_code code() const noexcept { return code_; }
  depot_hop hop() const noexcept { return depot_error_hop(raw_.get()); }
  std::string code_name() const { return depot_code_name(code_); }
  std::string hop_name() const { return depot_hop_name(hop()); }
  bool cancelled() const noexcept { return code_ == DEPOT_CANCELLED; }

  std::string message() const { return what(); }
  /// What to do about it; may be empty, may have many lines.
  std::string hint() const { return depot_error_hint(raw_.get()); }
  /// The same call may well succeed if it is made again.
  bool retryable() const noexcept { return depot_error_retryable(raw_.get()) != 0; }
  /// The failing build step; empty when no step failed.
  std::string vertex_digest() const { return depot_error_vertex_digest(raw_.get()); }
  std::string vertex_name() const { return depot_error_vertex_name(raw_.get()); }
  /// Of the failing process; -1 when no process failed.
  int exit_code() const noexcept { return raw_ ? depot_error_exit_code(raw_.get()) : -1; }
  /// The last lines that the failing step printed.
  std::string log_tail() const { return depot_error_log_tail(raw_.get()); }
  /// What a callback returned to stop the solve; 0 when none did.
  int user_code() const noexcept { return depot_error_user_code(raw_.get()); }
  /// The whole error as a person wants to read it: message, Dockerfile lines, log tail, hint.
  std::string text() const { return raw_ ? depot_error_text(raw_.get()) : what(); }

  /// Innermost first.
  std::vector<ErrorSource> sources() const {
    std::vector<ErrorSource> out(depot_error_source_count(raw_.get()));
    for (std::size_t i = 0; i < out.size(); ++i) {
      std::size_t size = 0;
      const std::uint8_t* data = depot_error_source_data(raw_.get(), i, &size);
      out[i].file = depot_error_source_file(raw_.get(), i);
      out[i].excerpt = depot_error_source_excerpt(raw_.get(), i);
      out[i].data.assign(reinterpret_cast<const char*>(data), size);
      out[i].ranges.resize(depot_error_source_range_count(raw_.get(), i));
      for (std::size_t r = 0; r < out[i].ranges.size(); ++r)
        depot_error_source_range(raw_.get(), i, r, &out[i].ranges[r]);
    }
    return out;
  }
  /// Unknown ones too.
  std::vector<ErrorDetail> details() const {
    std::vector<ErrorDetail> out(depot_error_detail_count(raw_.get()));
    for (std::size_t i = 0; i < out.size(); ++i) {
      std::size_t size = 0;
      const std::uint8_t* bytes = depot_error_detail_bytes(raw_.get(), i, &size);
      out[i].type_url = depot_error_detail_type(raw_.get(), i);
      out[i].bytes.assign(reinterpret_cast<const char*>(bytes), size);
    }
    return out;
  }

  /// Borrowed; may be NULL.
  const depot_error* get() const noexcept { return raw_.get(); }

 private:
  depot_code code_;
  std::shared_ptr<const depot_error> raw_;
};

namespace detail {

template <class T, void (*Free)(T*)>
struct Freer {
  void operator()(T* handle) const noexcept { Free(handle); }
};
template <class T, void (*Free)(T*)>
using Handle = std::unique_ptr<T, Freer<T, Free>>;

// Makes a C call, `f(depot_error**)`, and throws what it says.
template <class F>
void call(F&& f) {
  depot_error* raw = nullptr;
  depot_code code = std::forward<F>(f)(&raw);
  if (code != DEPOT_OK) throw error(code, raw);
}

// The C API has NULL for "the default".
inline const char* or_null(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

}  // namespace detail
}  // namespace depot

#endif
