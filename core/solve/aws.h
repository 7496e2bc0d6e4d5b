// Keys for an s3 cache, from where the AWS programs have them. Private to the module.
#pragma once

#include <optional>
#include <string_view>

#include "base/environment.h"
#include "base/secret.h"

namespace depot::solve {

struct AwsCredentials {
  base::Secret access_key_id;
  base::Secret secret_access_key;
  base::Secret session_token;  // empty: none
};

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; else the profile AWS_PROFILE
// ("default") of AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials). What needs a request to AWS
// (single sign-on, roles, a machine's own identity) is left to the builder, which looks for itself
// when it gets no keys.
std::optional<AwsCredentials> aws_credentials(const base::Environment& environment);
// Of one profile in such a file; nullopt when it has not both keys.
std::optional<AwsCredentials> aws_profile(std::string_view text, std::string_view profile);

}  // namespace depot::solve
