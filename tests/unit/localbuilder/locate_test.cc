#include "localbuilder/locate.h"

#include <sys/stat.h>
#include <unistd.h>

#include "temp_dir.h"

namespace depot::localbuilder {
namespace {

namespace fs = std::filesystem;
using base::Code;

class LocateTest : public TempDirTest {};

TEST_F(LocateTest, TheDaemonExplicitThenBesideTheLibraryThenPath) {
  std::string lib = dir_ / "prefix/lib";
  fs::create_directories(lib);
  std::string path = executable(dir_ / "path/libdepot-builderd");
  auto with_path = environment({{"PATH", "relative::" + (dir_ / "path").string()}});
  EXPECT_EQ(*find_builderd("", with_path, lib), path);
  std::string beside = executable(dir_ / "prefix/bin/libdepot-builderd");
  EXPECT_EQ(*find_builderd("", with_path, lib), beside);
  std::string libexec = executable(dir_ / "prefix/libexec/libdepot-builderd");
  EXPECT_EQ(*find_builderd("", with_path, lib), libexec);
  std::string named = executable(dir_ / "named");
  auto with_name = environment({{"LIBDEPOT_BUILDERD", named}});
  EXPECT_EQ(*find_builderd("", with_name, lib), named);
  EXPECT_EQ(*find_builderd(path, with_name, lib), path);
}

TEST_F(LocateTest, WhatIsNamedAndWrongIsNotPassedOver) {
  executable(dir_ / "path/libdepot-builderd");
  auto both = environment({{"PATH", dir_ / "path"}, {"LIBDEPOT_BUILDERD", dir_ / "none"}});
  auto found = find_builderd("", both, "");
  EXPECT_EQ(found.status().code(), Code::kNotFound);
  EXPECT_NE(found.status().message().find("LIBDEPOT_BUILDERD"), std::string::npos);
  std::ofstream(dir_ / "text") << "no program";
  EXPECT_FALSE(find_builderd(dir_ / "text", both, "").ok());
  EXPECT_FALSE(find_builderd(dir_, both, "").ok());  // a folder
  auto nowhere = find_builderd("", environment({{"PATH", dir_ / "empty"}}), dir_ / "lib");
  EXPECT_EQ(nowhere.status().code(), Code::kNotFound);
  EXPECT_FALSE(nowhere.status().error().hint.empty());
}

TEST_F(LocateTest, TheEngineExplicitThenBesideThenPathThenCache) {
  std::string lib = dir_ / "prefix/lib";
  fs::create_directories(lib);
  std::string cached = executable(dir_ / "cache/libdepot/engine/current/bin/buildkitd");
  std::string cached_runc = executable(dir_ / "cache/libdepot/engine/current/bin/runc");
  auto all = environment({{"PATH", dir_ / "path"}, {"XDG_CACHE_HOME", dir_ / "cache"}});
  auto engine = find_engine("", all, lib);
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  EXPECT_EQ(engine->buildkitd, cached);
  EXPECT_EQ(engine->runc, cached_runc);
  std::string in_path = executable(dir_ / "path/buildkitd");
  EXPECT_EQ(find_engine("", all, lib)->buildkitd, in_path);
  std::string beside = executable(dir_ / "prefix/bin/buildkitd");
  EXPECT_EQ(find_engine("", all, lib)->buildkitd, beside);
  // The one of BuildKit's own releases, beside it.
  std::string release = executable(dir_ / "release/bin/buildkitd");
  std::string release_runc = executable(dir_ / "release/bin/buildkit-runc");
  engine = find_engine(dir_ / "release", all, lib);
  EXPECT_EQ(engine->buildkitd, release);
  EXPECT_EQ(engine->runc, release_runc);
  EXPECT_EQ(find_engine(dir_ / "empty", all, lib).status().code(), Code::kNotFound);
}

TEST_F(LocateTest, DefaultFolders) {
  EXPECT_EQ(default_runtime_dir(environment({}), 0), "/run/libdepot-0");
  EXPECT_EQ(default_runtime_dir(environment({{"XDG_RUNTIME_DIR", "/run/user/7"}}), 0),
            "/run/libdepot-0")
      << "one state directory, one daemon";
  EXPECT_EQ(default_runtime_dir(environment({}), 7), "/tmp/libdepot-7");
  EXPECT_EQ(default_runtime_dir(environment({{"XDG_RUNTIME_DIR", "/x"}}), 7), "/x/libdepot");
  EXPECT_EQ(default_runtime_dir(environment({{"XDG_RUNTIME_DIR", "x"}}), 7), "/tmp/libdepot-7");
  EXPECT_EQ(*default_state_dir(environment({{"HOME", "/h"}}), 0), "/var/lib/libdepot");
  EXPECT_EQ(*default_state_dir(environment({{"HOME", "/h"}}), 7), "/h/.local/state/libdepot");
  EXPECT_EQ(default_state_dir(environment({}), 7).status().code(), Code::kFailedPrecondition);
}

TEST_F(LocateTest, PrivateFoldersAreMadeAndChecked) {
  std::string fresh = dir_ / "a/b/c";
  ASSERT_TRUE(prepare_private_dir(fresh).ok());
  struct stat st;
  ASSERT_EQ(::stat(fresh.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
  EXPECT_TRUE(prepare_private_dir(fresh).ok());
  ::chmod(fresh.c_str(), 0755);
  EXPECT_EQ(prepare_private_dir(fresh).code(), Code::kPermissionDenied);
  fs::create_directory_symlink(dir_ / "a/b", dir_ / "link");
  EXPECT_EQ(prepare_private_dir(dir_ / "link").code(), Code::kPermissionDenied);
  std::ofstream(dir_ / "file") << "";
  EXPECT_FALSE(prepare_private_dir(dir_ / "file").ok());
  EXPECT_EQ(prepare_private_dir("relative").code(), Code::kInvalidArgument);
  if (::geteuid() == 0) {
    std::string foreign = dir_ / "foreign";
    fs::create_directories(foreign);
    ::chmod(foreign.c_str(), 0700);
    ASSERT_EQ(::chown(foreign.c_str(), 12345, 12345), 0);
    EXPECT_EQ(prepare_private_dir(foreign).code(), Code::kPermissionDenied);
  }
}

TEST(Privileges, OthersThanRootAreToldWhatToDo) {
  EXPECT_TRUE(check_privileges(0).ok());
  base::Status status = check_privileges(1000);
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_FALSE(status.error().hint.empty());
}

}  // namespace
}  // namespace depot::localbuilder
