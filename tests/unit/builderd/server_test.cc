// The server with real sockets: HTTP/1.1 and HTTP/2, plain and TLS, by libcurl and by hand.
#include "builderd/server.h"

#include <curl/curl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "builderd/certificates.h"
#include "builderd/connect_server.h"
#include "http2/gzip.h"

namespace depot::builderd {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Strangers are those with the token "no".
class GuardedServer : public ConnectServer {
 public:
  using ConnectServer::ConnectServer;
  bool admits(const http2::Headers& headers) const override {
    return headers.find("authorization").value_or("") != "Bearer no";
  }
};

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/depot-server-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    socket_ = dir_ / "s";
    service_ = std::make_unique<GuardedServer>(loop_);
    service_->add("/t.S/Echo", [](ConnectCall call, ConnectServer::Answer answer) {
      ConnectReply reply{std::move(call.message)};
      for (auto value : call.headers.all("x-echo")) reply.headers.add("x-echo", std::string(value));
      reply.trailers.add("x-end", "yes");
      answer(std::move(reply));
    });
    service_->add("/t.S/Never", [this](ConnectCall, ConnectServer::Answer answer) {
      kept_.push_back(std::move(answer));
      if (kept_.size() == 1) never_asked_.set_value();
    });
    service_->add_dropped_stream("/t.S/Drop", [](ConnectCall, ConnectServer::Answer answer) {
      answer(base::Result<std::string>(std::string()));
    });
  }
  void begin(ConnectionLimits limits = {}) {
    server_ = std::make_unique<Server>(loop_, *service_, nullptr, limits);
    ASSERT_TRUE(server_->listen_unix(socket_).ok());
    auto authority = CertificateAuthority::create("test", 1h);
    ASSERT_TRUE(authority.ok());
    auto server = (*authority)->issue_server("test.internal", 1h);
    auto client = (*authority)->issue_client("client", 1h);
    std::ofstream(dir_ / "ca.pem") << (*authority)->certificate();
    std::ofstream(dir_ / "cert.pem") << client->certificate;
    std::ofstream(dir_ / "key.pem") << client->key.reveal();
    auto plain = server_->listen_tcp("127.0.0.1:0");
    auto context = make_server_context(server->certificate, server->key.reveal(), "");
    ASSERT_TRUE(context.ok()) << context.status().message();
    auto tls = server_->listen_tcp("127.0.0.1:0", std::move(*context));
    auto strict =
        make_server_context(server->certificate, server->key.reveal(), (*authority)->certificate());
    auto mutual = server_->listen_tcp("[::1]:0", std::move(*strict));
    ASSERT_TRUE(plain.ok() && tls.ok() && mutual.ok());
    plain_port_ = *plain;
    tls_port_ = *tls;
    mutual_port_ = *mutual;
    thread_ = std::thread([this] { loop_.run(); });
  }
  void TearDown() override {
    loop_.post([this] {
      server_->finish(1s, [this] {
        server_.reset();
        kept_.clear();
        loop_.stop();
      });
    });
    if (thread_.joinable()) thread_.join();
    EXPECT_FALSE(fs::exists(socket_));
    fs::remove_all(dir_);
  }

  struct Reply {
    CURLcode code = CURLE_OK;
    long status = 0, version = 0;
    std::string headers, body;
  };
  struct Ask {
    std::string url = "http://localhost/t.S/Echo";
    std::string body = "hello";
    std::vector<std::string> headers = {};
    std::string type = "application/proto";
    long version = CURL_HTTP_VERSION_1_1;
    bool unix_socket = true;
    bool identity = false;
  };
  Reply ask(const Ask& what, CURL* handle = nullptr) {
    CURL* curl = handle ? handle : curl_easy_init();
    Reply reply;
    auto sink = +[](char* data, size_t size, size_t count, void* out) {
      static_cast<std::string*>(out)->append(data, size * count);
      return size * count;
    };
    curl_slist* list = curl_slist_append(nullptr, ("Content-Type: " + what.type).c_str());
    for (const std::string& one : what.headers) list = curl_slist_append(list, one.c_str());
    list = curl_slist_append(list, "Expect:");
    curl_easy_setopt(curl, CURLOPT_URL, what.url.c_str());
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, what.version);
    if (what.unix_socket) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, what.body.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(what.body.size()));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, sink);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply.body);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &reply.headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    std::string ca = dir_ / "ca.pem", cert = dir_ / "cert.pem", key = dir_ / "key.pem";
    curl_easy_setopt(curl, CURLOPT_CAINFO, ca.c_str());
    if (what.identity) {
      curl_easy_setopt(curl, CURLOPT_SSLCERT, cert.c_str());
      curl_easy_setopt(curl, CURLOPT_SSLKEY, key.c_str());
    }
    std::string resolve = "test.internal:" + std::to_string(tls_port_) + ":127.0.0.1";
    std::string resolve6 = "test.internal:" + std::to_string(mutual_port_) + ":[::1]";
    curl_slist* names =
        curl_slist_append(curl_slist_append(nullptr, resolve.c_str()), resolve6.c_str());
    curl_easy_setopt(curl, CURLOPT_RESOLVE, names);
    reply.code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &reply.version);
    curl_slist_free_all(list);
    curl_slist_free_all(names);
    if (!handle) curl_easy_cleanup(curl);
    return reply;
  }

  base::UniqueFd open_tcp() const {
    base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(plain_port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  base::UniqueFd open_socket() {
    base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, socket_.c_str());
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  // Sends these bytes and reads to the end of the connection.
  std::string raw(std::string_view bytes) {
    base::UniqueFd fd = open_socket();
    while (!bytes.empty()) {
      ssize_t n = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    std::string out;
    char buffer[4096];
    for (ssize_t n; (n = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;) {
      out.append(buffer, static_cast<size_t>(n));
    }
    return out;
  }

  fs::path dir_;
  std::string socket_;
  base::EpollLoop loop_;
  std::unique_ptr<ConnectServer> service_;
  std::unique_ptr<Server> server_;
  std::vector<ConnectServer::Answer> kept_;
  std::promise<void> never_asked_;
  uint16_t plain_port_ = 0, tls_port_ = 0, mutual_port_ = 0;
  std::thread thread_;
};

TEST_F(ServerTest, EchoesInEveryVersion) {
  begin();
  std::string plain = "http://127.0.0.1:" + std::to_string(plain_port_) + "/t.S/Echo?query";
  std::string tls = "https://test.internal:" + std::to_string(tls_port_) + "/t.S/Echo";
  for (const Ask& what :
       {Ask{}, Ask{.version = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE},
        Ask{.url = plain, .unix_socket = false},
        Ask{.url = plain, .version = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE, .unix_socket = false},
        Ask{.url = tls, .unix_socket = false},
        Ask{.url = tls, .version = CURL_HTTP_VERSION_2TLS, .unix_socket = false}}) {
    for (size_t size : {0ul, 5ul, 100'000ul, 5'000'000ul}) {
      if (!what.unix_socket) size = std::min(size, 2'000'000ul);
      Ask sized = what;
      sized.body = std::string(size, 'x');
      sized.headers = {"X-Echo: one", "X-Echo: two"};
      Reply reply = ask(sized);
      ASSERT_EQ(reply.code, CURLE_OK) << what.url << " " << size;
      EXPECT_EQ(reply.status, 200);
      EXPECT_EQ(reply.version == CURL_HTTP_VERSION_2_0, what.version != CURL_HTTP_VERSION_1_1);
      EXPECT_EQ(reply.body.size(), size);
      EXPECT_NE(reply.headers.find("x-echo: one"), std::string::npos) << reply.headers;
      EXPECT_NE(reply.headers.find("x-echo: two"), std::string::npos) << reply.headers;
      EXPECT_NE(reply.headers.find("trailer-x-end: yes"), std::string::npos);
    }
  }
}

TEST_F(ServerTest, OneConnectionServesMany) {
  begin();
  // Over TLS, because curl 7.88 fails by itself when it uses a connection with prior knowledge
  // again.
  std::string url = "https://test.internal:" + std::to_string(tls_port_) + "/t.S/Echo";
  for (long version : {CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2TLS}) {
    CURL* curl = curl_easy_init();
    long connects = 0;
    for (int i = 0; i < 50; ++i) {
      Reply reply = ask(
          {.url = url, .body = std::to_string(i), .version = version, .unix_socket = false}, curl);
      ASSERT_EQ(reply.body, std::to_string(i)) << curl_easy_strerror(reply.code);
      long one = 0;
      curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &one);
      connects += one;
    }
    EXPECT_EQ(connects, 1);
    curl_easy_cleanup(curl);
  }
}

TEST_F(ServerTest, AsksForClientCertificates) {
  begin();
  std::string url = "https://test.internal:" + std::to_string(mutual_port_) + "/t.S/Echo";
  Reply without = ask({.url = url, .unix_socket = false});
  EXPECT_NE(without.code, CURLE_OK);
  Reply with = ask({.url = url, .unix_socket = false, .identity = true});
  EXPECT_EQ(with.code, CURLE_OK);
  EXPECT_EQ(with.body, "hello");
}

TEST_F(ServerTest, UnpacksAndPacks) {
  begin();
  std::string text(50'000, 'y');
  for (long version : {CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE}) {
    Reply reply = ask({.body = http2::gzip(text),
                       .headers = {"Content-Encoding: gzip", "Accept-Encoding: gzip"},
                       .version = version});
    EXPECT_EQ(reply.status, 200);
    auto body = http2::gunzip(reply.body, 1 << 20);
    ASSERT_TRUE(body.ok());
    EXPECT_EQ(*body, text);
  }
}

TEST_F(ServerTest, TheCallersTimeoutEndsACall) {
  begin();
  for (long version : {CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE}) {
    for (const char* timeout : {"Connect-Timeout-Ms: 1", "Connect-Timeout-Ms: 0"}) {
      Reply reply =
          ask({.url = "http://localhost/t.S/Never", .headers = {timeout}, .version = version});
      EXPECT_EQ(reply.status, 504);
      EXPECT_NE(reply.body.find("deadline_exceeded"), std::string::npos) << reply.body;
    }
  }
}

TEST_F(ServerTest, TooLargeIsSaidBeforeItIsSent) {
  ConnectionLimits limits;
  limits.max_body = 1000;
  begin(limits);
  // No byte of the body, so nothing can be waited for.
  std::string answer =
      raw("POST /t.S/Echo HTTP/1.1\r\nHost: h\r\nContent-Type: application/proto\r\n"
          "Content-Length: 1001\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(answer.rfind("HTTP/1.1 413 ", 0), 0u) << answer;
  EXPECT_NE(answer.find("resource_exhausted"), std::string::npos) << answer;
  for (long version : {CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE}) {
    Reply reply = ask({.body = std::string(3'000'000, 'x'), .version = version});
    EXPECT_EQ(reply.status, 413) << reply.code;
    EXPECT_NE(reply.body.find("resource_exhausted"), std::string::npos) << reply.body;
  }
}

TEST_F(ServerTest, AllBodiesOfOneConnectionShareABudget) {
  ConnectionLimits limits;
  limits.max_bodies = 1000;
  begin(limits);
  std::string url = "https://test.internal:" + std::to_string(tls_port_) + "/t.S/Echo";
  CURL* curl = curl_easy_init();
  auto send = [&](size_t size) {
    return ask({.url = url,
                .body = std::string(size, 'x'),
                .version = CURL_HTTP_VERSION_2TLS,
                .unix_socket = false},
               curl);
  };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(send(900).status, 200);  // it is given back
  Reply reply = send(1001);
  EXPECT_EQ(reply.status, 413);
  curl_easy_cleanup(curl);
}

TEST_F(ServerTest, ASlowClientIsLetGo) {
  ConnectionLimits limits;
  limits.request_patience = 50ms;
  begin(limits);
  EXPECT_EQ(raw(""), "");                             // says nothing at all
  EXPECT_EQ(raw("PRI * HT"), "");                     // stops within the preface
  EXPECT_EQ(raw("POST /t.S/Echo HTTP/1.1\r\n"), "");  // within the head
  EXPECT_EQ(raw("POST /t.S/Echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx"), "");
}

TEST_F(ServerTest, AByteNowAndThenBuysNoTime) {
  ConnectionLimits limits;
  limits.request_patience = 50ms;
  begin(limits);
  base::UniqueFd fd = open_socket();
  std::string head = "POST /t.S/Echo HTTP/1.1\r\nHost: h\r\nContent-Length: 16000000\r\n\r\n";
  ASSERT_EQ(::send(fd.get(), head.data(), head.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(head.size()));
  int sent = 0;
  while (sent < 16'000'000 && ::send(fd.get(), "x", 1, MSG_NOSIGNAL) == 1) ++sent;
  EXPECT_LT(sent, 16'000'000);
}

TEST_F(ServerTest, AClientThatGoesAwayIsForgotten) {
  begin();
  {
    base::UniqueFd fd = open_socket();
    std::string request =
        "POST /t.S/Never HTTP/1.1\r\nHost: h\r\nContent-Type: application/proto\r\n"
        "Content-Length: 0\r\n\r\n";
    ASSERT_GT(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL), 0);
    never_asked_.get_future().wait();
  }
  // In the loop until it has noticed; a test that hangs here runs into ctest's limit.
  std::promise<void> gone;
  std::function<void()> look = [&] {
    if (server_->connections() == 0) return gone.set_value();
    loop_.post(look);
  };
  loop_.post(look);
  gone.get_future().wait();
}

TEST_F(ServerTest, ASlowHttp2RequestIsAnswered) {
  ConnectionLimits limits;
  limits.request_patience = 50ms;
  limits.idle_patience = 100ms;
  limits.linger = 50ms;
  begin(limits);
  // Preface, empty SETTINGS, HEADERS without END_STREAM (POST, http, authority and path
  // as literals); the body never comes.
  std::string path = "/t.S/Echo";
  std::string block =
      "\x83\x86\x01\x01h\x04" + std::string(1, static_cast<char>(path.size())) + path;
  std::string bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  bytes += std::string("\0\0\0\4\0\0\0\0\0", 9);
  bytes += std::string("\0\0", 2) + static_cast<char>(block.size()) +
           std::string("\1\4\0\0\0\1", 6) + block;
  std::string answer = raw(bytes);
  EXPECT_NE(answer.find("took too long to arrive"), std::string::npos);
}

TEST_F(ServerTest, DropsAStreamOfAnyLength) {
  ConnectionLimits limits;
  limits.max_body = 1000;
  begin(limits);
  for (long version : {CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE}) {
    Reply reply = ask({.url = "http://localhost/t.S/Drop",
                       .body = std::string(10'000'000, 'x'),
                       .type = "application/connect+proto",
                       .version = version});
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, std::string("\0\0\0\0\0\2\0\0\0\2{}", 12));
  }
}

TEST_F(ServerTest, OfAStrangerNothingIsKept) {
  begin();
  const std::string url = "http://127.0.0.1:" + std::to_string(plain_port_) + "/t.S/Echo";
  const std::string large(3 << 20, 'x');
  for (long version : {CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE}) {
    auto send = [&](const std::string& token, const std::string& body, bool unix_socket) {
      return ask({.url = url,
                  .body = body,
                  .headers = {"Authorization: Bearer " + token},
                  .version = version,
                  .unix_socket = unix_socket});
    };
    Reply refused = send("no", large, false);
    EXPECT_EQ(refused.status, 401);
    EXPECT_NE(refused.body.find("\"unauthenticated\""), std::string::npos) << refused.body;
    EXPECT_EQ(send("no", "", false).status, 401);
    EXPECT_EQ(send("yes", "x", false).body, "x");
    EXPECT_EQ(send("yes", large, false).status, 413);
    EXPECT_EQ(send("no", large, true).status, 200) << "our own user is no stranger";
  }
}

TEST_F(ServerTest, StrangersCannotTakeEveryConnection) {
  begin();
  std::vector<base::UniqueFd> many;
  for (int i = 0; i < 128; ++i) many.push_back(open_tcp());
  base::UniqueFd over = open_tcp();
  char byte;
  EXPECT_LE(::recv(over.get(), &byte, 1, 0), 0) << "closed at once";
  EXPECT_EQ(ask({}).body, "hello");
}

TEST_F(ServerTest, WhoNeverSaysWhatItSpeaksHasOnePatience) {
  ConnectionLimits limits;
  limits.request_patience = 100ms;
  begin(limits);
  base::UniqueFd fd = open_tcp();
  // The preface but for its end, a byte now and then: too slowly.
  size_t sent = 0;
  for (char c : std::string_view("PRI * HTTP/2.0\r\n\r\nSM\r\n\r")) {
    if (::send(fd.get(), &c, 1, MSG_NOSIGNAL) != 1) break;
    ++sent;
    pollfd closed{fd.get(), POLLIN, 0};
    if (::poll(&closed, 1, 50) > 0) break;
  }
  EXPECT_LT(sent, 23u);
}

TEST_F(ServerTest, GarbageIsRefused) {
  begin();
  EXPECT_EQ(raw(std::string(200, '\x16') + "\r\n").rfind("HTTP/1.1 400 ", 0), 0u);
  EXPECT_EQ(raw("GET / HTTP/3.0\r\n\r\n").rfind("HTTP/1.1 505 ", 0), 0u);
  // A good preface and then nonsense: the engine says GOAWAY and the connection ends.
  std::string answer = raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string(500, '\xff'));
  EXPECT_NE(answer, "");
  EXPECT_EQ(ask({}).body, "hello");
}

TEST_F(ServerTest, ManyClientsAtOnce) {
  begin();
  std::vector<std::thread> clients;
  std::atomic<int> good{0};
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&, i] {
      long version = i % 2 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
      for (int n = 0; n < 10; ++n) {
        good += ask({.body = std::string(20'000, 'z'), .version = version}).body.size() == 20'000;
      }
    });
  }
  for (auto& one : clients) one.join();
  EXPECT_EQ(good, 160);
}

TEST_F(ServerTest, AddressesThatAreNotLoopbackNeedTls) {
  begin();
  std::promise<void> done;
  loop_.post([&] {
    EXPECT_EQ(server_->listen_tcp("0.0.0.0:0").status().code(), base::Code::kInvalidArgument);
    EXPECT_EQ(server_->listen_tcp("[::]:0").status().code(), base::Code::kInvalidArgument);
    for (const char* bad :
         {"", "localhost:1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "[::1]"}) {
      EXPECT_EQ(server_->listen_tcp(bad).status().code(), base::Code::kInvalidArgument) << bad;
    }
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace
}  // namespace depot::builderd
