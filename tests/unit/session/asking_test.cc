// Secrets and SSH over the engine, asked for as the daemon asks.
#include <gtest/gtest.h>
#include <moby/buildkit/secrets/v1/secrets.pb.h>
#include <moby/sshforward/v1/ssh.pb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>

#include "../http2/peer.h"
#include "base/fd.h"
#include "base/id.h"
#include "session/services.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Secret;
using base::Status;
using http2::framed;
using http2::messages;

class Asking : public testing::Test {
 protected:
  // The thread ends before what it posts to.
  ~Asking() override {
    connection_ = nullptr;
    options_.ssh_thread = nullptr;
    thread_ = nullptr;
  }
  void SetUp() override {
    options_.ssh_thread = thread_;
    options_.pool = pool_;
    options_.on_failed = [this](const Status& status) { failures_.push_back(status); };
  }
  void serve() {
    Post post = [this](base::Loop::Task task) {
      std::lock_guard lock(mutex_);
      posted_.push_back(std::move(task));
      changed_.notify_all();
    };
    add_health(server_);
    add_secrets(server_, options_, post);
    add_ssh(server_, options_, post);
    http2::ServerOptions engine;
    engine.manual_window = true;
    connection_ = http2::ServerConnection::create(
        engine, [this](http2::Stream& stream) { return server_.accept(stream); });
  }
  int32_t call(std::string_view path, http2::Fields metadata, std::string body, bool half_close) {
    http2::Fields fields{{":method", "POST"},
                         {":scheme", "http"},
                         {":authority", "localhost"},
                         {":path", std::string(path)},
                         {"content-type", "application/grpc"}};
    fields.insert(fields.end(), metadata.begin(), metadata.end());
    return peer_.request(fields, std::move(body), half_close);
  }
  // Runs what is posted until `enough`.
  void run_until(const std::function<bool()>& enough) {
    ASSERT_TRUE(http2::run(peer_, *connection_).ok());
    while (!enough()) {
      base::Loop::Task task;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !posted_.empty(); });
        task = std::move(posted_.front());
        posted_.pop_front();
      }
      task();
      ASSERT_TRUE(http2::run(peer_, *connection_).ok());
    }
  }
  void finish(int32_t id) {
    run_until([&] { return peer_.answer(id).ended; });
  }
  std::string status_of(int32_t id) {
    auto& answer = peer_.answer(id);
    return answer.trailer("grpc-status") + answer.header("grpc-status");
  }

  int32_t get(const std::string& id) {
    ::moby::buildkit::secrets::v1::GetSecretRequest request;
    request.set_id(id);
    int32_t call_id = call(wire::kSecretsGetSecret, {}, framed(request.SerializeAsString()), true);
    finish(call_id);
    return call_id;
  }
  std::string data_of(int32_t id) {
    ::moby::buildkit::secrets::v1::GetSecretResponse response;
    auto all = messages(peer_.answer(id).body);
    EXPECT_EQ(all.size(), 1u);
    EXPECT_TRUE(!all.empty() && response.ParseFromString(all[0]));
    return response.data();
  }

  static std::string bytes_message(const std::string& data) {
    ::moby::sshforward::v1::BytesMessage message;
    message.set_data(data);
    return framed(message.SerializeAsString());
  }
  std::string said(int32_t id) {
    std::string out;
    for (const auto& one : messages(peer_.answer(id).body)) {
      ::moby::sshforward::v1::BytesMessage message;
      EXPECT_TRUE(message.ParseFromString(one));
      out += message.data();
    }
    return out;
  }

  std::shared_ptr<SshThread> thread_ = std::make_shared<SshThread>();
  std::shared_ptr<base::Pool> pool_ = std::make_shared<base::Pool>(1);
  std::vector<Status> failures_;
  Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<base::Loop::Task> posted_;
  http2::GrpcServer server_;
  std::unique_ptr<http2::ServerConnection> connection_;
  http2::Peer peer_{http2::PeerOptions{1u << 20, false}};
};

class Given final : public SecretSource {
 public:
  explicit Given(base::Result<Secret> answer) : answer_(std::move(answer)) {}
  void fetch(Done done) override { done(answer_); }

 private:
  base::Result<Secret> answer_;
};

