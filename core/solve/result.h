// Reading an exporter response (protocol.md 1.6).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "session/session.h"

namespace depot::solve {

using Response = std::map<std::string, std::string>;

// Value of a key, or "".
const std::string& value_of(const Response& response, const std::string& key);
// `containerimage.descriptor`, base64-decoded: JSON, or "".
std::string descriptor_of(const Response& response);
// What buildx writes for --metadata-file: values that are base64 of a JSON object are embedded as
// JSON, all others are strings; keys sorted, two spaces. Ends without a newline.
std::string metadata_json(const Response& response);
// What docker buildx adds there: "BUILDER/NODE/REF", where the build's record is to be found.
inline constexpr char kBuildRef[] = "buildx.build.ref";
// What Depot's command line adds there: which build it was, "depot.build".
inline constexpr char kDepotBuild[] = "depot.build";
void add_depot_build(Response& response, const std::string& build_id, const std::string& project);

// What local dirs sent, each file once, by dir name and path. A builder reads a dir several times:
// for the Dockerfile, for the ignore file, for the context.
struct SentFile {
  std::string local;
  filesync::SentFile file;
};
std::vector<SentFile> sent_files(const std::vector<session::SyncTotals>& synced);

}  // namespace depot::solve
