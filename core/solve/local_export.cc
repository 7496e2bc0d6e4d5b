#include "solve/local_export.h"

#include <filesystem>

#include "solve/destination.h"
#include "solve/export_attrs.h"

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Status;
using base::usage_error;

Status check_destination(const Export& target) {
  if (target.writer) return usage_error("a directory cannot be exported to a callback");
  if (target.file.empty())
    return usage_error("export type 'local' needs a destination").with_hint("add dest=DIRECTORY");
  return check_directory_destination(target.file);
}

// Removes an attribute; whether it was one that Go takes for true.
bool take(Export& target, const char* key) {
  auto found = target.attrs.find(key);
  if (found == target.attrs.end()) return false;
  bool on = is_go_true(found->second);
  target.attrs.erase(found);
  return on;
}

}  // namespace

Status prepare_local(Export& target) {
  DEPOT_TRY(check_destination(target));
  filesync::TreeOptions tree;
  // The directory that a relative path means is the one it means now.
  std::error_code error;
  tree.root = std::filesystem::absolute(target.file, error).lexically_normal().string();
  tree.keep_setuid = take(target, "keep-setuid");
  tree.devices = take(target, "devices");
  auto mode = target.attrs.find("mode");
  tree.remove_others = mode != target.attrs.end() && local_mode(mode->second) == "delete";
  target.tree = std::move(tree);
  return {};
}

Status blamed_tree(const std::vector<session::TreeReceived>& received, const Status& outcome) {
  for (const auto& tree : received) {
    if (tree.status.ok()) continue;
    if (tree.status.hop() == Hop::kLocal) return tree.status;
    bool broken_off = tree.status.code() == Code::kCancelled || outcome.code() == Code::kCancelled;
    if (!broken_off && !tree.status.message().starts_with("error from sender")) return tree.status;
  }
  return {};
}

Status check_trees(const std::map<uint32_t, filesync::TreeOptions>& trees,
                   const std::vector<session::TreeReceived>& received, const base::LogSink& log) {
  for (const auto& [index, tree] : trees) {
    bool any = false;
    uint64_t setuid_dropped = 0;
    for (const auto& one : received) {
      if (one.index != index) continue;
      DEPOT_TRY(one.status);
      any = true;
      setuid_dropped += one.totals.setuid_dropped;
    }
    if (!any) {
      return Status(Code::kDataLoss, Hop::kMachine,
                    "the builder did not send export " + std::to_string(index + 1));
    }
    if (setuid_dropped > 0) {
      base::log(log, base::LogLevel::kWarning,
                tree.root + ": " + std::to_string(setuid_dropped) +
                    " files lost their set-user or set-group bit, or their capabilities; "
                    "keep-setuid=true keeps them");
    }
  }
  return {};
}

}  // namespace depot::solve