TEST_F(Asking, SecretsAreThoseOfTheirIds) {
  std::string raw = http2::pattern(kMaxSecret);
  options_.secrets["a"] = fixed_secret(std::make_shared<Secret>("of a"));
  options_.secrets["large"] = fixed_secret(std::make_shared<Secret>(raw));
  options_.secrets["empty"] = fixed_secret(std::make_shared<Secret>());
  serve();
  EXPECT_EQ(data_of(get("a")), "of a");
  EXPECT_EQ(data_of(get("large")), raw);
  EXPECT_EQ(data_of(get("empty")), "");
  for (const std::string id : {"b", "", "A"}) EXPECT_EQ(status_of(get(id)), "5") << id;
  EXPECT_TRUE(failures_.empty());
}

TEST_F(Asking, WhatCannotBeHadIsTold) {
  options_.secrets["gone"] = file_secret("/nonexistent/secret", pool_);
  options_.secrets["large"] =
      std::make_shared<Given>(base::Result<Secret>(Secret(std::string(kMaxSecret + 1, 'x'))));
  options_.secrets["none"] = std::make_shared<Given>(
      base::Result<Secret>(Status(Code::kNotFound, Hop::kSession, "not found")));
  serve();
  EXPECT_EQ(status_of(get("gone")), "9");
  EXPECT_EQ(status_of(get("large")), "8");
  EXPECT_EQ(status_of(get("none")), "5");
  ASSERT_EQ(failures_.size(), 2u) << "a secret that is not there is no failure";
  EXPECT_NE(failures_[0].message().find("/nonexistent/secret"), std::string::npos);
  EXPECT_NE(failures_[0].message().find("\"gone\""), std::string::npos);
}

TEST_F(Asking, NothingIsOfferedThatIsNotThere) {
  serve();
  EXPECT_EQ(server_.paths().size(), 1u);
}

TEST_F(Asking, AgentsAreThoseOfTheirIds) {
  options_.ssh["a"].keys = std::make_shared<const ssh::Agent>(std::vector<ssh::PrivateKey>());
  serve();
  for (const auto& [id, code] :
       std::map<std::string, std::string>{{"a", "0"}, {"b", "2"}, {"", "2"}}) {
    ::moby::sshforward::v1::CheckAgentRequest request;
    request.set_id(id);
    int32_t check = call(wire::kSshCheckAgent, {}, framed(request.SerializeAsString()), true);
    finish(check);
    EXPECT_EQ(status_of(check), code) << id;
    int32_t forward = call(wire::kSshForwardAgent, {{"buildkit.ssh.id", id}}, "", true);
    finish(forward);
    EXPECT_EQ(status_of(forward), code) << id;
  }
}

TEST_F(Asking, OurAgentAnswersInOrderAndEndsWithTheStep) {
  options_.ssh["default"].keys = std::make_shared<const ssh::Agent>(std::vector<ssh::PrivateKey>());
  serve();
  std::string list = ssh::agent_frame("\x0b"), removed = ssh::agent_frame("\x13");
  std::string asked = list + removed + list;
  int32_t id = call(wire::kSshForwardAgent, {}, "", false);
  for (char c : asked) peer_.more(id, bytes_message(std::string(1, c)), false);
  std::string none("\x0c\0\0\0\0", 5);
  std::string expected =
      ssh::agent_frame(none) + ssh::agent_frame(ssh::agent_failure()) + ssh::agent_frame(none);
  run_until([&] { return said(id).size() >= expected.size(); });
  EXPECT_EQ(said(id), expected);
  EXPECT_FALSE(peer_.answer(id).ended);
  peer_.more(id, "", true);
  finish(id);
  EXPECT_EQ(status_of(id), "0");
}

TEST_F(Asking, WhatIsNoMessageEndsTheConversation) {
  options_.ssh["default"].keys = std::make_shared<const ssh::Agent>(std::vector<ssh::PrivateKey>());
  serve();
  int32_t id = call(wire::kSshForwardAgent, {}, bytes_message("\xff\xff\xff\xff"), false);
  finish(id);
  EXPECT_EQ(status_of(id), "3");
}

