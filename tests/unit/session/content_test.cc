// The Content service over the engine, called as the daemon calls it, on a layout on disk.
#include <containerd/services/content/v1/content.pb.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "../content/layout_dir.h"
#include "../http2/peer.h"
#include "session/services.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

namespace fs = std::filesystem;
namespace proto = ::containerd::services::content::v1;
using base::Status;
using http2::framed;
using http2::messages;

constexpr const char* kStore = "buildkit-attachable-store-id";

class ContentService : public content::LayoutTest {
 protected:
  explicit ContentService(const http2::PeerOptions& peer = {}) : peer_(peer) {}
  void SetUp() override {
    LayoutTest::SetUp();
    options_.stores = {{"local:cache", store_}};
    options_.pool = std::make_shared<base::Pool>(2);
    options_.on_failed = [this](const Status& status) { failed_.push_back(status); };
    // The pool's threads post; the test's thread is the loop.
    Post post = [this](base::Loop::Task task) {
      std::lock_guard lock(mutex_);
      posted_.push_back(std::move(task));
      changed_.notify_all();
    };
    add_content(server_, options_, post);
    http2::ServerOptions engine;
    engine.manual_window = true;
    connection_ = http2::ServerConnection::create(
        engine, [this](http2::Stream& stream) { return server_.accept(stream); });
  }
  void TearDown() override {
    connection_ = nullptr;
    options_.pool = nullptr;
    posted_.clear();
    options_.stores.clear();
    LayoutTest::TearDown();
  }

  // Runs the loop until `done`, which the pool brings about.
  void run_until(const std::function<bool()>& done) {
    for (;;) {
      ASSERT_TRUE(http2::run(peer_, *connection_).ok());
      std::unique_lock lock(mutex_);
      if (posted_.empty() && done()) return;
      ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60), [&] {
        return !posted_.empty();
      })) << "nothing more comes";
      auto task = std::move(posted_.front());
      posted_.pop_front();
      lock.unlock();
      task();
    }
  }
  int32_t call(std::string_view method, const std::string& body, bool half_close = true,
               http2::Fields metadata = {{kStore, "local:cache"}}) {
    http2::Fields fields{{":method", "POST"},
                         {":scheme", "http"},
                         {":authority", "localhost"},
                         {":path", std::string(method)},
                         {"content-type", "application/grpc"}};
    fields.insert(fields.end(), metadata.begin(), metadata.end());
    return peer_.request(fields, body, half_close);
  }
  void wait(int32_t id) {
    run_until([&] { return peer_.answer(id).ended; });
  }
  std::string code(int32_t id) {
    auto& answer = peer_.answer(id);
    return answer.trailer("grpc-status") + answer.header("grpc-status");
  }
  std::string text(int32_t id) {
    auto& answer = peer_.answer(id);
    return answer.trailer("grpc-message") + answer.header("grpc-message");
  }
  // The code of a unary call with this request.
  template <class Request>
  std::string ask(std::string_view method, const Request& request, std::string* answer = nullptr) {
    int32_t id = call(method, framed(request.SerializeAsString()));
    wait(id);
    if (answer && code(id) == "0") *answer = messages(peer_.answer(id).body).at(0);
    return code(id);
  }

  std::string read(const std::string& digest, int64_t offset, int64_t size, std::string* bytes) {
    proto::ReadContentRequest request;
    request.set_digest(digest);
    request.set_offset(offset);
    request.set_size(size);
    int32_t id = call(wire::kContentRead, framed(request.SerializeAsString()));
    wait(id);
    bytes->clear();
    for (const auto& message : messages(peer_.answer(id).body)) {
      proto::ReadContentResponse response;
      EXPECT_TRUE(response.ParseFromString(message));
      EXPECT_EQ(response.offset(), static_cast<int64_t>(bytes->size()));
      EXPECT_LE(response.data().size(), size_t{1 << 20});
      *bytes += response.data();
    }
    return code(id);
  }

  static proto::WriteContentRequest message(proto::WriteAction action, const std::string& data,
                                            int64_t offset = 0) {
    proto::WriteContentRequest request;
    request.set_action(action);
    request.set_data(data);
    request.set_offset(offset);
    return request;
  }
  static proto::WriteContentRequest stat(const std::string& ref) {
    auto request = message(proto::STAT, "");
    request.set_ref(ref);
    return request;
  }
  static proto::WriteContentRequest commit(const std::string& expected, int64_t offset,
                                           int64_t total) {
    auto request = message(proto::COMMIT, "", offset);
    request.set_expected(expected);
    request.set_total(total);
    return request;
  }
  int32_t begin(const proto::WriteContentRequest& first) {
    return call(wire::kContentWrite, framed(first.SerializeAsString()), false);
  }
  // Sends one more message and waits for its answer; the last answer there is.
  proto::WriteContentResponse exchange(int32_t id, const proto::WriteContentRequest* request) {
    size_t before = request ? messages(peer_.answer(id).body).size() : 0;
    if (request) peer_.more(id, framed(request->SerializeAsString()), false);
    run_until(
        [&] { return peer_.answer(id).ended || messages(peer_.answer(id).body).size() > before; });
    proto::WriteContentResponse response;
    auto all = messages(peer_.answer(id).body);
    if (!all.empty()) {
      EXPECT_TRUE(response.ParseFromString(all.back()));
    }
    return response;
  }
  // The code that a write ends with whose messages are these.
  std::string write(const std::vector<proto::WriteContentRequest>& all) {
    int32_t id = begin(all[0]);
    exchange(id, nullptr);
    for (size_t i = 1; i < all.size() && !peer_.answer(id).ended; ++i) exchange(id, &all[i]);
    if (!peer_.answer(id).ended) {
      peer_.more(id, "", true);
      wait(id);
    }
    last_text_ = text(id);
    return code(id);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<base::Loop::Task> posted_;
  Options options_;
  std::vector<Status> failed_;
  std::string last_text_;
  http2::GrpcServer server_;
  std::unique_ptr<http2::ServerConnection> connection_;
  http2::Peer peer_;
};

