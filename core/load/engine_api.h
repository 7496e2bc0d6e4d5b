// Questions to a Docker Engine's API, over one connection. Private to the module.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/wait.h"
#include "buildkit/dial.h"
#include "load/answer.h"
#include "load/loader.h"

namespace depot::load {

// The connection: to a socket, or through the client program that makes it.
base::Result<std::unique_ptr<buildkit::Dialled>> dial(
    const Target& target, const Options& options, const base::Cancel& cancel,
    std::chrono::steady_clock::time_point deadline);

// A request's first lines.
std::string request_head(const std::string& first, const char* more);
// What an Engine says in its own words, on one line.
base::Status refused(base::Code code, const std::string& said);
// The answer that is no success.
base::Status refused_by(int status, const std::string& body);

// All that is there. False: the connection is closed.
base::Result<bool> read_some(int fd, Answer& answer);

class EngineApi {
 public:
  static base::Result<std::unique_ptr<EngineApi>> connect(
      const Target& target, const Options& options, const base::Cancel& cancel,
      std::chrono::steady_clock::time_point deadline);
  // The body of the answer, of `limit` bytes at most. kNotFound for what is not there. Blocks.
  base::Result<std::string> get(const std::string& path, size_t limit);
  // A POST without a body; `headers` end in "\r\n" each. `told` hears of the answer's body while it
  // comes, and ends the reading by an error. Any 2xx is a success. Blocks.
  base::Status post(const std::string& path, const base::Secret& headers,
                    const std::function<base::Status(std::string_view)>& told);

 private:
  EngineApi(std::unique_ptr<buildkit::Dialled> dialled, const base::Cancel& cancel,
            std::chrono::steady_clock::time_point deadline)
      : dialled_(std::move(dialled)), waiter_(cancel, deadline, base::Hop::kLocal) {}

  base::Status ask(std::string request, Answer& answer);

  std::unique_ptr<buildkit::Dialled> dialled_;
  base::Waiter waiter_;
};

}  // namespace depot::load
