#include "builderd/database.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace depot::builderd {
namespace {

namespace fs = std::filesystem;

class DatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/depot-database-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::unique_ptr<Database> open() {
    auto database = Database::open(dir_ / "db", [this](base::LogLevel, std::string_view line) {
      log_ += std::string(line) + "\n";
    });
    EXPECT_TRUE(database.ok()) << database.status().message();
    return database.ok() ? std::move(*database) : nullptr;
  }
  static BuildRecord build(const std::string& id, int64_t created) {
    BuildRecord record;
    record.id = id;
    record.project = "p";
    record.token_hash = std::string("\0hash", 5);
    record.created_ms = created;
    return record;
  }

  fs::path dir_;
  std::string log_;
};

TEST_F(DatabaseTest, RemembersBuildsAndMachines) {
  {
    auto database = open();
    ASSERT_TRUE(database->add_build(build("a", 1)).ok());
    ASSERT_TRUE(database->add_build(build("b", 2)).ok());
    EXPECT_FALSE(database->add_build(build("a", 3)).ok());
    EXPECT_TRUE(*database->finish_build("a", BuildStatus::kFailed, 9, "why"));
    EXPECT_FALSE(*database->finish_build("a", BuildStatus::kFinished, 10, ""));
    EXPECT_FALSE(*database->finish_build("none", BuildStatus::kFinished, 10, ""));
    ASSERT_TRUE(database->put_machine({"p/amd64", 12, 1ull << 63, "/d"}).ok());
  }
  auto database = open();
  auto a = *database->find_build("a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->status, BuildStatus::kFailed);
  EXPECT_EQ(a->message, "why");
  EXPECT_EQ(a->finished_ms, 9);
  EXPECT_EQ(a->token_hash, std::string("\0hash", 5));
  auto running = *database->running_builds();
  ASSERT_EQ(running.size(), 1u);
  EXPECT_EQ(running[0].id, "b");
  auto machines = *database->machines();
  ASSERT_EQ(machines.size(), 1u);
  EXPECT_EQ(machines[0].start_time, 1ull << 63);
  ASSERT_TRUE(database->remove_machine("p/amd64").ok());
  EXPECT_TRUE(database->machines()->empty());
  ASSERT_TRUE(database->forget_builds_before(100).ok());
  EXPECT_FALSE(*database->find_build("a"));
  EXPECT_TRUE(*database->find_build("b"));  // it runs
}

TEST_F(DatabaseTest, ABuildEndedByForceStaysSo) {
  auto database = open();
  ASSERT_TRUE(database->add_build(build("a", 1)).ok());
  ASSERT_TRUE(database->add_build(build("b", 1)).ok());
  EXPECT_TRUE(*database->finish_build("b", BuildStatus::kFinished, 2, ""));
  for (const char* id : {"a", "b", "none"}) {
    EXPECT_TRUE(database->end_build_by_force(id, 9).ok());
  }
  EXPECT_FALSE(*database->finish_build("a", BuildStatus::kFinished, 10, ""));
  auto a = *database->find_build("a"), b = *database->find_build("b");
  EXPECT_EQ(a->status, BuildStatus::kFailed);
  EXPECT_EQ(a->message, kStoppedByForce);
  EXPECT_EQ(a->finished_ms, 9);
  EXPECT_EQ(b->status, BuildStatus::kFinished);
}

TEST_F(DatabaseTest, PagesStandStillWhileBuildsAreAdded) {
  auto database = open();
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(database->add_build(build("b" + std::to_string(i), 5)).ok());  // of one moment
  }
  auto first = *database->list_builds("p", 4, "");
  ASSERT_EQ(first.builds.size(), 4u);
  EXPECT_EQ(first.builds[0].id, "b5");
  ASSERT_TRUE(database->add_build(build("later", 9)).ok());
  auto second = *database->list_builds("p", 4, first.next);
  ASSERT_EQ(second.builds.size(), 2u);
  EXPECT_EQ(second.builds[1].id, "b0");
  EXPECT_TRUE(second.next.empty());
  for (const char* bad : {"x", "12", "-", "99999999999999999999-a", "' OR 1=1 --"}) {
    EXPECT_EQ(database->list_builds("p", 4, bad).status().code(), base::Code::kInvalidArgument);
  }
}

TEST_F(DatabaseTest, DamageIsMovedAside) {
  {
    auto database = open();
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(database->add_build(build("b" + std::to_string(i), i)).ok());
    }
  }
  // The header is right; what follows is not.
  {
    std::fstream file(dir_ / "db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(8192, '\x5a');
  }
  auto database = open();
  ASSERT_TRUE(database);
  EXPECT_NE(log_.find("damaged"), std::string::npos);
  EXPECT_TRUE(database->add_build(build("new", 1)).ok());
}

TEST_F(DatabaseTest, AnEmptyOrForeignFileIsNoHindrance) {
  std::ofstream(dir_ / "db").close();
  ASSERT_TRUE(open());
  EXPECT_TRUE(log_.empty());
  fs::remove(dir_ / "db");
  std::ofstream(dir_ / "db") << "hello, I am a text";
  ASSERT_TRUE(open());
  EXPECT_NE(log_.find("damaged"), std::string::npos);
}

TEST_F(DatabaseTest, ADirectoryInItsPlaceIsAnError) {
  fs::create_directories(dir_ / "db");
  auto database = Database::open(dir_ / "db", nullptr);
  ASSERT_FALSE(database.ok());
  EXPECT_EQ(database.status().hop(), base::Hop::kBuilder);
}

}  // namespace
}  // namespace depot::builderd
