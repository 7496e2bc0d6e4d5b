#include "solve/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace depot::solve {
namespace {

namespace fs = std::filesystem;
using base::Code;
using testing::ElementsAre;
using testing::HasSubstr;

class Explain : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "depot-explain-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    for (const char* path : {"a.txt", "node_modules/x/y.js", "out/keep/z", "out/drop", "src/b.log"})
      file(path, std::string(path));
    fs::create_symlink("a.txt", dir_ / "link");
    ASSERT_TRUE(request_.set_context(dir_.string(), "").ok());
  }
  void TearDown() override { fs::remove_all(dir_); }

  void file(const std::string& path, const std::string& text) {
    fs::create_directories((dir_ / path).parent_path());
    std::ofstream(dir_ / path) << text;
  }
  // "sent|ignored FILE:LINE RULE MATCHED", the file without its folder.
  std::string why(const std::string& path) {
    auto found = explain_context(request_, path);
    if (!found.ok()) return found.status().message();
    std::string text = found->sent ? "sent" : "ignored";
    if (found->file.empty()) return text;
    return text + " " + fs::path(found->file).filename().string() + ":" +
           std::to_string(found->line) + " " + found->rule + " " + found->matched;
  }
  std::vector<std::string> listed() {
    std::vector<std::string> paths;
    auto files = list_context(request_, {});
    EXPECT_TRUE(files.ok()) << files.status().message();
    if (files.ok())
      for (const auto& one : *files) paths.push_back(one.path);
    return paths;
  }

  fs::path dir_;
  Request request_;
};

TEST_F(Explain, WithoutRulesEverythingIsSent) {
  EXPECT_EQ(why("a.txt"), "sent");
  EXPECT_THAT(listed(), ElementsAre("a.txt", "link", "node_modules/x/y.js", "out/drop",
                                    "out/keep/z", "src/b.log"));
}

TEST_F(Explain, TheLastRuleThatMatchesDecides) {
  file(".dockerignore", "# what\nnode_modules\n\nout\n!out/keep/\n**/*.log\n!link\n");
  EXPECT_EQ(why("a.txt"), "sent");
  EXPECT_EQ(why("node_modules"), "ignored .dockerignore:2 node_modules node_modules");
  EXPECT_EQ(why("node_modules/x/y.js"), "ignored .dockerignore:2 node_modules node_modules");
  EXPECT_EQ(why("./out/drop"), "ignored .dockerignore:4 out out");
  EXPECT_EQ(why("out/keep/z"), "sent .dockerignore:5 !out/keep/ out/keep");
  EXPECT_EQ(why((dir_ / "src/b.log").string()), "ignored .dockerignore:6 **/*.log src/b.log");
  EXPECT_EQ(why("link"), "sent") << "an exception to nothing";
  EXPECT_THAT(listed(), ElementsAre(".dockerignore", "a.txt", "link", "out/keep/z"));
}

TEST_F(Explain, TheDockerfilesOwnRulesReplaceTheOthers) {
  file(".dockerignore", "*\n");
  file("Dockerfile", "FROM scratch\n");
  file("Dockerfile.dockerignore", "*.txt\n");
  EXPECT_EQ(why("a.txt"), "ignored Dockerfile.dockerignore:1 *.txt a.txt");
  EXPECT_EQ(why("out/drop"), "sent");
  request_.ignore_text = "out\n";
  EXPECT_EQ(why("a.txt"), "sent");
  EXPECT_EQ(why("out/drop"), "ignored the ignore rules given as text:1 out out");
}

TEST_F(Explain, FilesThatAreGivenCount) {
  filesync::VirtualFile rules;
  rules.bytes = "given\n";
  ASSERT_TRUE(request_.add_file("context", ".dockerignore", rules).ok());
  ASSERT_TRUE(request_.add_file("context", "given/file", {}).ok());
  EXPECT_EQ(why("given/file"), "ignored .dockerignore:1 given given");
  EXPECT_EQ(why("a.txt"), "sent");
  Request alone;
  ASSERT_TRUE(alone.add_file("context", "b", {}).ok());
  EXPECT_TRUE(explain_context(alone, "b")->sent);
  EXPECT_EQ(explain_context(alone, "a.txt").status().code(), Code::kNotFound);
  EXPECT_EQ(list_context(alone, {})->size(), 1u);
}

TEST_F(Explain, SaysWhatItCannotAnswer) {
  EXPECT_EQ(explain_context(request_, "none").status().code(), Code::kNotFound);
  for (const char* path : {"..", "../x", "/etc/passwd", "", "."})
    EXPECT_EQ(explain_context(request_, path).status().code(), Code::kInvalidArgument) << path;
  file(".dockerignore", "a\n!\n");
  EXPECT_THAT(why("a.txt"), HasSubstr("illegal exclusion pattern"));
  EXPECT_EQ(list_context(request_, {}).status().code(), Code::kInvalidArgument);
  Request remote;
  ASSERT_TRUE(remote.set_context("https://a.b/c.git", "").ok());
  EXPECT_EQ(explain_context(remote, "x").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(list_context(remote, {}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(explain_context(Request(), "x").status().code(), Code::kInvalidArgument);
  base::Cancel cancel;
  cancel.trigger();
  file(".dockerignore", "");
  EXPECT_EQ(list_context(request_, {cancel, {}}).status().code(), Code::kCancelled);
}

}  // namespace
}  // namespace depot::solve
