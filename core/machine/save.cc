#include "machine/save.h"

namespace depot::machine {

std::vector<std::string> saved_names(const std::string& project, const std::string& build_id,
                                     const std::vector<std::string>& save_tags) {
  const std::string repository = std::string(kDepotRegistry) + "/" + project + ":";
  std::vector<std::string> names{repository + build_id};
  for (const std::string& tag : save_tags) names.push_back(repository + tag);
  return names;
}

}  // namespace depot::machine
