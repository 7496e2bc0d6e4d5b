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
constexpr size_t kMaxCredentials = 256;
constexpr size_t kMaxCredential = 64 << 10;
constexpr size_t kMaxErrorText = 64 << 10;
constexpr std::chrono::milliseconds kLeastWait{100}, kMostWait{60000};

Status broken(std::string what) {
  return Status(Code::kInternal, Hop::kApi, "the API's answer " + std::move(what))
      .with_hint("check the API's address (DEPOT_API_URL)");
}

template <class M>
base::Secret serialized(const M& message) {
  return base::Secret::take(message.SerializeAsString());
}

// Parses, and wipes the bytes.
template <class M>
bool parse(M& message, std::string&& bytes) {
  bool parsed = message.ParseFromString(bytes);
  base::wipe(bytes);
  return parsed;
}

bool plain(std::string_view text, size_t limit) {
  return text.size() <= limit && valid_utf8(text) &&
         std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

void append_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void append_bytes(std::string& out, int field, std::string_view bytes) {
  append_varint(out, static_cast<uint64_t>(field) << 3 | 2);
  append_varint(out, bytes.size());
  out += bytes;
}

}  // namespace

base::Result<base::Secret> create_build_message(const NewBuild& build) {
  pb::CreateBuildRequest message;
  if (!plain(build.project, kMaxId)) return base::usage_error("the project id is no plain text");
  if (!build.project.empty()) message.set_project_id(build.project);
  pb::BuildOptions* options = message.add_options();
  options->set_command(pb::COMMAND_BUILD);
  for (const std::string& tag : build.tags) {
    if (!plain(tag, 4096)) return base::usage_error("a tag is no plain text");
    options->add_tags(tag);
  }
  options->set_push(build.push);
  return serialized(message);
}

base::Secret get_connection_message(const std::string& build_id, Platform platform) {
  pb::GetBuildKitConnectionRequest message;
  message.set_build_id(build_id);
  message.set_platform(static_cast<pb::BuilderPlatform>(platform));
  return serialized(message);
}

base::Secret finish_build_message(const std::string& build_id, Outcome outcome,
                                  const std::string& text) {
  pb::FinishBuildRequest message;
  message.set_build_id(build_id);
  switch (outcome) {
    case Outcome::kSuccess:
      message.mutable_success();
      break;
    case Outcome::kFailed:
      // A server refuses strings that are no UTF-8, and a build's log may hold anything.
      message.mutable_error()->set_error(clean_utf8(text, kMaxErrorText));
      break;
    case Outcome::kCanceled:
      message.mutable_canceled();
      break;
  }
  return serialized(message);
}

base::Secret report_status_message(const std::string& build_id,
                                   const std::vector<std::string>& status_responses) {
  // By hand: the statuses are serialized already.
  std::string bytes;
  size_t size = build_id.size() + 16;
  for (const std::string& status : status_responses) size += status.size() + 11;
  bytes.reserve(size);
  append_bytes(bytes, pb::ReportStatusRequest::kBuildIdFieldNumber, build_id);
  for (const std::string& status : status_responses)
    append_bytes(bytes, pb::ReportStatusRequest::kStatusesFieldNumber, status);
  return base::Secret::take(std::move(bytes));
}

base::Secret report_health_message(const std::string& build_id, Platform platform) {
  pb::ReportBuildHealthRequest message;
  message.set_build_id(build_id);
  message.set_platform(static_cast<pb::BuilderPlatform>(platform));
  return serialized(message);
}

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
  if (!plain(build.url, 4096)) return broken("has an unusable build address");
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
  return build;
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
  if (!known || !plain(machine.endpoint, 4096)) return broken("has no usable machine address");
  if (!plain(machine.server_name, kMaxId)) return broken("has an unusable server name");
  return machine;
}

base::Result<BuildApi::CancelsAt> read_health(std::string&& bytes) {
  pb::ReportBuildHealthResponse message;
  if (!parse(message, std::move(bytes))) return broken("is not a ReportBuildHealthResponse");
  if (!message.has_cancels_at()) return BuildApi::CancelsAt();
  // Within what system_clock can hold in nanoseconds.
  constexpr int64_t kMost = int64_t{1} << 33;
  int64_t seconds = std::clamp<int64_t>(message.cancels_at().seconds(), 0, kMost);
  int32_t nanos = std::clamp(message.cancels_at().nanos(), 0, 999999999);
  return BuildApi::CancelsAt(std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanos))));
}

}  // namespace depot::depotapi
