#include "buildkit/byte_stream.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>

#include "buildkit/tls_context.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::SharedBytes;
using base::Status;
using base::UniqueFd;

Status lost(int error, const char* what) {
  std::string why = error == 0 ? "Socket closed" : std::string(what) + ": " + std::strerror(error);
  return Status(Code::kUnavailable, Hop::kMachine, std::move(why)).with_retryable(true);
}

bool is_later(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

// --- plain -------------------------------------------------------------------------------------

class Plain final : public ByteStream {
 public:
  explicit Plain(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const override { return fd_.get(); }
  Result<bool> shake_hands() override { return true; }

  Result<size_t> read(std::span<uint8_t> out) override {
    ssize_t n = receive(out.data(), out.size());
    if (n > 0) return static_cast<size_t>(n);
    if (n == 0) return lost(0, "");
    if (is_later(errno)) return size_t{0};
    return lost(errno, "receiving");
  }

  Status write(const std::vector<SharedBytes>& pieces) override {
    for (const auto& piece : pieces) {
      unsent_.push_back(piece);
      unsent_bytes_ += piece.bytes.size();
    }
    return flush();
  }

  Status flush() override {
    while (!unsent_.empty()) {
      std::array<iovec, 64> parts;
      size_t count = 0;
      for (auto it = unsent_.begin(); it != unsent_.end() && count < parts.size(); ++it)
        parts[count++] = {const_cast<uint8_t*>(it->bytes.data()), it->bytes.size()};
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = count;
      ssize_t n = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return is_later(errno) ? Status() : lost(errno, "sending");
      size_t sent = static_cast<size_t>(n);
      unsent_bytes_ -= sent;
      while (sent > 0) {
        auto& first = unsent_.front().bytes;
        size_t part = std::min(sent, first.size());
        first = first.subspan(part);
        sent -= part;
        if (first.empty()) unsent_.pop_front();
      }
    }
    return {};
  }

  size_t unsent() const override { return unsent_bytes_; }
  void close() override {}

 private:
  UniqueFd fd_;
  std::deque<SharedBytes> unsent_;
  size_t unsent_bytes_ = 0;
};

// --- TLS ---------------------------------------------------------------------------------------

// One record's plain text.
constexpr size_t kRecord = 16 << 10;
// So much is sent with one call.
constexpr size_t kSend = 64 << 10;

class Tls final : public ByteStream {
 public:
  Tls(UniqueFd fd, TlsContext& context) : fd_(std::move(fd)), context_(context) {}
  ~Tls() override { SSL_free(ssl_); }

  Status init(const std::string& name);

  int fd() const override { return fd_.get(); }
  Result<bool> shake_hands() override;
  Result<size_t> read(std::span<uint8_t> out) override;
  Status write(const std::vector<SharedBytes>& pieces) override;
  Status flush() override;
  size_t unsent() const override { return sealed_.size() - sent_; }
  void close() override {
    if (!ready_) return;
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
    (void)flush();
  }

 private:
  static BIO_METHOD* method();
  static Tls& of(BIO* bio) { return *static_cast<Tls*>(BIO_get_data(bio)); }
  // What OpenSSL has to send is only kept: it never has to wait.
  static int on_write(BIO* bio, const char* bytes, int size);
  static int on_read(BIO* bio, char* out, int size);
  static long on_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH; }

  Status seal(std::span<const uint8_t> plain);
  Status failure(const char* what);

  UniqueFd fd_;
  TlsContext& context_;
  SSL* ssl_ = nullptr;
  bool greeted_ = false, ready_ = false;
  int error_ = 0;   // of the socket
  Status failure_;  // of read()
  std::vector<uint8_t> sealed_;
  size_t sent_ = 0;  // of sealed_
};

BIO_METHOD* Tls::method() {
  static BIO_METHOD* const made = [] {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "depot");
    BIO_meth_set_write(method, on_write);
    BIO_meth_set_read(method, on_read);
    BIO_meth_set_ctrl(method, on_control);
    return method;
  }();
  return made;
}

Status Tls::init(const std::string& name) {
  ERR_clear_error();
  ssl_ = SSL_new(context_.get());
  BIO* bio = ssl_ != nullptr ? BIO_new(method()) : nullptr;
  if (bio == nullptr) return base::internal_error("cannot begin with TLS: " + tls_reason());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_connect_state(ssl_);
  unsigned char address[16];
  bool is_address = ::inet_pton(AF_INET, name.c_str(), address) == 1 ||
                    ::inet_pton(AF_INET6, name.c_str(), address) == 1;
  bool named = is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), name.c_str()) == 1
                          : SSL_set_tlsext_host_name(ssl_, name.c_str()) == 1 &&
                                SSL_set1_host(ssl_, name.c_str()) == 1;
  if (named) return {};
  return Status(Code::kInvalidArgument, Hop::kMachine,
                "'" + name + "' is no name that a certificate could have");
}

int Tls::on_write(BIO* bio, const char* bytes, int size) {
  auto& self = of(bio);
  auto* from = reinterpret_cast<const uint8_t*>(bytes);
  self.sealed_.insert(self.sealed_.end(), from, from + size);
  return size;
}

