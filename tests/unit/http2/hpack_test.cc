// The decoder against nghttp2's encoder, against the RFC's own examples, and against nonsense.
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <memory>
#include <random>

#include "http2/frame_writer.h"
#include "http2/hpack_decoder.h"

namespace depot::http2 {
namespace {

constexpr size_t kMax = 16 << 20;

std::vector<std::pair<std::string, std::string>> list_of(const Headers& headers) {
  std::vector<std::pair<std::string, std::string>> list;
  for (const auto& header : headers) list.emplace_back(header.name, header.value);
  return list;
}

class Encoder {
 public:
  explicit Encoder(size_t table = 4096) {
    nghttp2_hd_deflater* made = nullptr;
    EXPECT_EQ(nghttp2_hd_deflate_new(&made, table), 0);
    deflater_.reset(made);
  }
  std::vector<uint8_t> encode(const Headers& headers, bool secret = false) {
    auto list = nv_list(headers);
    if (secret)
      for (auto& one : list) one.flags = NGHTTP2_NV_FLAG_NO_INDEX;
    std::vector<uint8_t> out(nghttp2_hd_deflate_bound(deflater_.get(), list.data(), list.size()));
    auto size =
        nghttp2_hd_deflate_hd(deflater_.get(), out.data(), out.size(), list.data(), list.size());
    EXPECT_GE(size, 0);
    out.resize(static_cast<size_t>(size));
    return out;
  }

  nghttp2_hd_deflater* get() { return deflater_.get(); }

