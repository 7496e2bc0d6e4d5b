#include "solve/context.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <sstream>

#include "solve/remote.h"

namespace depot::solve {

using base::Code;
using base::Hop;
using base::Status;
using base::usage_error;
namespace fs = std::filesystem;

namespace {

constexpr const char* kCapsAttr = "frontend.caps";
constexpr const char* kGitQueryCap = "moby.buildkit.frontend.gitquerystring";

bool has_nul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

bool is_directory(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

Status check_directory(const std::string& what, const std::string& dir) {
  struct stat info {};
  if (::stat(dir.c_str(), &info) != 0) return base::errno_error(errno, what + " " + dir);
  if (!S_ISDIR(info.st_mode)) {
    return Status(Code::kInvalidArgument, Hop::kLocal, what + " " + dir + " is not a directory")
        .with_hint("give the directory that holds the files; name the Dockerfile with -f");
  }
  if (::access(dir.c_str(), R_OK | X_OK) != 0) return base::errno_error(errno, what + " " + dir);
  return {};
}

Status check_dockerfile(const Request& request) {
  auto dir = request.locals.find("dockerfile");
  auto name = request.attrs.find("filename");
  if (dir == request.locals.end() || request.frontend != "dockerfile.v0") return {};
  std::string file = name == request.attrs.end() ? "Dockerfile" : name->second;
  fs::path path = fs::path(dir->second) / file;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    int why = errno;
    // The frontend takes "dockerfile" for "Dockerfile".
    if (why == ENOENT && path.filename() == "Dockerfile" &&
        ::stat((path.parent_path() / "dockerfile").c_str(), &info) == 0)
      return {};
    return base::errno_error(why, "Dockerfile " + path.string())
        .with_hint("name another one with -f");
  }
  if (S_ISDIR(info.st_mode))
    return Status(Code::kInvalidArgument, Hop::kLocal,
                  "Dockerfile " + path.string() + " is a directory");
  return {};
}

// A Dockerfile that lies here, for a context that does not.
Status expose_dockerfile(Request& request, const fs::path& file) {
  std::error_code error;
  fs::path absolute = fs::absolute(file, error).lexically_normal();
  if (error) return base::errno_error(error.value(), "Dockerfile " + file.string());
  request.locals["dockerfile"] = absolute.parent_path().string();
  request.attrs["filename"] = absolute.filename().string();
  return {};
}

Status set_remote(Request& request, const std::string& url, const std::string& dockerfile) {
  if (fs::path file = dockerfile; file.is_absolute()) {
    DEPOT_TRY(expose_dockerfile(request, file));
    request.attrs["dockerfilekey"] = "dockerfile";
  } else if (!dockerfile.empty()) {
    if (auto first = file.lexically_normal(); *first.begin() == "..") {
      return usage_error("Dockerfile " + dockerfile + " lies outside the context " +
                         redact_url(url))
          .with_hint(
              "a relative name is one in the remote context; a local file has an absolute one");
    }
    request.attrs["filename"] = dockerfile;
  }
  request.attrs["context"] = url;
  return {};
}

}  // namespace

void add_frontend_cap(Request& request, const std::string& cap) {
  std::string& caps = request.attrs[kCapsAttr];
  if (("," + caps + ",").find("," + cap + ",") != std::string::npos) return;
  caps += (caps.empty() ? "" : ",") + cap;
}

Status Request::set_context(const std::string& context, const std::string& dockerfile) {
  if (context.empty() || has_nul(context))
    return usage_error("the context is not a directory name");
  if (has_nul(dockerfile)) return usage_error("the Dockerfile's name holds a NUL byte");
  for (const char* attr : {"context", "dockerfilekey", "filename"}) attrs.erase(attr);
  locals.erase("context");
  locals.erase("dockerfile");
  if (context == "-") {
    return Status(Code::kUnimplemented, Hop::kUsage, "context '" + context + "' is not a directory")
        .with_hint("this version builds local directories");
  }
  // As docker buildx: a directory first, even one that is called like a repository.
  if (!is_directory(context)) {
    DEPOT_ASSIGN(auto remote, parse_remote(context));
    if (remote) return set_remote(*this, context, dockerfile);
    if (context.find("://") != std::string::npos) {
      return usage_error("context " + redact_url(context) + " is of no kind that builders know")
          .with_hint("a directory, a Git reference, or an http(s) URL");
    }
  }
  // As docker: a relative -f is relative to the current directory, the default is in the context.
  fs::path file = dockerfile.empty() ? fs::path(context) / "Dockerfile" : fs::path(dockerfile);
  std::error_code error;
  if (!dockerfile.empty() && file.is_relative() && !fs::exists(file, error) &&
      fs::exists(fs::path(context) / file, error))
    file = fs::path(context) / file;  // the classic docker looked there too
  DEPOT_TRY(expose_dockerfile(*this, file));
  locals["context"] = context;
  return {};
}

Status prepare_context(Request& request) {
  if (auto url = request.attrs.find("context"); url != request.attrs.end()) {
    DEPOT_ASSIGN(auto remote, parse_remote(url->second));
    if (remote && remote->git && remote->git->query) add_frontend_cap(request, kGitQueryCap);
  }
  auto context = request.locals.find("context");
  if (context != request.locals.end()) DEPOT_TRY(check_directory("context", context->second));
  DEPOT_TRY(check_dockerfile(request));
  for (const auto& [name, dir] : request.locals)
    DEPOT_TRY(check_directory("directory '" + name + "'", dir));
  return {};
}

}  // namespace depot::solve
