#include "http/errors.h"

#include "http/url.h"

namespace depot::http {
namespace {

using base::Code;
using base::Hop;

struct Meaning {
  Code code = Code::kUnavailable;
  Hop hop = Hop::kApi;
  bool retryable = true;
  bool unsent = false;  // certainly no byte of the request had left
  std::string hint;
};

// A proxy that refused the CONNECT: the answer was its own.
Meaning proxy_answer(long status) {
  Meaning meaning;
  meaning.hop = Hop::kProxy;
  meaning.unsent = true;
  if (status == 407) {
    meaning.code = Code::kUnauthenticated;
    meaning.retryable = false;
    meaning.hint = "the proxy wants a user and a password: http://user:password@host:port";
  } else if (status / 100 == 4) {
    meaning.code = Code::kPermissionDenied;
    meaning.retryable = false;
    meaning.hint = "the proxy does not let this through; no_proxy exempts a host from it";
  }
  return meaning;
}

Meaning meaning_of(const Failure& failure) {
  Meaning meaning;
  if (!failure.proxy.empty()) {
    long status = 0;
    curl_easy_getinfo(failure.easy, CURLINFO_HTTP_CONNECTCODE, &status);
    if (status != 0 && status / 100 != 2) return proxy_answer(status);
    // Before the tunnel stands, nobody but the proxy has been spoken to.
    if (failure.https && status == 0) {
      meaning.hop = Hop::kProxy;
      meaning.unsent = true;
    }
  }
  switch (failure.code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
      meaning.hop = Hop::kProxy;
      meaning.unsent = true;
      break;
    case CURLE_COULDNT_RESOLVE_HOST:
      meaning.unsent = true;
      break;
    case CURLE_OPERATION_TIMEDOUT:  // of connecting: the whole exchange's deadline is the engine's
    case CURLE_COULDNT_CONNECT:
      if (!failure.proxy.empty()) meaning.hop = Hop::kProxy;
      meaning.unsent = true;
      break;
    case CURLE_SSL_CONNECT_ERROR:
      meaning.unsent = true;
      break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      meaning.unsent = true;
      meaning.retryable = false;
      meaning.hint = "the server's certificate is not trusted: name its CA (the ca_file option)";
      break;
    case CURLE_SSL_CACERT_BADFILE:
      meaning = {Code::kInvalidArgument, Hop::kUsage, false, true, "ca_file has to be a PEM file"};
      break;
    case CURLE_UNSUPPORTED_PROTOCOL:  // the URL was checked before: what answers is at fault
    case CURLE_WEIRD_SERVER_REPLY:
      meaning.retryable = false;
      meaning.hint = "what answers there is no HTTP server";
      break;
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
      meaning = {Code::kInvalidArgument, Hop::kUsage, false, true, ""};
      break;
    case CURLE_TOO_MANY_REDIRECTS:
      meaning.code = Code::kFailedPrecondition;
      meaning.retryable = false;
      break;
    case CURLE_OUT_OF_MEMORY:
      meaning = {Code::kResourceExhausted, Hop::kLocal, false, false, ""};
      break;
    case CURLE_FAILED_INIT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION:
      meaning = {Code::kInternal, Hop::kLocal, false, true, ""};
      break;
    default:  // the connection broke, or what came was no HTTP
      break;
  }
  return meaning;
}

// curl quotes the proxy as it was given to it.
std::string without(std::string text, const std::string& secret) {
  for (size_t at = 0; !secret.empty() && (at = text.find(secret, at)) != std::string::npos;)
    text.replace(at, secret.size(), "[proxy]");
  return text;
}

}  // namespace

base::Status failure_status(const Failure& failure) {
  Meaning meaning = meaning_of(failure);
  base::Error error;
  error.code = meaning.code;
  error.hop = meaning.hop;
  error.retryable = meaning.retryable && (!failure.once || meaning.unsent);
  std::string words = failure.text.empty() ? curl_easy_strerror(failure.code) : failure.text;
  error.message = (meaning.hop == Hop::kProxy ? "the proxy before " : "") + failure.target + ": " +
                  one_line(without(std::move(words), failure.proxy), 500);
  error.hint = meaning.hint;
  return base::Status(std::move(error));
}

}  // namespace depot::http
