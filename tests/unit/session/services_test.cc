// The session's services over the engine, called as the daemon calls them.
#include "session/services.h"

#include <gtest/gtest.h>
#include <moby/filesync/v1/filesync.pb.h>

#include <deque>

#include "../http2/peer.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Status;
using http2::framed;
using http2::messages;

struct FakeSink final : ExportSink {
  Status open(std::function<void(Status)> fn) override {
    ++opened;
    ready = std::move(fn);
    return refuse;
  }
  bool write(std::span<const uint8_t> data) override {
    bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
    return room;
  }
  void finish(std::function<void(Status)> fn) override { done = std::move(fn); }
  void abort() override { ++aborted; }
  bool complete() const override { return false; }

  Status refuse;
  bool room = true;
  std::string bytes;
  int opened = 0;
  int aborted = 0;
  std::function<void(Status)> ready;
  std::function<void(Status)> done;
};

std::string bytes_message(const std::string& data) {
  ::moby::filesync::v1::BytesMessage message;
  message.set_data(data);
  return framed(message.SerializeAsString());
}

class Services : public testing::Test {
 protected:
  void SetUp() override {
    options_.sinks = {{0, first_}, {3, second_}};
    options_.locals = {{"context", "/nonexistent-context"}};
    Post post = [this](base::Loop::Task task) { posted_.push_back(std::move(task)); };
    add_health(server_);
    add_file_sync(server_, options_, post);
    add_file_send(server_, options_, post);
    http2::ServerOptions engine;
    engine.manual_window = true;
    connection_ = http2::ServerConnection::create(
        engine, [this](http2::Stream& stream) { return server_.accept(stream); });
  }
  void go() {
    ASSERT_TRUE(http2::run(peer_, *connection_).ok());
    while (!posted_.empty()) {
      auto task = std::move(posted_.front());
      posted_.pop_front();
      task();
      ASSERT_TRUE(http2::run(peer_, *connection_).ok());
    }
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
  int32_t send(const std::string& id, std::string body, bool half_close) {
    return call(wire::kFileSendDiffCopy, {{"buildkit-attachable-exporter-id", id}}, std::move(body),
                half_close);
  }
  std::string status_of(int32_t id) {
    auto& answer = peer_.answer(id);
    return answer.trailer("grpc-status") + answer.header("grpc-status");
  }

  std::shared_ptr<FakeSink> first_ = std::make_shared<FakeSink>();
  std::shared_ptr<FakeSink> second_ = std::make_shared<FakeSink>();
  Options options_;
  std::deque<base::Loop::Task> posted_;
  http2::GrpcServer server_;
  std::unique_ptr<http2::ServerConnection> connection_;
  http2::Peer peer_{http2::PeerOptions{1u << 20, false}};
};

TEST_F(Services, HealthIsServing) {
  int32_t id = call(wire::kHealthCheck, {{"grpc-timeout", "5000000u"}}, framed(""), true);
  go();
  EXPECT_EQ(messages(peer_.answer(id).body), std::vector<std::string>{"\x08\x01"});
  EXPECT_EQ(status_of(id), "0");
}

TEST_F(Services, AnExportGoesToItsSinkAndIsAnsweredWhenItIsSafe) {
  int32_t id = send("3", bytes_message("hello ") + bytes_message("world"), true);
  go();
  EXPECT_EQ(second_->bytes, "hello world");
  EXPECT_EQ(first_->opened, 0);
  EXPECT_FALSE(peer_.answer(id).ended) << "the daemon waits until the bytes are safe";
  ASSERT_TRUE(second_->done);
  second_->done({});
  go();
  EXPECT_EQ(status_of(id), "0");
  EXPECT_EQ(second_->aborted, 0);
}

TEST_F(Services, TheFailureOfASinkReachesTheDaemon) {
  int32_t late = send("3", bytes_message("x"), true);
  int32_t early = send("0", bytes_message("x"), false);
  go();
  second_->done(Status(Code::kResourceExhausted, Hop::kLocal, "disk full"));
  first_->ready(Status(Code::kResourceExhausted, Hop::kLocal, "disk full"));
  go();
  EXPECT_EQ(status_of(late), "8");
  EXPECT_EQ(status_of(early), "8");
  peer_.reset(early);
  go();
  EXPECT_EQ(first_->aborted, 1);
}

TEST_F(Services, ExportsOfOldDaemonsHaveNoId) {
  call(wire::kFileSendDiffCopy, {}, bytes_message("x"), true);
  go();
  EXPECT_EQ(first_->bytes, "x");
}

TEST_F(Services, UnknownExportsAndRefusingSinksAreErrors) {
  int32_t unknown = send("7", bytes_message("x"), true);
  second_->refuse = Status(Code::kPermissionDenied, Hop::kLocal, "read-only");
  int32_t refused = send("3", bytes_message("x"), true);
  go();
  EXPECT_EQ(status_of(unknown), "2");
  EXPECT_EQ(status_of(refused), "7");
  EXPECT_EQ(second_->bytes, "");
}

TEST_F(Services, ABrokenExportIsAborted) {
  int32_t cut = send("0", bytes_message("half"), false);
  int32_t bad = send("3", framed("\x0b"), false);
  go();
  EXPECT_EQ(status_of(bad), "13");
  EXPECT_EQ(second_->aborted, 1);
  peer_.reset(cut);
  go();
  EXPECT_EQ(first_->aborted, 1);
  EXPECT_FALSE(first_->done);
}

TEST_F(Services, HealthIsAnsweredWhileASinkIsFull) {
  first_->room = false;
  std::string body;
  for (int i = 0; i < 100; ++i) body += bytes_message(http2::pattern(50000));
  int32_t id = send("0", body, true);
  go();
  size_t taken = peer_.sent(id);
  EXPECT_LT(taken, body.size()) << "the daemon is held back";
  EXPECT_LE(taken, size_t{2 << 20});
  for (int i = 0; i < 5; ++i) {
    int32_t health = call(wire::kHealthCheck, {}, framed(""), true);
    go();
    EXPECT_EQ(status_of(health), "0");
  }
  EXPECT_EQ(peer_.sent(id), taken);
  int32_t other = send("3", body, true);
  go();
  EXPECT_EQ(peer_.sent(other), body.size()) << "another export goes on";
  first_->room = true;
  first_->ready({});
  go();
  EXPECT_EQ(first_->bytes.size(), size_t{100 * 50000});
  first_->done({});
  go();
  EXPECT_EQ(status_of(id), "0");
}

TEST_F(Services, OnlyNamedDirectoriesAreOpen) {
  int32_t id = call(wire::kFileSyncDiffCopy, {{"dir-name", "etc"}}, "", false);
  int32_t none = call(wire::kFileSyncDiffCopy, {}, "", false);
  int32_t gone = call(wire::kFileSyncDiffCopy, {{"dir-name", "context"}}, "", false);
  int32_t tar = call(wire::kFileSyncTarStream, {{"dir-name", "context"}}, "", false);
  go();
  EXPECT_EQ(status_of(id), "5");
  EXPECT_NE(peer_.answer(id).header("grpc-message").find("etc"), std::string::npos);
  EXPECT_EQ(status_of(none), "5");
  EXPECT_EQ(status_of(tar), "2");
  peer_.reset(gone);
  go();
}

TEST_F(Services, OtherServicesAreUnimplemented) {
  for (std::string_view path : {wire::kSecretsGetSecret, wire::kContentInfo, wire::kUploadPull,
                                wire::kAuthCredentials, wire::kSshCheckAgent}) {
    int32_t id = call(path, {}, framed(""), true);
    go();
    EXPECT_EQ(status_of(id), "12") << path;
  }
}

TEST_F(Services, LateAnswersOfASinkFindNobody) {
  send("0", bytes_message("x"), true);
  go();
  connection_ = nullptr;
  first_->done({});
  first_->ready({});
  while (!posted_.empty()) {
    posted_.front()();
    posted_.pop_front();
  }
}

}  // namespace
}  // namespace depot::session
