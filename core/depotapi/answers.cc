#include "depotapi/answers.h"

#include <algorithm>
#include <string_view>

#include "depot/cli/v1/build.pb.h"
#include "depotapi/text.h"

namespace depot::depotapi {
namespace {

namespace pb = ::depot::cli::v1;
using base::Code;
using base::Hop;
using base::Status;

constexpr size_t kMaxId = 512;
constexpr size_t kMaxName = 4096;  // of an image, of an address
constexpr size_t kMaxCredentials = 256;
constexpr size_t kMaxTags = 1000;
constexpr size_t kMaxTargets = 1000;
constexpr size_t kMaxBuilds = 10000;  // of a page
constexpr size_t kMaxCredential = 64 << 10;
constexpr std::chrono::milliseconds kLeastWait{100}, kMostWait{60000};

Status broken(std::string what) {
  return Status(Code::kInternal, Hop::kApi, "the API's answer " + std::move(what))
      .with_hint("check the API's address (DEPOT_API_URL)");
}

// Parses, and wipes the bytes.
template <class M>
bool parse(M& message, std::string&& bytes) {
  bool parsed = message.ParseFromString(bytes);
  base::wipe(bytes);
  return parsed;
}

// Within what 64 bits of nanoseconds hold.
int64_t nanoseconds(const google::protobuf::Timestamp& time) {
  constexpr int64_t kMost = int64_t{1} << 33;
  return std::clamp<int64_t>(time.seconds(), 0, kMost) * 1'000'000'000 +
         std::clamp(time.nanos(), 0, 999'999'999);
}

}  // namespace

base::Result<CreatedBuild> read_created_build(std::string&& bytes) {
  pb::CreateBuildResponse message;
  if (!parse(message, std::move(bytes))) return broken("is not a CreateBuildResponse");
  CreatedBuild build;
  build.id = message.build_id();
  build.project = message.project_id();
  build.url = message.build_url();
  build.token = base::Secret::take(std::move(*message.mutable_build_token()));
  if (build.id.empty() || !plain(build.id, kMaxId)) return broken("has no usable build id");
  if (!plain(build.project, kMaxId)) return broken("has an unusable project id");
  if (!plain(build.url, kMaxName)) return broken("has an unusable build address");
  if (build.token.empty() || !plain(build.token.reveal(), kMaxCredential))
    return broken("has no usable build token");
  if (static_cast<size_t>(message.additional_credentials_size()) > kMaxCredentials)
    return broken("has too many registry credentials");
  for (auto& item : *message.mutable_additional_credentials()) {
    if (item.host().empty() || !plain(item.host(), kMaxId) || item.token().size() > kMaxCredential)
      return broken("has an unusable registry credential");
    build.credentials.emplace_back(item.host(),
                                   base::Secret::take(std::move(*item.mutable_token())));
  }
  if (static_cast<size_t>(message.additional_tags_size()) > kMaxTags)
    return broken("has too many additional tags");
  for (auto& item : *message.mutable_additional_tags()) {
    if (item.tag().empty() || !plain(item.tag(), kMaxName))
      return broken("has an unusable additional tag");
    build.tags.push_back(std::move(*item.mutable_tag()));
  }
  return build;
}

base::Result<FoundBuild> read_found_build(std::string&& bytes) {
  pb::GetBuildResponse message;
  if (!parse(message, std::move(bytes))) return broken("is not a GetBuildResponse");
  FoundBuild build{message.build_id(), message.project_id(), message.build_url()};
  if (!plain(build.id, kMaxId)) return broken("has an unusable build id");
  if (!plain(build.project, kMaxId)) return broken("has an unusable project id");
  if (!plain(build.url, kMaxName)) return broken("has an unusable build address");
  return build;
}

base::Result<BuildPage> read_build_page(std::string&& bytes) {
  pb::ListBuildsResponse message;
  if (!parse(message, std::move(bytes))) return broken("is not a ListBuildsResponse");
  if (static_cast<size_t>(message.builds_size()) > kMaxBuilds) return broken("has too many builds");
  BuildPage page;
  for (const pb::Build& item : message.builds()) {
    if (item.id().empty() || !plain(item.id(), kMaxId)) return broken("has an unusable build id");
    ListedBuild& build = page.builds.emplace_back();
    build.id = item.id();
    build.state = static_cast<BuildState>(item.status());
    if (item.has_created_at()) build.created = nanoseconds(item.created_at());
    if (item.has_finished_at()) build.finished = nanoseconds(item.finished_at());
  }
  page.next = message.next_page_token();
  if (page.next.size() > kMaxCredential || !valid_utf8(page.next))
    return broken("has an unusable page token");
  return page;
}

base::Result<PullInfo> read_pull_info(std::string&& bytes) {
  pb::GetPullInfoResponse message;
  if (!parse(message, std::move(bytes))) return broken("is not a GetPullInfoResponse");
  PullInfo pull;
  pull.reference = message.reference();
  pull.username = message.username();
  pull.password = base::Secret::take(std::move(*message.mutable_password()));
  if (pull.reference.empty() || !plain(pull.reference, kMaxName))
    return broken("has no usable name of the image");
  if (!plain(pull.username, kMaxId)) return broken("has an unusable user name");
  if (!plain(pull.password.reveal(), kMaxCredential)) return broken("has an unusable password");
  if (static_cast<size_t>(message.options_size()) > kMaxTargets)
    return broken("has too many targets");
  for (const pb::BuildOptions& item : message.options()) {
    PullInfo::Target& target = pull.targets.emplace_back();
    // One of a build is called, too, and is no part of the name of its image.
    if (item.command() == pb::COMMAND_BAKE) target.name = item.target_name();
    target.saved = item.save() || message.save_for_load();
    if (!plain(target.name, kMaxId)) return broken("has an unusable target");
    if (static_cast<size_t>(item.tags_size()) > kMaxTags) return broken("has too many tags");
    for (const std::string& tag : item.tags()) {
      if (!plain(tag, kMaxName)) return broken("has an unusable tag");
      target.tags.push_back(tag);
    }
  }
  return pull;
}

base::Result<base::Secret> read_pull_token(std::string&& bytes) {
  pb::GetPullTokenResponse message;
  if (!parse(message, std::move(bytes))) return broken("is not a GetPullTokenResponse");
  auto token = base::Secret::take(std::move(*message.mutable_token()));
  if (token.empty() || !plain(token.reveal(), kMaxCredential))
    return broken("has no usable pull token");
  return token;
}

base::Result<MachineAnswer> read_machine(std::string&& bytes) {
  pb::GetBuildKitConnectionResponse message;
  if (!parse(message, std::move(bytes))) return broken("is not a GetBuildKitConnectionResponse");
  MachineAnswer machine;
  if (message.has_pending()) {
    machine.wait =
        std::clamp(std::chrono::milliseconds(message.pending().wait_ms()), kLeastWait, kMostWait);
    return machine;
  }
  if (!message.has_active()) return broken("says neither \"pending\" nor \"active\"");
  pb::GetBuildKitConnectionResponse::ActiveConnection& active = *message.mutable_active();
  machine.active = true;
  machine.endpoint = active.endpoint();
  machine.server_name = active.server_name();
  machine.ca_pem = active.ca_cert().cert();
  machine.cert_pem = active.cert().cert();
  if (active.has_cert())
    machine.key_pem = base::Secret::take(std::move(*active.mutable_cert()->mutable_key()));
  machine.gzip = active.has_gzip();
  bool known = machine.endpoint.starts_with("tcp://") || machine.endpoint.starts_with("unix://");
  if (!known || !plain(machine.endpoint, kMaxName)) return broken("has no usable machine address");
  if (!plain(machine.server_name, kMaxId)) return broken("has an unusable server name");
  return machine;
}

base::Result<BuildApi::CancelsAt> read_health(std::string&& bytes) {
  pb::ReportBuildHealthResponse message;
  if (!parse(message, std::move(bytes))) return broken("is not a ReportBuildHealthResponse");
  if (!message.has_cancels_at()) return BuildApi::CancelsAt();
  return BuildApi::CancelsAt(std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::nanoseconds(nanoseconds(message.cancels_at())))));
}

}  // namespace depot::depotapi