 private:
  struct Free {
    void operator()(nghttp2_hd_deflater* one) const { nghttp2_hd_deflate_del(one); }
  };
  std::unique_ptr<nghttp2_hd_deflater, Free> deflater_;
};

std::vector<uint8_t> bytes(std::initializer_list<int> list) {
  return {list.begin(), list.end()};
}

base::Status decode(const std::vector<uint8_t>& block) {
  HpackDecoder decoder;
  Headers headers;
  bool too_large = false;
  return decoder.decode(block, kMax, headers, too_large);
}

TEST(Hpack, ReadsWhatNghttp2WritesBlockAfterBlock) {
  std::mt19937 random(20261130);
  Encoder encoder;
  HpackDecoder decoder;
  auto text = [&](size_t longest, bool any) {
    std::string made(random() % longest, '\0');
    for (char& c : made) c = static_cast<char>(any ? random() : 'a' + random() % 26);
    return made;
  };
  std::vector<std::string> names = {":status", "content-type", "grpc-status", "grpc-message", "x"};
  for (int i = 0; i < 40; ++i) names.push_back("n" + text(30, false));
  for (int round = 0; round < 2000; ++round) {
    if (round % 97 == 0) nghttp2_hd_deflate_change_table_size(encoder.get(), random() % 4097);
    Headers headers;
    for (size_t n = random() % 12; n > 0; --n)
      headers.add(names[random() % names.size()], text(random() % 50 == 0 ? 5000 : 40, n % 2 == 0));
    Headers read;
    bool too_large = false;
    auto status = decoder.decode(encoder.encode(headers, round % 5 == 0), kMax, read, too_large);
    ASSERT_TRUE(status.ok()) << status.message();
    ASSERT_EQ(list_of(read), list_of(headers)) << round;
    ASSERT_FALSE(too_large);
  }
}

TEST(Hpack, ReadsFieldsOfAMegabyte) {
  std::string details;
  std::mt19937 random(1);
  while (details.size() < (1 << 20))
    details += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[random() % 64];
  Headers headers{{"grpc-status", "2"}, {"grpc-status-details-bin", details}};
  Headers read;
  bool too_large = false;
  ASSERT_TRUE(HpackDecoder().decode(Encoder().encode(headers), kMax, read, too_large).ok());
  EXPECT_EQ(list_of(read), list_of(headers));
}

// RFC 7541, C.6: three responses with Huffman coding, in a table of 256 bytes.
TEST(Hpack, ReadsTheExamplesOfTheRfc) {
  HpackDecoder decoder;
  auto read = [&](const std::string& hex) {
    std::vector<uint8_t> block;
    for (size_t i = 0; i < hex.size(); i += 2)
      block.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    Headers headers;
    bool too_large = false;
    EXPECT_TRUE(decoder.decode(block, kMax, headers, too_large).ok());
    return list_of(headers);
  };
  EXPECT_TRUE(read("3fe101").empty()) << "the table's size";
  using List = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(
      read("488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad17"
           "1863c78f0b97c8e9ae82ae43d3"),
      (List{{":status", "302"},
            {"cache-control", "private"},
            {"date", "Mon, 21 Oct 2013 20:13:21 GMT"},
            {"location", "https://www.example.com"}}));
  EXPECT_EQ(read("4883640effc1c0bf"), (List{{":status", "307"},
                                            {"cache-control", "private"},
                                            {"date", "Mon, 21 Oct 2013 20:13:21 GMT"},
                                            {"location", "https://www.example.com"}}));
  EXPECT_EQ(
      read("88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6"
           "c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"),
      (List{{":status", "200"},
            {"cache-control", "private"},
            {"date", "Mon, 21 Oct 2013 20:13:22 GMT"},
            {"location", "https://www.example.com"},
            {"content-encoding", "gzip"},
            {"set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"}}));
}

TEST(Hpack, CountsWhatComesOutAndKeepsItsTable) {
  Encoder encoder;
  HpackDecoder decoder;
  Headers big{{"big", std::string(3000, 'x')}};
  Headers read;
  bool too_large = false;
  ASSERT_TRUE(decoder.decode(encoder.encode(big), kMax, read, too_large).ok());
  // A byte each from now on, that makes 3000.
  auto one = encoder.encode(big);
  ASSERT_EQ(one.size(), 1u);
  std::vector<uint8_t> bomb(1 << 20, one[0]);
  Headers few;
  ASSERT_TRUE(decoder.decode(bomb, 10000, few, too_large).ok());
  EXPECT_TRUE(too_large);
  EXPECT_EQ(few.size(), 3u);
  Headers again;
  too_large = false;
  ASSERT_TRUE(decoder.decode(encoder.encode(big), kMax, again, too_large).ok());
  EXPECT_EQ(list_of(again), list_of(big));
  EXPECT_FALSE(too_large);
}

TEST(Hpack, RefusesWhatIsBroken) {
  EXPECT_FALSE(decode(bytes({0x80})).ok()) << "index 0";
  EXPECT_FALSE(decode(bytes({0xbe})).ok()) << "an index beyond the table";
  EXPECT_FALSE(decode(bytes({0x7f, 0x80})).ok()) << "a number that is cut off";
  EXPECT_FALSE(decode(bytes({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})).ok())
      << "a number without end";
  EXPECT_FALSE(decode(bytes({0x3f, 0xe2, 0x1f})).ok()) << "a table of 4097 bytes";
  EXPECT_TRUE(decode(bytes({0x3f, 0xe1, 0x1f})).ok());
  EXPECT_FALSE(decode(bytes({0x88, 0x20})).ok()) << "a table's size behind a field";
  EXPECT_FALSE(decode(bytes({0x00, 0x05, 'a', 'b'})).ok()) << "a text that is cut off";
  EXPECT_FALSE(decode(bytes({0x00, 0x01, 'a'})).ok()) << "no value";
  EXPECT_TRUE(decode(bytes({0x00, 0x01, 'a', 0x81, 0x1f})).ok()) << "'a' and three ones";
  EXPECT_FALSE(decode(bytes({0x00, 0x01, 'a', 0x81, 0x18})).ok()) << "'a' and three zeros";
  EXPECT_FALSE(decode(bytes({0x00, 0x01, 'a', 0x82, 0x1f, 0xff})).ok()) << "eleven ones";
  EXPECT_FALSE(decode(bytes({0x00, 0x01, 'a', 0x84, 0xff, 0xff, 0xff, 0xff})).ok()) << "EOS";
  EXPECT_TRUE(decode({}).ok());
}

TEST(Hpack, NonsenseDoesNoHarm) {
  std::mt19937 random(7541);
  size_t refused = 0;
  for (int round = 0; round < 20000; ++round) {
    Encoder encoder;
    auto block = encoder.encode(
        {{":status", "200"}, {"name", std::string(random() % 50, 'q')}, {"other", "ASDF{}|\x01"}});
    for (size_t n = 1 + random() % 4; n > 0; --n) block[random() % block.size()] = random() & 0xff;
    if (!decode(block).ok()) ++refused;
  }
  EXPECT_GT(refused, 2000u);
}

}  // namespace
}  // namespace depot::http2
