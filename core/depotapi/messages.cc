#include <string_view>

#include "depot/cli/v1/build.pb.h"
#include "depotapi/answers.h"
#include "depotapi/text.h"

namespace depot::depotapi {
namespace {

namespace pb = ::depot::cli::v1;

constexpr size_t kMaxId = 512;
constexpr size_t kMaxName = 4096;
constexpr size_t kMaxErrorText = 64 << 10;

template <class M>
base::Secret serialized(const M& message) {
  return base::Secret::take(message.SerializeAsString());
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
    if (!plain(tag, kMaxName)) return base::usage_error("a tag is no plain text");
    options->add_tags(tag);
  }
  options->set_push(build.push);
  options->set_load(build.load);
  options->set_save(build.save);
  for (const std::string& tag : build.save_tags) {
    if (!plain(tag, kMaxId)) return base::usage_error("a tag to save under is no plain text");
    options->add_save_tags(tag);
  }
  if (!build.target.empty()) options->set_target_name(clean_utf8(build.target, kMaxName));
  for (const Output& output : build.outputs) {
    pb::BuildOutput* to = options->add_outputs();
    to->set_kind(clean_utf8(output.kind, kMaxId));
    for (const auto& [key, value] : output.attributes)
      (*to->mutable_attributes())[clean_utf8(key, kMaxId)] = clean_utf8(value, kMaxName);
  }
  return serialized(message);
}

base::Secret get_build_message(const std::string& build_id) {
  pb::GetBuildRequest message;
  message.set_build_id(clean_utf8(build_id, kMaxId));
  return serialized(message);
}

base::Secret list_builds_message(const std::string& project, int32_t size,
                                 const std::string& page) {
  pb::ListBuildsRequest message;
  message.set_project_id(clean_utf8(project, kMaxId));
  message.set_page_size(size);
  message.set_page_token(page);
  return serialized(message);
}

base::Secret get_pull_info_message(const std::string& build_id) {
  pb::GetPullInfoRequest message;
  message.set_build_id(clean_utf8(build_id, kMaxId));
  return serialized(message);
}

base::Secret get_pull_token_message(const std::string& project, const std::string& build_id) {
  pb::GetPullTokenRequest message;
  if (!project.empty()) message.set_project_id(clean_utf8(project, kMaxId));
  if (!build_id.empty()) message.set_build_id(clean_utf8(build_id, kMaxId));
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

}  // namespace depot::depotapi
