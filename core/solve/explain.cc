#include "solve/explain.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include "base/small_file.h"
#include "filesync/entry_filter.h"
#include "filesync/ignore_file.h"
#include "filesync/pattern_matcher.h"
#include "filesync/root_dir.h"
#include "filesync/virtual_tree.h"
#include "solve/context.h"

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using filesync::VirtualTree;
namespace fs = std::filesystem;

constexpr size_t kMaxIgnoreFile = 16 << 20;

// A local dir: files of the caller's, and the directory below them.
struct Source {
  const VirtualTree* files = nullptr;
  std::string dir;

  bool exists() const { return files != nullptr || !dir.empty(); }
};

Source source_of(const Request& request, const std::string& name) {
  Source source;
  if (auto files = request.files.find(name); files != request.files.end())
    source.files = files->second.get();
  if (auto dir = request.locals.find(name); dir != request.locals.end()) source.dir = dir->second;
  return source;
}

Result<std::string> read_given(const filesync::VirtualFile& file) {
  if (!file.read) return file.bytes;
  std::string text;
  for (;;) {
    size_t before = text.size();
    if (before > kMaxIgnoreFile) return base::usage_error("an ignore file is larger than 16 MiB");
    text.resize(before + (64 << 10));
    DEPOT_ASSIGN(size_t got, file.read(before, {reinterpret_cast<uint8_t*>(text.data()) + before,
                                                text.size() - before}));
    text.resize(before + got);
    if (got == 0) return text;
  }
}

struct Rules {
  std::string file;  // empty: there is none
  std::vector<filesync::IgnoreRule> rules;

  std::vector<std::string> patterns() const {
    std::vector<std::string> out;
    for (const auto& rule : rules) out.push_back(rule.pattern);
    return out;
  }
};

// False: there is no such file.
Result<bool> read_rules(const Source& source, const std::string& name, const char* given_name,
                        Rules* rules) {
  std::string text;
  if (const auto* given = source.files == nullptr ? nullptr : source.files->file(name)) {
    rules->file = given_name;
    DEPOT_ASSIGN(text, read_given(*given));
  } else if (!source.dir.empty()) {
    rules->file = (fs::path(source.dir) / name).lexically_normal().string();
    auto read = base::read_small_file(rules->file, kMaxIgnoreFile);
    if (read.status().code() == Code::kNotFound) return false;
    if (!read.ok()) return read.status();
    text = read->reveal();
  } else {
    return false;
  }
  auto parsed = filesync::parse_ignore_file(text);
  if (!parsed.ok()) return parsed.status().with_prefix(rules->file);
  rules->rules = std::move(parsed).value();
  return true;
}

// The Dockerfile's own ignore file, else the context's.
Result<Rules> find_rules(const Request& request) {
  Rules rules;
  auto filename = request.attrs.find("filename");
  std::string own =
      (filename == request.attrs.end() ? "Dockerfile" : filename->second) + ".dockerignore";
  Source dockerfile = source_of(request, "dockerfile");
  const char* given = request.ignore_text ? "the ignore rules given as text" : own.c_str();
  DEPOT_ASSIGN(bool found, read_rules(dockerfile, own, given, &rules));
  if (!found) {
    DEPOT_ASSIGN(
        found, read_rules(source_of(request, "context"), ".dockerignore", ".dockerignore", &rules));
  }
  if (!found) rules.file.clear();
  return rules;
}

Result<Request> ready_context(const Request& request, const Waiting& waiting) {
  if (request.stream || request.attrs.contains("context")) {
    return base::usage_error("the context is not a local one")
        .with_hint("what of a remote context or a stream is used is seen by the builder alone");
  }
  Request ready = request;
  DEPOT_TRY(prepare_context(ready, waiting, false));
  if (!source_of(ready, "context").exists()) return base::usage_error("the request has no context");
  return ready;
}

