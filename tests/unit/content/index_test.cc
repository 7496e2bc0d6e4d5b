#include "content/index.h"

#include <atomic>
#include <thread>

#include "layout_dir.h"

namespace depot::content {
namespace {

namespace fs = std::filesystem;
using base::Code;

class IndexTest : public LayoutTest {
 protected:
  base::Status put_tag(const std::string& text, const std::string& tag) {
    return put_index(*store_, descriptor(put(text), text), {Name{tag, true}},
                     base::Cancel::never());
  }
};

// What BuildKit's own client writes for the same, byte by byte.
TEST_F(IndexTest, IsWrittenAsBuildKitWritesIt) {
  ASSERT_TRUE(put_tag("{}", "latest").ok());
  std::string digest = digest_of("{}").text();
  EXPECT_EQ(
      file("index.json"),
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)"
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
          digest + R"(","size":2,"annotations":{"org.opencontainers.image.ref.name":"latest"}}]})");
  EXPECT_EQ(file("oci-layout"), R"({"imageLayoutVersion":"1.0.0"})");
  EXPECT_FALSE(fs::exists(dir_ + "/index.json.lock"));
}

TEST_F(IndexTest, ATagIsMovedAndTheOthersStay) {
  ASSERT_TRUE(put_tag("1", "latest").ok());
  ASSERT_TRUE(put_tag("2", "other").ok());
  ASSERT_TRUE(put_tag("3", "latest").ok());
  auto entries = *read_index(*store_);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(find_entry(entries, "other")->digest, digest_of("2").text());
  EXPECT_EQ(find_entry(entries, "latest")->digest, digest_of("3").text());
  EXPECT_EQ(find_entry(entries, "none"), nullptr);
  EXPECT_EQ(find_entry(entries, ""), nullptr);
}

TEST_F(IndexTest, ANameIsNoTag) {
  auto both = [&](const std::string& text, const Name& name) {
    return put_index(*store_, descriptor(put(text), text), {name}, base::Cancel::never());
  };
  ASSERT_TRUE(both("tag", Name{"latest", true}).ok());
  ASSERT_TRUE(both("name", Name{"docker.io/library/app:latest", false}).ok());
  auto entries = *read_index(*store_);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].ref_name, "latest");
  EXPECT_EQ(find_entry(entries, "docker.io/library/app:latest")->digest, digest_of("name").text());
  EXPECT_EQ(find_entry(entries, "latest")->digest, digest_of("tag").text());
}

TEST_F(IndexTest, WhatOthersWroteStays) {
  std::string foreign =
      R"({"schemaVersion":2,"manifests":[{"digest":"sha256:x","size":"odd",)"
      R"("platform":{"os":"linux"},"new":[1]}],"later":{"a":1},"annotations":{"z":"1","a":"2"}})";
  std::ofstream(dir_ + "/index.json") << foreign;
  ASSERT_TRUE(put_tag("1", "latest").ok());
  auto text = file("index.json");
  EXPECT_NE(text.find(R"("platform":{"os":"linux"},"new":[1])"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("later":{"a":1},"annotations":{"z":"1","a":"2"})"), std::string::npos);
}

TEST_F(IndexTest, OneThatIsNoneIsNotOverwritten) {
  std::string deep = std::string(100, '[') + std::string(100, ']');
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string("nonsense"),
        std::string(R"({"manifests":{}})"), R"({"manifests":)" + deep + "}"}) {
    std::ofstream(dir_ + "/index.json") << text;
    EXPECT_EQ(read_index(*store_).status().code(), Code::kDataLoss) << text;
    auto status = put_tag("1", "latest");
    EXPECT_EQ(status.code(), Code::kDataLoss) << text;
    EXPECT_NE(status.message().find(dir_ + "/index.json"), std::string::npos);
    EXPECT_EQ(file("index.json"), text);
  }
  fs::remove(dir_ + "/index.json");
  EXPECT_EQ(read_index(*store_).status().code(), Code::kNotFound);
  std::ofstream(dir_ + "/index.json") << "";
  EXPECT_TRUE(put_tag("1", "latest").ok()) << "an empty one was being made";
}

