#include "http/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

namespace depot::http {
namespace {

constexpr size_t kMaxUrl = 64 << 10;
constexpr size_t kMaxShown = 300;

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

base::Status bad_url(std::string why) {
  return base::Status(base::Code::kInvalidArgument, base::Hop::kUsage,
                      "bad URL: " + std::move(why));
}

}  // namespace

base::Result<Url> parse_url(const std::string& text) {
  if (text.size() > kMaxUrl) return bad_url("longer than 64 KiB");
  if (text.find('\0') != std::string::npos) return bad_url("holds a zero byte");
  std::unique_ptr<CURLU, void (*)(CURLU*)> url(curl_url(), curl_url_cleanup);
  if (!url) return base::Status(base::Code::kResourceExhausted, base::Hop::kLocal, "out of memory");
  // curl's words only, never the text: a URL that does not parse may hold anything.
  if (CURLUcode rc = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0); rc != CURLUE_OK)
    return bad_url(curl_url_strerror(rc));
  Url result;
  std::string scheme = part(url.get(), CURLUPART_SCHEME);
  result.host = part(url.get(), CURLUPART_HOST);
  std::transform(result.host.begin(), result.host.end(), result.host.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  if (scheme != "http" && scheme != "https") return bad_url("neither http:// nor https://");
  if (result.host.empty()) return bad_url("no host");
  if (!part(url.get(), CURLUPART_USER).empty() || !part(url.get(), CURLUPART_PASSWORD).empty())
    return bad_url("holds a user name or a password");
  result.https = scheme == "https";
  std::string port = part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  result.origin = scheme + "://" + result.host + ":" + port;
  bool usual = port == (result.https ? "443" : "80");
  result.shown = one_line(
      scheme + "://" + result.host + (usual ? "" : ":" + port) + part(url.get(), CURLUPART_PATH),
      kMaxShown);
  return result;
}

std::string one_line(std::string_view text, size_t limit) {
  std::string line(text.substr(0, limit));
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

}  // namespace depot::http
