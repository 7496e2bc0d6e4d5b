// HTTP answers, whole and in pieces, good and hostile.
#include "load/answer.h"

#include <gmock/gmock.h>

namespace depot::load {
namespace {

using base::Code;
using base::Status;
using ::testing::HasSubstr;

struct Read {
  std::string body;
  Status status;
  int code = 0;
  bool done = false;
};

// `step` bytes at a time.
Read read(const std::string& text, size_t step, bool close = false) {
  Read out;
  Answer answer([&](std::string_view bytes) -> Status {
    out.body.append(bytes);
    return {};
  });
  for (size_t at = 0; at < text.size() && out.status.ok(); at += step)
    out.status = answer.feed(std::string_view(text).substr(at, step));
  if (out.status.ok() && close) out.status = answer.end();
  out.code = answer.status();
  out.done = answer.done();
  return out;
}

TEST(Answer, IsTheSameInAnyPieces) {
  const std::string chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nX: y\r\n\r\n"
      "5;name=value\r\nhello\r\nA\r\n, world...\r\n0\r\nTrailer: x\r\n\r\n";
  const std::string sized =
      "HTTP/1.1 404 Not Found\r\ncontent-length:  15 \r\n\r\nhello, world...rest";
  for (size_t step : {1, 2, 3, 7, 1000}) {
    Read one = read(chunked, step);
    EXPECT_TRUE(one.status.ok()) << one.status.message();
    EXPECT_TRUE(one.done);
    EXPECT_EQ(one.body, "hello, world...");
    EXPECT_EQ(one.code, 200);
    Read other = read(sized, step);
    EXPECT_TRUE(other.done);
    EXPECT_EQ(other.body, "hello, world...") << "what follows is nobody's";
    EXPECT_EQ(other.code, 404);
  }
}

TEST(Answer, EndsWithTheConnectionWhereNothingElseSaysSo) {
  Read open = read("HTTP/1.0 200 OK\r\n\r\nall of it", 4);
  EXPECT_FALSE(open.done);
  Read closed = read("HTTP/1.0 200 OK\r\n\r\nall of it", 4, true);
  EXPECT_TRUE(closed.done);
  EXPECT_EQ(closed.body, "all of it");
}

TEST(Answer, HasNoBodyWhereThereIsNone) {
  for (const char* head :
       {"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"})
    EXPECT_TRUE(read(head, 5).done) << head;
}

TEST(Answer, ThatBreaksOffIsNone) {
  for (const char* text :
       {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"}) {
    Read one = read(text, 3, true);
    EXPECT_EQ(one.status.code(), Code::kUnavailable) << text;
    EXPECT_THAT(one.status.message(), HasSubstr("closed the connection"));
    EXPECT_FALSE(one.done);
  }
}

TEST(Answer, TakesNothingThatIsNoHttp) {
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& text :
       {std::string("SSH-2.0-x\r\n\r\n"), std::string("HTTP/2.0 200 OK\r\n\r\n"),
        std::string("HTTP/1.1 2x0 OK\r\n\r\n"), std::string("HTTP/1.1 999 No\r\n\r\n"),
        std::string("HTTP/1.1\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), chunked + "zz\r\n",
        chunked + "\r\n", chunked + "fffffffffffffffff\r\n", chunked + "1\r\nab\r\n",
        chunked + std::string(8 << 10, '1'),
        "HTTP/1.1 200 OK\r\nX: " + std::string(64 << 10, 'x')}) {
    for (size_t step : {1, 1 << 20})
      EXPECT_EQ(read(text, step).status.code(), Code::kUnavailable) << text.substr(0, 80);
  }
}

TEST(Answer, StopsWhereItsReaderDoes) {
  Answer answer([](std::string_view) { return base::cancelled_error(); });
  EXPECT_EQ(answer.feed("HTTP/1.1 200 OK\r\n\r\nx").code(), Code::kCancelled);
}

}  // namespace
}  // namespace depot::load
