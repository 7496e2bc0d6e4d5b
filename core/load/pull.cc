#include "load/pull.h"

#include <openssl/evp.h>

#include <cctype>
#include <string_view>

#include "load/engine_api.h"
#include "load/story.h"

namespace depot::load {
namespace {

using base::Code;
using base::Hop;
using base::Secret;
using base::Status;

// What a query may hold as it is.
std::string encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : text) {
    if (std::isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out.push_back(static_cast<char>(c));
    } else {
      out.push_back('%');
      out.push_back(kHex[c >> 4]);
      out.push_back(kHex[c & 15]);
    }
  }
  return out;
}

// By hand, so that a password has no copies that nobody wipes.
void append_json(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out.push_back('"');
  for (unsigned char c : text) {
    if (c < 0x20) {
      out += "\\u00";
      out.push_back(kHex[c >> 4]);
      out.push_back(kHex[c & 15]);
      continue;
    }
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(static_cast<char>(c));
  }
  out.push_back('"');
}

// X-Registry-Auth: JSON in base64 of the URL's alphabet.
Secret auth_header(const Pull& what) {
  if (what.username.empty()) return {};
  std::string text;
  text.reserve(128 + what.reference.size() + 6 * (what.username.size() + what.password.size()));
  text += "{\"username\":";
  append_json(text, what.username);
  text += ",\"password\":";
  append_json(text, what.password.reveal());
  text += ",\"serveraddress\":";
  append_json(text, what.reference.substr(0, what.reference.find('/')));
  text += "}";
  constexpr std::string_view kName = "X-Registry-Auth: ";
  std::string header(kName.size() + 4 * ((text.size() + 2) / 3) + 1, '\0');
  header.reserve(header.size() + 2);
  header.replace(0, kName.size(), kName);
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(header.data() + kName.size()),
                             reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()));
  base::wipe(text);
  header.resize(kName.size() + static_cast<size_t>(size));
  for (size_t at = kName.size(); at < header.size(); ++at)
    header[at] = header[at] == '+' ? '-' : header[at] == '/' ? '_' : header[at];
  header += "\r\n";
  return Secret::take(std::move(header));
}

// An Engine says in words alone what was wrong between it and the registry.
Status of_registry(const Status& status) {
  if (status.ok() || status.code() == Code::kCancelled || status.code() == Code::kDeadlineExceeded)
    return status;
  auto says = [&](std::string_view words) {
    return status.message().find(words) != std::string::npos;
  };
  base::Error error = status.error();
  if (says("unauthorized") || says("no basic auth credentials") || says("denied")) {
    error.code = Code::kUnauthenticated;
    error.hop = Hop::kRegistry;
  } else if (says("manifest unknown") || says("not found")) {
    error.code = Code::kNotFound;
    error.hop = Hop::kRegistry;
  }
  return Status(std::move(error));
}

}  // namespace

Status pull(const Target& target, const Options& options, const Pull& what,
            const base::Cancel& cancel, std::chrono::steady_clock::time_point deadline) {
  if (target.engine.empty()) {
    return base::usage_error("only a Docker Engine pulls images by itself, not " + target.name)
        .with_hint("with the login of depot_client_pull_info: `" + target.command.front() +
                   " pull`");
  }
  auto api = EngineApi::connect(target, options, cancel, deadline);
  if (!api.ok()) return api.status().with_prefix("asking " + target.engine);
  Story story(options.on_progress);
  std::string path = "/images/create?fromImage=" + encoded(what.reference);
  if (!what.platform.empty()) path += "&platform=" + encoded(what.platform);
  Status status = (*api)->post(path, auth_header(what),
                               [&](std::string_view bytes) { return story.feed(bytes); });
  if (status.ok()) status = story.finish();
  if (!status.ok())
    return of_registry(status).with_prefix("the Docker Engine cannot pull " + what.reference);
  for (const std::string& tag : what.tags) {
    // canonical: the last colon is the tag's
    size_t colon = tag.rfind(':');
    std::string to = "/images/" + what.reference + "/tag?repo=" + encoded(tag.substr(0, colon)) +
                     "&tag=" + encoded(tag.substr(colon + 1));
    status = (*api)->post(to, {}, [](std::string_view) { return Status(); });
    if (!status.ok()) return status.with_prefix("the Docker Engine cannot call it " + tag);
  }
  return {};
}

}  // namespace depot::load
