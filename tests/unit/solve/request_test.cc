#include "solve/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace depot::solve {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Hop;
using Attrs = std::map<std::string, std::string>;

// --output, as buildx reads it.
struct Output {
  const char* spec;
  const char* type;
  const char* file;
  Attrs attrs;
};

TEST(Output, ReadsWhatBuildxReads) {
  const Output table[] = {
      {"type=oci,dest=out.tar", "oci", "out.tar", {}},
      {"dest=out.tar,type=docker", "docker", "out.tar", {}},
      {"TYPE=tar,Dest=x", "tar", "x", {}},
      {"type=oci, dest=x", "oci", "x", {}},
      {"type=image", "image", "", {}},
      {"type=image,name=a/b:1,push=true", "image", "", {{"name", "a/b:1"}, {"push", "true"}}},
      {"type=image,\"name=a:1,b:2\"", "image", "", {{"name", "a:1,b:2"}}},
      {"type=registry,ref=x", "image", "", {{"push", "true"}, {"ref", "x"}}},
      {"type=registry,push=false", "image", "", {{"push", "false"}}},
      {"type=cacheonly", "cacheonly", "", {}},
      {"out", "local", "out", {}},
      {"type=local,dest=out", "local", "out", {}},
      {"type=oci,dest=a=b", "oci", "a=b", {}},
      {"type=oci,dest=x,tar=true", "oci", "x", {{"tar", "true"}}},
      {"type=oci,dest=x,push=", "oci", "x", {{"push", ""}}},
      {"type=oci,dest=x,tar=false", "oci", "x", {{"tar", "false"}}},
  };
  for (const auto& [spec, type, file, attrs] : table) {
    Request request;
    auto index = request.add_output(spec);
    ASSERT_TRUE(index.ok()) << spec << ": " << index.status().message();
    EXPECT_EQ(*index, 0u);
    EXPECT_EQ(request.exports[0].type, type) << spec;
    EXPECT_EQ(request.exports[0].file, file) << spec;
    EXPECT_EQ(request.exports[0].attrs, attrs) << spec;
  }
}

TEST(Output, RefusesWhatItCannotDo) {
  const std::pair<const char*, Code> table[] = {
      {"", Code::kInvalidArgument},  // a path: type=local
      {"type=local,dest=-", Code::kInvalidArgument},
      {"type=oci,dest=out,tar=no", Code::kInvalidArgument},
      {"-", Code::kInvalidArgument},
      {"type=oci,dest=-", Code::kInvalidArgument},
      {"type=oci,dest=", Code::kInvalidArgument},
      {"type=image,dest=x", Code::kInvalidArgument},
      {"type=nothing", Code::kInvalidArgument},
      {"type=", Code::kInvalidArgument},
      {"dest=x,y=z", Code::kInvalidArgument},
      {"type=oci,word", Code::kInvalidArgument},
      {"type=oci,dest=x,dest=y", Code::kInvalidArgument},
      {"type=oci,=x", Code::kInvalidArgument},
      {"type=oci,\"dest=x", Code::kInvalidArgument},
  };
  for (const auto& [spec, code] : table) {
    Request request;
    auto index = request.add_output(spec);
    EXPECT_EQ(index.status().code(), code) << spec;
    EXPECT_EQ(index.status().hop(), Hop::kUsage) << spec;
    EXPECT_TRUE(request.exports.empty()) << spec;
  }
}

class Prepare : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "depot-request-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    std::ofstream(dir_ / "Dockerfile") << "FROM scratch\n";
    ASSERT_TRUE(request_.set_context(dir_.string(), "").ok());
  }
  void TearDown() override { fs::remove_all(dir_); }

  fs::path dir_;
  Request request_;
};

TEST_F(Prepare, NamesContextAndDockerfile) {
  auto ready = prepare(request_);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  EXPECT_EQ(ready->locals["context"], dir_.string());
  EXPECT_EQ(ready->locals["dockerfile"], dir_.string());
  EXPECT_EQ(ready->attrs["filename"], "Dockerfile");
  fs::create_directory(dir_ / "sub");
  std::ofstream(dir_ / "sub/Other") << "FROM scratch\n";
  ASSERT_TRUE(request_.set_context(dir_.string(), (dir_ / "x/../sub/Other").string()).ok());
  ready = prepare(request_);
  ASSERT_TRUE(ready.ok());
  EXPECT_EQ(ready->locals["dockerfile"], (dir_ / "sub").string());
  EXPECT_EQ(ready->attrs["filename"], "Other");
}

