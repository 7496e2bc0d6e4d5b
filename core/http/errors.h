// curl's outcomes as errors. Private to the http module.
#pragma once

#include <curl/curl.h>

#include <string>

#include "base/status.h"

namespace depot::http {

struct Failure {
  CURLcode code = CURLE_OK;
  CURL* easy = nullptr;
  std::string text;    // curl's own words on it, or empty
  std::string target;  // for the message: the URL's origin
  std::string proxy;   // the proxy's URL, maybe with a password; empty: none
  bool https = false;  // the target, not the proxy
  bool once = false;   // Request::once
};

base::Status failure_status(const Failure& failure);

}  // namespace depot::http