TEST_F(ContentService, EveryCallNamesAStore) {
  for (std::string_view method :
       {wire::kContentInfo, wire::kContentRead, wire::kContentWrite, wire::kContentStatus,
        wire::kContentListStatuses, wire::kContentAbort, wire::kContentUpdate}) {
    int32_t none = call(method, framed(""), true, {});
    int32_t unknown = call(method, framed(""), true, {{kStore, "local:/etc"}});
    wait(none);
    wait(unknown);
    EXPECT_EQ(code(none), "3") << method;
    EXPECT_EQ(code(unknown), "5") << method;
    EXPECT_NE(text(unknown).find("local:/etc"), std::string::npos);
  }
  int32_t id = call(wire::kContentDelete, framed(""), true);
  wait(id);
  EXPECT_EQ(code(id), "12") << "nobody deletes what is here";
}

TEST_F(ContentService, InfoTellsTheSize) {
  std::string digest = put("twelve bytes"), answer;
  proto::InfoRequest request;
  request.set_digest(digest);
  ASSERT_EQ(ask(wire::kContentInfo, request, &answer), "0");
  proto::InfoResponse response;
  ASSERT_TRUE(response.ParseFromString(answer));
  EXPECT_EQ(response.info().digest(), digest);
  EXPECT_EQ(response.info().size(), 12);
  EXPECT_GT(response.info().created_at().seconds(), 0);
  request.set_digest(content::digest_of("none").text());
  EXPECT_EQ(ask(wire::kContentInfo, request), "5");
  for (const char* wrong : {"", "sha256:../../index.json", "nonsense"}) {
    request.set_digest(wrong);
    EXPECT_EQ(ask(wire::kContentInfo, request), "3") << wrong;
  }
  EXPECT_TRUE(failed_.empty());
}

