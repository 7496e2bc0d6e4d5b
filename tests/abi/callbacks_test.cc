// Callbacks on a real build: what they are given, what their answers do, what becomes of
// exceptions; and what an error knows of a build that failed. All through depot.hpp, so through the
// C frames.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <depot/depot.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "part.h"

namespace {

namespace fs = std::filesystem;

struct Mine {  // no std::exception: any type comes through
  int number;
};

class Callbacks : public testing::Test {
 protected:
  static void SetUpTestSuite() { builder_ = new Part({"buildkitd"}); }
  static void TearDownTestSuite() { delete builder_; }

  void SetUp() override {
    char name[] = "/tmp/depot-callbacks-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    fs::copy(DEPOT_SOURCE_DIR "/tests/examples/hello/rootfs", dir_ / "rootfs",
             fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    dockerfile("FROM scratch\nCOPY rootfs/ /\nRUN echo it runs\n");
  }
  void TearDown() override { fs::remove_all(dir_); }

  void dockerfile(const std::string& text) { std::ofstream(dir_ / "Dockerfile") << text; }
  depot::Client client() const {
    return depot::Client(depot::ClientOptions()
                             .builder(builder_->info["buildkitd"]["unix"].get<std::string>())
                             .use_environment(false));
  }
  depot::SolveRequest request() const {
    depot::SolveRequest out;
    out.set_context(dir_).set_no_cache().set_docker_config("");
    return out;
  }