TEST_F(Prepare, SaysWhatIsWrongWithTheContext) {
  ASSERT_TRUE(request_.set_context((dir_ / "none").string(), "").ok());
  auto missing = prepare(request_);
  EXPECT_EQ(missing.status().code(), Code::kNotFound);
  EXPECT_EQ(missing.status().hop(), Hop::kLocal);
  EXPECT_NE(missing.status().message().find((dir_ / "none").string()), std::string::npos);
  ASSERT_TRUE(request_.set_context((dir_ / "Dockerfile").string(), "").ok());
  auto file = prepare(request_);
  EXPECT_EQ(file.status().code(), Code::kInvalidArgument);
  EXPECT_NE(file.status().error().hint, "");
  for (const char* strange : {"ftp://a.b/c", "oci-layout://a", "https://a.b/c.git#main:../x"})
    EXPECT_EQ(request_.set_context(strange, "").code(), Code::kInvalidArgument) << strange;
  EXPECT_EQ(request_.set_context("", "").code(), Code::kInvalidArgument);
  EXPECT_EQ(request_.set_context(std::string("a\0b", 3), "").code(), Code::kInvalidArgument);
  EXPECT_EQ(request_.set_context(".", std::string("a\0b", 3)).code(), Code::kInvalidArgument);
}

TEST_F(Prepare, ARemoteContextIsTheBuilders) {
  const std::string git = "https://a.b/c.git#main:sub";
  ASSERT_TRUE(request_.set_context(git, "").ok());
  auto ready = prepare(request_);
  ASSERT_TRUE(ready.ok());
  EXPECT_TRUE(ready->locals.empty());
  EXPECT_EQ(ready->attrs, (Attrs{{"context", git}}));
  ASSERT_TRUE(request_.set_context(git, "docker/Dockerfile").ok());
  EXPECT_EQ(request_.attrs, (Attrs{{"context", git}, {"filename", "docker/Dockerfile"}}));
  EXPECT_EQ(request_.set_context(git, "a/../../b").code(), Code::kInvalidArgument);
  // An absolute one lies here.
  ASSERT_TRUE(request_.set_context("https://a.b/c.tar", (dir_ / "Dockerfile").string()).ok());
  EXPECT_EQ(request_.attrs, (Attrs{{"context", "https://a.b/c.tar"},
                                   {"dockerfilekey", "dockerfile"},
                                   {"filename", "Dockerfile"}}));
  EXPECT_EQ(request_.locals, (Attrs{{"dockerfile", dir_.string()}}));
  ASSERT_TRUE(request_.set_context("https://a.b/c.tar", (dir_ / "none").string()).ok());
  EXPECT_EQ(prepare(request_).status().code(), Code::kNotFound);
  // A frontend that cannot read a query must say so.
  ASSERT_TRUE(request_.set_context("https://a.b/c.git?ref=main", "").ok());
  add_frontend_cap(request_, "other");
  add_frontend_cap(request_, "other");
  EXPECT_EQ(prepare(request_)->attrs["frontend.caps"],
            "other,moby.buildkit.frontend.gitquerystring");
  // Back to a directory: nothing of it is left.
  ASSERT_TRUE(request_.set_context(dir_.string(), "").ok());
  EXPECT_FALSE(request_.attrs.contains("context"));
  EXPECT_FALSE(request_.attrs.contains("dockerfilekey"));
}

TEST_F(Prepare, SaysWhatIsWrongWithTheDockerfile) {
  fs::remove(dir_ / "Dockerfile");
  auto missing = prepare(request_);
  EXPECT_EQ(missing.status().code(), Code::kNotFound);
  EXPECT_NE(missing.status().message().find("Dockerfile"), std::string::npos);
  std::ofstream(dir_ / "dockerfile") << "FROM scratch\n";
  EXPECT_TRUE(prepare(request_).ok()) << "the frontend takes it too";
  fs::remove(dir_ / "dockerfile");
  fs::create_directory(dir_ / "Dockerfile");
  EXPECT_EQ(prepare(request_).status().code(), Code::kInvalidArgument);
}

TEST_F(Prepare, ADockerfileAtAUrlIsFetchedLater) {
  fs::remove(dir_ / "Dockerfile");
  ASSERT_TRUE(request_.set_context(dir_.string(), "https://user:word@example.com/file").ok());
  request_.ignore_text = "*.log";
  auto ready = prepare(request_);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  EXPECT_EQ(ready->attrs["dockerfilekey"], "dockerfile");
  EXPECT_EQ(ready->attrs["filename"], "Dockerfile");
  EXPECT_NE(ready->files["dockerfile"]->file("Dockerfile.dockerignore"), nullptr);
  request_.dockerfile_text = "FROM scratch";
  auto status = prepare(request_).status();
  EXPECT_EQ(status.error().hop, Hop::kUsage);
  EXPECT_NE(status.message().find("example.com"), std::string::npos) << status.message();
  EXPECT_EQ(status.message().find("word@"), std::string::npos) << status.message();
}

