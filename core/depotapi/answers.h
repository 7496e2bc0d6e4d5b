// The build API's messages as values of ours, checked. Private to the depotapi module.
#pragma once

#include <cstdint>
#include <string>

#include "base/secret.h"
#include "base/status.h"
#include "depotapi/build_api.h"

namespace depot::depotapi {

base::Result<base::Secret> create_build_message(const NewBuild& build);
base::Secret get_build_message(const std::string& build_id);
base::Secret list_builds_message(const std::string& project, int32_t size, const std::string& page);
base::Secret get_pull_info_message(const std::string& build_id);
base::Secret get_pull_token_message(const std::string& project, const std::string& build_id);
base::Secret get_connection_message(const std::string& build_id, Platform platform);
base::Secret finish_build_message(const std::string& build_id, Outcome outcome,
                                  const std::string& message);
base::Secret report_status_message(const std::string& build_id,
                                   const std::vector<std::string>& status_responses);
base::Secret report_health_message(const std::string& build_id, Platform platform);

// These wipe what they read.
base::Result<CreatedBuild> read_created_build(std::string&& message);
base::Result<FoundBuild> read_found_build(std::string&& message);
base::Result<BuildPage> read_build_page(std::string&& message);
base::Result<PullInfo> read_pull_info(std::string&& message);
base::Result<base::Secret> read_pull_token(std::string&& message);
base::Result<MachineAnswer> read_machine(std::string&& message);
base::Result<BuildApi::CancelsAt> read_health(std::string&& message);

}  // namespace depot::depotapi
