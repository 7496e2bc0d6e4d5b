#include "solve/remote.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace depot::solve {
namespace {

using base::Result;
using base::Status;
using base::usage_error;

// Of a whole reference; git servers and the builder's own limits are far below.
constexpr size_t kMaxUrl = 16 << 10;

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Status bad(std::string_view url, const std::string& why) {
  return usage_error("context " + redact_url(url) + ": " + why);
}

std::optional<std::string> unescape(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      int high = hex_digit(text[i + 1]);
      int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    } else {
      out.push_back(text[i] == '+' && plus_is_space ? ' ' : text[i]);
    }
  }
  return out;
}

// "scheme" of "scheme://...": letters and digits; empty when there is none.
std::string scheme_of(std::string_view text) {
  size_t end = 0;
  while (end < text.size() && is_alnum(text[end])) ++end;
  if (end == 0 || text.substr(end, 3) != "://") return {};
  return lower(text.substr(0, end));
}

// user@host:path, as ssh takes it.
bool is_scp_style(std::string_view text) {
  auto word = [](char c) { return is_alnum(c) || c == '-' || c == '_'; };
  auto host = [](char c) { return is_alnum(c) || c == '-' || c == '.'; };
  size_t at = 0;
  while (at < text.size() && word(text[at])) ++at;
  if (at == 0 || at == text.size() || text[at] != '@') return false;
  size_t colon = at + 1;
  while (colon < text.size() && host(text[colon])) ++colon;
  if (colon == at + 1 || colon == text.size() || text[colon] != ':') return false;
  return text.find('\n') == std::string_view::npos;
}

struct Parts {
  std::string remote, scheme, host, path;
  std::string query, fragment;  // as they stand
  bool scp = false;
};