int Tls::on_read(BIO* bio, char* out, int size) {
  auto& self = of(bio);
  BIO_clear_retry_flags(bio);
  ssize_t n = self.receive(out, static_cast<size_t>(size));
  if (n >= 0) return static_cast<int>(n);
  if (is_later(errno))
    BIO_set_retry_read(bio);
  else
    self.error_ = errno;
  return -1;
}

Status Tls::failure(const char* what) {
  if (error_ != 0) return lost(error_, what);
  // An alert, or what is no TLS; the end of the socket may come with it.
  unsigned long code = ERR_peek_last_error();
  bool told = code != 0 && ERR_GET_REASON(code) != SSL_R_UNEXPECTED_EOF_WHILE_READING;
  if (!told) {
    ERR_clear_error();
    return lost(0, what);
  }
  std::string why = "TLS: " + tls_reason();
  if (long verified = SSL_get_verify_result(ssl_); verified != X509_V_OK)
    why += std::string(": ") + X509_verify_cert_error_string(verified);
  return Status(Code::kUnavailable, Hop::kMachine, std::move(why)).with_retryable(true);
}

Result<bool> Tls::shake_hands() {
  if (ready_) return true;
  ERR_clear_error();
  int n = SSL_do_handshake(ssl_);
  if (n != 1) {
    if (SSL_get_error(ssl_, n) == SSL_ERROR_WANT_READ) {
      if (std::exchange(greeted_, true)) return false;
      DEPOT_TRY(flush());
      DEPOT_TRY(context_.identify(ssl_));
      return false;
    }
    Status status = failure("TLS handshake");
    (void)flush();  // our alert
    return status;
  }
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &protocol, &size);
  if (size == 0) {
    return Status(Code::kUnavailable, Hop::kMachine,
                  "Cannot check peer: missing selected ALPN property.");
  }
  ready_ = true;
  return true;
}

Result<size_t> Tls::read(std::span<uint8_t> out) {
  size_t got = 0;
  ERR_clear_error();
  while (failure_.ok() && got < out.size()) {
    size_t n = 0;
    if (SSL_read_ex(ssl_, out.data() + got, out.size() - got, &n) == 1) {
      got += n;
      continue;
    }
    int why = SSL_get_error(ssl_, 0);
    if (why == SSL_ERROR_WANT_READ) break;
    failure_ = why == SSL_ERROR_ZERO_RETURN ? lost(0, "") : failure("receiving");
    break;
  }
  // An end or an error is told once what came before it was taken.
  if (got == 0 && !failure_.ok()) return failure_;
  return got;
}

Status Tls::seal(std::span<const uint8_t> plain) {
  ERR_clear_error();
  while (!plain.empty()) {
    size_t n = 0;
    if (SSL_write_ex(ssl_, plain.data(), plain.size(), &n) != 1) return failure("sending");
    plain = plain.subspan(n);
    if (unsent() >= kSend) DEPOT_TRY(flush());
  }
  return {};
}

Status Tls::write(const std::vector<SharedBytes>& pieces) {
  // Put together into whole records: frame headers and bodies lie in pieces of their own.
  std::array<uint8_t, kRecord> record;
  size_t filled = 0;
  for (const auto& piece : pieces) {
    auto rest = piece.bytes;
    while (!rest.empty()) {
      if (filled == 0 && rest.size() >= kRecord) {
        size_t whole = rest.size() / kRecord * kRecord;
        DEPOT_TRY(seal(rest.first(whole)));
        rest = rest.subspan(whole);
        continue;
      }
      size_t part = std::min(kRecord - filled, rest.size());
      std::memcpy(record.data() + filled, rest.data(), part);
      filled += part;
      rest = rest.subspan(part);
      if (filled == kRecord) {
        DEPOT_TRY(seal(record));
        filled = 0;
      }
    }
  }
  return seal({record.data(), filled});
}

Status Tls::flush() {
  while (sent_ < sealed_.size()) {
    ssize_t n = ::send(fd_.get(), sealed_.data() + sent_, sealed_.size() - sent_,
                       MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      sent_ += static_cast<size_t>(n);
    } else if (is_later(errno)) {
      return {};
    } else if (errno != EINTR) {
      return lost(errno, "sending");
    }
  }
  sealed_.clear();
  sent_ = 0;
  return {};
}

}  // namespace

ssize_t ByteStream::receive(void* out, size_t size) {
  if (drained_) {
    errno = EAGAIN;
    return -1;
  }
  ssize_t n = 0;
  do {
    n = ::recv(fd(), out, size, MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  // An end is to be found again.
  drained_ = n > 0 ? static_cast<size_t>(n) < size : n < 0;
  return n;
}

std::unique_ptr<ByteStream> ByteStream::plain(UniqueFd fd) {
  return std::make_unique<Plain>(std::move(fd));
}

Result<std::unique_ptr<ByteStream>> ByteStream::tls(UniqueFd fd, TlsContext& context,
                                                    const std::string& name) {
  auto stream = std::make_unique<Tls>(std::move(fd), context);
  DEPOT_TRY(stream->init(name));
  return std::unique_ptr<ByteStream>(std::move(stream));
}

}  // namespace depot::buildkit