  static Part* builder_;
  fs::path dir_;
};
Part* Callbacks::builder_ = nullptr;

TEST_F(Callbacks, AStatusCallbackIsToldEverythingOnTheThreadThatSolves) {
  std::vector<std::string> finished;
  std::string logs;
  auto self = std::this_thread::get_id();
  depot::Result result =
      client().build(request(), depot::SolveOptions().on_status([&](const depot::Status& status) {
        EXPECT_EQ(std::this_thread::get_id(), self);
        EXPECT_TRUE(nlohmann::json::parse(status.json()).is_object());
        EXPECT_FALSE(status.bytes().empty());
        for (const auto& vertex : status.vertices())
          if (vertex.completed != 0) finished.push_back(vertex.name);
        for (const auto& log : status.logs()) logs += depot::text(log);
      }));
  EXPECT_EQ(std::count(finished.begin(), finished.end(), "[2/2] RUN echo it runs"), 1);
  EXPECT_NE(logs.find("it runs\n"), std::string::npos) << logs;
  EXPECT_EQ(result.response(), result.response());
  EXPECT_FALSE(result.ref().empty());
  EXPECT_TRUE(nlohmann::json::parse(result.metadata_json()).is_object());
}

TEST_F(Callbacks, AStatusStructOfAnotherVersionIsNotWrittenBeyond) {
  bool seen = false;
  client().build(request(), depot::SolveOptions().on_status([&](const depot::Status& status) {
    if (depot_status_vertex_count(status.get()) == 0) return;
    seen = true;
    struct {
      depot_vertex known;
      char further[16];
    } newer;
    std::memset(&newer, 0x5a, sizeof(newer));
    newer.known.size = sizeof(newer);
    EXPECT_EQ(depot_status_vertex(status.get(), 0, &newer.known), 1);
    EXPECT_EQ(newer.known.size, sizeof(newer));
    EXPECT_EQ(newer.further[0], 0x5a);
    depot_vertex unset{};
    EXPECT_EQ(depot_status_vertex(status.get(), 0, &unset), 0) << "its size is not set";
    unset.size = sizeof(unset);
    EXPECT_EQ(depot_status_vertex(status.get(), SIZE_MAX, &unset), 0);
    EXPECT_EQ(depot_status_vertex(status.get(), 0, nullptr), 0);
  }));
  EXPECT_TRUE(seen);
}

TEST_F(Callbacks, AnAnswerOtherThanZeroStopsTheSolveAndComesBack) {
  try {
    client().build(request(),
                   depot::SolveOptions().on_status([](const depot::Status&) { return 7; }));
    FAIL() << "it went on";
  } catch (const depot::error& e) {
    EXPECT_EQ(e.code(), DEPOT_CANCELLED) << e.text();
    EXPECT_EQ(e.hop(), DEPOT_HOP_CALLBACK);
    EXPECT_EQ(e.user_code(), 7);
  }
}

TEST_F(Callbacks, FilesAndStreamsAreReadFromFunctions) {
  auto alive = std::make_shared<int>(0);
  std::weak_ptr<int> watched = alive;
  std::string text = "FROM scratch\nCOPY given /\n";
  {
    auto with_file = request();
    with_file.set_dockerfile_text(text).add_file(
        "given", [alive](std::uint64_t offset, std::uint8_t* buffer, std::size_t) {
          if (offset == 0) buffer[0] = 'x';
          return std::size_t{offset == 0};
        });
    alive.reset();
    client().build(with_file);
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
  depot::SolveRequest stream;
  std::size_t given = 0;
  text = "FROM scratch\nCOPY <<x /x\nhello\nx\n";
  stream.set_docker_config("").set_context_stream(
      [&](std::uint64_t offset, std::uint8_t* buffer, std::size_t size) {
        EXPECT_EQ(offset, given);
        size = std::min(size, text.size() - given);
        std::memcpy(buffer, text.data() + given, size);
        given += size;
        return size;
      });
  client().build(stream);
  EXPECT_EQ(given, text.size());
}

TEST_F(Callbacks, AnExceptionOfAFilesFunctionComesOutAsItIs) {
  auto with_file = request();
  with_file.set_dockerfile_text("FROM scratch\nCOPY given /\n")
      .add_file("given",
                [](std::uint64_t, std::uint8_t*, std::size_t) -> std::size_t { throw Mine{43}; });
  try {
    client().build(with_file);
    FAIL() << "it went on";
  } catch (const Mine& mine) {
    EXPECT_EQ(mine.number, 43);
  }
}

TEST_F(Callbacks, AnExceptionOfAStatusCallbackComesOutAsItIs) {
  try {
    client().build(request(),
                   depot::SolveOptions().on_status([](const depot::Status&) { throw Mine{42}; }));
    FAIL() << "it went on";
  } catch (const Mine& mine) {
    EXPECT_EQ(mine.number, 42);
  }
}

TEST_F(Callbacks, TwoSolvesOfOneRequestKeepTheirExceptionsApart) {
  depot::SolveRequest shared = request();
  depot::Client one = client();
  auto solve = [&](int number) {
    EXPECT_THROW(
        {
          try {
            one.build(shared, depot::SolveOptions().on_status(
                                  [number](const depot::Status&) { throw Mine{number}; }));
          } catch (const Mine& mine) {
            EXPECT_EQ(mine.number, number);
            throw;
          }
        },
        Mine);
  };
  std::thread other([&] { solve(1); });
  solve(2);
  other.join();
}

TEST_F(Callbacks, ACallbackMayCancel) {
  depot::Cancel cancel;
  try {
    client().build(request(), depot::SolveOptions().cancel(cancel).on_status(
                                  [&](const depot::Status&) { cancel.trigger(); }));
    FAIL() << "it went on";
  } catch (const depot::error& e) {
    EXPECT_TRUE(e.cancelled()) << e.text();
    EXPECT_EQ(e.user_code(), 0);
  }
}

TEST_F(Callbacks, AWriteCallbackGetsAWholeArchiveAndItsEnd) {
  std::string bytes;
  int ends = 0;
  depot::SolveRequest tar = request();
  tar.set_export_callback(tar.add_export("tar"), [&](std::string_view piece) {
    EXPECT_EQ(ends, 0) << "nothing comes after the end";
    bytes += piece;
    ends += piece.empty() ? 1 : 0;
  });
  client().build(tar);
  EXPECT_EQ(ends, 1);
  ASSERT_GT(bytes.size(), 1024u);
  EXPECT_EQ(bytes.substr(257, 5), "ustar");
  EXPECT_EQ(bytes.substr(bytes.size() - 1024), std::string(1024, '\0'));
}

TEST_F(Callbacks, AnExceptionOfAWriteCallbackComesOutAsItIs) {
  depot::SolveRequest oci = request();
  std::size_t image = oci.add_export("oci");
  oci.set_export_callback(image, [](std::string_view) { throw std::length_error("full"); });
  for (int i = 0; i < 2; ++i) {
    try {
      client().build(oci);
      FAIL() << "it went on";
    } catch (const std::length_error& e) {
      EXPECT_STREQ(e.what(), "full");
    }
  }
  oci.set_export_callback(image, [](std::string_view) { return -5; });
  try {
    client().build(oci);
    FAIL() << "it went on";
  } catch (const depot::error& e) {
    EXPECT_EQ(e.user_code(), -5) << e.text();
    EXPECT_EQ(e.hop(), DEPOT_HOP_CALLBACK);
  }
}

TEST_F(Callbacks, UserDataOfASolveIsFreedOnceHoweverItEnds) {
  depot::Client one = client();
  depot::SolveRequest fine = request();
  int freed = 0, expected = 0;
  depot_solve_options options = DEPOT_SOLVE_OPTIONS_INIT;
  options.on_status = [](const depot_status*, void*) -> int32_t { return 0; };
  options.user_data = &freed;
  options.user_data_free = [](void* data) { ++*static_cast<int*>(data); };
  depot_result* result = nullptr;
  EXPECT_EQ(depot_client_build(one.get(), nullptr, nullptr, fine.get(), &options, &result, nullptr),
            DEPOT_OK);
  EXPECT_EQ(freed, ++expected);
  depot_result_free(result);
  dockerfile("FROM scratch\nCOPY nothing /\n");
  EXPECT_NE(depot_client_build(one.get(), nullptr, nullptr, fine.get(), &options, &result, nullptr),
            DEPOT_OK);
  EXPECT_EQ(result, nullptr);
  EXPECT_EQ(freed, ++expected);
  EXPECT_EQ(depot_client_build(one.get(), nullptr, nullptr, nullptr, &options, &result, nullptr),
            DEPOT_INVALID_ARGUMENT);
  EXPECT_EQ(freed, ++expected);
}

TEST_F(Callbacks, AnErrorKnowsTheStepTheLineAndTheLog) {
  dockerfile("FROM scratch\nCOPY rootfs/ /\nRUN echo it went wrong && exit 3\n");
  depot::Client one = client();
  depot::Build build = one.new_build();
  depot::Machine machine = build.acquire();
  machine.connect();
  try {
    machine.solve(request());
    FAIL() << "it was built";
  } catch (const depot::error& e) {
    EXPECT_EQ(e.hop(), DEPOT_HOP_SOLVE);
    EXPECT_EQ(e.exit_code(), 3);
    EXPECT_EQ(e.vertex_name(), "[2/2] RUN echo it went wrong && exit 3");
    EXPECT_EQ(e.vertex_digest().substr(0, 7), "sha256:");
    EXPECT_NE(e.log_tail().find("it went wrong"), std::string::npos) << e.log_tail();
    ASSERT_FALSE(e.sources().empty());
    depot::ErrorSource source = e.sources().front();
    EXPECT_EQ(source.file, "Dockerfile");
    EXPECT_NE(source.data.find("exit 3"), std::string::npos);
    ASSERT_FALSE(source.ranges.empty());
    EXPECT_EQ(source.ranges.front().start_line, 3);
    EXPECT_FALSE(e.details().empty());
    EXPECT_NE(e.text().find("Dockerfile:3"), std::string::npos) << e.text();
    EXPECT_FALSE(e.retryable());
  }
}

TEST_F(Callbacks, SecretsComeFromEverywhere) {
  dockerfile(
      "FROM scratch\nCOPY rootfs/ /\n"
      "RUN --mount=type=secret,id=bytes --mount=type=secret,id=file "
      "--mount=type=secret,id=function "
      "test \"$(cat /run/secrets/bytes /run/secrets/file /run/secrets/function)\" = "
      "one-two-three\n");
  std::ofstream(dir_ / "file") << "two-";
  auto self = std::this_thread::get_id();
  auto with = request();
  with.add_secret_bytes("bytes", "one-").add_secret("id=file,src=" + (dir_ / "file").string());
  with.add_secret_callback("function", [&](std::string_view id) -> std::optional<std::string> {
    EXPECT_EQ(std::this_thread::get_id(), self);
    EXPECT_EQ(id, "function");
    return "three";
  });
  client().build(with);
  with = request();
  with.add_secret_callback("bytes",
                           [](std::string_view) -> std::optional<std::string> { throw Mine{7}; });
  try {
    client().build(with);
    FAIL() << "it did not throw";
  } catch (const Mine& mine) {
    EXPECT_EQ(mine.number, 7);
  }
}

TEST_F(Callbacks, AnAgentIsForwarded) {
  dockerfile(
      "FROM scratch\nCOPY rootfs/ /\n"
      "RUN --mount=type=ssh,required=true,id=keys test -S \"$SSH_AUTH_SOCK\"\n");
  ASSERT_EQ(std::system(("ssh-keygen -q -t ed25519 -N '' -f " + (dir_ / "key").string()).c_str()),
            0);
  auto with = request();
  with.add_ssh_key_file("keys", dir_ / "key");
  client().build(with);
  with = request();
  with.add_ssh("keys");
  EXPECT_THROW(client().build(with), depot::error) << "there is no SSH_AUTH_SOCK";
}

}  // namespace
