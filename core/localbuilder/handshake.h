// The few words launcher and daemon exchange on the API socket, as plain HTTP/1.1:
//   GET  /libdepot/hello  -> "libdepot-builderd <version> protocol <n> oldest <n> builds <n>\n"
//   POST /libdepot/retire -> 200 when the daemon was idle and now ends, 409 when builds are active
// These two must stay readable by every later version: they are how versions find out about each
// other.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/status.h"

namespace depot::localbuilder {

inline constexpr int32_t kProtocol = 1;        // what this code speaks
inline constexpr int32_t kOldestProtocol = 1;  // the oldest client a daemon of this code serves
inline constexpr char kHelloPath[] = "/libdepot/hello";
inline constexpr char kRetirePath[] = "/libdepot/retire";

struct Hello {
  std::string version;
  int32_t protocol = 0;
  int32_t oldest = 0;
  int32_t builds = 0;  // active ones
};

std::string format_hello(const Hello& hello);
base::Result<Hello> parse_hello(std::string_view line);

// kNotFound: nobody listens there. kPermissionDenied: another user does. kUnavailable: it went away
// while we talked.
base::Result<Hello> say_hello(const std::string& socket_path, const base::Cancel& cancel,
                              std::chrono::steady_clock::time_point deadline);
// False when it is busy.
base::Result<bool> ask_to_retire(const std::string& socket_path, const base::Cancel& cancel,
                                 std::chrono::steady_clock::time_point deadline);

}  // namespace depot::localbuilder
