#include "solve/cache.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "content/index.h"
#include "solve/aws.h"
#include "solve/csv.h"
#include "solve/go_json.h"

namespace depot::solve {

using base::Code;
using base::Hop;
using base::Result;
using base::Secret;
using base::Status;
using base::usage_error;

namespace {

constexpr std::array<std::string_view, 6> kTypes = {"registry", "local", "inline",
                                                    "gha",      "s3",    "azblob"};
// Of whatever type: no log, error or description of a request may hold them.
constexpr std::array<std::string_view, 5> kSecrets = {"token", "ghtoken", "access_key_id",
                                                      "secret_access_key", "session_token"};
constexpr std::array<std::string_view, 8> kBooleans = {
    "ignore-error",      "reset",
    "registry.insecure", "oci-mediatypes",
    "image-manifest",    "force-compression",
    "use_path_style",    "disable_accept_encoding"};

template <size_t N>
bool one_of(const std::array<std::string_view, N>& set, std::string_view text) {
  return std::find(set.begin(), set.end(), text) != set.end();
}

bool is_true(const std::string& value) {
  constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "true", "TRUE", "True"};
  return one_of(kTrue, value);
}

bool is_boolean(const std::string& value) {
  constexpr std::array<std::string_view, 6> kFalse = {"0", "f", "F", "false", "FALSE", "False"};
  return is_true(value) || one_of(kFalse, value);
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::string attr_or(const CacheEntry& entry, const char* key, const char* fallback) {
  auto found = entry.attrs.find(key);
  return found == entry.attrs.end() ? fallback : found->second;
}

class Parser {
 public:
  explicit Parser(bool to) : to_(to), what_(to ? "cache export" : "cache import") {}

  Result<std::vector<CacheEntry>> parse(std::string_view spec) const {
    std::vector<CacheEntry> entries;
    if (spec.empty()) return entries;  // as buildx, for a variable that is not set
    DEPOT_ASSIGN(auto fields, parse_csv(spec, what_));
    if (spec.find('=') == std::string_view::npos) {
      for (const auto& field : fields) {
        CacheEntry entry{"registry", {{"ref", field}}, {}};
        DEPOT_TRY(check(entry));
        entries.push_back(std::move(entry));
      }
      return entries;
    }
    CacheEntry entry;
    for (size_t i = 0; i < fields.size(); ++i) {
      DEPOT_TRY(add(entry, std::move(fields[i]), i + 1));
      base::wipe(fields[i]);
    }
    DEPOT_TRY(check(entry));
    entries.push_back(std::move(entry));
    return entries;
  }

 private:
  Status bad(const CacheEntry& entry, const std::string& why) const {
    return usage_error(what_ + (entry.type.empty() ? "" : " type=" + entry.type) + ": " + why);
  }

  Status add(CacheEntry& entry, std::string field, size_t number) const {
    size_t equals = field.find('=');
    // Not the field itself: a key with a comma in it ends up here.
    if (equals == std::string::npos)
      return bad(entry, "field " + std::to_string(number) + " is not key=value");
    std::string key = lower(field.substr(0, equals));
    std::string value = field.substr(equals + 1);
    base::wipe(field);
    if (key.empty() || key.find('\0') != std::string::npos || value.find('\0') != std::string::npos)
      return bad(entry, "field " + std::to_string(number) + " has no name, or holds a NUL byte");
    bool added = key == "type" ? entry.type.empty()
                               : !entry.attrs.contains(key) && !entry.secrets.contains(key);
    if (!added) return bad(entry, "'" + key + "' is given twice");
    if (key == "type")
      entry.type = value;
    else if (one_of(kSecrets, key))
      entry.secrets.emplace(key, Secret::take(std::move(value)));
    else
      entry.attrs.emplace(key, std::move(value));
    return {};
  }

  Status check(const CacheEntry& entry) const {
    if (entry.type.empty()) {
      return bad(entry, "type is missing")
          .with_hint("say type=registry,ref=..., or type=local, inline, gha, s3, azblob");
    }
    if (!one_of(kTypes, entry.type)) {
      return usage_error(what_ + ": unknown type '" + entry.type + "'")
          .with_hint("one of registry, local, inline, gha, s3, azblob");
    }
    if (entry.type == "inline" && !to_) {
      return bad(entry, "an inline cache is in an image")
          .with_hint("import it by the image's name: type=registry,ref=NAME");
    }
    if (auto mode = entry.attrs.find("mode");
        mode != entry.attrs.end() && mode->second != "min" && mode->second != "max")
      return bad(entry, "mode is min or max, not '" + mode->second + "'");
    for (std::string_view key : kBooleans) {
      auto found = entry.attrs.find(std::string(key));
      if (found != entry.attrs.end() && !is_boolean(found->second))
        return bad(entry, std::string(key) + " is neither true nor false: '" + found->second + "'");
    }
    if (entry.type == "registry") {
      std::string ref = attr_or(entry, "ref", "");
      if (ref.empty()) return bad(entry, "ref is missing");
      if (auto name = canonical_name(ref); !name.ok()) return name.status().with_prefix(what_);
    }
    return entry.type == "local" ? check_local(entry) : Status();
  }

  Status check_local(const CacheEntry& entry) const {
    const char* key = to_ ? "dest" : "src";
    if (attr_or(entry, key, "").empty()) {
      return bad(entry, std::string(key) + " is missing")
          .with_hint(std::string("say type=local,") + key + "=DIRECTORY");
    }
    std::string digest = attr_or(entry, "digest", "");
    if (!to_ && !digest.empty()) {
      auto parsed = content::Digest::parse(digest);
      if (!parsed.ok()) return parsed.status().with_prefix(what_);
    }
    if (attr_or(entry, "tag", "latest").empty() && digest.empty())
      return bad(entry, "the tag is empty");
    return {};
  }

  const bool to_;
  const std::string what_;
};

// What a GitHub runner tells its steps. False: there is nothing to reach the cache with.
bool fill_gha(CacheEntry& entry, const base::Environment& environment) {
  auto take = [&](const char* key, const char* variable) {
    auto value = environment.get(variable);
    if (value) entry.attrs.emplace(key, *value);
    return value.has_value();
  };
  bool second = entry.attrs.contains("version") ? entry.attrs["version"] == "2"
                                                : environment.truthy("ACTIONS_CACHE_SERVICE_V2");
  if (!entry.secrets.contains("token")) {
    if (auto token = environment.get("ACTIONS_RUNTIME_TOKEN"))
      entry.secrets.emplace("token", Secret::take(std::move(*token)));
  }
  if (second) take("url_v2", "ACTIONS_RESULTS_URL");
  if (!take("url", "ACTIONS_CACHE_URL")) take("url", "ACTIONS_RESULTS_URL");
  auto token = entry.secrets.find("token");
  return token != entry.secrets.end() && !token->second.empty() &&
         (!attr_or(entry, "url", "").empty() || !attr_or(entry, "url_v2", "").empty());
}

void fill_s3(CacheEntry& entry, const base::Environment& environment) {
  // Whoever gives both says all there is: a session's token would belong to another key.
  if (entry.secrets.contains("access_key_id") && entry.secrets.contains("secret_access_key"))
    return;
  auto found = aws_credentials(environment);
  if (!found) return;
  entry.secrets.emplace("access_key_id", std::move(found->access_key_id));
  entry.secrets.emplace("secret_access_key", std::move(found->secret_access_key));
  if (!found->session_token.empty())
    entry.secrets.emplace("session_token", std::move(found->session_token));
}

// False: the entry cannot be used, and `request.warnings` says why.
bool fill(CacheEntry& entry, const base::Environment& environment, Request& request,
          const char* what) {
  if (entry.type == "s3") fill_s3(entry, environment);
  if (entry.type != "gha" || fill_gha(entry, environment)) return true;
  request.warnings.push_back(
      std::string(what) +
      " type=gha is left out: there is neither a token with a url among its attributes nor "
      "ACTIONS_RUNTIME_TOKEN with ACTIONS_CACHE_URL or ACTIONS_RESULTS_URL in the environment");
  return false;
}

Status open_export(Request& request, const CacheEntry& entry) {
  std::string dir = attr_or(entry, "dest", "");
  auto& store = request.stores["local:" + dir];
  if (store) return usage_error("cache export: two go to " + dir);
  auto opened = content::Store::open(dir, content::Store::Use::kWrite);
  if (!opened.ok()) return opened.status().with_prefix("cache export");
  store = *opened;
  // Told now, when nothing was built yet.
  if (auto index = content::read_index(*store);
      !index.ok() && index.status().code() != Code::kNotFound)
    return index.status().with_prefix("cache export");
  store->guard_cache();
  request.local_caches.push_back({store, attr_or(entry, "tag", "latest"),
                                  is_true(attr_or(entry, "reset", "")),
                                  is_true(attr_or(entry, "ignore-error", ""))});
  return {};
}

// The digest that a tag means, and whether its blob is there.
Status resolve_import(const content::Store& store, CacheEntry& entry) {
  std::string digest = attr_or(entry, "digest", "");
  if (digest.empty()) {
    std::string tag = attr_or(entry, "tag", "latest");
    DEPOT_ASSIGN(auto entries, content::read_index(store));
    const auto* found = content::find_entry(entries, tag);
    if (found == nullptr) return Status(Code::kNotFound, Hop::kLocal, "nothing has the tag " + tag);
    digest = found->digest;
  }
  DEPOT_ASSIGN(auto parsed, content::Digest::parse(digest));
  DEPOT_TRY(store.info(parsed).status());
  entry.attrs["digest"] = digest;
  return {};
}

// False: left out, with a warning.
bool open_import(Request& request, CacheEntry& entry) {
  std::string dir = attr_or(entry, "src", "");
  std::string id = "local:" + dir;
  auto known = request.stores.find(id);
  auto opened = known != request.stores.end()
                    ? Result<std::shared_ptr<content::Store>>(known->second)
                    : content::Store::open(dir, content::Store::Use::kRead);
  Status status = opened.ok() ? resolve_import(**opened, entry) : opened.status();
  if (!status.ok()) {
    request.warnings.push_back("cache import " + dir + " is left out: " + status.message());
    return false;
  }
  request.stores[id] = *opened;
  return true;
}

}  // namespace

Result<std::vector<CacheEntry>> parse_cache_from(std::string_view spec) {
  return Parser(false).parse(spec);
}

Result<std::vector<CacheEntry>> parse_cache_to(std::string_view spec) {
  return Parser(true).parse(spec);
}

Status Request::add_cache_from(std::string_view spec) {
  DEPOT_ASSIGN(auto entries, parse_cache_from(spec));
  for (auto& entry : entries) cache_from.push_back(std::move(entry));
  return {};
}

Status Request::add_cache_to(std::string_view spec) {
  DEPOT_ASSIGN(auto entries, parse_cache_to(spec));
  for (auto& entry : entries) cache_to.push_back(std::move(entry));
  return {};
}

Status prepare_cache(Request& request, const base::Environment& environment) {
  auto inlined = request.attrs.find("build-arg:BUILDKIT_INLINE_CACHE");
  bool has_inline = std::any_of(request.cache_to.begin(), request.cache_to.end(),
                                [](const CacheEntry& e) { return e.type == "inline"; });
  if (inlined != request.attrs.end() && is_true(inlined->second) && !has_inline)
    request.cache_to.push_back({"inline", {}, {}});
  std::erase_if(request.cache_to, [&](CacheEntry& entry) {
    return !fill(entry, environment, request, "cache export");
  });
  for (const auto& entry : request.cache_to)
    if (entry.type == "local") DEPOT_TRY(open_export(request, entry));
  std::erase_if(request.cache_from, [&](CacheEntry& entry) {
    return !fill(entry, environment, request, "cache import") ||
           (entry.type == "local" && !open_import(request, entry));
  });
  return {};
}

Secret cache_imports_json(const std::vector<CacheEntry>& entries) {
  std::string json = "[";
  for (const auto& entry : entries) {
    std::map<std::string_view, std::string_view> all;
    for (const auto& [key, value] : entry.attrs) all.emplace(key, value);
    for (const auto& [key, value] : entry.secrets) all.emplace(key, value.reveal());
    json += std::string(json.size() > 1 ? "," : "") + "{\"Type\":" + go_json_string(entry.type);
    // Go leaves an empty map out.
    std::string attrs;
    for (const auto& [key, value] : all) {
      std::string text = go_json_string(value);
      attrs += std::string(attrs.empty() ? "" : ",") + go_json_string(key) + ":" + text;
      base::wipe(text);
    }
    if (!attrs.empty()) json += ",\"Attrs\":{" + attrs + "}";
    base::wipe(attrs);
    json += "}";
  }
  json += "]";
  return Secret::take(std::move(json));
}

Status finish_cache(const Request& request, const std::string& manifest, const base::Cancel& cancel,
                    const base::LogSink& log) {
  Status failed;
  for (const auto& cache : request.local_caches) {
    // Nothing was built that could be kept, or an error of the export was to be ignored.
    if (manifest.empty()) continue;
    Status status =
        content::put_index(*cache.store, manifest, {content::Name{cache.tag, true}}, cancel);
    if (status.ok()) continue;
    status = status.with_prefix("cache export");
    if (cache.ignore_error)
      base::log(log, base::LogLevel::kWarning, status.message());
    else if (failed.ok())
      failed = status;
  }
  // Before one of them is cleaned up: two builds that do so must not wait for each other.
  for (const auto& cache : request.local_caches) cache.store->release();
  for (const auto& cache : request.local_caches) {
    if (!cache.reset || !failed.ok() || manifest.empty()) continue;
    if (Status status = content::reset(*cache.store); !status.ok())
      base::log(log, base::LogLevel::kWarning, "cache export: not reset: " + status.message());
  }
  return failed;
}

}  // namespace depot::solve