// A socket in a folder of its own, and who accepts there.
class WithSocket : public Asking {
 protected:
  void SetUp() override {
    Asking::SetUp();
    dir_ = std::filesystem::temp_directory_path() / ("depot-agent-" + base::random_id());
    std::filesystem::create_directory(dir_);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener_.get(), 16), 0);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string path() const { return (dir_ / "agent").string(); }
  base::UniqueFd accept() const {
    return base::UniqueFd(::accept(listener_.get(), nullptr, nullptr));
  }
  static std::string read(int fd, size_t size) {
    std::string out(size, '\0');
    EXPECT_EQ(::recv(fd, out.data(), size, MSG_WAITALL), static_cast<ssize_t>(size));
    return out;
  }
  static bool at_end(int fd) {
    char byte = 0;
    return ::recv(fd, &byte, 1, 0) == 0;
  }
  static void write(int fd, const std::string& text) {
    for (size_t done = 0; done < text.size();) {
      ssize_t n = ::send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
      if (n <= 0) return;  // who reads has gone
      done += static_cast<size_t>(n);
    }
  }

  std::filesystem::path dir_;
  base::UniqueFd listener_;
};

TEST_F(WithSocket, AnAgentHearsWhatIsAllowedAndNothingElse) {
  options_.ssh["default"].socket = path();
  serve();
  std::string list = ssh::agent_frame("\x0b"), sign = ssh::agent_frame("\x0d data");
  std::string locked = ssh::agent_frame("\x16 x");
  int32_t id = call(wire::kSshForwardAgent, {}, bytes_message(locked + list + locked + sign), true);
  std::string heard;
  std::thread agent([&] {
    auto fd = accept();
    heard = read(fd.get(), list.size());
    write(fd.get(), ssh::agent_frame("first"));
    heard += read(fd.get(), sign.size());
    write(fd.get(), ssh::agent_frame("second"));
    EXPECT_TRUE(at_end(fd.get()));
  });
  finish(id);
  agent.join();
  EXPECT_EQ(heard, list + sign);
  std::string no = ssh::agent_frame(ssh::agent_failure());
  EXPECT_EQ(said(id), no + ssh::agent_frame("first") + no + ssh::agent_frame("second"));
  EXPECT_EQ(status_of(id), "0");
}

TEST_F(WithSocket, RawBytesPassBothWaysWithTheirEnds) {
  options_.ssh["default"].socket = path();
  options_.ssh["default"].raw = true;
  serve();
  std::string there = http2::pattern(3 << 20), back = http2::pattern(5 << 20);
  std::string body;
  for (size_t at = 0; at < there.size(); at += 32 << 10)
    body += bytes_message(there.substr(at, 32 << 10));
  int32_t id = call(wire::kSshForwardAgent, {}, body, true);
  std::string heard;
  std::thread server([&] {
    auto fd = accept();
    heard = read(fd.get(), there.size());
    EXPECT_TRUE(at_end(fd.get()));
    write(fd.get(), back);
  });
  finish(id);
  server.join();
  EXPECT_TRUE(heard == there);
  EXPECT_TRUE(said(id) == back);
  EXPECT_EQ(status_of(id), "0");
}

TEST_F(WithSocket, AStepThatGoesClosesTheSocket) {
  options_.ssh["default"].socket = path();
  serve();
  int32_t id = call(wire::kSshForwardAgent, {}, bytes_message(ssh::agent_frame("\x0b")), false);
  ASSERT_TRUE(http2::run(peer_, *connection_).ok());
  auto fd = accept();
  read(fd.get(), 5);
  peer_.reset(id);
  ASSERT_TRUE(http2::run(peer_, *connection_).ok());
  EXPECT_TRUE(at_end(fd.get()));
}

TEST_F(WithSocket, ASocketThatIsGoneEndsTheConversation) {
  options_.ssh["default"].socket = path() + ".not";
  serve();
  int32_t id = call(wire::kSshForwardAgent, {}, "", false);
  finish(id);
  EXPECT_EQ(status_of(id), "5");
}

TEST_F(WithSocket, ManyAtOnceShareAThread) {
  options_.ssh["default"].socket = path();
  serve();
  std::vector<int32_t> ids;
  for (int i = 0; i < 100; ++i)
    ids.push_back(call(wire::kSshForwardAgent, {}, bytes_message(ssh::agent_frame("\x0b")), true));
  std::thread agent([&] {
    std::vector<base::UniqueFd> open;
    for (int i = 0; i < 100; ++i) {
      open.push_back(accept());
      read(open.back().get(), 5);
    }
    for (auto& fd : open) write(fd.get(), ssh::agent_frame("answer"));
  });
  for (int32_t id : ids) finish(id);
  agent.join();
  for (int32_t id : ids) EXPECT_EQ(said(id), ssh::agent_frame("answer"));
}

}  // namespace
}  // namespace depot::session
