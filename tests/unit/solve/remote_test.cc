#include "solve/remote.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using testing::HasSubstr;
using testing::Not;

// As github.com/moby/buildkit/frontend/dockerfile/dfgitutil reads them.
struct Case {
  const char* text;
  const char *remote, *ref, *subdir, *checksum;
};

TEST(GitRef, IsReadAsBuildxReadsIt) {
  const Case table[] = {
      {"https://example.com/foo.git", "https://example.com/foo.git", "", "", ""},
      {"https://example.com/foo.git#deadbeef", "https://example.com/foo.git", "deadbeef", "", ""},
      {"https://example.com/foo.git#release/1.2", "https://example.com/foo.git", "release/1.2", "",
       ""},
      {"HTTPS://example.com/foo.git", "HTTPS://example.com/foo.git", "", "", ""},
      {"https://example.com/foo%2egit", "https://example.com/foo%2egit", "", "", ""},
      {"git://example.com/foo", "git://example.com/foo", "", "", ""},
      {"ssh://git@example.com:22/foo", "ssh://git@example.com:22/foo", "", "", ""},
      {"http://[::1]:8080/foo.git", "http://[::1]:8080/foo.git", "", "", ""},
      {"github.com/moby/buildkit", "github.com/moby/buildkit", "", "", ""},
      {"github.com/moby/buildkit#master", "github.com/moby/buildkit", "master", "", ""},
      {"git@github.com:moby/buildkit", "git@github.com:moby/buildkit", "", "", ""},
      {"user_1@host-2.example:a b#main:sub", "user_1@host-2.example:a b", "main", "sub", ""},
      {"git@github.com:moby/buildkit.git?subdir=sub#v1", "git@github.com:moby/buildkit.git", "v1",
       "sub", ""},
      {"https://a.b/foo.git#baz/qux:quux/quuz", "https://a.b/foo.git", "baz/qux", "quux/quuz", ""},
      {"https://a.b/foo.git#:myfolder", "https://a.b/foo.git", "", "myfolder", ""},
      {"https://a.b/foo.git#main:./a//b/./c/", "https://a.b/foo.git", "main", "a/b/c", ""},
      {"https://a.b/foo.git#a%20b", "https://a.b/foo.git", "a b", "", ""},
      {"https://a.b/foo.git#x?ref=y", "https://a.b/foo.git", "x?ref=y", "", ""},
      {"https://a.b/foo.git?ref=v1&subdir=a%2Fb", "https://a.b/foo.git", "v1", "a/b", ""},
      {"https://a.b/foo.git?ref=v1#v1:sub", "https://a.b/foo.git", "v1", "sub", ""},
      {"https://a.b/foo.git?tag=v1", "https://a.b/foo.git", "refs/tags/v1", "", ""},
      {"https://a.b/foo.git?branch=v1", "https://a.b/foo.git", "refs/heads/v1", "", ""},
      {"https://a.b/foo.git?branch=refs/heads/v1", "https://a.b/foo.git", "refs/heads/v1", "", ""},
      {"https://a.b/foo.git?checksum=deadbeef", "https://a.b/foo.git", "", "", "deadbeef"},
      {"https://a.b/foo.git?commit=deadbeef&fetch-by-commit", "https://a.b/foo.git", "", "",
       "deadbeef"},
      {"https://a.b/foo.git?submodules=false&keep-git-dir=1&mtime=commit", "https://a.b/foo.git",
       "", "", ""},
      {"https://a.b/foo.git?", "https://a.b/foo.git", "", "", ""},
  };
  for (const auto& want : table) {
    auto git = parse_git_ref(want.text);
    ASSERT_TRUE(git.ok()) << want.text << ": " << git.status().message();
    ASSERT_TRUE(git->has_value()) << want.text;
    EXPECT_EQ((*git)->remote, want.remote) << want.text;
    EXPECT_EQ((*git)->ref, want.ref) << want.text;
    EXPECT_EQ((*git)->subdir, want.subdir) << want.text;
    EXPECT_EQ((*git)->checksum, want.checksum) << want.text;
    EXPECT_EQ((*git)->query, std::string(want.text).find(".git?") != std::string::npos &&
                                 !std::string(want.text).ends_with('?'))
        << want.text;
  }
}

TEST(GitRef, IsNotEverything) {
  for (const char* text : {"",
                           ".",
                           "a/b",
                           "./.git",
                           "../foo.git",
                           ".git",
                           "custom.xyz/moby/buildkit.git",
                           "https://example.com/",
                           "https://example.com/foo",
                           "https://example.com/foo.git/",
                           "https://example.com/foo.git.bar",
                           "https://github.com/moby/buildkit",
                           "http://github.com/docker/docker.git:#branch",
                           "ftp://a.b/foo.git",
                           "oci-layout://x",
                           "docker-image://alpine",
                           "git@github.com",
                           "a b@c:d",
                           "@host:path",
                           "user@:path",
                           "user@ho/st:path",
                           "https://a.b/x?y=foo.git",
                           "https://a.b/%zz.git",
                           "://x.git"}) {
    auto git = parse_git_ref(text);
    ASSERT_TRUE(git.ok()) << text << ": " << git.status().message();
    EXPECT_FALSE(git->has_value()) << text;
  }
}

