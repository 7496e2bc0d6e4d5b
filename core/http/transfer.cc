#include "http/transfer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "http/errors.h"

namespace depot::http {
namespace {

using base::Code;
using base::Hop;
using base::Status;

constexpr size_t kMaxHeaderBytes = 256 << 10;
constexpr size_t kMaxHeaders = 1000;
constexpr long kMaxRedirects = 10;

bool token(std::string_view text) {
  if (text.empty()) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && std::strchr("!#$%&'*+-.^_`|~", c) != nullptr);
  });
}

bool field_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

Status refuse(std::string why) {
  return Status(Code::kInvalidArgument, Hop::kUsage, std::move(why));
}

// libcurl 7.88 (Debian 12's) lays a second HTTP/2 over the first when it reuses a connection that
// was opened with prior knowledge (curl's pull request 10643): one connection per request then.
bool prior_knowledge_breaks_reuse() {
  static const bool broken = [] {
    unsigned version = curl_version_info(CURLVERSION_NOW)->version_num;
    return version >= 0x075800 && version < 0x080000;
  }();
  return broken;
}

// Without it a connection whose other end vanished is used for a quarter of an hour: every request
// on it times out, and HTTP/2 keeps it for the next.
constexpr unsigned kUnacknowledged = 10000;  // ms

int set_socket(void*, curl_socket_t socket, curlsocktype) {
  // Fails on a Unix socket, which needs none.
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledged,
                     sizeof kUnacknowledged);
  return CURL_SOCKOPT_OK;
}

std::string_view trimmed(std::string_view text) {
  auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// The bundle of this system's authorities where it is not the file that curl was built for: the
// curl that came inside our library is Debian's wherever it runs. nullptr: curl's own, or there is
// none.
const char* bundle_elsewhere() {
  static const char* const found = []() -> const char* {
    const curl_version_info_data* curl = curl_version_info(CURLVERSION_NOW);
    if (curl->age < CURLVERSION_SEVENTH || !curl->cainfo || access(curl->cainfo, R_OK) == 0)
      return nullptr;
    // Debian, Fedora and Red Hat, SUSE: the places that gRPC looks at.
    for (const char* path :
         {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
          "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem"})
      if (access(path, R_OK) == 0) return path;
    return nullptr;
  }();
  return found;
}

}  // namespace

void set_route(CURL* easy, const Options& options, const std::string& proxy) {
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  // Without it a cancel would wait on our thread for the resolver's to end.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  if (!options.unix_socket.empty())
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, options.unix_socket.c_str());
  // Both set, so that curl never looks at the environment.
  curl_easy_setopt(easy, CURLOPT_PROXY, proxy.c_str());
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &set_socket);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (!options.ca_pem.empty() || !options.ca_file.empty()) {
    // "Instead of" the system's: Debian's curl would go on looking into its folder.
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
    curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, nullptr);
  }
  if (!options.ca_pem.empty()) {
    curl_blob blob{};
    blob.data = const_cast<char*>(options.ca_pem.data());
    blob.len = options.ca_pem.size();
    blob.flags = CURL_BLOB_NOCOPY;  // the options outlive every handle
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
    curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO_BLOB, &blob);
  } else if (!options.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
    curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, options.ca_file.c_str());
  } else if (const char* bundle = bundle_elsewhere()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, bundle);
    curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, bundle);
  }
}

Transfer::Transfer(uint64_t call_id, Request what, Client::Done callback)
    : id(call_id),
      request(std::move(what)),
      done(std::move(callback)),
      began(std::chrono::steady_clock::now()) {}

Transfer::~Transfer() {
  if (easy) curl_easy_cleanup(easy);
  for (curl_slist* item = headers_; item; item = item->next)
    base::wipe(item->data, std::strlen(item->data));
  curl_slist_free_all(headers_);
}

Status Transfer::check() {
  auto parsed = parse_url(request.url);
  if (!parsed.ok()) return parsed.status();
  url = std::move(parsed).value();
  if (!token(request.method)) return refuse("bad HTTP method");
  for (const auto& [name, value] : request.headers) {
    if (!token(name)) return refuse("bad HTTP header name");
    if (!field_value(value)) return refuse("bad value of HTTP header " + one_line(name, 100));
  }
  if (!field_value(request.authorization.reveal()))
    return refuse("the authorization holds a control character")
        .with_hint("a token is one line without blanks at its ends");
  if (request.follow_redirects && !(request.authorization.empty() && request.body.empty()))
    return refuse("redirects are not followed with a body or an authorization");
  return base::ok_status();
}

