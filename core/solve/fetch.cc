#include "solve/fetch.h"

#include <pb/ops.pb.h>

#include <utility>

#include "content/digest.h"
#include "solve/remote.h"

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Status;

constexpr char kName[] = "Dockerfile";
// BuildKit's own limit on a Dockerfile that is fetched (docker buildx: maxDockerfileSize).
constexpr int64_t kMaxDockerfile = 2 << 20;

}  // namespace

Fetch http_fetch(const std::string& url, const std::string& file, int64_t limit) {
  ::pb::Op source;
  source.mutable_source()->set_identifier(url);
  (*source.mutable_source()->mutable_attrs())["http.filename"] = file;
  ::pb::Definition definition;
  std::string vertex = source.SerializeAsString();
  std::string digest = content::digest_of(vertex).text();
  ::pb::Op last;
  last.add_inputs()->set_digest(digest);
  auto& metadata = (*definition.mutable_metadata())[digest];
  // The URL may hold a password, and the name is shown to whoever watches.
  (*metadata.mutable_description())["llb.customname"] = "[internal] load " + redact_url(url);
  (*metadata.mutable_caps())["source.http"] = true;
  definition.add_def(std::move(vertex));
  definition.add_def(last.SerializeAsString());
  return {definition.SerializeAsString(), file, limit};
}

Status fetch_dockerfile(const std::shared_ptr<buildkit::Channel>& channel, Request& request,
                        const RunOptions& options) {
  if (request.dockerfile_url.empty()) return {};
  const std::string shown = redact_url(request.dockerfile_url);
  Request internal;
  internal.frontend.clear();
  internal.internal = true;
  internal.fetch = http_fetch(request.dockerfile_url, kName, kMaxDockerfile);
  auto result = run(channel, internal, options);
  if (!result.ok()) {
    base::Error error = result.status().error();
    if (error.hop == Hop::kSolve) {
      error.message = "the builder cannot fetch the Dockerfile at " + shown + ": " + error.message;
      if (error.hint.empty()) error.hint = "the builder fetches it, and has to reach that server";
    }
    return Status(std::move(error));
  }
  if (std::cmp_greater(result->fetched.size(), kMaxDockerfile)) {
    return Status(Code::kInvalidArgument, Hop::kSolve,
                  "the Dockerfile at " + shown + " is larger than " +
                      std::to_string(kMaxDockerfile) + " bytes");
  }
  // The ignore file that may lie beside it stays.
  auto tree = std::make_shared<filesync::VirtualTree>(*request.files["dockerfile"]);
  filesync::VirtualFile file;
  file.bytes = std::move(result->fetched);
  DEPOT_TRY(tree->set(kName, std::move(file)));
  request.files["dockerfile"] = std::move(tree);
  return {};
}

}  // namespace depot::solve
