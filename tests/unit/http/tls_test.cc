// Trust: an own CA from memory or a file instead of the system's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>

#include "http/client.h"
#include "unit/http/standin.h"

namespace depot::http {
namespace {

using base::Cancel;
using base::Code;
using base::Hop;

class Tls : public testing::Test {
 protected:
  base::Result<Response> get(const std::string& url, Options options) {
    options.environment.emplace();
    Request request;
    request.url = url;
    return Client::create(std::move(options))->fetch(std::move(request), Cancel::never());
  }

  test::TempFolder folder_;
  test::Certificate certificate_ = test::make_certificate(folder_, "api.test");
  test::Standin server_{{"-tls-cert", certificate_.cert_file, "-tls-key", certificate_.key_file}};
};

TEST_F(Tls, OwnCaFromMemoryOrFileAndHttp2ByAlpn) {
  Options memory, file;
  memory.ca_pem = certificate_.pem;
  file.ca_file = certificate_.cert_file;
  for (const Options& options : {memory, file}) {
    auto response = get(server_.url() + "/x", options);
    ASSERT_TRUE(response.ok()) << response.status().message();
    EXPECT_EQ(response->status, 404);
  }
  Options steer = memory;
  steer.environment.emplace();
  server_.steer_by(steer);
  EXPECT_EQ(server_.calls("/x", 2)[0]["http"], "HTTP/2.0");
}

TEST_F(Tls, ManyAtOnceShareAConnection) {
  Options options;
  options.ca_pem = certificate_.pem;
  options.environment.emplace();
  auto client = Client::create(options);
  for (int round = 0; round < 3; ++round) {
    std::latch answered(40);
    for (int i = 0; i < 40; ++i) {
      Request request;
      request.url = server_.url() + "/x";
      client->send(std::move(request), [&](base::Result<Response> result) {
        EXPECT_TRUE(result.ok()) << result.status().message();
        answered.count_down();
      });
    }
    answered.wait();
  }
  server_.steer_by(options);
  auto calls = server_.calls("/x", 120);
  ASSERT_EQ(calls.size(), 120u);
  for (auto& call : calls) EXPECT_EQ(call["connection"], calls[0]["connection"]);
}

TEST_F(Tls, AnUntrustedServerIsRefusedForGood) {
  test::TempFolder elsewhere;
  Options other;
  other.ca_pem = test::make_certificate(elsewhere, "api.test").pem;
  for (const Options& options : {Options(), other}) {
    auto response = get(server_.url(), options);
    EXPECT_EQ(response.status().code(), Code::kUnavailable);
    EXPECT_EQ(response.status().hop(), Hop::kApi);
    EXPECT_FALSE(response.status().error().retryable);
    EXPECT_THAT(response.status().error().hint, testing::HasSubstr("ca_file"));
  }
}

TEST_F(Tls, TheCertificateHasToBeForTheName) {
  Options options;
  options.ca_pem = certificate_.pem;
  std::string url = server_.url();
  url.replace(url.find("127.0.0.1"), 9, "localhost");
  auto response = get(url, options);
  EXPECT_EQ(response.status().code(), Code::kUnavailable);
  EXPECT_FALSE(response.status().error().retryable);
}

TEST_F(Tls, ACaFileThatIsNotThereIsTheCallersMistake) {
  Options options;
  options.ca_file = folder_.path() + "/none.pem";
  auto response = get(server_.url(), options);
  EXPECT_EQ(response.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(response.status().hop(), Hop::kUsage);
}

}  // namespace
}  // namespace depot::http
