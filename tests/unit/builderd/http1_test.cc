#include "builderd/http1.h"

#include <gtest/gtest.h>

namespace depot::builderd {
namespace {

using State = Http1Parser::State;

const std::string kHead = "POST /a?b HTTP/1.1\r\nHost: h\r\n";

TEST(Http1, ReadsARequestInAnyPieces) {
  const std::string text = kHead + "X-Y:  z \r\nContent-Length: 5\r\n\r\nhello";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    Http1Parser parser(100);
    State state = State::kMore;
    for (size_t at = 0; at < text.size(); at += piece) {
      ASSERT_EQ(state, State::kMore);
      state = parser.feed(std::string_view(text).substr(at, piece));
    }
    ASSERT_EQ(state, State::kRequest) << piece;
    Http1Request request = parser.take();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.target, "/a?b");
    EXPECT_EQ(request.header("x-y"), "z");
    EXPECT_EQ(request.body, "hello");
    EXPECT_TRUE(request.keep_alive);
    EXPECT_TRUE(parser.idle());
  }
}

TEST(Http1, ReadsChunksInAnyPieces) {
  const std::string text = kHead +
                           "Transfer-Encoding: chunked\r\n\r\n"
                           "3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    Http1Parser parser(100);
    State state = State::kMore;
    for (size_t at = 0; at < text.size(); at += piece) {
      ASSERT_EQ(state, State::kMore);
      state = parser.feed(std::string_view(text).substr(at, piece));
    }
    ASSERT_EQ(state, State::kRequest) << piece;
    EXPECT_EQ(parser.take().body, "abc0123456789");
  }
}

TEST(Http1, KeepsWhatComesAfterARequest) {
  Http1Parser parser(100);
  std::string one = kHead + "Content-Length: 1\r\n\r\nx";
  ASSERT_EQ(parser.feed(one + one), State::kRequest);
  EXPECT_EQ(parser.take().body, "x");
  EXPECT_FALSE(parser.idle());
  ASSERT_EQ(parser.feed({}), State::kRequest);
  EXPECT_EQ(parser.take().body, "x");
  EXPECT_TRUE(parser.idle());
}

TEST(Http1, SaysContinueOnce) {
  Http1Parser parser(100);
  ASSERT_EQ(parser.feed(kHead + "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
            State::kContinue);
  EXPECT_EQ(parser.feed("a"), State::kMore);
  EXPECT_EQ(parser.feed("b"), State::kRequest);
}

TEST(Http1, DropsBodiesOnRequest) {
  Http1Parser parser(4, [](const std::string& target) { return target == "/a?b"; });
  EXPECT_EQ(parser.feed(kHead + "Content-Length: 6\r\n\r\nabcde"), State::kMore);
  EXPECT_EQ(parser.feed("f"), State::kRequest);
  EXPECT_EQ(parser.take().body, "");
  EXPECT_EQ(parser.feed("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n"), State::kError);
}

struct Refused {
  const char* name;
  std::string text;
  int status;
};

class Http1Refuses : public testing::TestWithParam<Refused> {};

TEST_P(Http1Refuses, WithTheStatus) {
  Http1Parser parser(16);
  ASSERT_EQ(parser.feed(GetParam().text), State::kError);
  EXPECT_EQ(parser.error_status(), GetParam().status);
  EXPECT_EQ(parser.feed("more"), State::kError);
}

INSTANTIATE_TEST_SUITE_P(
    All, Http1Refuses,
    testing::Values(
        Refused{"no_version", "GET /\r\n", 400}, Refused{"version_2", "GET / HTTP/2.0\r\n", 505},
        Refused{"absolute", "GET http://h/ HTTP/1.1\r\n", 400},
        Refused{"bare_line_feed", "GET / HTTP/1.1\nHost: h\n\n", 400},
        Refused{"no_host", "GET / HTTP/1.1\r\n\r\n", 400},
        Refused{"two_hosts", kHead + "Host: i\r\n\r\n", 400},
        Refused{"space_before_colon", kHead + "A : b\r\n\r\n", 400},
        Refused{"folded", kHead + " more\r\n\r\n", 400},
        Refused{"null_in_value", kHead + std::string("A: \0b\r\n\r\n", 9), 400},
        Refused{"two_lengths", kHead + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        Refused{"length_and_chunks",
                kHead + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        Refused{"signed_length", kHead + "Content-Length: +1\r\n\r\n", 400},
        Refused{"huge_length", kHead + "Content-Length: 99999999999999999999\r\n\r\n", 400},
        Refused{"large_body", kHead + "Content-Length: 17\r\n\r\n", 413},
        Refused{"other_coding", kHead + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        Refused{"bad_chunk", kHead + "Transfer-Encoding: chunked\r\n\r\nx\r\n", 400},
        Refused{"negative_chunk", kHead + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
        Refused{"large_chunk", kHead + "Transfer-Encoding: chunked\r\n\r\nffff\r\n", 413},
        Refused{"overflowing_chunk",
                kHead + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\nffffffffffffffff\r\n", 413},
        Refused{"sum_of_chunks",
                kHead + "Transfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n1\r\n", 413},
        Refused{"no_end_of_chunk", kHead + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400},
        Refused{"long_start", "GET /" + std::string(9000, 'a'), 400},
        Refused{"long_header", kHead + "A: " + std::string(9000, 'a'), 431},
        Refused{"long_trailers",
                kHead + "Transfer-Encoding: chunked\r\n\r\n0\r\n" +
                    [] {
                      std::string all;
                      for (int i = 0; i < 5000; ++i) all += "A: bcdef\r\n";
                      return all;
                    }(),
                431},
        Refused{"many_headers",
                kHead +
                    [] {
                      std::string all;
                      for (int i = 0; i < 101; ++i) all += "A: b\r\n";
                      return all;
                    }(),
                431},
        Refused{"unknown_expectation", kHead + "Expect: miracles\r\n\r\n", 400}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace depot::builderd
