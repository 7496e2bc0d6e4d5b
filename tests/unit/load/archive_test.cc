// The archive of an image without the layers that are there already, as GNU tar reads it.
#include "load/archive.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace depot::load {
namespace {

using base::Code;

std::string digest(char c) {
  return "sha256:" + std::string(64, c);
}

std::string manifest_of(const std::string& layers) {
  return R"({"config":{"digest":")" + digest('c') + R"("},"layers":[)" + layers + "]}";
}
std::string layer(char c, int size) {
  return R"({"digest":")" + digest(c) + R"(","size":)" + std::to_string(size) + "}";
}
std::string config_with(const std::string& ids) {
  return R"({"rootfs":{"diff_ids":[)" + ids + "]}}";
}
std::string id(char c) {
  return '"' + digest(c) + '"';
}

TEST(Archive, HoldsWhatIsLackingAlone) {
  auto image = read_image(manifest_of(layer('1', 700) + "," + layer('2', 512)),
                          config_with(id('a') + "," + id('b')));
  ASSERT_TRUE(image.ok()) << image.status().message();
  EXPECT_EQ(image->layers[1].diff_id, digest('b'));
  std::string tar = archive_head(*image, {"docker.io/library/x:1"}) + layer_head(image->layers[1]) +
                    std::string(512, 'x') + layer_tail(image->layers[1]) + archive_tail();
  EXPECT_EQ(tar.size() % 512, 0u);
  char name[] = "/tmp/depot-archive-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  std::string dir = name;
  std::ofstream(dir + "/x.tar") << tar;
  ASSERT_EQ(std::system(("tar -C " + dir + " -xf " + dir + "/x.tar").c_str()), 0);
  auto read = [&](const std::string& file) {
    std::ifstream in(dir + "/" + file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  EXPECT_EQ(read("manifest.json"), R"([{"Config":")" + std::string(64, 'c') +
                                       R"(.json","Layers":[")" + std::string(64, '1') +
                                       R"(.tar",")" + std::string(64, '2') +
                                       R"(.tar"],"RepoTags":["docker.io/library/x:1"]}])");
  EXPECT_EQ(read(std::string(64, 'c') + ".json"), image->config);
  EXPECT_EQ(read(std::string(64, '2') + ".tar"), std::string(512, 'x'));
  EXPECT_FALSE(std::filesystem::exists(dir + "/" + std::string(64, '1') + ".tar"));
  std::filesystem::remove_all(dir);
}

TEST(Archive, TellsSizesThatOctalDoesNotHold) {
  Layer large{digest('1'), digest('a'), int64_t{9} << 30};
  std::string head = layer_head(large);
  EXPECT_EQ(static_cast<unsigned char>(head[124]), 0x80);
  EXPECT_EQ(head.substr(132, 4), std::string("\x40\0\0\0", 4));
  EXPECT_EQ(head[131], 2);
  large.size = 8;
  EXPECT_EQ(layer_head(large).substr(124, 12), std::string("00000000010\0", 12));
}

TEST(Archive, IsMadeOfNothingThatIsNoImage) {
  const std::string good = manifest_of(layer('1', 1));
  struct Case {
    std::string manifest, config;
  };
  for (const auto& [manifest, config] :
       {Case{"", ""}, Case{"[]", "{}"}, Case{good, ""}, Case{good, "{}"},
        Case{good, config_with("")}, Case{good, config_with("\"../../etc/passwd\"")},
        Case{good, config_with("7")}, Case{manifest_of(layer('g', 1)), config_with(id('a'))},
        Case{manifest_of(layer('1', -1)), config_with(id('a'))},
        Case{manifest_of("7"), config_with(id('a'))},
        Case{R"({"config":{"digest":"sha256:../x"},"layers":[]})", config_with("")}}) {
    EXPECT_EQ(read_image(manifest, config).status().code(), Code::kDataLoss) << manifest << config;
  }
  EXPECT_TRUE(read_image(good, config_with(id('a'))).ok());
}

}  // namespace
}  // namespace depot::load
