// The builder's books through depot.hpp, and so through C: what they give on a real builder, and
// what becomes of a callback's exceptions. What they say is held against buildctl in tests/python.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <depot/depot.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "part.h"

namespace {

namespace fs = std::filesystem;

struct Mine {
  int number;
};

class Books : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/depot-books-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    std::ofstream(dir_ / "Dockerfile") << "FROM scratch\nCOPY Dockerfile /\n";
    client_.emplace(depot::ClientOptions()
                        .builder(builder_.info["buildkitd"]["unix"].get<std::string>())
                        .use_environment(false));
    depot::SolveRequest request;
    request.set_context(dir_).set_docker_config("");
    ref_ = client_->build(request).ref();
    build_.emplace(client_->new_build());
    machine_.emplace(build_->acquire());
  }
  void TearDown() override { fs::remove_all(dir_); }

  Part builder_{{"buildkitd"}};
  fs::path dir_;
  std::optional<depot::Client> client_;
  std::optional<depot::Build> build_;
  std::optional<depot::Machine> machine_;
  std::string ref_;
};

TEST_F(Books, WorkersAndCache) {
  auto workers = machine_->workers();
  ASSERT_EQ(workers.size(), 1u);
  EXPECT_EQ(workers[0].platforms.at(0).rfind("linux/", 0), 0u);
  EXPECT_EQ(workers[0].labels.count("org.mobyproject.buildkit.worker.executor"), 1u);
  EXPECT_TRUE(machine_->workers({"id==other"}).empty());
  EXPECT_EQ(machine_->info().version, workers[0].buildkit_version);

  depot::DiskUsage usage = machine_->disk_usage();
  ASSERT_FALSE(usage.records.empty());
  std::int64_t total = 0;
  for (const auto& record : usage.records) total += record.size;
  EXPECT_EQ(usage.total, total);

  depot::PruneOptions sources;
  sources.filters = {"type=source.local"};
  int heard = 0;
  sources.on_record = [&](const depot::UsageRecord& record) {
    ++heard;
    throw Mine{static_cast<int>(record.id.size())};
  };
  try {
    machine_->prune(sources);
    FAIL() << "the exception was lost";
  } catch (const Mine& mine) {
    EXPECT_GT(mine.number, 0);
  }
  EXPECT_EQ(heard, 1) << "nothing is told after a callback has thrown";
  depot::PruneOptions everything;
  everything.all = true;
  EXPECT_GT(machine_->prune(everything), 0);
  EXPECT_EQ(machine_->disk_usage().total, 0);
}

TEST_F(Books, History) {
  auto records = machine_->history();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].ref, ref_);
  EXPECT_EQ(records[0].state, DEPOT_BUILD_COMPLETED);
  EXPECT_TRUE(records[0].error.empty());
  ASSERT_FALSE(records[0].blobs.empty());
  EXPECT_EQ(records[0].blobs[0].kind, DEPOT_BLOB_LOGS);

  int steps = 0;
  machine_->history_logs(ref_, [&](const depot::Status& status) {
    steps += static_cast<int>(status.vertices().size());
  });
  EXPECT_GT(steps, 0);
  EXPECT_THROW(machine_->history_logs(ref_, [](const depot::Status&) { throw Mine{1}; }), Mine);

  std::size_t size = 0;
  machine_->read_blob(records[0].blobs[0].digest,
                      [&](std::string_view bytes) { size += bytes.size(); });
  EXPECT_EQ(size, static_cast<std::size_t>(records[0].blobs[0].size));

  machine_->history_delete(ref_);
  EXPECT_TRUE(machine_->history().empty());
  depot::HistoryOptions gone;
  gone.ref = ref_;
  try {
    machine_->history(gone);
    FAIL() << "it is there still";
  } catch (const depot::error& e) {
    EXPECT_EQ(e.code(), DEPOT_NOT_FOUND);
  }
}

TEST_F(Books, AReleasedMachineIsNotAsked) {
  machine_->release();
  try {
    machine_->disk_usage();
    FAIL() << "it answered";
  } catch (const depot::error& e) {
    EXPECT_EQ(e.code(), DEPOT_FAILED_PRECONDITION);
  }
}

}  // namespace
