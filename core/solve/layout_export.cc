#include "solve/layout_export.h"

#include <vector>

#include "content/index.h"
#include "solve/export_attrs.h"

namespace depot::solve {

using base::Code;
using base::Hop;
using base::Status;
using base::usage_error;

namespace {

// The builder's name for the store, whichever export it is of.
constexpr const char* kStore = "export";

std::vector<content::Name> names_of(const std::string& list) {
  std::vector<content::Name> names;
  for (size_t from = 0; from <= list.size() && !list.empty();) {
    size_t comma = std::min(list.find(',', from), list.size());
    if (comma > from) names.push_back({list.substr(from, comma - from), /*tag=*/false});
    from = comma + 1;
  }
  if (names.empty()) names.push_back({"latest", /*tag=*/true});
  return names;
}

}  // namespace

bool is_layout(const Export& target) {
  auto tar = target.attrs.find("tar");
  return (target.type == "oci" || target.type == "docker") && tar != target.attrs.end() &&
         !is_go_true(tar->second);
}

Status prepare_layout_export(Request& request, Export& target) {
  const std::string what = "export type '" + target.type + "' with tar=false";
  if (target.writer) return usage_error(what + " is a directory, which no callback can take");
  if (target.file.empty()) return usage_error(what + " needs dest=DIRECTORY");
  if (request.stores.contains(kStore)) {
    return usage_error("two exports are directories with an image")
        .with_hint("a builder can make one of them in a build; make the other a tar");
  }
  auto opened = content::Store::open(target.file, content::Store::Use::kWrite);
  if (!opened.ok()) return opened.status().with_prefix("export");
  // Told now, when nothing was built yet.
  if (auto index = content::read_index(**opened);
      !index.ok() && index.status().code() != Code::kNotFound)
    return index.status().with_prefix("export");
  request.stores[kStore] = *opened;
  target.layout = *opened;
  return {};
}

Status finish_layout_export(const Request& request, const Response& response,
                            const base::Cancel& cancel) {
  for (const auto& target : request.exports) {
    if (!target.layout) continue;
    std::string descriptor = descriptor_of(response);
    if (descriptor.empty()) {
      return Status(Code::kDataLoss, Hop::kMachine,
                    "the builder did not say which image it wrote to " + target.file);
    }
    DEPOT_TRY(content::put_index(*target.layout, descriptor,
                                 names_of(value_of(response, "image.name")), cancel)
                  .with_prefix("export"));
  }
  return {};
}

}  // namespace depot::solve
