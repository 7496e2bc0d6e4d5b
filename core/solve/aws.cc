#include "solve/aws.h"

#include <string>

#include "base/small_file.h"

namespace depot::solve {

using base::Secret;

namespace {

constexpr size_t kMaxFile = 1 << 20;

std::string_view trim(std::string_view text) {
  size_t start = text.find_first_not_of(" \t\r");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t\r") - start + 1);
}

std::string first_of(const base::Environment& environment, const char* name, const char* other) {
  std::string value = environment.get_or(name, "");
  return value.empty() ? environment.get_or(other, "") : value;
}

}  // namespace

std::optional<AwsCredentials> aws_profile(std::string_view text, std::string_view profile) {
  AwsCredentials found;
  bool ours = false;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      ours = trim(line.substr(1, line.find(']') - 1)) == profile;
      continue;
    }
    size_t equals = line.find('=');
    if (!ours || equals == std::string_view::npos) continue;
    std::string_view key = trim(line.substr(0, equals));
    Secret value(trim(line.substr(equals + 1)));
    if (key == "aws_access_key_id")
      found.access_key_id = std::move(value);
    else if (key == "aws_secret_access_key")
      found.secret_access_key = std::move(value);
    else if (key == "aws_session_token")
      found.session_token = std::move(value);
  }
  if (found.access_key_id.empty() || found.secret_access_key.empty()) return std::nullopt;
  return found;
}

std::optional<AwsCredentials> aws_credentials(const base::Environment& environment) {
  AwsCredentials found;
  found.access_key_id = Secret::take(first_of(environment, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"));
  found.secret_access_key =
      Secret::take(first_of(environment, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"));
  found.session_token = Secret::take(environment.get_or("AWS_SESSION_TOKEN", ""));
  if (!found.access_key_id.empty() && !found.secret_access_key.empty()) return found;
  std::string path = environment.get_or("AWS_SHARED_CREDENTIALS_FILE", "");
  if (path.empty()) {
    std::string home = environment.get_or("HOME", "");
    if (home.empty()) return std::nullopt;
    path = home + "/.aws/credentials";
  }
  auto text = base::read_small_file(path, kMaxFile);
  if (!text.ok()) return std::nullopt;  // no file is what most have
  std::string profile = first_of(environment, "AWS_PROFILE", "AWS_DEFAULT_PROFILE");
  return aws_profile(text->reveal(), profile.empty() ? "default" : profile);
}

}  // namespace depot::solve