TEST_F(IndexTest, NothingIsNamedThatIsNotThere) {
  auto missing = descriptor(digest_of("never written").text(), "never written");
  auto status = put_index(*store_, missing, {Name{"latest"}}, base::Cancel::never());
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_NE(status.message().find(digest_of("never written").text()), std::string::npos);
  for (const char* wrong :
       {"", "[]", R"({"mediaType":"x"})", R"({"digest":"sha256:x","mediaType":"x"})"})
    EXPECT_FALSE(put_index(*store_, wrong, {Name{"latest"}}, base::Cancel::never()).ok()) << wrong;
  EXPECT_FALSE(fs::exists(dir_ + "/index.json"));
}

TEST_F(IndexTest, AWaitForTheLockCanBeCancelled) {
  auto held =
      IndexLock::take(store_->handle(), dir_, std::chrono::milliseconds(0), base::Cancel::never());
  ASSERT_TRUE(held.ok());
  base::Cancel cancel;
  cancel.trigger();
  EXPECT_EQ(put_index(*store_, descriptor(put("1"), "1"), {Name{"latest"}}, cancel).code(),
            Code::kCancelled);
  EXPECT_EQ(
      IndexLock::take(store_->handle(), dir_, std::chrono::milliseconds(0), base::Cancel::never())
          .status()
          .code(),
      Code::kUnavailable);
}

TEST_F(IndexTest, ManyAtOnceLoseNothing) {
  constexpr int kThreads = 4;
  constexpr int kEach = 10;
  std::atomic<bool> over = false;
  ASSERT_TRUE(put_tag("first", "first").ok());
  std::thread reader([&] {
    auto own = *Store::open(dir_, Store::Use::kRead);
    while (!over) {
      auto entries = read_index(*own);
      ASSERT_TRUE(entries.ok()) << entries.status().message();
      ASSERT_NE(find_entry(*entries, "first"), nullptr);
    }
  });
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&, t] {
      auto own = *Store::open(dir_, Store::Use::kWrite);
      for (int i = 0; i < kEach; ++i) {
        std::string text = std::to_string(t) + "/" + std::to_string(i);
        auto writer = *own->write("ref", 0, "sha256");
        ASSERT_TRUE(writer->write(bytes(text)).ok());
        auto digest = *writer->commit(0, "");
        auto status =
            put_index(*own, descriptor(digest.text(), text), {Name{text}}, base::Cancel::never());
        ASSERT_TRUE(status.ok()) << status.message();
      }
    });
  }
  for (auto& writer : writers) writer.join();
  over = true;
  reader.join();
  auto entries = *read_index(*store_);
  EXPECT_EQ(entries.size(), size_t{1 + kThreads * kEach});
  EXPECT_FALSE(fs::exists(dir_ + "/index.json.lock"));
}

TEST_F(IndexTest, ResetRemovesWhatNothingLeadsTo) {
  std::string layer = put("layer"), config = put("config"), old = put("old layer");
  std::string manifest = R"({"schemaVersion":2,"config":)" +
                         descriptor(config, "config", "application/vnd.x") + R"(,"layers":[)" +
                         descriptor(layer, "layer", "application/vnd.y") + "]}";
  std::string index = R"({"manifests":[)" + descriptor(put(manifest), manifest) + "]}";
  std::string type = "application/vnd.oci.image.index.v1+json";
  ASSERT_TRUE(put_index(*store_, descriptor(put(index), index, type), {Name{"latest"}},
                        base::Cancel::never())
                  .ok());
  {
    auto writing = FileLock::try_lock(store_->handle(), "cache.lock", /*shared=*/true);
    EXPECT_EQ(reset(*store_).code(), Code::kUnavailable) << "somebody writes";
    EXPECT_TRUE(store_->has(*Digest::parse(old), 0));
  }
  auto status = reset(*store_);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_FALSE(store_->has(*Digest::parse(old), 0));
  EXPECT_EQ(store_->list()->size(), 4u);
  // What cannot be followed to its end is left alone.
  put("more");
  fs::remove(path_of(digest_of(manifest).text()));
  EXPECT_EQ(reset(*store_).code(), Code::kNotFound);
  EXPECT_EQ(store_->list()->size(), 4u);
}

}  // namespace
}  // namespace depot::content
