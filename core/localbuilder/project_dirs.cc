#include "localbuilder/project_dirs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/fd.h"
#include "base/id.h"
#include "localbuilder/tree.h"

namespace depot::localbuilder {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::UniqueFd;

namespace {

// The daemon runs 64 machines at once; this is only not to be endless.
constexpr size_t kMaxProjects = 100'000;

std::string projects_dir(const std::string& state_dir) {
  return state_dir + "/projects";
}

UniqueFd open_projects(const std::string& state_dir) {
  return UniqueFd(::open(projects_dir(state_dir).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// Takes the descriptor.
std::vector<std::string> names_in(UniqueFd fd) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, CloseDir> dir(fd.valid() ? ::fdopendir(fd.get()) : nullptr);
  if (!dir) return names;
  (void)fd.release();
  while (const dirent* entry = ::readdir(dir.get())) {
    names.emplace_back(entry->d_name);
    if (names.size() >= kMaxProjects) break;
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_directory(int parent, const std::string& name, struct stat& st) {
  return ::fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int64_t nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

Project read_project(const std::string& state_dir, int projects, const std::string& id) {
  Project project;
  project.id = id;
  project.directory = project_dir(state_dir, id);
  UniqueFd dir(::openat(projects, id.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  for (const char* architecture : {"amd64", "arm64"}) {
    struct stat st;
    if (!dir.valid() || !is_directory(dir.get(), architecture, st)) continue;
    ProjectMachine machine;
    machine.architecture = architecture;
    project.machines.push_back(std::move(machine));
    project.last_used = std::max(project.last_used, nanoseconds(st.st_mtim));
  }
  return project;
}

}  // namespace

std::string project_dir(const std::string& state_dir, const std::string& project) {
  return projects_dir(state_dir) + "/" + project;
}

Result<std::vector<Project>> read_projects(const std::string& state_dir,
                                           const std::optional<std::string>& only) {
  std::vector<Project> projects;
  UniqueFd fd = open_projects(state_dir);
  if (!fd.valid()) {
    if (errno == ENOENT) return projects;
    return base::errno_error(errno, "cannot open " + projects_dir(state_dir))
        .with_hop(Hop::kBuilder);
  }
  std::vector<std::string> names;
  if (only) {
    names.push_back(*only);
  } else {
    names = names_in(UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)));
  }
  for (const std::string& name : names) {
    struct stat st;
    if (good_project(name) && is_directory(fd.get(), name, st)) {
      projects.push_back(read_project(state_dir, fd.get(), name));
    }
  }
  return projects;
}

void count_caches(const std::string& state_dir, std::vector<Project>& projects,
                  const base::Cancel& cancel, std::chrono::steady_clock::time_point deadline) {
  UniqueFd fd = open_projects(state_dir);
  if (!fd.valid()) return;
  for (Project& project : projects) {
    if (cancel.triggered()) return;
    auto size = size_on_disk(fd.get(), project.id, cancel, deadline);
    if (!size.ok()) continue;  // gone meanwhile
    project.cache_bytes = size->bytes;
    project.cache_complete = size->complete;
  }
}

void note_use(const std::string& machine_dir) {
  (void)!::utimensat(AT_FDCWD, machine_dir.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
}

Status no_cache_of(const std::string& project) {
  return Status(Code::kNotFound, Hop::kBuilder,
                "the local builder has no project " + project + " with a cache");
}

Result<std::string> set_aside(const std::string& state_dir, const std::string& project) {
  if (!good_project(project)) return bad_project();
  UniqueFd fd = open_projects(state_dir);
  if (!fd.valid() && errno == ENOENT) return no_cache_of(project);
  if (!fd.valid()) {
    return base::errno_error(errno, "cannot open " + projects_dir(state_dir))
        .with_hop(Hop::kBuilder);
  }
  struct stat st;
  if (::fstatat(fd.get(), project.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return no_cache_of(project);
    return base::errno_error(errno, "cannot look at " + project_dir(state_dir, project))
        .with_hop(Hop::kBuilder);
  }
  if (!S_ISDIR(st.st_mode)) {
    return Status(Code::kFailedPrecondition, Hop::kBuilder,
                  project_dir(state_dir, project) + " is not a directory (a symlink is refused)");
  }
  std::string aside = kAsidePrefix + base::random_hex(8);
  if (::renameat(fd.get(), project.c_str(), fd.get(), aside.c_str()) != 0) {
    return base::errno_error(errno, "cannot rename " + project_dir(state_dir, project))
        .with_hop(Hop::kBuilder);
  }
  return aside;
}

Result<int64_t> remove_aside(const std::string& state_dir, const std::string& name,
                             const base::Cancel& cancel,
                             std::chrono::steady_clock::time_point deadline) {
  UniqueFd fd = open_projects(state_dir);
  if (!fd.valid()) {
    return base::errno_error(errno, "cannot open " + projects_dir(state_dir))
        .with_hop(Hop::kBuilder);
  }
  return remove_tree(fd.get(), name, cancel, deadline);
}

std::vector<std::string> find_aside(const std::string& state_dir) {
  std::vector<std::string> found;
  for (std::string& name : names_in(open_projects(state_dir))) {
    if (name.rfind(kAsidePrefix, 0) == 0) found.push_back(std::move(name));
  }
  return found;
}

}  // namespace depot::localbuilder
