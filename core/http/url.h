// What the client needs to know of a URL. Private to the http module.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace depot::http {

struct Url {
  bool https = false;
  std::string host;    // lower case; IPv6 in brackets
  std::string origin;  // "http://host:port"
  std::string shown;   // the URL without query and fragment, of bounded length: for logs and errors
};

// kInvalidArgument for what is not http:// or https://, or holds a user name or password (they
// belong into `authorization`; in a URL they end in logs).
base::Result<Url> parse_url(const std::string& text);

// `text` as one line of at most `limit` bytes, control characters replaced.
std::string one_line(std::string_view text, size_t limit);

}  // namespace depot::http
