// Parts of the Content service. Private to the module.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "content/store.h"
#include "http2/grpc.h"
#include "session/services.h"
#include "session/skim.h"

namespace depot::session {

// The store that a call's metadata names: kInvalidArgument without, kNotFound for one that this
// session has not.
base::Result<std::shared_ptr<content::Store>> store_of(const http2::Headers& metadata,
                                                       const Options& options);

// The metadata that names a call's store.
inline constexpr std::string_view kStoreId = "buildkit-attachable-store-id";

// A call that writes into `skim`.
std::unique_ptr<http2::CallHandler> skim_write(std::shared_ptr<http2::Call> call,
                                               std::shared_ptr<Skim> skim);

// What the calls share of the session's options.
struct ContentContext {
  Post post;
  // Not held: this lives on in the pool's own tasks, of which none must be what ends it.
  std::weak_ptr<base::Pool> pool;
  std::function<void(const base::Status&)> on_failed;

  // Loop thread.
  void on_pool(std::function<void()> task) const {
    if (auto alive = pool.lock()) alive->add(std::move(task));
  }

  // Loop thread: tells of `status` when it is this machine's fault, and coming again is no use.
  void note(const base::Status& status) const;
};

void add_content_read(http2::GrpcServer& server, const Options& options,
                      const std::shared_ptr<ContentContext>& context);
void add_content_write(http2::GrpcServer& server, const Options& options,
                       const std::shared_ptr<ContentContext>& context);

}  // namespace depot::session
