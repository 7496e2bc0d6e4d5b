#include "solve/secrets.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>

#include "session/secrets.h"
#include "solve/csv.h"

namespace depot::solve {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::usage_error;

Result<SecretInput> parse_secret(const std::string& spec) {
  DEPOT_ASSIGN(auto fields, parse_csv(spec));
  SecretInput secret;
  bool from_variable = false;
  for (const auto& field : fields) {
    size_t equals = field.find('=');
    if (equals == std::string::npos)
      return usage_error("secret '" + spec + "': '" + field + "' is not key=value");
    std::string key = field.substr(0, equals);
    std::transform(key.begin(), key.end(), key.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string value = field.substr(equals + 1);
    if (key == "type") {
      if (value != "file" && value != "env")
        return usage_error("secret '" + spec + "': type is file or env, not '" + value + "'");
      from_variable = value == "env";
    } else if (key == "id") {
      secret.id = value;
    } else if (key == "source" || key == "src") {
      secret.file = value;
    } else if (key == "env") {
      secret.variable = value;
    } else {
      return usage_error("secret '" + spec + "': unknown key '" + key + "'")
          .with_hint("id=ID with src=FILE or env=VARIABLE, and perhaps type=file or type=env");
    }
  }
  if (from_variable && secret.variable.empty()) secret.variable = std::exchange(secret.file, "");
  // As the tools have it: the variable wins, and so the file need not even be there.
  if (!secret.variable.empty()) secret.file.clear();
  if (secret.id.empty())
    return usage_error("secret '" + spec + "' has no id").with_hint("id=ID,src=FILE");
  return secret;
}

Status check_secret(const SecretInput& secret) {
  if (secret.id.empty() || secret.id.size() > 4096) return usage_error("a secret needs an id");
  if (secret.value && secret.value->size() > session::kMaxSecret)
    return session::secret_too_large(secret.id);
  return {};
}

Status prepare_secrets(std::vector<SecretInput>& secrets, const base::Environment& environment) {
  for (auto& secret : secrets) {
    if (secret.value || secret.reader) continue;
    if (secret.variable.empty() && secret.file.empty())
      (environment.get(secret.id) ? secret.variable : secret.file) = secret.id;
    if (!secret.variable.empty()) {
      // One that is not set has no bytes, as the tools have it.
      secret.value = std::make_shared<base::Secret>(
          base::Secret::take(environment.get(secret.variable).value_or("")));
      DEPOT_TRY(check_secret(secret));
      continue;
    }
    std::string what = "secret \"" + secret.id + "\": " + secret.file;
    struct stat info {};
    if (::stat(secret.file.c_str(), &info) != 0) {
      return base::errno_error(errno, what)
          .with_hint("name a file with src=FILE, or an environment variable with env=VARIABLE");
    }
    if (!S_ISREG(info.st_mode))
      return Status(Code::kInvalidArgument, Hop::kLocal, what + " is not a regular file")
          .with_hint("a pipe can be read once, and steps may ask more often: give its bytes");
    if (static_cast<uint64_t>(info.st_size) > session::kMaxSecret)
      return session::secret_too_large(secret.id);
    // The file that a relative path means is the one it means now.
    secret.file = std::filesystem::absolute(secret.file).string();
  }
  return {};
}

}  // namespace depot::solve