// The pieces of what is a Git URL by its form; nullopt: it is not.
Result<std::optional<Parts>> split(const std::string& text) {
  Parts parts;
  std::string_view rest = text;
  parts.scheme = scheme_of(text);
  bool short_form = text.starts_with("github.com/");
  if (parts.scheme.empty() && !short_form) {
    if (!is_scp_style(text)) return std::optional<Parts>();
    parts.scp = true;
    parts.scheme = "ssh";
  } else if (!short_form && parts.scheme != "http" && parts.scheme != "https" &&
             parts.scheme != "ssh" && parts.scheme != "git") {
    return std::optional<Parts>();
  }
  // Of "path?query#fragment" a '#' first means that the '?' belongs to the fragment.
  if (size_t hash = rest.find('#'); hash != rest.npos) {
    parts.fragment = rest.substr(hash + 1);
    rest = rest.substr(0, hash);
  }
  if (size_t mark = rest.find('?'); mark != rest.npos) {
    parts.query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  parts.remote = rest;
  size_t at = rest.find("://");
  std::string_view authority = at == rest.npos ? rest : rest.substr(at + 3);
  size_t end = parts.scp ? authority.find(':') : authority.find('/');
  std::string_view path = end == authority.npos ? std::string_view() : authority.substr(end);
  authority = authority.substr(0, end);
  if (size_t user = authority.rfind('@'); user != authority.npos) authority.remove_prefix(user + 1);
  parts.host = authority;
  auto decoded = parts.scp ? std::string(path) : unescape(path, false);
  bool http = parts.scheme == "http" || parts.scheme == "https";
  // An HTTP address is a repository only by its suffix.
  if (http && (!decoded || !decoded->ends_with(".git"))) return std::optional<Parts>();
  if (!decoded) return bad(text, "its path has a % that is not followed by two hex digits");
  parts.path = *decoded;
  return std::optional<Parts>(std::move(parts));
}

Status check_host(const std::string& text, const Parts& parts) {
  std::string_view host = parts.host;
  if (host.empty()) return bad(text, "it names no host");
  // git and ssh would take it for an option.
  if (host.front() == '-') return bad(text, "its host begins with a dash");
  size_t bracket = host.find(']');
  size_t colon = host.find(':', host.front() == '[' && bracket != host.npos ? bracket : 0);
  if (!parts.scp && colon != host.npos &&
      host.substr(colon + 1).find_first_not_of("0123456789") != host.npos)
    return bad(text, "its port is not a number");
  return {};
}

Status check_subdir(const std::string& text, std::string* subdir) {
  if (has_control(*subdir)) return bad(text, "its subdir holds a NUL or another control byte");
  if (subdir->starts_with('/')) {
    return bad(text, "its subdir '" + *subdir + "' is absolute")
        .with_hint("a subdir is relative to the repository: leave the first slash out");
  }
  std::string clean;
  for (size_t at = 0; at <= subdir->size();) {
    size_t end = std::min(subdir->find('/', at), subdir->size());
    std::string part = subdir->substr(at, end - at);
    if (part == "..") {
      return bad(text, "its subdir '" + *subdir + "' holds '..'")
          .with_hint("a subdir lies inside the repository: write it without '..'");
    }
    if (!part.empty() && part != ".") clean += (clean.empty() ? "" : "/") + part;
    at = end + 1;
  }
  *subdir = clean;
  return {};
}

Status check_ref(const std::string& text, const std::string& ref) {
  if (has_control(ref)) return bad(text, "its ref holds a control byte");
  if (ref.starts_with('-')) return bad(text, "its ref '" + ref + "' begins with a dash");
  return {};
}

bool is_bool(const std::string& value) {
  static constexpr std::string_view kWords[] = {"1", "t", "T", "true",  "TRUE",  "True",
                                                "0", "f", "F", "false", "FALSE", "False"};
  return std::find(std::begin(kWords), std::end(kWords), value) != std::end(kWords);
}

Result<std::map<std::string, std::string>> parse_query(const std::string& text,
                                                       const std::string& query) {
  std::map<std::string, std::string> values;
  for (size_t at = 0; at <= query.size();) {
    size_t end = std::min(query.find('&', at), query.size());
    std::string pair = query.substr(at, end - at);
    at = end + 1;
    if (pair.empty()) continue;
    size_t equals = std::min(pair.find('='), pair.size());
    auto key = unescape(std::string_view(pair).substr(0, equals), true);
    auto value = equals == pair.size() ? std::string()
                                       : unescape(std::string_view(pair).substr(equals + 1), true);
    if (!key || !value || pair.find(';') != pair.npos)
      return bad(text, "its query cannot be read at '" + pair + "'");
    if (!values.emplace(*key, *value).second)
      return bad(text, "query '" + *key + "' has several values");
  }
  return values;
}

// One of several ways to say the same.
Status set_once(const std::string& text, const char* what, std::string* to, std::string value) {
  if (!to->empty() && *to != value)
    return bad(text, std::string(what) + "s conflict: '" + *to + "' and '" + value + "'");
  *to = std::move(value);
  return {};
}

std::string full_ref(const char* prefix, const std::string& name) {
  return name.starts_with(prefix) ? name : prefix + name;
}

Status read_query(const std::string& text, const Parts& parts, GitRef* git) {
  DEPOT_ASSIGN(auto values, parse_query(text, parts.query));
  git->query = !values.empty();
  for (const auto& [key, value] : values) {
    bool flag = key == "submodules" || key == "keep-git-dir" || key == "fetch-by-commit";
    if (flag) {
      if (!value.empty() && !is_bool(value))
        return bad(text, "query '" + key + "' is neither true nor false: '" + value + "'");
      continue;
    }
    bool known = key == "ref" || key == "tag" || key == "branch" || key == "subdir" ||
                 key == "checksum" || key == "commit" || key == "mtime";
    if (!known) {
      return bad(text, "unknown query '" + key + "'")
          .with_hint(
              "one of ref, branch, tag, subdir, checksum, submodules, keep-git-dir, mtime, "
              "fetch-by-commit");
    }
    if (value.empty()) return bad(text, "query '" + key + "' has no value");
    if (key == "ref") DEPOT_TRY(set_once(text, "ref", &git->ref, value));
    if (key == "subdir") {
      std::string subdir = value;
      DEPOT_TRY(check_subdir(text, &subdir));
      DEPOT_TRY(set_once(text, "subdir", &git->subdir, subdir));
    }
    if (key == "checksum" || key == "commit")
      DEPOT_TRY(set_once(text, "checksum", &git->checksum, value));
    if (key == "mtime" && value != "checkout" && value != "commit")
      return bad(text, "query 'mtime' is neither checkout nor commit: '" + value + "'");
  }
  if (values.contains("tag") && values.contains("branch"))
    return bad(text, "it names a branch and a tag");
  if (values.contains("tag"))
    DEPOT_TRY(set_once(text, "ref", &git->ref, full_ref("refs/tags/", values["tag"])));
  if (values.contains("branch"))
    DEPOT_TRY(set_once(text, "ref", &git->ref, full_ref("refs/heads/", values["branch"])));
  if (!git->checksum.empty() &&
      (git->checksum.size() > 64 ||
       git->checksum.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)) {
    return bad(text, "its checksum '" + git->checksum + "' is not a commit's hash")
        .with_hint("a commit's hash is up to 40 (SHA-256: 64) hex digits");
  }
  return {};
}

}  // namespace

