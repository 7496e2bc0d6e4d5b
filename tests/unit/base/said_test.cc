#include "base/said.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace depot::base {
namespace {

TEST(Said, IsTheEndOfWhatWasWritten) {
  auto said = Said::create();
  ASSERT_TRUE(said.ok());
  EXPECT_EQ(said->tail(), "");
  const std::string text = std::string(5000, 'x') + "the end \r\n\n";
  ASSERT_EQ(::write(said->fd(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(said->tail().size(), 4096u);
  EXPECT_TRUE(said->tail().ends_with("xthe end"));
}

TEST(Said, DoesNotGrow) {
  auto said = Said::create();
  const std::string all(64 << 10, 'x');
  EXPECT_EQ(::write(said->fd(), all.data(), all.size()), static_cast<ssize_t>(all.size()));
  EXPECT_LT(::write(said->fd(), "y", 1), 0);
}

TEST(OneLine, HasNoControlCharacters) {
  EXPECT_EQ(one_line("a\x1b[31m\r\n\tb\x7f"), "a [31m b ");
  EXPECT_EQ(one_line(std::string(600, 'x') + "end"), "..." + std::string(497, 'x') + "end");
}

TEST(Describe, TellsHowAProgramEnded) {
  EXPECT_EQ(describe({true, 3, 0}), "ended with exit code 3");
  EXPECT_EQ(describe({true, -1, 9}), "was killed by signal 9");
  EXPECT_EQ(describe({}), "has ended");
}

}  // namespace
}  // namespace depot::base
