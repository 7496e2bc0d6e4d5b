// What a connection does within TLS, with a server that a test drives step by step.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <future>
#include <memory>
#include <string>

#include "base/fd.h"
#include "buildkit/channel.h"
#include "buildkit/pem.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Status;

// Signed by itself, for whatever it is used.
struct Identity {
  explicit Identity(const char* name) : key(EVP_EC_gen("P-256")), certificate(X509_new()) {
    X509* made = certificate.get();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, key.get());
    X509_NAME* subject = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(made, subject);
    std::string names = std::string("DNS:") + name;
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    X509_add_ext(made, extension, -1);
    X509_EXTENSION_free(extension);
    EXPECT_GT(X509_sign(made, key.get(), EVP_sha256()), 0);
  }
  std::string pem() const {
    return text([&](BIO* to) { return PEM_write_bio_X509(to, certificate.get()); });
  }
  std::string key_pem() const {
    return text([&](BIO* to) {
      return PEM_write_bio_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  template <class Write>
  static std::string text(Write write) {
    BioPtr to(BIO_new(BIO_s_mem()));
    EXPECT_EQ(write(to.get()), 1);
    char* data = nullptr;
    auto size = static_cast<size_t>(BIO_get_mem_data(to.get(), &data));
    return std::string(data, size);
  }

  KeyPtr key;
  X509Ptr certificate;
};

// Asks for a certificate, takes every one, and shows what it was given.
class TlsServer {
 public:
  explicit TlsServer(const Identity& identity)
      : context_(SSL_CTX_new(TLS_server_method())),
        listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    SSL_CTX* made = context_.get();
    SSL_CTX_use_certificate(made, identity.certificate.get());
    SSL_CTX_use_PrivateKey(made, identity.key.get());
    SSL_CTX_set_verify(made, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       [](int, X509_STORE_CTX*) { return 1; });
    SSL_CTX_set_alpn_select_cb(
        made,
        [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned,
           void*) {
          *out = in + 1;  // the only one there is
          *size = in[0];
          return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 4), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }

  std::string address() const { return "tcp://127.0.0.1:" + std::to_string(port_); }
  // A connection, and whether its handshake came to an end.
  bool accept() {
    ssl_ = nullptr;
    fd_.reset(::accept(listener_.get(), nullptr, nullptr));
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd_.get());
    return SSL_accept(ssl_.get()) == 1;
  }
  bool shown(const Identity& identity) const {
    X509Ptr theirs(SSL_get1_peer_certificate(ssl_.get()));
    return theirs && X509_cmp(theirs.get(), identity.certificate.get()) == 0;
  }
  // What came with it; a server's chain does not hold the client's own.
  int others_shown() const { return sk_X509_num(SSL_get_peer_cert_chain(ssl_.get())); }
  // What comes, up to the first frame that opens a stream; false: the connection ended.
  bool await_call() {
    std::string received;
    for (;;) {
      char part[4096];
      int n = SSL_read(ssl_.get(), part, sizeof(part));
      if (n <= 0) return false;
      received.append(part, static_cast<size_t>(n));
      for (size_t at = 24; at + 9 <= received.size();) {  // after the client's preface
        auto byte = [&](size_t i) { return static_cast<uint8_t>(received[at + i]); };
        if (byte(3) == 1) return true;
        at += 9 + (size_t{byte(0)} << 16) + (size_t{byte(1)} << 8) + byte(2);
      }
    }
  }
  // The SETTINGS that calls wait for.
  void greet() {
    using namespace std::string_literals;
    write("\0\0\0\4\0\0\0\0\0"s);
  }
  // GOAWAY after the first call, and NOT_FOUND for that.
  void answer() {
    using namespace std::string_literals;
    write(
        "\0\0\x08\7\0\0\0\0\0\0\0\0\1\0\0\0\0"s
        "\0\0\x2f\1\5\0\0\0\1"s
        "\x88\x00\x0c"s
        "content-type"
        "\x10"s
        "application/grpc"
        "\x00\x0b"s
        "grpc-status"
        "\x01"s
        "5"s);
  }
  void close() { fd_.reset(); }

 private:
  void write(const std::string& frames) {
    EXPECT_EQ(SSL_write(ssl_.get(), frames.data(), static_cast<int>(frames.size())),
              static_cast<int>(frames.size()));
  }

  std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>> context_;
  base::UniqueFd listener_, fd_;
  std::unique_ptr<SSL, Deleter<SSL_free>> ssl_;
  int port_ = 0;
};

class TlsLink : public testing::Test {
 protected:
  void open(TlsIdentity identity) {
    identity.server_name = "builder.test";
    Endpoint endpoint;
    endpoint.address = server_.address();
    endpoint.tls = std::move(identity);
    auto opened = Channel::open(endpoint);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    channel_ = *opened;
  }
  TlsIdentity ours() const {
    TlsIdentity out;
    out.ca_pem = builder_.pem();
    out.cert_pem = client_.pem() + other_.pem();
    out.key_pem = base::Secret(client_.key_pem());
    return out;
  }
  void TearDown() override {
    if (channel_) channel_->stop();
  }
  std::future<Status> ask() {
    auto done = std::make_shared<std::promise<Status>>();
    channel_->loop().post([this, done] {
      CallOptions options;
      options.method = "/some/call";
      options.request = "";
      channel_->unary(std::move(options), [done](base::Result<std::string> answer) {
        done->set_value(answer.status());
      });
    });
    return done->get_future();
  }

  const Identity builder_{"builder.test"}, client_{"client"}, other_{"other"};
  TlsServer server_{builder_};
  std::shared_ptr<Channel> channel_;
};

// Each connection, for what was read for the first serves the next ones.
TEST_F(TlsLink, ShowsItsCertificateAndWhatCameWithIt) {
  open(ours());
  for (int connection = 0; connection < 2; ++connection) {
    auto asked = ask();
    ASSERT_TRUE(server_.accept());
    EXPECT_TRUE(server_.shown(client_));
    EXPECT_EQ(server_.others_shown(), 1);
    server_.greet();
    ASSERT_TRUE(server_.await_call());
    server_.answer();
    EXPECT_EQ(asked.get().code(), Code::kNotFound);
    server_.close();
  }
}

TEST_F(TlsLink, TellsNothingToWhomItDoesNotTrust) {
  TlsIdentity identity = ours();
  identity.ca_pem = other_.pem();
  open(std::move(identity));
  auto asked = ask();
  // With TLS 1.3 the server is told at the end of its own handshake, or after it.
  if (server_.accept()) {
    EXPECT_FALSE(server_.await_call());
  }
  EXPECT_FALSE(server_.shown(client_));
  Status status = asked.get();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("certificate"), std::string::npos) << status.message();
}

TEST_F(TlsLink, AKeyThatDoesNotBelongToItsCertificateIsSaidByItsName) {
  TlsIdentity identity = ours();
  identity.key_pem = base::Secret(other_.key_pem());
  open(std::move(identity));
  auto asked = ask();
  EXPECT_FALSE(server_.accept());
  Status status = asked.get();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.message(), "the client key does not belong to the client certificate");
}

}  // namespace
}  // namespace depot::buildkit
