#include "builderd/options.h"

#include <gtest/gtest.h>

#include <map>

namespace depot::builderd {
namespace {

base::Result<DaemonOptions> parse(std::vector<std::string> arguments) {
  for (const char* one : {"--buildkitd", "/b", "--runc", "/r"}) arguments.push_back(one);
  std::map<std::string, std::string, std::less<>> values = {{"LIBDEPOT_STATE_DIR", "/state"}};
  base::Environment environment(values);
  return parse_options(arguments, environment, 0);
}

TEST(Options, TakesWhatTheLauncherGives) {
  auto options = parse({"--runtime-dir", "/run/x", "--idle-timeout", "7", "--detach", "--ready-fd",
                        "3", "--lease-expiry=0.25"});
  ASSERT_TRUE(options.ok()) << options.status().message();
  EXPECT_EQ(options->runtime_dir, "/run/x");
  EXPECT_EQ(options->state_dir, "/state");
  EXPECT_EQ(options->engine.buildkitd, "/b");
  EXPECT_EQ(options->idle_timeout.count(), 7000);
  EXPECT_EQ(options->lease_expiry.count(), 250);
  EXPECT_EQ(options->ready_fd, 3);
  EXPECT_TRUE(options->detach);
}

TEST(Options, StaysTwoMinutesByDefault) {
  auto options = parse({});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->idle_timeout, std::chrono::minutes(2));
  EXPECT_EQ(options->runtime_dir, "/run/libdepot-0");
}

TEST(Options, TheEnvironmentOfWhoStartsItIsHeardAndFlagsWin) {
  base::Environment environment({{"LIBDEPOT_STATE_DIR", "/state"},
                                 {"LIBDEPOT_IDLE_TIMEOUT", "3.5"},
                                 {"LIBDEPOT_SNAPSHOTTER", "native"}});
  std::vector<std::string> engine = {"--buildkitd", "/b", "--runc", "/r"};
  auto options = parse_options(engine, environment, 0);
  ASSERT_TRUE(options.ok()) << options.status().message();
  EXPECT_EQ(options->idle_timeout.count(), 3500);
  EXPECT_EQ(options->snapshotter, "native");
  engine.insert(engine.end(), {"--idle-timeout", "7", "--snapshotter", "overlayfs"});
  options = parse_options(engine, environment, 0);
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->idle_timeout.count(), 7000);
  EXPECT_EQ(options->snapshotter, "overlayfs");
  base::Environment wrong({{"LIBDEPOT_STATE_DIR", "/s"}, {"LIBDEPOT_IDLE_TIMEOUT", "soon"}});
  EXPECT_FALSE(parse_options(engine, wrong, 0).ok());
}

TEST(Options, RefusesNonsense) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--what"},
                                             {"extra"},
                                             {"--idle-timeout", "-1"},
                                             {"--idle-timeout", "nan"},
                                             {"--idle-timeout", "1h"},
                                             {"--idle-timeout="},
                                             {"--ready-fd", "2"},
                                             {"--ready-fd", "x"},
                                             {"--snapshotter", "zfs"},
                                             {"--listen", "127.0.0.1:0"},
                                             {"--token-file", "/t"},
                                             {"--tls-cert", "/c"}}) {
    auto options = parse(arguments);
    EXPECT_EQ(options.status().code(), base::Code::kInvalidArgument) << arguments[0];
  }
  EXPECT_FALSE(parse_options({"--state-dir"}, base::Environment(), 0).ok());
}

TEST(Options, HelpNeedsNothing) {
  EXPECT_TRUE(parse_options({"--help"}, base::Environment(), 0)->help);
  EXPECT_TRUE(parse_options({"--version"}, base::Environment(), 0)->version);
}

}  // namespace
}  // namespace depot::builderd