// The path below the context, and whether a directory is there.
Result<std::string> locate(const Source& context, const std::string& given, bool* is_dir) {
  if (given.find('\0') != std::string::npos) return base::usage_error("the path holds a NUL byte");
  fs::path path = fs::path(given).lexically_normal();
  if (path.is_absolute() && !context.dir.empty()) {
    std::error_code error;
    fs::path root = fs::weakly_canonical(context.dir, error);
    if (!error)
      path = (fs::weakly_canonical(path.parent_path(), error) / path.filename())
                 .lexically_relative(root);
  }
  std::string name = path.string();
  while (name.ends_with('/')) name.pop_back();
  if (name.empty() || name == "." || path.is_absolute() || *path.begin() == "..")
    return base::usage_error("path " + given + " is not one in the context");
  auto missing = [&] { return Status(Code::kNotFound, Hop::kLocal, "the context has no " + name); };
  auto cover = context.files == nullptr ? VirtualTree::Cover::kNone : context.files->covers(name);
  *is_dir = cover == VirtualTree::Cover::kDirectory;
  if (cover != VirtualTree::Cover::kNone) return name;
  if (context.dir.empty()) return missing();
  DEPOT_ASSIGN(auto root, filesync::RootDir::open(context.dir));
  base::UniqueFd fd(root.open_beneath(name, O_PATH));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0)
    return errno == EACCES ? base::errno_error(errno, name) : missing();
  *is_dir = S_ISDIR(info.st_mode);
  return name;
}

class FileList final : public filesync::EntrySink {
 public:
  explicit FileList(const base::Cancel& cancel) : cancel_(cancel) {}
  bool add(const filesync::StatView& stat) override {
    if (!filesync::go_mode::is_dir(stat.mode))
      files.push_back({std::string(stat.path), static_cast<uint64_t>(stat.size)});
    return true;
  }
  bool wanted() const override { return !cancel_.triggered(); }

  std::vector<ContextFile> files;

 private:
  const base::Cancel& cancel_;
};

}  // namespace

Result<Explanation> explain_context(const Request& request, const std::string& path) {
  DEPOT_ASSIGN(Request ready, ready_context(request, {}));
  DEPOT_ASSIGN(Rules rules, find_rules(ready));
  bool is_dir = false;
  DEPOT_ASSIGN(std::string name, locate(source_of(ready, "context"), path, &is_dir));
  auto matcher = filesync::PatternMatcher::create(rules.patterns());
  if (!matcher.ok()) return matcher.status().with_prefix(rules.file);

  // As a walk: every directory on the way, each with what the one above it left.
  filesync::MatchState above, here;
  std::vector<std::string> matched(rules.rules.size());
  constexpr size_t kNone = ~size_t{0};
  size_t decided = kNone;
  auto match = filesync::Match::kNo;
  for (size_t end = 0; end != name.npos;) {
    end = name.find('/', end == 0 ? 0 : end + 1);
    std::string part = name.substr(0, end);
    decided = kNone;
    match = matcher->match(part, &above, &here, &decided);
    if (match == filesync::Match::kBadPattern)
      return base::usage_error("syntax error in pattern").with_prefix(rules.file);
    for (size_t i = 0; i < here.size(); ++i)
      if (here[i] != 0 && matched[i].empty()) matched[i] = part;
    above.swap(here);
  }
  Explanation explanation;
  explanation.sent = match == filesync::Match::kNo;
  if (decided != kNone) {
    explanation.file = rules.file;
    explanation.line = rules.rules[decided].line;
    explanation.rule = rules.rules[decided].text;
    explanation.matched = matched[decided];
  }
  return explanation;
}

Result<std::vector<ContextFile>> list_context(const Request& request, const Waiting& waiting) {
  DEPOT_ASSIGN(Request ready, ready_context(request, waiting));
  DEPOT_ASSIGN(Rules rules, find_rules(ready));
  Source context = source_of(ready, "context");
  std::optional<filesync::RootDir> root;
  filesync::TreeView tree{nullptr, context.files};
  if (!context.dir.empty()) {
    DEPOT_ASSIGN(root, filesync::RootDir::open(context.dir));
    tree.root = &*root;
  }
  filesync::Filter filter;
  filter.exclude = rules.patterns();
  auto entries = filesync::EntryFilter::create(filter, tree.root, tree.overlay);
  if (!entries.ok()) return entries.status().with_prefix(rules.file);
  FileList list(waiting.cancel);
  Status status;
  // A walk may take a working directory of its own for its thread.
  std::thread([&] { status = filesync::walk_tree(tree, *entries, true, list); }).join();
  if (!status.ok()) return status;
  return std::move(list.files);
}

}  // namespace depot::solve
