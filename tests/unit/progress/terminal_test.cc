// Frames of the terminal display. tests/python/test_terminal.py has them on a terminal's screen.
#include "progress/terminal.h"

#include <gtest/gtest.h>
#include <moby/buildkit/v1/control.pb.h>

#include "progress/cells.h"

namespace depot::progress {
namespace {

using moby::buildkit::v1::StatusResponse;

constexpr Moment kSecond = std::chrono::seconds(1);

StatusResponse vertex(const std::string& digest, int start, int stop = 0) {
  StatusResponse batch;
  auto* told = batch.add_vertexes();
  told->set_digest(digest);
  told->set_name(digest);
  if (start != 0) told->mutable_started()->set_seconds(start);
  if (stop != 0) told->mutable_completed()->set_seconds(stop);
  return batch;
}

StatusResponse log(const std::string& digest, const std::string& data) {
  StatusResponse batch;
  batch.add_logs()->set_vertex(digest);
  batch.mutable_logs(0)->set_msg(data);
  batch.mutable_logs(0)->mutable_timestamp()->set_seconds(2);
  return batch;
}

class TerminalTest : public testing::Test {
 protected:
  Terminal make(Colors colors = Colors::none(), std::string description = "") {
    Terminal::Options options;
    options.size = [this] { return size_; };
    options.colors = std::move(colors);
    options.description = std::move(description);
    return Terminal(std::move(options));
  }
  // The lines of a frame, without what moves the cursor.
  static std::vector<std::string> frame(Terminal& terminal, Moment now) {
    std::string out;
    terminal.print(now, out);
    return lines(out);
  }
  static std::vector<std::string> lines(const std::string& out) {
    std::vector<std::string> found;
    for (size_t at = 0; at < out.size();) {
      size_t end = std::min(out.find("\r\n", at), out.size());
      std::string line = out.substr(at, end - at);
      at = end + 2;
      if (at <= out.size() + 1 && end < out.size()) found.push_back(clean(line));
    }
    return found;
  }