bool is_http_url(std::string_view text) {
  return text.starts_with("https://") || text.starts_with("http://");
}

std::string redact_url(std::string_view url) {
  size_t at = url.find("://");
  at = at == url.npos ? 0 : at + 3;
  size_t end = std::min(url.find_first_of("/?#", at), url.size());
  size_t user = url.substr(0, end).rfind('@');
  size_t colon = url.find(':', at);
  std::string shown(url);
  if (user != url.npos && user > at && colon < user)
    shown.replace(colon + 1, user - colon - 1, "xxxxx");
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return shown;
}

Result<std::optional<GitRef>> parse_git_ref(const std::string& text) {
  if (text.starts_with("./") || text.starts_with("../")) return std::optional<GitRef>();
  DEPOT_ASSIGN(auto found, split(text));
  if (!found) return std::optional<GitRef>();
  const Parts& parts = *found;
  if (text.size() > kMaxUrl) return bad(text.substr(0, 100), "it is too long");
  if (has_control(parts.remote) || has_control(parts.query))
    return bad(text, "it holds a control byte");
  DEPOT_TRY(check_host(text, parts));
  GitRef git;
  git.remote = parts.remote;
  auto fragment = parts.scp ? std::optional(parts.fragment) : unescape(parts.fragment, false);
  if (!fragment) return bad(text, "its fragment has a % that is not followed by two hex digits");
  size_t colon = std::min(fragment->find(':'), fragment->size());
  git.ref = fragment->substr(0, colon);
  if (colon < fragment->size()) git.subdir = fragment->substr(colon + 1);
  DEPOT_TRY(check_subdir(text, &git.subdir));
  DEPOT_TRY(read_query(text, parts, &git));
  DEPOT_TRY(check_ref(text, git.ref));
  return std::optional<GitRef>(std::move(git));
}

Result<std::optional<RemoteContext>> parse_remote(const std::string& text) {
  DEPOT_ASSIGN(auto git, parse_git_ref(text));
  if (!git && !is_http_url(text)) return std::optional<RemoteContext>();
  if (!git) {
    if (text.size() > kMaxUrl) return bad(text.substr(0, 100), "it is too long");
    if (has_control(text)) return bad(text, "it holds a control byte");
    std::string_view rest = std::string_view(text).substr(text.find("://") + 3);
    if (rest.substr(0, rest.find_first_of("/?#")).empty()) return bad(text, "it names no host");
  }
  RemoteContext remote;
  remote.git = std::move(git);
  return std::optional<RemoteContext>(std::move(remote));
}

}  // namespace depot::solve
