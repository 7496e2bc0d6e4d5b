// A build is made again after BuildKit's two passing errors, as often as one lets it, and not when
// something was used up.
#include "machine/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "failing_builder.h"
#include "solve/stream.h"

namespace depot::machine {
namespace {

namespace fs = std::filesystem;
using base::Code;
using testing::Contains;
using testing::HasSubstr;

const std::string kGraph = "failed to solve: inconsistent graph state in edge";
const std::string kIndex = "failed to get state for index 3 on sha256:1";

class Retry : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "depot-retry-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    std::ofstream(dir_ / "Dockerfile") << "FROM scratch\n";
    ASSERT_TRUE(request_.set_context(dir_.string(), "").ok());
    request_.docker_config = "";
  }
  void TearDown() override { fs::remove_all(dir_); }

  // Builds with `builder`; the client, and with it every connection, is gone afterwards.
  base::Result<FlowResult> build(const FailingBuilder& builder, const SolveOptions& options = {}) {
    ClientOptions client;
    client.builder = builder.address();
    return build(std::move(client), options);
  }

  base::Result<FlowResult> build(ClientOptions client, SolveOptions options) {
    client.environment = base::Environment(environment_);
    client.log = [this](base::LogLevel, std::string_view line) { lines_.emplace_back(line); };
    auto made = Client::create(client);
    EXPECT_TRUE(made.ok()) << made.status().message();
    if (!options.on_status) {
      options.on_status = [this](const solve::StatusBatch& batch) {
        for (const auto& vertex : batch.message.vertexes()) steps_.push_back(vertex.name());
        return 0;
      };
    }
    auto result = run_flow(*made, {}, "", request_, options);
    (*made)->close_log();
    return result;
  }

  fs::path dir_;
  solve::Request request_;
  std::map<std::string, std::string, std::less<>> environment_;
  std::vector<std::string> lines_;  // the log's thread's until that is closed
  std::vector<std::string> steps_;
};

TEST_F(Retry, TheErrorsThatPass) {
  auto failed = [](const std::string& message) {
    return is_passing_error(base::Status(Code::kUnknown, base::Hop::kSolve, message));
  };
  EXPECT_TRUE(failed(kGraph) && failed(kIndex));
  EXPECT_FALSE(failed("exit code: 1") || failed("") || is_passing_error({}));
}

TEST_F(Retry, HowOften) {
  auto most = [](const char* value) {
    std::map<std::string, std::string, std::less<>> values;
    values["DEPOT_BUILDKIT_ERROR_MAX_RETRY_COUNT"] = value;
    return most_retries(base::Environment(std::move(values)));
  };
  EXPECT_EQ(most_retries({}), 5);
  EXPECT_EQ(most("0"), 0);
  EXPECT_EQ(most("7"), 7);
  EXPECT_EQ(most("100000"), 100);
  EXPECT_EQ(most("99999999999999999999"), 100);
  for (const char* none : {"", "-1", "many", "3 "}) EXPECT_EQ(most(none), 5) << none;
}

TEST_F(Retry, UntilItGoesWell) {
  FailingBuilder builder({kGraph, kIndex});
  auto result = build(builder);
  EXPECT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(builder.solves(), 3);
  EXPECT_THAT(steps_, Contains(HasSubstr("trying the build again (1 of 5)")));
  EXPECT_THAT(steps_,
              Contains(HasSubstr("(2 of 5): failed to solve: failed to get state for index 3")));
  EXPECT_THAT(lines_, Contains(HasSubstr("inconsistent graph state")));
}

// Each part by itself: what the other machine has made is not made again.
TEST_F(Retry, APartOfSeveralMachines) {
  FailingBuilder amd64({kGraph}), arm64({});
  ClientOptions client;
  client.nodes = {amd64.address() + ",platform=linux/amd64",
                  arm64.address() + ",platform=linux/arm64"};
  request_.attrs["platform"] = "linux/amd64,linux/arm64";
  auto result = build(std::move(client), {});
  EXPECT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(amd64.solves(), 2);
  EXPECT_EQ(arm64.solves(), 1);
  EXPECT_THAT(steps_, Contains(HasSubstr("trying the build again (1 of 5)")));
}