bool Transfer::add_header(const std::string& line) {
  curl_slist* longer = curl_slist_append(headers_, line.c_str());
  if (longer) headers_ = longer;
  return longer != nullptr;
}

Status Transfer::prepare(const Options& options, const std::string& proxy, long version,
                         Completion* owner) {
  easy = curl_easy_init();
  bool stored = easy != nullptr;
  if (stored) {
    for (const auto& [name, value] : request.headers)  // "name;" is curl's way to send it empty
      stored = stored && add_header(value.empty() ? name + ";" : name + ": " + value);
    stored = stored && add_header("Expect:");
    if (!request.authorization.empty()) {
      std::string line("Authorization: ");
      line.reserve(line.size() + request.authorization.size());
      line += request.authorization.reveal();
      stored = stored && add_header(line);
      base::wipe(line);
    }
  }
  if (!stored) return Status(Code::kResourceExhausted, Hop::kLocal, "out of memory");

  proxy_ = proxy;
  set_route(easy, options, proxy);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, owner);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, text_.data());
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_);
  if (!options.user_agent.empty())
    curl_easy_setopt(easy, CURLOPT_USERAGENT, options.user_agent.c_str());
  bool single = version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE && prior_knowledge_breaks_reuse();
  bool fresh = request.once || request.fresh || single;
  // Several requests at once share one HTTP/2 connection instead of opening one each.
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, fresh ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, single ? 1L : 0L);
  auto connect = std::clamp(request.connect_timeout, std::chrono::milliseconds(1),
                            std::chrono::milliseconds(std::chrono::hours(24)));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect.count()));
  if (request.follow_redirects) {
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, kMaxRedirects);
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, url.https ? "https" : "http,https");
  }
  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.method == "POST" || !request.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.reveal().data());  // not copied
    if (request.method != "POST")
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method != "GET") {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  return base::ok_status();
}

size_t Transfer::on_header(char* data, size_t size, size_t count, void* self) {
  size_t length = size * count;
  return static_cast<Transfer*>(self)->header_line({data, length}) ? length : 0;
}

bool Transfer::header_line(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes || response_.headers.size() >= kMaxHeaders) {
    too_large_ = true;
    return false;
  }
  if (line.starts_with("HTTP/")) {  // the answer after a 1xx or a redirect begins anew
    response_.headers.clear();
    response_.body.clear();
    headers_done_ = false;
    return true;
  }
  line = trimmed(line);
  if (line.empty()) {
    headers_done_ = true;
    return true;
  }
  size_t colon = line.find(':');
  if (headers_done_ || colon == std::string_view::npos || colon == 0) return true;  // a trailer
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  response_.headers.emplace_back(std::move(name), trimmed(line.substr(colon + 1)));
  return true;
}

size_t Transfer::on_body(char* data, size_t size, size_t count, void* self) {
  auto* transfer = static_cast<Transfer*>(self);
  size_t length = size * count;
  std::string& body = transfer->response_.body;
  if (length >
      transfer->request.max_response - std::min(body.size(), transfer->request.max_response)) {
    transfer->too_large_ = true;
    return CURL_WRITEFUNC_ERROR;
  }
  body.append(data, length);
  return length;
}

base::Result<Response> Transfer::result(CURLcode code) {
  if (too_large_) {
    return Status(Code::kResourceExhausted, Hop::kApi,
                  url.origin + ": the answer is larger than the " +
                      std::to_string(request.max_response) + " bytes allowed for it");
  }
  long status = 0;
  if (code == CURLE_OK) curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK) {
    Failure failure;
    failure.code = code;
    failure.easy = easy;
    failure.text = text_.data();
    failure.target = url.origin;
    failure.proxy = proxy_;
    failure.https = url.https;
    failure.once = request.once;
    return failure_status(failure);
  }
  if (!proxy_.empty() && status == 407) {  // to an http:// request: nobody but a proxy says so
    return Status(Code::kUnauthenticated, Hop::kProxy,
                  "the proxy before " + url.origin + " wants a user and a password")
        .with_hint("name them in the proxy's URL: http://user:password@host:port");
  }
  response_.status = static_cast<int>(status);
  return std::move(response_);
}

Status Transfer::deadline_status() const {
  curl_off_t connected = 0;
  if (easy) curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected);
  return Status(Code::kDeadlineExceeded, Hop::kApi,
                url.origin + (connected > 0 ? ": no answer within " : ": not reached within ") +
                    std::to_string(request.timeout.count()) + " ms");
}

}  // namespace depot::http
