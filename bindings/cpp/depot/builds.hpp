// What the API knows of builds: what Client's methods of depot/builds.h give.
#ifndef DEPOT_BUILDS_HPP
#define DEPOT_BUILDS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "depot/builder.hpp"
#include "depot/builds.h"
#include "depot/cancel.hpp"
#include "depot/error.hpp"
#include "depot/solve.hpp"

namespace depot {

/// A build of a project's list. Times are nanoseconds since 1970; finished 0: it runs.
struct ListedBuild {
  std::string id;
  std::int32_t state = 0;  // DEPOT_BUILD_*
  std::int64_t created = 0, finished = 0;
};

/// What was saved: one for a build, one for each target of a bake.
struct PullTarget {
  std::string name;
  std::vector<std::string> tags;
};

/// Where a saved image is, and a login that may pull it. Wipes the password when it goes.
class PullInfo {
 public:
  explicit PullInfo(depot_pull_info* raw) : raw_(raw) {}

  /// "registry.depot.dev/PROJECT:BUILD"; of Client::pull_token() the repository alone.
  std::string reference() const { return depot_pull_info_reference(raw_.get()); }
  std::string username() const { return depot_pull_info_username(raw_.get()); }
  /// Borrowed from this object.
  const char* password() const { return depot_pull_info_password(raw_.get()); }
  std::vector<PullTarget> targets() const {
    std::vector<PullTarget> out;
    for (std::size_t i = 0; i < depot_pull_info_target_count(raw_.get()); ++i) {
      depot_pull_target t{};
      t.size = sizeof(t);
      if (depot_pull_info_target(raw_.get(), i, &t) != 0)
        out.push_back({t.name, detail::texts_of(t.tags, t.tag_count)});
    }
    return out;
  }

  const depot_pull_info* get() const noexcept { return raw_.get(); }

 private:
  detail::Handle<depot_pull_info, depot_pull_info_free> raw_;
};

/// For Client::list_builds, pull_info and pull_token.
class BuildsOptions {
 public:
  BuildsOptions& project(std::string value) { return set(project_, std::move(value)); }
  BuildsOptions& token(std::string value) { return set(token_, std::move(value)); }
  /// Where to look for depot.json.
  BuildsOptions& context_dir(std::string value) { return set(context_dir_, std::move(value)); }
  /// Of a list: the newest so many; 0: 100.
  BuildsOptions& limit(std::int32_t value) { return set(limit_, value); }
  BuildsOptions& cancel(const Cancel& value) { return set(cancel_, std::optional<Cancel>(value)); }
  /// Of it all; 0: 30 s.
  BuildsOptions& timeout(std::chrono::milliseconds value) { return set(timeout_, value); }

 private:
  friend class Client;

  // Borrows from this object.
  depot_builds_options raw() const {
    depot_builds_options out{};
    out.size = sizeof(out);
    out.project = detail::or_null(project_);
    out.token = detail::or_null(token_);
    out.context_dir = detail::or_null(context_dir_);
    out.limit = limit_;
    out.cancel = cancel_ ? cancel_->get() : nullptr;
    out.timeout_ms = timeout_.count();
    return out;
  }

  template <class T>
  BuildsOptions& set(T& field, T value) {
    field = std::move(value);
    return *this;
  }

  std::string project_, token_, context_dir_;
  std::int32_t limit_ = 0;
  std::optional<Cancel> cancel_;
  std::chrono::milliseconds timeout_{0};
};

/// How Client::pull() does it.
struct PullOptions {
  std::vector<std::string> tags;     // names for the image; none: those that it was built under
  std::vector<std::string> targets;  // of a bake; none: all
  std::string platform;              // "linux/arm64"; empty: the Engine's own
  std::string into;                  // "docker://HOST"; empty: the Engine that docker would use
  std::string token;                 // empty: the client's
  OnStatus on_status;                // a step for each image
};

namespace detail {

inline std::vector<ListedBuild> builds_of(const depot_builds* raw) {
  std::vector<ListedBuild> out;
  for (std::size_t i = 0; i < depot_builds_count(raw); ++i) {
    depot_listed_build b{};
    b.size = sizeof(b);
    if (depot_builds_get(raw, i, &b) != 0) out.push_back({b.id, b.state, b.created, b.finished});
  }
  return out;
}

}  // namespace detail
}  // namespace depot

#endif
