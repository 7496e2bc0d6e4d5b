// Which proxy a request takes. Private to the http module.
//
// curl would read the environment itself, on our thread, while the host program may be changing it,
// and would not say whether a proxy was used. So its rules are applied here, on a snapshot, and
// curl is told the outcome.
#pragma once

#include <string>
#include <string_view>

#include "base/environment.h"
#include "base/status.h"
#include "http/url.h"

namespace depot::http {

// The proxy's URL, empty for none. `chosen` (the caller's option) stands before the variables
// (https_proxy, HTTPS_PROXY; http_proxy in lower case alone, for CGI's sake; all_proxy, ALL_PROXY);
// no_proxy and NO_PROXY exempt hosts from either.
std::string proxy_for(const Url& url, const std::string& chosen,
                      const base::Environment& environment);

// Refuses what curl cannot use, in words without the URL: it may hold a password, and curl's own
// quote it.
base::Status check_proxy(const std::string& proxy);

// curl's no_proxy: "*", host names that also stand for what is below them, addresses, CIDR blocks;
// separated by commas or blanks.
bool exempt_from_proxy(std::string_view host, std::string_view no_proxy);

}  // namespace depot::http