TEST_F(ContentService, ReadsAreOfTheRegionAskedFor) {
  std::string blob = http2::pattern(3'000'000), bytes;
  std::string digest = put(blob);
  EXPECT_EQ(read(digest, 0, 0, &bytes), "0");
  EXPECT_TRUE(bytes == blob);
  EXPECT_EQ(read(digest, 1000, 5, &bytes), "0");
  EXPECT_EQ(bytes, blob.substr(1000, 5));
  EXPECT_EQ(read(digest, 2'999'990, 1'000'000, &bytes), "0");
  EXPECT_EQ(bytes, blob.substr(2'999'990)) << "clipped";
  EXPECT_EQ(read(digest, -7, 3, &bytes), "0");
  EXPECT_EQ(bytes, blob.substr(0, 3));
  EXPECT_EQ(read(digest, 3'000'000, 1, &bytes), "0");
  EXPECT_EQ(bytes, "");
  EXPECT_EQ(read(digest, 100, -1, &bytes), "0");
  EXPECT_EQ(bytes.size(), blob.size() - 100);
  EXPECT_EQ(read(digest, 3'000'001, 1, &bytes), "11");
  EXPECT_EQ(read(digest, INT64_MAX, INT64_MAX, &bytes), "11");
  EXPECT_EQ(read(content::digest_of("none").text(), 0, 0, &bytes), "5");
  EXPECT_EQ(read("sha256:x", 0, 0, &bytes), "3");
  EXPECT_EQ(read(put(""), 0, 0, &bytes), "0");
  EXPECT_EQ(bytes, "");
}

