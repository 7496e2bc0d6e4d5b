#include "buildkit/exchange_call.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/base64.h"
#include "buildkit/answer.h"
#include "buildkit/errors.h"
#include "http2/gzip.h"

namespace depot::buildkit {

using base::Code;
using base::Hop;
using base::Status;
using http2::BodyState;

namespace {

// HTTP/2's error codes.
constexpr uint32_t kNoError = 0, kInternalError = 2, kCancelCode = 8;

// What is shorter is copied next to what it follows.
constexpr size_t kLent = 1024;

constexpr int kCancelled = 1, kDeadlineExceeded = 4;

class Received final : public Message {
 public:
  explicit Received(std::span<const uint8_t> bytes) {
    if (!bytes.empty()) slices_.push_back(bytes);
  }
  size_t size() const override { return slices_.empty() ? 0 : slices_.front().size(); }
  const std::vector<std::span<const uint8_t>>& slices() const override { return slices_; }

 private:
  std::vector<std::span<const uint8_t>> slices_;
};

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// "20000m": at most eight digits and a unit.
std::string grpc_timeout(std::chrono::milliseconds timeout) {
  int64_t left = std::max<int64_t>(timeout.count(), 1);
  if (left < 100'000'000) return std::to_string(left) + "m";
  left /= 1000;
  if (left < 100'000'000) return std::to_string(left) + "S";
  return std::to_string(std::min<int64_t>(left / 3600, 99'999'999)) + "H";
}

}  // namespace

ExchangeCall::ExchangeCall(const Shared& shared, CallOptions options, CallObserver observer)
    : shared_(shared),
      options_(std::move(options)),
      method_(options_.method),
      observer_(std::move(observer)),
      reader_(shared.max_message, shared.gzip) {
  if (options_.request) {
    put(bytes_of(*options_.request), {});
    options_.request.reset();
    closing_ = true;
  }
}

void ExchangeCall::begin() {
  if (!options_.timeout) return;
  deadline_ = shared_.loop.run_after(*options_.timeout, [this, self = shared_from_this()] {
    deadline_ = 0;
    end(status_from_grpc(kDeadlineExceeded, "Deadline Exceeded", {}, Hop::kMachine));
  });
}

bool ExchangeCall::send(http2::ClientConnection& connection) {
  http2::Headers headers{{":method", "POST"},       {":scheme", shared_.scheme},
                         {":path", method_},        {":authority", shared_.authority},
                         {"te", "trailers"},        {"content-type", "application/grpc"},
                         {"user-agent", "libdepot"}};
  if (shared_.gzip) {
    headers.add("grpc-encoding", "gzip");
    headers.add("grpc-accept-encoding", "identity,gzip");
  }
  if (options_.timeout) headers.add("grpc-timeout", grpc_timeout(*options_.timeout));
  for (const auto& [name, value] : options_.metadata)
    headers.add(name,
                name.ends_with("-bin") ? base::base64_encode(value, base::Padding::kNo) : value);
  auto self = shared_from_this();
  exchange_ = connection.start(headers, self, self);
  if (exchange_ == nullptr) return false;
  if (!closing_) tell_writable();
  return true;
}

// --- sending -----------------------------------------------------------------------------------

void ExchangeCall::put(std::span<const uint8_t> head,
                       const std::vector<base::SharedBytes>& pieces) {
  size_t size = head.size();
  for (const auto& piece : pieces) size += piece.bytes.size();
  head_.clear();
  pieces_.clear();
  head_taken_ = piece_ = piece_taken_ = 0;
  auto append = [](std::string& to, std::span<const uint8_t> bytes) {
    to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  auto prefix = [](bool packed, size_t bytes) {
    return std::string{static_cast<char>(packed), static_cast<char>(bytes >> 24),
                       static_cast<char>(bytes >> 16), static_cast<char>(bytes >> 8),
                       static_cast<char>(bytes)};
  };
  if (shared_.gzip) {
    std::string plain;
    plain.reserve(size);
    append(plain, head);
    for (const auto& piece : pieces) append(plain, piece.bytes);
    std::string packed = http2::gzip(plain);
    head_ = prefix(true, packed.size()) + packed;
    left_ = head_.size();
    return;
  }
  head_ = prefix(false, size);
  append(head_, head);
  // Owned bytes stay where they are; from the first of them on, everything is a piece.
  for (const auto& piece : pieces) {
    if (pieces_.empty() && (!piece.owner || piece.bytes.size() < kLent)) {
      append(head_, piece.bytes);
    } else if (!piece.owner) {
      auto copy = std::make_shared<std::vector<uint8_t>>(piece.bytes.begin(), piece.bytes.end());
      std::span<const uint8_t> bytes = *copy;
      pieces_.push_back({bytes, std::move(copy)});
    } else {
      pieces_.push_back(piece);
    }
  }
  left_ = size + 5;
}

bool ExchangeCall::write(std::span<const uint8_t> head,
                         const std::vector<base::SharedBytes>& pieces) {
  if (!writable()) return false;
  put(head, pieces);
  exchange_->resume();
  return true;
}

http2::RequestBody::Ready ExchangeCall::ready(size_t max) {
  size_t bytes = std::min(left_, max);
  if (bytes < left_) return {bytes, BodyState::kMore};
  return {bytes, closing_ ? BodyState::kEnd : BodyState::kPending};
}

void ExchangeCall::take(size_t bytes, http2::Output& out) {
  left_ -= bytes;
  auto copy = [&](std::span<const uint8_t> from) {
    std::copy(from.begin(), from.end(), out.reserve(from.size()));
    out.commit(from.size());
  };
  if (head_taken_ < head_.size()) {
    size_t part = std::min(bytes, head_.size() - head_taken_);
    copy(bytes_of(head_).subspan(head_taken_, part));
    head_taken_ += part;
    bytes -= part;
  }
  while (bytes > 0) {
    const auto& piece = pieces_[piece_];
    auto part = piece.bytes.subspan(piece_taken_);
    part = part.first(std::min(part.size(), bytes));
    if (part.size() >= kLent && out.takes_loans())
      out.lend({part, piece.owner});
    else
      copy(part);
    bytes -= part.size();
    piece_taken_ += part.size();
    if (piece_taken_ == piece.bytes.size()) {
      ++piece_;
      piece_taken_ = 0;
    }
  }
  if (left_ > 0) return;
  pieces_.clear();
  if (!closing_) tell_writable();
}

void ExchangeCall::tell_writable() {
  if (!observer_.on_writable) return;
  shared_.later([self = shared_from_this()] {
    if (self->writable() && self->observer_.on_writable) self->observer_.on_writable();
  });
}

void ExchangeCall::half_close() {
  if (closing_ || over_) return;
  closing_ = true;
  if (exchange_) exchange_->resume();
}

// --- receiving ---------------------------------------------------------------------------------

void ExchangeCall::on_headers(const http2::Headers& headers, bool end) {
  if (!std::exchange(answering_, true)) refused_ = not_grpc(headers);
  if (end) answered(refused_.ok() ? status_of_trailers(headers) : refused_);
}

void ExchangeCall::on_data(std::span<const uint8_t> data) {
  if (over_ || has_answer_) return;
  if (!refused_.ok()) return exchange_->consume(data.size());
  auto whole = [this](std::span<const uint8_t> message) {
    deliver(message);
    return !over_;
  };
  auto part = [this](std::span<const uint8_t> bytes, size_t left) {
    observer_.on_part(bytes, left);
    return !over_;
  };
  Status status = observer_.on_part ? reader_.feed(data, whole, part) : reader_.feed(data, whole);
  if (over_) return;
  if (!status.ok()) {
    exchange_->reset(kInternalError);
    return this->end(status.with_hop(Hop::kMachine));
  }
  if (kept_.empty())
    exchange_->consume(data.size());
  else
    owed_ += data.size();
}

void ExchangeCall::deliver(std::span<const uint8_t> message) {
  if (held_)
    kept_.emplace_back(reinterpret_cast<const char*>(message.data()), message.size());
  else if (observer_.on_message && !observer_.on_message(Received(message)))
    held_ = true;
}

void ExchangeCall::resume_reading() {
  if (!held_ || over_) return;
  shared_.later([self = shared_from_this()] { self->deliver_kept(); });
}

void ExchangeCall::deliver_kept() {
  held_ = false;
  while (!over_ && !held_ && !kept_.empty()) {
    std::string message = std::move(kept_.front());
    kept_.pop_front();
    deliver(bytes_of(message));
  }
  if (over_ || !kept_.empty()) return;
  if (exchange_) exchange_->consume(std::exchange(owed_, 0));
  if (has_answer_ && !held_) this->end(answer_);
}

void ExchangeCall::on_end() {
  answered(refused_.ok()
               ? status_from_grpc(static_cast<int>(Code::kInternal),
                                  "the server ended the call without a status", {}, Hop::kMachine)
               : refused_);
}

void ExchangeCall::answered(Status status) {
  if (over_ || has_answer_) return;
  has_answer_ = true;
  answer_ = std::move(status);
  // Whatever we had to say is not of interest any more.
  if (exchange_ && (!closing_ || left_ > 0)) exchange_->reset(kNoError);
  if (kept_.empty() && !held_) this->end(answer_);
}

void ExchangeCall::on_close(uint32_t http2_error_code) {
  exchange_ = nullptr;
  if (!has_answer_ && !over_) answered(status_of_reset(http2_error_code));
}

void ExchangeCall::fail(Status status) {
  exchange_ = nullptr;
  if (!has_answer_) end(std::move(status));
}

void ExchangeCall::cancel() {
  end(status_from_grpc(kCancelled, "CANCELLED", {}, Hop::kMachine));
}

void ExchangeCall::end(Status status) {
  if (over_) return;
  over_ = true;
  if (deadline_ != 0) shared_.loop.cancel_timer(std::exchange(deadline_, 0));
  if (exchange_ && !has_answer_) exchange_->reset(kCancelCode);
  kept_.clear();
  reader_.drop();
  shared_.later([self = shared_from_this(), status = std::move(status)] {
    self->head_.clear();
    self->pieces_.clear();
    auto observer = std::exchange(self->observer_, {});
    if (observer.on_done) observer.on_done(status);
  });
}

}  // namespace depot::buildkit
