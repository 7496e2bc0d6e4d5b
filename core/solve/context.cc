#include "solve/context.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "base/id.h"
#include "solve/remote.h"
#include "solve/stream.h"

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

// What the frontend looks for in local dir "dockerfile", and finds there or not.
Status check_dockerfile(const Request& request) {
  if (request.frontend != "dockerfile.v0") return {};
  auto name = request.attrs.find("filename");
  fs::path file = name == request.attrs.end() ? "Dockerfile" : name->second;
  // The frontend takes "dockerfile" for "Dockerfile".
  fs::path other = file.filename() == "Dockerfile" ? file.parent_path() / "dockerfile" : file;
  auto files = request.files.find("dockerfile");
  if (files != request.files.end() && (files->second->file(file.string()) != nullptr ||
                                       files->second->file(other.string()) != nullptr))
    return {};
  auto dir = request.locals.find("dockerfile");
  if (dir == request.locals.end()) {
    if (files == request.files.end()) return {};
    return Status(Code::kNotFound, Hop::kUsage, "no file " + file.string() + " among those given")
        .with_hint("add a Dockerfile to the files, or name another one");
  }
  fs::path path = fs::path(dir->second) / file;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    int why = errno;
    if (why == ENOENT && ::stat((fs::path(dir->second) / other).c_str(), &info) == 0) return {};
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

Status Request::set_virtual_context(const std::string& named) {
  if (has_nul(named)) return usage_error("the Dockerfile's name holds a NUL byte");
  for (const char* attr : {"context", "dockerfilekey", "filename"}) attrs.erase(attr);
  locals.erase("context");
  locals.erase("dockerfile");
  stream = nullptr;
  dockerfile_stream = named == "-" ? Stream::standard_input() : nullptr;
  dockerfile_url = is_http_url(named) ? named : "";
  dockerfile = named == "-" || !dockerfile_url.empty() ? "" : named;
  return {};
}

Status Request::set_context_stream(std::shared_ptr<Stream> from, const std::string& named) {
  DEPOT_TRY(set_virtual_context(named));
  stream = std::move(from);
  return {};
}

Status Request::add_file(const std::string& name, const std::string& path,
                         filesync::VirtualFile file) {
  if (name.empty() || has_nul(name)) return usage_error("a local directory needs a name");
  auto& tree = files[name];
  // Solves under way have the one that is there.
  if (!tree || tree.use_count() > 1)
    tree = tree ? std::make_shared<filesync::VirtualTree>(*tree)
                : std::make_shared<filesync::VirtualTree>();
  Status status = tree->add(path, std::move(file));
  if (tree->empty()) files.erase(name);
  return status;
}

Status Request::set_context(const std::string& context, const std::string& named) {
  if (context.empty() || has_nul(context))
    return usage_error("the context is not a directory name");
  if (context == "-" && named == "-")
    return usage_error("standard input cannot be the context and the Dockerfile");
  if (context == "-") return set_context_stream(Stream::standard_input(), named);
  DEPOT_TRY(set_virtual_context(named));
  // As docker buildx: a directory first, even one that is called like a repository.
  if (!is_directory(context)) {
    DEPOT_ASSIGN(auto remote, parse_remote(context));
    if (remote) return set_remote(*this, context, dockerfile);
    if (context.find("://") != std::string::npos) {
      return usage_error("context " + redact_url(context) + " is of no kind that builders know")
          .with_hint("a directory, a Git reference, or an http(s) URL");
    }
    if (std::error_code error; fs::exists(context, error)) {
      stream = Stream::of_file(context);
      return {};
    }
  }
  // As docker: a relative -f is relative to the current directory, the default is in the context.
  if (dockerfile_stream || !dockerfile_url.empty()) {
    locals["context"] = context;
    return {};
  }
  fs::path file = dockerfile.empty() ? fs::path(context) / "Dockerfile" : fs::path(dockerfile);
  std::error_code error;
  if (!dockerfile.empty() && file.is_relative() && !fs::exists(file, error) &&
      fs::exists(fs::path(context) / file, error))
    file = fs::path(context) / file;  // the classic docker looked there too
  DEPOT_TRY(expose_dockerfile(*this, file));
  locals["context"] = context;
  return {};
}

namespace {

using filesync::VirtualTree;

// A Dockerfile's name in the context, when it is one of the files given or has an ignore file
// there.
bool is_given(const VirtualTree& tree, const std::string& name) {
  return tree.file(name) != nullptr || tree.file(name + ".dockerignore") != nullptr;
}

std::shared_ptr<VirtualTree> copy_of(const std::shared_ptr<VirtualTree>& tree) {
  return tree ? std::make_shared<VirtualTree>(*tree) : std::make_shared<VirtualTree>();
}

// The Dockerfile is text, or will be when the builder has fetched it.
Status use_dockerfile_text(Request& request) {
  if (!request.dockerfile.empty())
    return usage_error("a Dockerfile is given as text, and another one as " + request.dockerfile);
  auto tree = std::make_shared<VirtualTree>();
  filesync::VirtualFile file;
  file.bytes = request.dockerfile_text.value_or("");
  DEPOT_TRY(tree->add("Dockerfile", std::move(file)));
  request.locals.erase("dockerfile");
  request.files["dockerfile"] = std::move(tree);
  request.attrs["filename"] = "Dockerfile";
  request.attrs["dockerfilekey"] = "dockerfile";
  // With nothing else: an empty context.
  bool context = request.locals.contains("context") || request.attrs.contains("context");
  if (!context && !request.files["context"])
    request.files["context"] = std::make_shared<VirtualTree>();
  return {};
}

// The Dockerfile may be one of the files that make the context, or lie over its directory.
Status find_dockerfile(Request& request, const std::shared_ptr<VirtualTree>& tree) {
  auto dir = request.locals.find("context");
  if (dir == request.locals.end()) {
    std::string name = request.dockerfile.empty() ? "Dockerfile" : request.dockerfile;
    auto clean = filesync::clean_file_path(name);
    bool elsewhere = !request.dockerfile.empty() && (!clean.ok() || !is_given(*tree, *clean));
    if (elsewhere) return expose_dockerfile(request, name);
    request.files["dockerfile"] = tree;
    request.attrs["filename"] = *clean;
    return {};
  }
  auto file = request.locals.find("dockerfile");
  if (file == request.locals.end()) return {};
  std::error_code error;
  fs::path root = fs::absolute(dir->second, error).lexically_normal();
  if (root.filename().empty()) root = root.parent_path();
  fs::path name = (fs::path(file->second) / request.attrs["filename"]).lexically_relative(root);
  if (error || name.empty() || *name.begin() == ".." || !is_given(*tree, name.string())) return {};
  file->second = root.string();
  request.files["dockerfile"] = tree;
  request.attrs["filename"] = name.string();
  return {};
}

// Standard input and its like: an archive that the builder fetches, or the text of a Dockerfile.
Status use_stream(Request& request, const Waiting& waiting) {
  auto stream = request.stream->for_solve(request.stream);
  DEPOT_ASSIGN(auto kind, stream->look(waiting));
  if (kind != Stream::Kind::kArchive && stream->is_regular_file())
    return check_directory("context", stream->name());
  if (kind == Stream::Kind::kEmpty) {
    return usage_error("the context on " + stream->name() + " is empty")
        .with_hint("give a tar, perhaps compressed, or the text of a Dockerfile");
  }
  if (kind == Stream::Kind::kArchive) {
    request.uploads.clear();
    std::string id = base::random_id();
    DEPOT_TRY(set_remote(request, "http://buildkit-session/" + id, request.dockerfile));
    request.uploads[id] = stream;
    return {};
  }
  if (!request.dockerfile.empty()) {
    return usage_error("the Dockerfile is on " + stream->name() + ", and another one is " +
                       request.dockerfile)
        .with_hint("what is there is no archive, and so the text of a Dockerfile");
  }
  if (!request.dockerfile_url.empty()) {
    return usage_error("the Dockerfile is on " + stream->name() + ", and another one at " +
                       redact_url(request.dockerfile_url));
  }
  DEPOT_ASSIGN(std::string text, stream->text(waiting));
  if (request.dockerfile_text && *request.dockerfile_text != text)
    return usage_error("a Dockerfile is given as text, and another one on " + stream->name());
  request.dockerfile_text = std::move(text);
  return {};
}

// The frontend reads NAME.dockerignore, beside the Dockerfile, instead of any other.
Status use_ignore_text(Request& request) {
  if (request.attrs.contains("context") || !request.attrs.contains("filename")) {
    return usage_error("ignore rules are for a local context")
        .with_hint("a remote context has its own, or none");
  }
  auto tree = copy_of(request.files["dockerfile"]);
  filesync::VirtualFile file;
  file.bytes = *request.ignore_text;
  DEPOT_TRY(tree->set(request.attrs["filename"] + ".dockerignore", std::move(file)));
  request.files["dockerfile"] = std::move(tree);
  return {};
}

}  // namespace

Status prepare_context(Request& request, const Waiting& waiting, bool with_dockerfile) {
  if (request.stream) DEPOT_TRY(use_stream(request, waiting));
  if (request.dockerfile_stream) {
    if (request.dockerfile_text)
      return usage_error("a Dockerfile is given as text, and another one on standard input");
    DEPOT_ASSIGN(request.dockerfile_text, request.dockerfile_stream->text(waiting));
    request.dockerfile_stream = nullptr;
  }
  if (!request.dockerfile_url.empty() && request.dockerfile_text) {
    return usage_error("a Dockerfile is given as text, and another one at " +
                       redact_url(request.dockerfile_url));
  }
  bool is_remote = false;
  if (auto url = request.attrs.find("context"); url != request.attrs.end()) {
    is_remote = true;
    DEPOT_ASSIGN(auto remote, parse_remote(url->second));
    if (remote && remote->git && remote->git->query) add_frontend_cap(request, kGitQueryCap);
  }
  auto given = request.files.find("context");
  auto tree = given == request.files.end() ? nullptr : given->second;
  // A Dockerfile and nothing else.
  if (!tree && !is_remote && !request.locals.contains("context") && !request.dockerfile.empty())
    tree = request.files["context"] = std::make_shared<VirtualTree>();
  if (is_remote && tree)
    return usage_error("files cannot be laid over a remote context")
        .with_hint("give them as another local directory, and copy from that");
  auto context = request.locals.find("context");
  if (context != request.locals.end()) DEPOT_TRY(check_directory("context", context->second));
  if (request.dockerfile_text || !request.dockerfile_url.empty()) {
    DEPOT_TRY(use_dockerfile_text(request));
  } else if (tree) {
    DEPOT_TRY(find_dockerfile(request, tree));
  }
  if (request.ignore_text) DEPOT_TRY(use_ignore_text(request));
  if (with_dockerfile) DEPOT_TRY(check_dockerfile(request));
  for (const auto& [name, dir] : request.locals)
    DEPOT_TRY(check_directory("directory '" + name + "'", dir));
  return {};
}

}  // namespace depot::solve
