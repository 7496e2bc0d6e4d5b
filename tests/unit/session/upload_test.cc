// Upload.Pull over the engine, called as the daemon calls it.
#include "session/upload.h"

#include <gtest/gtest.h>
#include <moby/filesync/v1/filesync.pb.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <future>
#include <mutex>

#include "../http2/peer.h"
#include "session/services.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

// Gives `total` bytes of a pattern; then blocks, fails, or ends.
struct Source final : UploadSource {
  Result<size_t> read(std::span<uint8_t> out) override {
    std::unique_lock lock(mutex);
    if (given == text.size() && blocks) {
      blocking = true;
      changed.notify_all();
      changed.wait(lock, [this] { return interrupted; });
      return base::cancelled_error();
    }
    if (given == text.size() && !failure.ok()) return failure;
    size_t size = std::min({out.size(), text.size() - given, size_t{50000}});
    std::memcpy(out.data(), text.data() + given, size);
    given += size;
    return size;
  }
  void interrupt() override {
    std::lock_guard lock(mutex);
    interrupted = true;
    changed.notify_all();
  }

  std::string text;
  Status failure;
  bool blocks = false;
  std::mutex mutex;
  std::condition_variable changed;
  size_t given = 0;
  bool blocking = false, interrupted = false;
};

class Upload : public testing::Test {
 protected:
  explicit Upload(http2::PeerOptions peer = {1u << 20, false}) : peer_(peer) {}
  void SetUp() override {
    options_.uploads = {{"one", one_}, {"two", two_}};
    options_.walkers = std::make_shared<base::Pool>(1);
    Post post = [this](base::Loop::Task task) {
      std::lock_guard lock(mutex_);
      posted_.push_back(std::move(task));
      changed_.notify_all();
    };
    add_upload(server_, options_, post);
    connection_ = http2::ServerConnection::create(
        {}, [this](http2::Stream& stream) { return server_.accept(stream); });
  }
  void TearDown() override {
    connection_ = nullptr;
    options_.walkers = nullptr;  // joins: nothing blocks for ever
  }
  int32_t pull(const std::string& path) {
    return peer_.request({{":method", "POST"},
                          {":scheme", "http"},
                          {":authority", "localhost"},
                          {":path", std::string(wire::kUploadPull)},
                          {"content-type", "application/grpc"},
                          {"urlpath", path},
                          {"urlhost", "buildkit-session"}},
                         "", false);
  }
  template <class Until>
  void run_until(Until until) {
    for (;;) {
      ASSERT_TRUE(http2::run(peer_, *connection_).ok());
      if (until()) return;
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !posted_.empty(); });
      auto task = std::move(posted_.front());
      posted_.pop_front();
      lock.unlock();
      task();
    }
  }
  void run_to_end(int32_t id) {
    run_until([&] { return peer_.answer(id).ended; });
  }
  std::string content(int32_t id) {
    std::string all;
    for (const auto& bytes : http2::messages(peer_.answer(id).body)) {
      ::moby::filesync::v1::BytesMessage message;
      EXPECT_TRUE(message.ParseFromString(bytes));
      all += message.data();
    }
    return all;
  }
  std::string status_of(int32_t id) {
    auto& answer = peer_.answer(id);
    return answer.trailer("grpc-status") + answer.header("grpc-status");
  }

  std::shared_ptr<Source> one_ = std::make_shared<Source>();
  std::shared_ptr<Source> two_ = std::make_shared<Source>();
  Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<base::Loop::Task> posted_;
  http2::GrpcServer server_;
  std::unique_ptr<http2::ServerConnection> connection_;
  http2::Peer peer_;
};

TEST_F(Upload, AStreamComesWholeAndOnce) {
  one_->text = http2::pattern(3000000);
  int32_t id = pull("/one");
  int32_t empty = pull("/a/two/");
  run_to_end(id);
  run_to_end(empty);
  EXPECT_EQ(content(id), one_->text);
  EXPECT_EQ(status_of(id), "0");
  EXPECT_EQ(content(empty), "");
  EXPECT_EQ(status_of(empty), "0");
  for (const char* path : {"/one", "/three", "/", ""}) {
    int32_t again = pull(path);
    run_to_end(again);
    EXPECT_EQ(status_of(again), "2") << path;
  }
}

TEST_F(Upload, AFailureReachesTheDaemonBehindTheBytes) {
  one_->text = http2::pattern(100000);
  one_->failure = Status(Code::kDataLoss, Hop::kLocal, "it lied");
  int32_t id = pull("/one");
  run_to_end(id);
  EXPECT_EQ(content(id), one_->text);
  EXPECT_EQ(status_of(id), "15");
}

// A daemon that gives no window back.
class HeldUpload : public Upload {
 protected:
  HeldUpload() : Upload(http2::PeerOptions{64u << 10, true}) {}
};

TEST_F(HeldUpload, IsReadAheadOnlySoFar) {
  one_->text = http2::pattern(20000000);
  int32_t id = pull("/one");
  run_until([&] { return peer_.answer(id).body.size() >= 60000; });
  // Behind what reads ahead, on the pool's only thread.
  std::promise<void> idle;
  options_.walkers->add([&] { idle.set_value(); });
  idle.get_future().wait();
  {
    std::lock_guard lock(one_->mutex);
    EXPECT_LT(one_->given, size_t{1} << 20);
  }
  peer_.reset(id);
  ASSERT_TRUE(http2::run(peer_, *connection_).ok());
}

TEST_F(Upload, ABlockedReadEndsWithItsCall) {
  one_->text = http2::pattern(1000);
  one_->blocks = true;
  int32_t id = pull("/one");
  run_until([&] { return peer_.answer(id).body.size() > 1000; });
  std::unique_lock lock(one_->mutex);
  one_->changed.wait(lock, [&] { return one_->blocking; });
  lock.unlock();
  peer_.reset(id);
  ASSERT_TRUE(http2::run(peer_, *connection_).ok());
  lock.lock();
  EXPECT_TRUE(one_->interrupted);
}

TEST(UploadNone, IsNotOffered) {
  http2::GrpcServer server;
  add_upload(server, {}, {});
  EXPECT_TRUE(server.paths().empty());
}

}  // namespace
}  // namespace depot::session