TEST(GitRef, IsRefusedWhereItIsWrong) {
  const std::pair<std::string, const char*> table[] = {
      {"https://a.b/foo.git#main:..", "'..'"},
      {"https://a.b/foo.git#main:../x", "'..'"},
      {"https://a.b/foo.git#main:a/../../x", "'..'"},
      {"https://a.b/foo.git#main:a/..", "'..'"},
      {"https://a.b/foo.git#main:%2e%2e/x", "'..'"},
      {"https://a.b/foo.git#main:/etc", "absolute"},
      {"https://a.b/foo.git#main:a%00b", "NUL"},
      {"https://a.b/foo.git#main:a\nb", "control byte"},
      {"https://a.b/foo.git?subdir=..", "'..'"},
      {"https://a.b/foo.git?subdir=%2Fetc", "absolute"},
      {"https://a.b/foo.git?subdir=a%00", "NUL"},
      {"git@a.b:foo.git#main:../x", "'..'"},
      {"git@a.b:foo.git?subdir=../x", "'..'"},
      {"github.com/a/b#main:../x", "'..'"},
      {"https://a.b/foo.git?checksum=xyz", "checksum"},
      {"https://a.b/foo.git?checksum=" + std::string(65, 'a'), "checksum"},
      {"https://a.b/foo.git?checksum=sha256:abcd", "checksum"},
      {"https://a.b/foo.git?checksum=a&commit=b", "conflict"},
      {"https://a.b/foo.git?checksum=", "no value"},
      {"https://a.b/foo.git?ref=v1#v2", "conflict"},
      {"https://a.b/foo.git?ref=v1&tag=v2", "conflict"},
      {"https://a.b/foo.git?ref=v1&ref=v1", "several"},
      {"https://a.b/foo.git?subdir=a#v1:b", "conflict"},
      {"https://a.b/foo.git?tag=v1&branch=v1", "branch and a tag"},
      {"https://a.b/foo.git?mtime=now", "mtime"},
      {"https://a.b/foo.git?submodules=maybe", "submodules"},
      {"https://a.b/foo.git?invalid=1", "unknown query 'invalid'"},
      {"https://a.b/foo.git?ref=%zz", "cannot be read"},
      {"https://a.b/foo.git?a;b", "cannot be read"},
      {"https://a.b/foo.git#%zz", "two hex digits"},
      {"https://a.b/foo.git#--upload-pack=x", "dash"},
      {"https://a.b/foo.git?ref=-x", "dash"},
      {"ssh://-oProxyCommand=x/foo", "dash"},
      {"git@-oProxyCommand:foo", "dash"},
      {"https:///foo.git", "no host"},
      {"ssh://a:b/foo", "port"},
      {std::string("https://a.b/f\0oo.git", 20), "control byte"},
      {"https://a.b/" + std::string(20000, 'a') + ".git", "too long"},
  };
  for (const auto& [text, why] : table) {
    auto git = parse_git_ref(text);
    EXPECT_EQ(git.status().code(), Code::kInvalidArgument) << text;
    EXPECT_EQ(git.status().hop(), Hop::kUsage) << text;
    EXPECT_THAT(git.status().message(), HasSubstr(why)) << text;
  }
}

TEST(Remote, KnowsItsKinds) {
  auto http = parse_remote("https://a.b/context.tar.gz?x=..");
  ASSERT_TRUE(http.ok() && http->has_value());
  EXPECT_FALSE((*http)->git);
  EXPECT_TRUE((*parse_remote("https://a.b/c.git"))->git);
  EXPECT_FALSE(parse_remote("HTTPS://a.b/c")->has_value()) << "as buildx";
  EXPECT_FALSE(parse_remote("docker-image://a")->has_value());
  EXPECT_EQ(parse_remote("http://").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(parse_remote("http://a.b/\x01").status().code(), Code::kInvalidArgument);
}

TEST(Remote, NoPasswordGetsIntoMessages) {
  EXPECT_EQ(redact_url("https://u:secret@a.b/c.git?x#y"), "https://u:xxxxx@a.b/c.git?x#y");
  EXPECT_EQ(redact_url("https://token@a.b/c"), "https://token@a.b/c");
  EXPECT_EQ(redact_url("https://a.b:80/c@d"), "https://a.b:80/c@d");
  EXPECT_EQ(redact_url("git@a.b:c"), "git@a.b:c");
  auto wrong = parse_git_ref("https://u:se@cret@a.b/c.git#-x");
  EXPECT_THAT(wrong.status().message(), Not(HasSubstr("cret")));
}

}  // namespace
}  // namespace depot::solve
