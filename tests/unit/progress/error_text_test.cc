#include "progress/error_text.h"

#include <gtest/gtest.h>

namespace depot::progress {
namespace {

base::SourceLocation at(std::string data, std::vector<base::SourceRange> ranges) {
  return {"Dockerfile", std::move(data), "Dockerfile", std::move(ranges)};
}
const std::string kTen = "l1\nl2\nl3\nl4\nl5\nl6\nl7\nl8\nl9\nl10";

// The expected texts were printed by BuildKit's solver/errdefs.Source.Print.
TEST(SourceExcerpt, ShowsTheLineAndWhatIsAround) {
  EXPECT_EQ(source_excerpt(at(kTen, {{5, 0, 5, 0}})),
            "Dockerfile:5\n"
            "--------------------\n"
            "   3 |     l3\n"
            "   4 |     l4\n"
            "   5 | >>> l5\n"
            "   6 |     l6\n"
            "   7 |     l7\n"
            "--------------------\n");
}

TEST(SourceExcerpt, ShowsLessAroundSeveralLines) {
  EXPECT_EQ(source_excerpt(at(kTen, {{5, 0, 6, 2}})),
            "Dockerfile:5\n"
            "--------------------\n"
            "   4 |     l4\n"
            "   5 | >>> l5\n"
            "   6 | >>> l6\n"
            "   7 |     l7\n"
            "--------------------\n");
}

TEST(SourceExcerpt, StopsAtTheEndsOfTheFile) {
  EXPECT_EQ(source_excerpt(at(kTen, {{1, 0, 1, 0}})),
            "Dockerfile:1\n"
            "--------------------\n"
            "   1 | >>> l1\n"
            "   2 |     l2\n"
            "   3 |     l3\n"
            "--------------------\n");
  EXPECT_EQ(source_excerpt(at("only", {{1, 0, 900, 0}})),
            "Dockerfile:1\n"
            "--------------------\n"
            "   1 | >>> only\n"
            "--------------------\n");
}

TEST(SourceExcerpt, MarksEachOfSeveralRanges) {
  EXPECT_EQ(source_excerpt(at(kTen, {{7, 0, 7, 0}, {4, 0, 0, 0}})),
            "Dockerfile:4\n"
            "--------------------\n"
            "   3 |     l3\n"
            "   4 | >>> l4\n"
            "   5 |     l5\n"
            "   6 |     l6\n"
            "   7 | >>> l7\n"
            "   8 |     l8\n"
            "--------------------\n");
}

TEST(SourceExcerpt, PointsNowhere) {
  EXPECT_EQ(source_excerpt(at(kTen, {})), "");
  EXPECT_EQ(source_excerpt(at("", {{1, 0, 1, 0}})), "");
  EXPECT_EQ(source_excerpt(at(kTen, {{0, 0, 3, 0}})), "");
  EXPECT_EQ(source_excerpt(at(kTen, {{-5, 0, 3, 0}})), "");
  EXPECT_EQ(source_excerpt(at(kTen, {{11, 0, 11, 0}})), "");
  EXPECT_EQ(source_excerpt(at(kTen, {{INT32_MAX, 0, INT32_MAX, 0}})), "");
}

TEST(ErrorText, HasEveryPartThatIsKnown) {
  base::Error error;
  error.message = "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3";
  EXPECT_EQ(error_text(error), error.message);
  error.sources.push_back(at("FROM scratch\nRUN exit 3", {{2, 0, 2, 10}}));
  error.sources.push_back(at("", {}));
  error.vertex_name = "[2/2] RUN exit 3";
  error.log_tail = "one\ntwo";
  error.hint = "look at the log";
  EXPECT_EQ(error_text(error), error.message +
                                   "\nDockerfile:2\n"
                                   "--------------------\n"
                                   "   1 |     FROM scratch\n"
                                   "   2 | >>> RUN exit 3\n"
                                   "--------------------\n"
                                   "------\n"
                                   " > [2/2] RUN exit 3:\n"
                                   "one\n"
                                   "two\n"
                                   "------\n"
                                   "hint: look at the log");
}

TEST(ErrorText, CutsALineThatFillsTheTerminal) {
  std::string text = source_excerpt(at(std::string(1 << 20, 'x'), {{1, 0, 1, 0}}));
  EXPECT_LT(text.size(), 2000u);
}

}  // namespace
}  // namespace depot::progress