TEST_F(Prepare, TagsBecomeTheNamesOfImageExports) {
  ASSERT_TRUE(request_.add_tag("app").ok());
  ASSERT_TRUE(request_.add_tag("app:latest").ok()) << "the same again";
  ASSERT_TRUE(request_.add_tag("127.0.0.1:5000/app:1").ok());
  EXPECT_FALSE(request_.add_tag("App").ok());
  const std::string names = "docker.io/library/app:latest,127.0.0.1:5000/app:1";
  auto alone = prepare(request_);
  ASSERT_TRUE(alone.ok());
  ASSERT_EQ(alone->exports.size(), 1u) << "an image export is added";
  EXPECT_EQ(alone->exports[0].type, "image");
  EXPECT_EQ(alone->exports[0].attrs, (Attrs{{"name", names}}));
  request_.push = true;
  EXPECT_EQ(prepare(request_)->exports[0].attrs, (Attrs{{"name", names}, {"push", "true"}}));
  request_.push = false;
  ASSERT_TRUE(request_.add_output("type=oci,dest=x").ok());
  ASSERT_TRUE(request_.add_output("type=docker,dest=y,name=own").ok());
  ASSERT_TRUE(request_.add_output("type=tar,dest=z").ok());
  auto several = prepare(request_);
  ASSERT_EQ(several->exports.size(), 3u);
  EXPECT_EQ(several->exports[0].attrs["name"], names);
  EXPECT_EQ(several->exports[1].attrs["name"], "own");
  EXPECT_FALSE(several->exports[2].attrs.contains("name"));
  request_.push = true;
  several = prepare(request_);
  ASSERT_EQ(several->exports.size(), 4u) << "a push needs an image export";
  EXPECT_EQ(several->exports[3].attrs, (Attrs{{"name", names}, {"push", "true"}}));
  EXPECT_FALSE(several->exports[0].attrs.contains("push"));
}

TEST_F(Prepare, TagsWithAFilesystemExportKeepTheImage) {
  ASSERT_TRUE(request_.add_tag("app").ok());
  ASSERT_TRUE(request_.add_output("type=tar,dest=z").ok());
  EXPECT_EQ(prepare(request_)->exports.size(), 2u);
}

// As Depot's command line has it: tags are pushed with the saved image only when they would be
// anyway.
TEST_F(Prepare, ASavedImageIsPushedUnderItsNames) {
  const std::string places = "r.test/p:1,r.test/p:v1";
  request_.saved_as = {"r.test/p:1", "r.test/p:v1"};
  auto alone = prepare(request_);
  ASSERT_TRUE(alone.ok()) << alone.status().message();
  ASSERT_EQ(alone->exports.size(), 1u) << "an image export is added";
  EXPECT_EQ(alone->exports[0].type, "image");
  EXPECT_EQ(alone->exports[0].attrs, (Attrs{{"name", places}, {"push", "true"}}));

  ASSERT_TRUE(request_.add_tag("app").ok());
  EXPECT_EQ(prepare(request_)->exports[0].attrs, (Attrs{{"name", places}, {"push", "true"}}));
  request_.push = true;
  EXPECT_EQ(prepare(request_)->exports[0].attrs,
            (Attrs{{"name", "docker.io/library/app:latest," + places}, {"push", "true"}}));
  request_.push = false;

  ASSERT_TRUE(request_.add_output("type=oci,dest=x").ok());
  auto beside = prepare(request_);
  ASSERT_EQ(beside->exports.size(), 2u);
  EXPECT_EQ(beside->exports[0].attrs["name"], places) << "what makes one export makes this";
  EXPECT_EQ(beside->exports[1].attrs["name"], "docker.io/library/app:latest");

  request_.exports.clear();
  ASSERT_TRUE(request_.add_output("type=tar,dest=x").ok());
  ASSERT_TRUE(request_.add_output("type=image,name=r.test/own:1,push=true").ok());
  auto own = prepare(request_);
  EXPECT_EQ(own->exports[0].attrs, (Attrs{{"name", "r.test/own:1," + places}, {"push", "true"}}));
  EXPECT_EQ(own->exports[1].type, "tar");

  request_.exports[1].attrs["push-by-digest"] = "true";
  EXPECT_EQ(prepare(request_).status().code(), Code::kInvalidArgument);
  request_.exports.clear();
  request_.call = "check";
  EXPECT_EQ(prepare(request_)->exports.size(), 0u) << "nothing is built";
}