  Terminal::Size size_{40, 24};
};

TEST_F(TerminalTest, OneLineForAStepWithItsClockAtTheEnd) {
  Terminal terminal = make();
  terminal.update(vertex("first", 1, 2), {});
  terminal.update(vertex("second", 3), {});
  terminal.update(vertex("third", 0), {});
  EXPECT_EQ(frame(terminal, kSecond * 4), (std::vector<std::string>{
                                              "[+] Building 4.0s (1/3)",
                                              " => first                          1.0s",
                                              " => second                         2.0s",
                                          }));
}

TEST_F(TerminalTest, WideNamesAreCutBetweenCells) {
  Terminal terminal = make();
  terminal.update(vertex(std::string("\xe6\x97\xa5") + "a" + std::string(60, 'x'), 1, 2), {});
  terminal.update(vertex("日本語日本語日本語日本語日本語日本語", 1, 2), {});
  for (const auto& line : frame(terminal, kSecond))
    EXPECT_EQ(cells_of(line), line[0] == ' ' ? 39u : 23u) << line;
}

TEST_F(TerminalTest, TheLogOfWhatRunsIsShownBelowIt) {
  Terminal terminal = make(Colors::standard());
  terminal.update(vertex("runs", 1), {});
  terminal.update(log("runs", "\x1b[31mred\x1b[0m\n50%\r100%\n\x1b[2J\x1b[Hlast"), {});
  std::string out;
  terminal.print(kSecond, out);
  EXPECT_EQ(lines(out).back(), " => => # last");
  EXPECT_EQ(out.find("\x1b[2J"), std::string::npos);
  EXPECT_EQ(out.find("\x1b[31m"), std::string::npos);
  size_.height = 8;  // no room for it
  EXPECT_EQ(frame(terminal, kSecond).size(), 2u);
}

TEST_F(TerminalTest, NoFrameIsHigherThanTheScreen) {
  Terminal terminal = make();
  for (int i = 1; i < 200; ++i)
    terminal.update(vertex("step " + std::to_string(i), i, i % 7 ? i + 1 : 0), {});
  for (size_t height = 1; height < 60; ++height) {
    size_.height = height;
    EXPECT_LT(frame(terminal, kSecond).size(), std::max<size_t>(height, 2)) << height;
  }
  size_.height = 40;
  // What runs is there, wherever it is in the order.
  size_t running = 0;
  for (const auto& line : frame(terminal, kSecond))
    for (int i = 7; i < 200; i += 7)
      if (line.starts_with(" => step " + std::to_string(i) + " ")) ++running;
  EXPECT_EQ(running, 28u);
}

TEST_F(TerminalTest, ANarrowScreenShowsTheFirstLineAlone) {
  Terminal terminal = make();
  terminal.update(vertex("step", 1), {});
  for (size_t width : {1, 2, 10, 20}) {
    size_.width = width;
    auto shown = frame(terminal, kSecond);
    ASSERT_EQ(shown.size(), 1u);
    EXPECT_LE(cells_of(shown[0]), width);
  }
}

TEST_F(TerminalTest, AFrameBeginsWhereTheLastOneDid) {
  Terminal terminal = make();
  terminal.update(vertex("a", 1), {});
  terminal.update(vertex("b", 1), {});
  std::string out;
  terminal.print(kSecond, out);
  EXPECT_EQ(out.find("A\r"), std::string::npos);
  out.clear();
  terminal.print(kSecond, out);
  EXPECT_EQ(out.find("\x1b[?25l\x1b[3A\r"), 0u);
  size_.width = 20;  // each of the two lines of 39 cells became two, that of 23 too
  out.clear();
  terminal.print(kSecond, out);
  EXPECT_EQ(out.find("\x1b[?25l\x1b[6A\r"), 0u);
}

TEST_F(TerminalTest, WhatNeverBeganIsNotMissingFromASuccess) {
  Terminal terminal = make();
  terminal.update(vertex("runs", 1, 2), {});
  terminal.update(vertex("announced", 0), {});
  EXPECT_EQ(frame(terminal, kSecond)[0], "[+] Building 1.0s (1/2)");
  std::string out;
  terminal.finish(kSecond, Ending::kSuccess, out);
  EXPECT_EQ(lines(out)[0], "[+] Building 1.0s (1/1) FINISHED");
}

TEST_F(TerminalTest, TheEndHasAllStepsAndTheWholeLogOfWhatFailed) {
  Terminal terminal = make(Colors::standard(), "the builder");
  auto failed = vertex("fails", 1, 4);
  failed.mutable_vertexes(0)->set_error("exit code: 1");
  terminal.update(vertex("fails", 1), {});
  for (int i = 0; i < 30; ++i)
    terminal.update(log("fails", "line " + std::to_string(i) + "\n"), {});
  terminal.update(failed, {});
  auto canceled = vertex("stopped", 1, 4);
  canceled.mutable_vertexes(0)->set_error("x: context canceled");
  terminal.update(canceled, {});
  std::string out;
  terminal.finish(kSecond, Ending::kFailed, out);
  auto shown = lines(out);
  EXPECT_TRUE(shown[0].starts_with("[+] Building 3.0s (2/2) FINISHED")) << shown[0];
  EXPECT_NE(out.find("\x1b[31m => ERROR fails"), std::string::npos);
  EXPECT_NE(out.find("\x1b[33m => CANCELED stopped"), std::string::npos);
  EXPECT_NE(out.find("------\r\n > fails:\r\n1.000 line 0\r\n"), std::string::npos);
  EXPECT_NE(out.find("1.000 line 29\r\n------\r\n"), std::string::npos);
  EXPECT_EQ(out.find(" > stopped:"), std::string::npos);
}

}  // namespace
}  // namespace depot::progress
