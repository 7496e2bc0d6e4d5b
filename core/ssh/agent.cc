#include "ssh/agent.h"

#include <algorithm>

#include "ssh/wire.h"

namespace depot::ssh {
namespace {

constexpr char kFailure = 5, kListRequest = 11, kListAnswer = 12, kSignRequest = 13,
               kSignAnswer = 14;

}  // namespace

bool AgentMessages::feed(std::string_view bytes) {
  bytes_ += bytes;
  auto size = Reader(bytes_).number();
  return !size || (*size > 0 && *size <= kMaxAgentMessage);
}

std::optional<std::string> AgentMessages::next() {
  auto message = Reader(bytes_).string();
  if (!message || message->empty() || message->size() > kMaxAgentMessage) return std::nullopt;
  std::string out(*message);
  bytes_.erase(0, 4 + out.size());
  return out;
}

std::string agent_frame(std::string_view message) {
  std::string out;
  put_string(out, message);
  return out;
}

bool agent_allows(std::string_view request) {
  return !request.empty() && (request.front() == kListRequest || request.front() == kSignRequest);
}

std::string agent_failure() {
  return std::string(1, kFailure);
}

std::string Agent::answer(std::string_view request) const {
  if (request.empty()) return agent_failure();
  if (request.front() == kListRequest) return list();
  if (request.front() == kSignRequest) return sign(request.substr(1));
  return agent_failure();
}

std::string Agent::list() const {
  std::string out(1, kListAnswer);
  put_number(out, static_cast<uint32_t>(keys_.size()));
  for (const auto& key : keys_) {
    put_string(out, key.public_blob());
    put_string(out, key.comment());
  }
  return out;
}

std::string Agent::sign(std::string_view request) const {
  Reader fields(request);
  auto blob = fields.string(), data = fields.string();
  auto flags = fields.number();
  if (!blob || !data || !flags) return agent_failure();
  auto key = std::find_if(keys_.begin(), keys_.end(),
                          [&](const PrivateKey& one) { return one.public_blob() == *blob; });
  if (key == keys_.end()) return agent_failure();
  auto signature = key->sign(*data, *flags);
  if (!signature.ok()) return agent_failure();
  std::string out(1, kSignAnswer);
  put_string(out, *signature);
  return out;
}

}  // namespace depot::ssh