TEST_F(Prepare, APushOfWhatIsToBeSavedNeedsNoNameYet) {
  request_.push = request_.save = true;
  EXPECT_TRUE(prepare(request_).ok());
}

TEST_F(Prepare, APushNeedsAName) {
  request_.push = true;
  EXPECT_EQ(prepare(request_).status().code(), Code::kInvalidArgument);
  request_.push = false;
  ASSERT_TRUE(request_.add_output("type=registry").ok());
  EXPECT_EQ(prepare(request_).status().code(), Code::kInvalidArgument);
  ASSERT_TRUE(request_.set_export_attr(0, "name", "a/b").ok());
  EXPECT_TRUE(prepare(request_).ok());
}

TEST_F(Prepare, FileExportsNeedADestination) {
  for (const char* type : {"oci", "tar"}) {
    Request request = request_;
    ASSERT_TRUE(request.add_export(type).ok());
    EXPECT_EQ(prepare(request).status().code(), Code::kInvalidArgument) << type;
    request.exports[0].writer =
        std::make_shared<ExportWriter>([](std::span<const uint8_t>) { return 0; });
    EXPECT_TRUE(prepare(request).ok()) << type;
  }
  EXPECT_FALSE(request_.set_export_attr(9, "a", "b").ok());
}

TEST_F(Prepare, ADirectoryWithAnImageIsTheBuildersStore) {
  std::string first = (dir_ / "new" / "layout").string();
  ASSERT_TRUE(request_.add_output("type=oci,tar=false,dest=" + first).ok());
  auto made = prepare(request_);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_TRUE(fs::is_directory(first));
  EXPECT_EQ(made->stores.at("export"), made->exports[0].layout);
  EXPECT_EQ(made->exports[0].attrs.at("tar"), "false");
  // The builder has one name for it.
  ASSERT_TRUE(request_.add_output("type=docker,tar=false,dest=" + first + "2").ok());
  EXPECT_EQ(prepare(request_).status().code(), Code::kInvalidArgument);
}

TEST_F(Prepare, ADirectoryWithAnImageHasToBeOne) {
  ASSERT_TRUE(request_.add_output("type=oci,tar=false").ok());
  EXPECT_EQ(prepare(request_).status().code(), Code::kInvalidArgument);
  ASSERT_TRUE(request_.set_export_attr(0, "dest", (dir_ / "Dockerfile").string()).ok());
  EXPECT_EQ(prepare(request_).status().hop(), Hop::kLocal);
  request_.exports[0].file.clear();
  request_.exports[0].writer = std::make_shared<ExportWriter>();
  EXPECT_EQ(prepare(request_).status().code(), Code::kInvalidArgument);
}

TEST_F(Prepare, ADockerExportThatGoesNowhereIsLoaded) {
  Request loaded = request_;
  loaded.load = true;
  ASSERT_TRUE(loaded.add_output("type=docker,dest=x.tar").ok());
  auto ready = prepare(loaded);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  ASSERT_EQ(ready->exports.size(), 2u);
  EXPECT_FALSE(ready->exports[0].load);
  EXPECT_EQ(ready->exports[1].type, "docker");
  EXPECT_EQ(ready->exports[1].load->engine, "docker://unix:///var/run/docker.sock");

  Request named = request_;
  named.load = true;
  ASSERT_TRUE(named.add_output("type=docker,into=ctr:x,name=a").ok());
  ready = prepare(named);
  ASSERT_EQ(ready->exports.size(), 1u) << "it is the one that load asks for";
  EXPECT_EQ(ready->exports[0].load->name, "ctr");
  EXPECT_EQ(ready->exports[0].attrs.size(), 1u) << "into is not the builder's";

  Request twice = request_;
  ASSERT_TRUE(twice.add_output("type=docker,into=podman,dest=x.tar").ok());
  EXPECT_EQ(prepare(twice).status().code(), Code::kInvalidArgument);
}

TEST_F(Prepare, CacheOnlyExportsNothing) {
  ASSERT_TRUE(request_.add_output("type=cacheonly").ok());
  EXPECT_TRUE(prepare(request_)->exports.empty());
}

TEST_F(Prepare, TheEpochReachesTheExporters) {
  request_.attrs["build-arg:SOURCE_DATE_EPOCH"] = "1700000000";
  ASSERT_TRUE(request_.add_output("type=oci,dest=x").ok());
  ASSERT_TRUE(request_.add_output("type=tar,dest=y,source-date-epoch=5").ok());
  auto ready = prepare(request_);
  EXPECT_EQ(ready->exports[0].attrs["source-date-epoch"], "1700000000");
  EXPECT_EQ(ready->exports[1].attrs["source-date-epoch"], "5");
}

}  // namespace
}  // namespace depot::solve