TEST_F(Retry, NotForAnotherError) {
  FailingBuilder builder({"exit code: 1"});
  EXPECT_THAT(build(builder).status().message(), HasSubstr("exit code: 1"));
  EXPECT_EQ(builder.solves(), 1);
  EXPECT_TRUE(steps_.empty());
}

TEST_F(Retry, NotForEver) {
  FailingBuilder builder(std::deque<std::string>(50, kGraph));
  EXPECT_THAT(build(builder).status().message(), HasSubstr("inconsistent graph state"));
  EXPECT_EQ(builder.solves(), 6);
}

TEST_F(Retry, AsOftenAsTheEnvironmentSays) {
  environment_["DEPOT_BUILDKIT_ERROR_MAX_RETRY_COUNT"] = "1";
  FailingBuilder builder(std::deque<std::string>(50, kGraph));
  EXPECT_FALSE(build(builder).ok());
  EXPECT_EQ(builder.solves(), 2);
}

TEST_F(Retry, NotAfterACancel) {
  FailingBuilder builder(std::deque<std::string>(50, kGraph));
  SolveOptions options;
  options.cancel = base::Cancel();
  options.on_status = [&](const solve::StatusBatch&) {
    options.cancel.trigger();
    return 0;
  };
  EXPECT_EQ(build(builder, options).status().code(), Code::kCancelled);
  EXPECT_EQ(builder.solves(), 1);
}

TEST_F(Retry, NotWhenTheStatusConsumerWantsAnEnd) {
  FailingBuilder builder(std::deque<std::string>(50, kGraph));
  SolveOptions options;
  options.on_status = [&](const solve::StatusBatch&) { return 7; };
  auto status = build(builder, options).status();
  EXPECT_EQ(status.code(), Code::kCancelled);
  EXPECT_EQ(status.error().user_code, 7);
  EXPECT_EQ(builder.solves(), 1);
}

TEST_F(Retry, NotBeyondTheTimeout) {
  FailingBuilder builder(std::deque<std::string>(50, kGraph));
  SolveOptions options;
  options.timeout = kRetryPause;  // over by the second try at the latest
  auto status = build(builder, options).status();
  EXPECT_TRUE(status.code() == Code::kDeadlineExceeded || is_passing_error(status))
      << status.message();
  EXPECT_LE(builder.solves(), 2);
}

// An archive is given to the builder once: what it has had of it is not there for another try.
TEST_F(Retry, NotWithoutTheStreamThatIsGone) {
  auto stream = solve::Stream::of_function(
      [](uint64_t offset, std::span<uint8_t> out) -> base::Result<size_t> {
        constexpr std::string_view kGzip = "\x1f\x8b\x08";
        if (offset > 0) return size_t{0};
        std::copy(kGzip.begin(), kGzip.end(), out.begin());
        return kGzip.size();
      },
      "the archive");
  ASSERT_TRUE(request_.set_context_stream(stream, "").ok());
  {
    FailingBuilder builder({kGraph});
    auto result = build(builder);
    EXPECT_TRUE(result.ok()) << "nobody had read any of it: " << result.status().message();
    EXPECT_EQ(builder.solves(), 2);
  }
  steps_.clear();
  // As the session reads it for the builder.
  FailingBuilder builder({kGraph}, [&] {
    std::array<uint8_t, 16> some{};
    EXPECT_TRUE(stream->read(some).ok());
  });
  EXPECT_THAT(build(builder).status().message(), HasSubstr("inconsistent graph state"));
  EXPECT_EQ(builder.solves(), 1);
  EXPECT_TRUE(steps_.empty());
  EXPECT_THAT(lines_, Contains(HasSubstr("the archive has been read")));
}

TEST_F(Retry, NotAfterACallbackHadBytes) {
  int got = 0;
  ASSERT_TRUE(request_.add_export("oci").ok());
  request_.exports[0].writer =
      std::make_shared<solve::ExportWriter>([&](std::span<const uint8_t> bytes) {
        got += static_cast<int>(bytes.size());
        return 7;
      });
  const Once once(request_);
  EXPECT_EQ(once.used(), "");
  std::array<uint8_t, 3> bytes{};
  EXPECT_EQ((*request_.exports[0].writer)(bytes), 7);
  EXPECT_EQ(got, 3);
  EXPECT_THAT(once.used(), HasSubstr("a callback has had bytes"));
}

}  // namespace
}  // namespace depot::machine
