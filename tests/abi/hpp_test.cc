// depot.hpp as far as it goes without a builder: ownership, errors, exceptions through C frames.
#include <gtest/gtest.h>
#include <depot/depot.hpp>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <type_traits>

namespace {

template <class T>
constexpr bool kMoveOnly = std::is_nothrow_move_constructible_v<T> &&
                           std::is_move_assignable_v<T> && !std::is_copy_constructible_v<T>;
static_assert(kMoveOnly<depot::Client> && kMoveOnly<depot::Build> && kMoveOnly<depot::Machine> &&
              kMoveOnly<depot::SolveRequest> && kMoveOnly<depot::Result>);
static_assert(std::is_nothrow_copy_constructible_v<depot::error>);

depot::ClientOptions nowhere() {
  return depot::ClientOptions()
      .builder("unix:///nonexistent/buildkitd.sock")
      .use_environment(false);
}

TEST(Hpp, AnErrorCarriesWhatTheLibrarySaid) {
  try {
    depot::Client client(nowhere().builder("smoke://signals"));
    FAIL() << "it was taken";
  } catch (const std::exception& thrown) {
    depot::error e = dynamic_cast<const depot::error&>(thrown);
    EXPECT_EQ(e.code(), DEPOT_INVALID_ARGUMENT);
    EXPECT_EQ(e.code_name(), "InvalidArgument");
    EXPECT_EQ(e.hop(), DEPOT_HOP_USAGE);
    EXPECT_EQ(e.hop_name(), "usage");
    EXPECT_NE(std::string(e.what()).find("smoke"), std::string::npos) << e.what();
    EXPECT_EQ(e.message(), e.what());
    EXPECT_NE(e.text().find(e.message()), std::string::npos);
    EXPECT_FALSE(e.retryable());
    EXPECT_FALSE(e.cancelled());
    EXPECT_EQ(e.exit_code(), -1);
    EXPECT_EQ(e.user_code(), 0);
    EXPECT_TRUE(e.sources().empty() && e.details().empty() && e.log_tail().empty());
    EXPECT_TRUE(e.vertex_digest().empty() && e.vertex_name().empty());
  }
}

TEST(Hpp, AnErrorWithoutAStoryHasItsCode) {
  depot::error e(DEPOT_RESOURCE_EXHAUSTED, nullptr);
  EXPECT_STREQ(e.what(), "ResourceExhausted");
  EXPECT_EQ(e.text(), "ResourceExhausted");
  EXPECT_EQ(e.exit_code(), -1);
}

TEST(Hpp, TheFlowUpToTheNetwork) {
  depot::Client client(nowhere());
  EXPECT_EQ(client.builder(), "unix:///nonexistent/buildkitd.sock");
  depot::Build build = client.new_build(depot::BuildOptions().tags({"a", "b"}));
  depot::Machine machine = build.acquire("arm64");
  EXPECT_EQ(machine.platform(), "arm64");
  depot::Machine moved = std::move(machine);
  moved.release();
  moved.release();
  try {
    moved.connect();
    FAIL() << "a released machine connected";
  } catch (const depot::error& e) {
    EXPECT_EQ(e.code(), DEPOT_FAILED_PRECONDITION);
  }
  build.finish(depot::Outcome::failed, "no reason");
  build.finish(depot::Outcome::success);
}

TEST(Hpp, EachOfSeveralNodesHasItsPlatforms) {
  depot::Client client(depot::ClientOptions().use_environment(false).nodes(
      {"unix:///a.sock,platform=linux/amd64", "unix:///b.sock,platform=linux/arm64,linux/arm/v7"}));
  EXPECT_EQ(client.builder(), "unix:///a.sock,unix:///b.sock");
  depot::Build build = client.new_build();
  EXPECT_EQ(build.acquire("arm64").endpoint(), "unix:///b.sock");
  EXPECT_EQ(build.acquire("amd64").endpoint(), "unix:///a.sock");
  EXPECT_THROW(depot::Client(nowhere().nodes({"unix:///a.sock"})), depot::error) << "and a builder";
}

TEST(Hpp, RunPassesOnWhatTheBodyReturnsAndThrows) {
  depot::Client client(nowhere());
  EXPECT_EQ(client.new_build().run([](depot::Build&) { return std::string("made"); }), "made");
  int ran = 0;
  client.new_build().run([&](depot::Build&) { ++ran; });
  EXPECT_EQ(ran, 1);
  EXPECT_THROW(client.new_build().run([](depot::Build&) { throw std::out_of_range("mine"); }),
               std::out_of_range);
  EXPECT_THROW(client.new_build().run([](depot::Build&) { throw 3; }), int);
}

TEST(Hpp, ACancelledCallThrowsAndCopiesAreOneSwitch) {
  depot::Cancel cancel;
  depot::Cancel copy = cancel;
  copy.trigger();
  EXPECT_TRUE(cancel.triggered());
  depot::Client client(nowhere());
  depot::SolveRequest request;
  try {
    client.build(request, depot::SolveOptions().cancel(cancel));
    FAIL() << "it was built";
  } catch (const depot::error& e) {
    EXPECT_TRUE(e.cancelled()) << e.text();
  }
}

TEST(Hpp, RequestsSayWhatIsWrongWithAValue) {
  depot::SolveRequest request;
  EXPECT_EQ(request.add_export("oci"), 0u);
  EXPECT_EQ(request.add_output("type=image,name=x"), 1u);
  request.set_attr("source", "x").set_build_arg("A", "").set_no_cache().set_push(false);
  EXPECT_THROW(request.set_frontend("toml.v0"), depot::error);
  EXPECT_THROW(request.set_export_attr(2, "a", "b"), depot::error);
  EXPECT_THROW(request.set_export_callback(0, nullptr), depot::error);
  EXPECT_THROW(request.set_export_callback(1, [](std::string_view) {}), depot::error);
}

TEST(Hpp, RequestsTakeCachesAndNamedContexts) {
  depot::SolveRequest request;
  request.add_cache_from("type=local,src=x").add_cache_from("a,b").add_cache_to("type=inline");
  EXPECT_THROW(request.add_cache_from("type=inline"), depot::error);
  EXPECT_THROW(request.add_cache_to("type=local"), depot::error);
  request.add_build_context("base", "docker-image://alpine")
      .add_build_context("x::linux/arm64", ".");
  EXPECT_THROW(request.add_build_context("base", "."), depot::error) << "it is there already";
  EXPECT_THROW(request.add_build_context("y", "target:z"), depot::error);
}

TEST(Hpp, RequestsTakeCredentials) {
  depot::SolveRequest request;
  request.add_secret("id=a,env=A").add_secret_env("b", "B").add_secret_file("c", "/c");
  request.add_secret_bytes("d", std::string_view("\0", 1)).add_secret_bytes("e", {});
  EXPECT_THROW(request.add_secret_bytes("e", "again"), depot::error);
  EXPECT_THROW(request.add_secret_callback("f", nullptr), depot::error);
  request.add_ssh("default").add_ssh_agent("a", "/run/agent", true).add_ssh_key("b", "text");
  request.add_ssh_key("b", "another").add_ssh_key_file("b", "id_rsa");
  EXPECT_THROW(request.add_ssh_agent(), depot::error) << "it is there already";
  request.set_credentials_callback([](std::string_view) {
    return std::optional<depot::Credentials>(depot::Credentials{"user", "password"});
  });
  request.set_realm_callback([](std::string_view, std::string_view) { return false; });
  request.allow_realm("registry.example", "auth.example:8443");
  EXPECT_THROW(request.allow_realm("https://registry.example", "auth.example"), depot::error);
}

TEST(Hpp, CallbacksOfAnySignatureAndTheirLifetime) {
  auto alive = std::make_shared<int>(0);
  std::weak_ptr<int> watched = alive;
  {
    depot::SolveRequest request;
    std::size_t image = request.add_export("tar");
    request.set_export_callback(image, [alive](std::string_view) {});
    alive.reset();
    EXPECT_FALSE(watched.expired());
    request.set_export_callback(image, [](std::string_view) { return 1; });
    EXPECT_TRUE(watched.expired());
  }
  depot::Callback<int> nothing = [](int) {}, number = [](int n) { return n; };
  EXPECT_EQ(nothing(3), 0);
  EXPECT_EQ(number(3), 3);
  EXPECT_FALSE(depot::Callback<int>(nullptr));
  EXPECT_FALSE(depot::Callback<int>(std::function<void(int)>()));
  EXPECT_FALSE(depot::Callback<int>(static_cast<int (*)(int)>(nullptr)));
}

TEST(Hpp, AContextMayBeFiles) {
  auto alive = std::make_shared<int>(0);
  std::weak_ptr<int> watched = alive;
  {
    depot::SolveRequest request;
    request.set_virtual_context()
        .add_file("a/b", "text")
        .add_file(
            "read", [alive](std::uint64_t, std::uint8_t*, std::size_t) { return std::size_t{0}; },
            0755, 7);
    alive.reset();
    EXPECT_FALSE(watched.expired());
    request.set_ignore_text("a\n");
    depot::Explanation why = request.explain_context("a/b");
    EXPECT_FALSE(why.sent);
    EXPECT_EQ(why.line, 1);
    EXPECT_EQ(why.rule, "a");
    EXPECT_EQ(why.matched, "a");
    auto files = request.list_context();
    ASSERT_EQ(files.size(), 1u);
    EXPECT_EQ(files[0].path, "read");
    EXPECT_EQ(files[0].size, 7u);
    EXPECT_THROW(request.explain_context("none"), depot::error);
    EXPECT_THROW(request.add_file("../a", "text"), depot::error);
    EXPECT_THROW(request.add_file("c", depot::OnRead()), depot::error);
  }
  EXPECT_TRUE(watched.expired());
}

TEST(Hpp, ALoggerGoesWithItsClient) {
  auto alive = std::make_shared<int>(0);
  std::weak_ptr<int> watched = alive;
  auto options = std::make_unique<depot::ClientOptions>(nowhere().on_log(
      [alive](depot_log_level, std::string_view) { throw std::runtime_error("x"); }));
  alive.reset();
  {
    depot::Client client(*options);
    options.reset();
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
}

TEST(Hpp, ExceptionsAreKeptByTheirNumber) {
  depot::detail::Thrown thrown;
  auto put = [&](int value) { return thrown.keep(std::make_exception_ptr(value)); };
  int first = put(1), second = put(2);
  EXPECT_NE(first, 0);
  EXPECT_NE(first, second);
  EXPECT_FALSE(thrown.take(0));
  EXPECT_FALSE(thrown.take(second + 1));
  EXPECT_THROW(std::rethrow_exception(thrown.take(first)), int);
  EXPECT_FALSE(thrown.take(first)) << "once";
  for (int i = 0; i < 100; ++i) put(i);
  EXPECT_FALSE(thrown.take(second)) << "the latest alone are kept";
}

constexpr char kBatch[] =
    R"({"vertexes":[{"digest":"a","name":"[linux/arm64 1/2] A","inputs":["b"],"started":)"
    R"("2026-01-01T00:00:01Z","completed":"2026-01-01T00:00:03.5Z"}],"statuses":[{"id":"layer",)"
    R"("vertex":"a","current":5,"timestamp":"2026-01-01T00:00:02Z"}],"warnings":[{"vertex":"a",)"
    R"("short":"b2xk","detail":["YQ=="],"sourceInfo":{"filename":"Dockerfile","data":"RlJPTSBh"},)"
    R"("range":[{"start":{"line":1},"end":{"line":1}}]}],"logs":[{"vertex":"a","data":"b25lCnR3bw==",)"
    R"("timestamp":"2026-01-01T00:00:02Z"}]})";

TEST(Hpp, ADisplayWritesToAFunction) {
  std::string out;
  depot::Progress progress("plain", depot::ProgressOptions()
                                        .write([&](std::string_view text) { out += text; })
                                        .warnings(DEPOT_WARNINGS_SUMMARY, "how")
                                        .replay());
  EXPECT_EQ(progress.kind(), "plain");
  progress.update_json(kBatch);
  progress.finish();
  EXPECT_EQ(out,
            "#1 [linux/arm64 1/2] A\n#1 WARN: old\n#1 1.000 one\n#1 1.000 two\n#1 DONE 2.5s\n"
            "\n 1 warning found (how):\n - old\n");
  EXPECT_THROW(progress.update_json(kBatch), depot::error);
  EXPECT_THROW(depot::Progress("nonsense"), depot::error);
}

TEST(Hpp, WhatAWriterThrowsComesOutOfTheNextCall) {
  depot::Progress progress("plain", depot::ProgressOptions().write(
                                        [](std::string_view) { throw std::out_of_range("mine"); }));
  depot::Progress moved = std::move(progress);
  EXPECT_THROW(for (;;) moved.update_json(kBatch), std::out_of_range);
}

TEST(Hpp, ATraceHasSteps) {
  depot::Trace trace;
  EXPECT_THROW(trace.update_json("{"), depot::error);
  trace.update_json(kBatch);
  auto steps = trace.steps();
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_STREQ(steps[0].name, "[linux/arm64 1/2] A");
  EXPECT_STREQ(steps[0].platform, "linux/arm64");
  EXPECT_STREQ(steps[0].log_tail, "one\ntwo");
  EXPECT_EQ(steps[0].state, DEPOT_STEP_DONE);
  EXPECT_EQ(steps[0].duration, 2500000000);
  EXPECT_EQ(steps[0].number, 1);
  EXPECT_EQ(trace.statuses(0).at(0).current, 5);
  EXPECT_EQ(trace.intervals(0).at(0).stop - trace.intervals(0).at(0).start, 2500000000);
  EXPECT_EQ(trace.inputs(0), std::vector<std::string>{"b"});
  for (const auto& warning : {trace.warnings(0).at(0), trace.warnings().at(0)}) {
    EXPECT_STREQ(warning.message, "old");
    EXPECT_STREQ(warning.details[0], "a");
    EXPECT_EQ(warning.ranges[0].start_line, 1);
    EXPECT_NE(std::string(warning.excerpt).find(">>> FROM a"), std::string::npos);
  }
  EXPECT_TRUE(trace.statuses(7).empty());
  EXPECT_EQ(trace.now() % 1000000000, 500000000);
  EXPECT_EQ(trace.dropped_steps(), 0u);
  trace.cancel();
  depot_step small{};
  small.size = 8;
  EXPECT_EQ(depot_trace_step(trace.get(), 0, &small), 0);
}

// With no local builder running; with one in tests/builderd and tests/python.
TEST(Hpp, TheLocalBuildersBooks) {
  namespace fs = std::filesystem;
  char name[] = "/tmp/depot-hpp-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  fs::path dir = name;
  ::setenv("LIBDEPOT_RUNTIME_DIR", (dir / "run").c_str(), 1);
  fs::create_directories(dir / "state/projects/p/amd64");
  std::ofstream(dir / "state/projects/p/amd64/blob") << std::string(10000, 'x');
  // Whichever builder it has.
  depot::Client client(nowhere().use_environment(true).state_dir(dir / "state"));
  auto projects = client.local_projects();
  ASSERT_EQ(projects.size(), 1u);
  EXPECT_EQ(projects[0].id, "p");
  EXPECT_EQ(projects[0].directory, (dir / "state/projects/p").string());
  EXPECT_GE(projects[0].cache_bytes, 10000);
  EXPECT_FALSE(projects[0].cache_partial);
  EXPECT_GT(projects[0].last_used, 0);
  EXPECT_EQ(projects[0].builds, 0);
  ASSERT_EQ(projects[0].machines.size(), 1u);
  EXPECT_EQ(projects[0].machines[0].architecture, "amd64");
  EXPECT_EQ(projects[0].machines[0].state, DEPOT_LOCAL_STOPPED);
  EXPECT_EQ(projects[0].machines[0].pid, 0);
  EXPECT_TRUE(client.local_projects("q").empty());
  EXPECT_EQ(client.local_stop(), 0);
  EXPECT_EQ(client.local_stop("p", depot::LocalOptions().force()), 0);
  auto code_of = [&](const std::string& project, const depot::LocalOptions& options) {
    try {
      client.local_reset(project, options);
      return depot_code{DEPOT_OK};
    } catch (const depot::error& e) {
      return e.code();
    }
  };
  depot::Cancel cancel;
  cancel.trigger();
  EXPECT_EQ(code_of("p", depot::LocalOptions().cancel(cancel)), DEPOT_CANCELLED);
  EXPECT_EQ(code_of("p", depot::LocalOptions().timeout(std::chrono::milliseconds(-1))),
            DEPOT_INVALID_ARGUMENT);
  EXPECT_EQ(code_of("", {}), DEPOT_INVALID_ARGUMENT);
  EXPECT_GE(client.local_reset("p"), 10000);
  EXPECT_EQ(code_of("p", {}), DEPOT_NOT_FOUND);
  EXPECT_FALSE(fs::exists(dir / "run"));
  ::unsetenv("LIBDEPOT_RUNTIME_DIR");
  fs::remove_all(dir);
}

TEST(Hpp, SaysHowToBuild) {
  depot::SolveRequest request;
  request.set_build_arg("A", "1")
      .set_build_arg("NOT_IN_THE_ENVIRONMENT")
      .set_label("a", "b")
      .set_platform("linux/amd64,linux/arm64")
      .set_pull()
      .add_host("db:10.0.0.7")
      .add_ulimit("nofile=5")
      .set_annotation("index:a", "b")
      .set_sbom()
      .set_provenance("mode=max")
      .set_call("check");
  auto refused = [](auto set) {
    try {
      depot::SolveRequest wrong;
      set(wrong);
      return false;
    } catch (const depot::error& e) {
      return e.code() == DEPOT_INVALID_ARGUMENT && e.hop() == DEPOT_HOP_USAGE;
    }
  };
  EXPECT_TRUE(refused([](auto& to) { to.set_platform("linux/"); }));
  EXPECT_TRUE(refused([](auto& to) { to.add_resource("disk=1"); }));
  EXPECT_TRUE(refused([](auto& to) { to.add_attest("type=vex"); }));
  EXPECT_TRUE(refused([](auto& to) { to.set_build_arg(""); }));
  EXPECT_TRUE(refused([](auto& to) { to.set_call("a b"); }));
}

}  // namespace