TEST_F(ContentService, AReaderMayHaveEnough) {
  std::string digest = put(http2::pattern(8'000'000));
  proto::ReadContentRequest request;
  request.set_digest(digest);
  std::vector<int32_t> ids;
  for (int i = 0; i < 5; ++i)
    ids.push_back(call(wire::kContentRead, framed(request.SerializeAsString())));
  run_until([&] { return peer_.answer(ids[4]).body.size() > 10'000; });
  for (int32_t id : ids) peer_.reset(id);
  std::string bytes;
  EXPECT_EQ(read(digest, 5, 5, &bytes), "0");
  EXPECT_EQ(bytes.size(), 5u);
  EXPECT_TRUE(failed_.empty());
}

// A daemon that takes no more than it says it will.
class SlowContentService : public ContentService {
 protected:
  SlowContentService() : ContentService({.initial_window = std::nullopt, .manual_window = true}) {}
};

TEST_F(SlowContentService, ABlobThatShrinksIsAnError) {
  std::string digest = put(http2::pattern(8'000'000));
  proto::ReadContentRequest request;
  request.set_digest(digest);
  int32_t id = call(wire::kContentRead, framed(request.SerializeAsString()));
  // The reader is never more than a few blocks ahead of what was taken.
  run_until([&] { return !peer_.answer(id).body.empty(); });
  fs::permissions(path_of(digest), fs::perms::owner_all);
  fs::resize_file(path_of(digest), 10);
  for (int32_t to : {0, id}) peer_.give(to, 8'000'000);
  wait(id);
  EXPECT_NE(code(id), "0");
  EXPECT_NE(text(id).find(digest), std::string::npos);
  ASSERT_EQ(failed_.size(), 1u) << "this machine's fault is told";
  EXPECT_EQ(failed_[0].hop(), base::Hop::kLocal);
}

TEST_F(ContentService, ABlobIsWritten) {
  std::string text = http2::pattern(2'500'000);
  std::string digest = content::digest_of(text).text();
  auto first = stat("layer-" + digest);
  first.set_total(static_cast<int64_t>(text.size()));
  first.set_expected(digest);
  int32_t id = begin(first);
  auto answer = exchange(id, nullptr);
  EXPECT_EQ(answer.action(), proto::STAT);
  EXPECT_EQ(answer.offset(), 0);
  EXPECT_EQ(answer.total(), 2'500'000);
  EXPECT_GT(answer.started_at().seconds(), 0);
  size_t at = 0;
  for (size_t size : {1'000'000, 1'500'000}) {
    auto piece = message(proto::WRITE, text.substr(at, size), static_cast<int64_t>(at));
    answer = exchange(id, &piece);
    at += size;
    EXPECT_EQ(answer.action(), proto::WRITE);
    EXPECT_EQ(answer.offset(), static_cast<int64_t>(at));
    EXPECT_EQ(answer.digest(), content::digest_of(text.substr(0, at)).text());
  }
  proto::StatusRequest ask_status;
  ask_status.set_ref(first.ref());
  std::string bytes;
  ASSERT_EQ(ask(wire::kContentStatus, ask_status, &bytes), "0");
  proto::StatusResponse status;
  ASSERT_TRUE(status.ParseFromString(bytes));
  EXPECT_EQ(status.status().offset(), 2'500'000);
  ASSERT_EQ(ask(wire::kContentListStatuses, proto::ListStatusesRequest(), &bytes), "0");
  proto::ListStatusesResponse list;
  ASSERT_TRUE(list.ParseFromString(bytes));
  ASSERT_EQ(list.statuses_size(), 1);
  EXPECT_EQ(list.statuses(0).ref(), first.ref());

  auto last = commit(digest, 2'500'000, 2'500'000);
  answer = exchange(id, &last);
  wait(id);
  EXPECT_EQ(code(id), "0");
  EXPECT_EQ(answer.action(), proto::COMMIT);
  EXPECT_EQ(answer.digest(), digest);
  EXPECT_TRUE(store_->has(*content::Digest::parse(digest), 2'500'000));
  EXPECT_EQ(ask(wire::kContentStatus, ask_status), "5");
  EXPECT_EQ(left_in_ingest(), 0u);
}

TEST_F(ContentService, WhatIsThereIsNotWrittenAgain) {
  std::string digest = put("here");
  auto told_first = stat("a");
  told_first.set_expected(digest);
  EXPECT_EQ(write({told_first}), "6");
  EXPECT_EQ(write({stat("b"), message(proto::WRITE, "here"), commit(digest, 4, 4)}), "6")
      << "also when it is told at last";
  auto other_size = stat("c");
  other_size.set_expected(digest);
  other_size.set_total(9);
  EXPECT_EQ(left_in_ingest(), 0u);
  // This one is broken off; its file goes on the pool, a little later.
  EXPECT_NE(write({other_size}), "6") << "what was cut off is not there";
}

TEST_F(ContentService, WritesThatCannotBeRight) {
  std::string digest = content::digest_of("four").text();
  auto small = stat("small");
  small.set_total(3);
  auto negative = stat("negative");
  negative.set_total(-1);
  auto bad_digest = stat("bad");
  bad_digest.set_expected("sha256:nonsense");
  auto unknown = stat("unknown");
  unknown.set_action(static_cast<proto::WriteAction>(7));
  struct {
    const char* what;
    std::vector<proto::WriteContentRequest> messages;
    const char* code;
  } table[] = {
      {"no ref", {message(proto::STAT, "")}, "3"},
      {"a digest that is none", {bad_digest}, "3"},
      {"a negative size", {negative}, "3"},
      {"an unknown action", {unknown}, "3"},
      {"out of range", {stat("r"), message(proto::WRITE, "x", 5)}, "11"},
      {"before the end",
       {stat("r"), message(proto::WRITE, "four"), message(proto::WRITE, "x", 2)},
       "11"},
      {"oversized", {small, message(proto::WRITE, "four")}, "9"},
      {"the wrong size", {stat("r"), message(proto::WRITE, "four"), commit(digest, 4, 5)}, "9"},
      {"the wrong digest", {stat("r"), message(proto::WRITE, "fuor"), commit(digest, 4, 4)}, "9"},
      {"the right one", {stat("r"), message(proto::WRITE, "four"), commit(digest, 4, 4)}, "0"},
      {"broken off", {stat("r"), message(proto::WRITE, "more")}, "0"},
  };
  for (const auto& row : table) EXPECT_EQ(write(row.messages), row.code) << row.what << last_text_;
  EXPECT_EQ(store_->list()->size(), 1u);
  std::string bytes;
  EXPECT_EQ(read(digest, 0, 0, &bytes), "0");
  EXPECT_EQ(bytes, "four");
  EXPECT_TRUE(failed_.empty());
}

TEST_F(ContentService, ATruncatedWriteBeginsAgain) {
  std::string digest = content::digest_of("right").text();
  EXPECT_EQ(write({stat("r"), message(proto::WRITE, "wrong one"), message(proto::WRITE, "right", 0),
                   commit(digest, 5, 5)}),
            "0");
}

TEST_F(ContentService, ALockedRefIsToldToComeAgain) {
  int32_t first = begin(stat("ref"));
  exchange(first, nullptr);
  EXPECT_EQ(write({stat("ref")}), "14");
  EXPECT_NE(last_text_.find("locked"), std::string::npos);
  peer_.reset(first);
  // The first one's file is gone when its ref is free.
  while (write({stat("ref")}) == "14") continue;
  EXPECT_TRUE(failed_.empty());
}

TEST_F(ContentService, AnAbortedWriteFails) {
  int32_t id = begin(stat("ref"));
  exchange(id, nullptr);
  proto::AbortRequest request;
  request.set_ref("ref");
  EXPECT_EQ(ask(wire::kContentAbort, request), "0");
  EXPECT_EQ(ask(wire::kContentAbort, request), "5");
  auto more = message(proto::WRITE, "x");
  exchange(id, &more);
  wait(id);
  EXPECT_EQ(code(id), "10");
}

TEST_F(ContentService, WhoDoesNotWaitForAnswersIsRefused) {
  std::string all = framed(stat("ref").SerializeAsString());
  for (int i = 0; i < 100; ++i) all += framed(message(proto::WRITE, "").SerializeAsString());
  int32_t id = call(wire::kContentWrite, all, false);
  wait(id);
  EXPECT_EQ(code(id), "8");
  int32_t garbage = call(wire::kContentWrite, framed("\xff"), false);
  wait(garbage);
  EXPECT_EQ(code(garbage), "3");
}

TEST_F(ContentService, ADiskThatFailsIsThisMachinesFault) {
  // The folder for blobs is in the way of itself.
  std::ofstream(fs::path(dir_) / "blobs") << "a file";
  EXPECT_NE(write({stat("r"), message(proto::WRITE, "four"),
                   commit(content::digest_of("four").text(), 4, 4)}),
            "0");
  ASSERT_EQ(failed_.size(), 1u);
  EXPECT_NE(failed_[0].message().find(dir_), std::string::npos);
  EXPECT_EQ(failed_[0].hop(), base::Hop::kLocal);
}

TEST_F(ContentService, LabelsAreNotKept) {
  std::string digest = put("x"), bytes;
  proto::UpdateRequest request;
  request.mutable_info()->set_digest(digest);
  (*request.mutable_info()->mutable_labels())["a"] = "b";
  request.mutable_update_mask()->add_paths("labels.a");
  ASSERT_EQ(ask(wire::kContentUpdate, request, &bytes), "0");
  proto::UpdateResponse response;
  ASSERT_TRUE(response.ParseFromString(bytes));
  EXPECT_EQ(response.info().size(), 1);
  EXPECT_EQ(response.info().labels_size(), 0);
  request.mutable_update_mask()->add_paths("size");
  EXPECT_EQ(ask(wire::kContentUpdate, request), "3");
}

TEST_F(ContentService, LateAnswersFindNobody) {
  int32_t id = begin(stat("ref"));
  exchange(id, nullptr);
  peer_.more(id, framed(message(proto::WRITE, "x").SerializeAsString()), false);
  call(wire::kContentRead, framed("\x0a\x01x"));
  ASSERT_TRUE(http2::run(peer_, *connection_).ok());
  connection_ = nullptr;
  options_.pool = nullptr;
  while (!posted_.empty()) {
    posted_.front()();
    posted_.pop_front();
  }
}

}  // namespace
}  // namespace depot::session
