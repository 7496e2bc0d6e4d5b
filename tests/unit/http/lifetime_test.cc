// Threads, cancels and ends: what is called, on which thread, how often.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include "http/client.h"
#include "unit/http/raw_server.h"

namespace depot::http {
namespace {

using namespace std::chrono_literals;
using base::Cancel;
using base::Code;
using test::http_answer;
using test::RawServer;

std::shared_ptr<Client> make() {
  Options options;
  options.environment.emplace();
  return Client::create(options);
}

Request get(const std::string& url) {
  Request request;
  request.url = url;
  request.timeout = 60s;
  return request;
}

size_t threads() {
  auto tasks = std::filesystem::directory_iterator("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

TEST(Lifetime, TheThreadStartsWithTheFirstRequestAndEndsWithTheClient) {
  // A sanitizer's own thread starts with the first one: counted while that one certainly lives.
  std::promise<void> counted;
  std::thread first([&] { counted.get_future().wait(); });
  size_t before = threads() - 1;
  counted.set_value();
  first.join();
  // A joined thread is in the kernel's list for a moment longer.
  auto becomes = [](size_t wanted) {
    for (int i = 0; i < 1000000 && threads() != wanted; ++i) std::this_thread::yield();
    return threads() == wanted;
  };
  ASSERT_TRUE(becomes(before));
  auto client = make();
  EXPECT_EQ(threads(), before);
  auto answer = client->fetch(get("http://127.0.0.1:" + std::to_string(test::closed_port())),
                              Cancel::never());
  EXPECT_EQ(answer.status().code(), Code::kUnavailable);
  EXPECT_EQ(threads(), before + 1);
  client.reset();
  EXPECT_TRUE(becomes(before));
}

TEST(Lifetime, CancelEndsARequestUnderWay) {
  RawServer server([](const std::string&, int) { return RawServer::kHang; });
  auto client = make();
  Cancel cancel;
  std::thread other([&] {
    server.wait_for(1);
    cancel.trigger();
  });
  auto answer = client->fetch(get(server.url()), cancel);
  other.join();
  EXPECT_EQ(answer.status().code(), Code::kCancelled);
  EXPECT_EQ(client->fetch(get(server.url()), cancel).status().code(), Code::kCancelled);
  EXPECT_EQ(server.requests().size(), 1u) << "cancelled before it began";
}

TEST(Lifetime, CancelByIdWhileTheServerIsAskedForItsVersion) {
  RawServer server([](const std::string&, int) { return http_answer(200, "", ""); });
  server.answer_preface_with(RawServer::kHang);
  auto client = make();
  std::promise<base::Result<Response>> promise;
  auto id = client->send(get(server.url()), [&](base::Result<Response> result) {
    promise.set_value(std::move(result));
  });
  client->cancel(id);
  client->cancel(id);
  client->cancel(id + 1000);
  EXPECT_EQ(promise.get_future().get().status().code(), Code::kCancelled);
}

TEST(Lifetime, DestroyingEndsWhatIsUnderWayBeforeItReturns) {
  RawServer server([](const std::string&, int) { return RawServer::kHang; });
  auto client = make();
  std::atomic<int> cancelled = 0;
  for (int i = 0; i < 5; ++i)
    client->send(get(server.url()), [&](base::Result<Response> result) {
      cancelled += result.status().code() == Code::kCancelled;
    });
  server.wait_for(5);
  client->send(get(server.url()), [&, raw = client.get()](base::Result<Response> result) {
    cancelled += result.status().code() == Code::kCancelled;
    // Too late for another one: it ends at once.
    raw->send(get("http://127.0.0.1:1"), [&](base::Result<Response> late) {
      cancelled += late.status().code() == Code::kCancelled;
    });
  });
  client.reset();
  EXPECT_EQ(cancelled, 7);
}

TEST(Lifetime, TheLastReferenceMayGoOnTheClientsThread) {
  RawServer server([](const std::string&, int) { return http_answer(200, "", "x"); });
  std::promise<void> gone;
  auto client = make();
  Client* raw = client.get();
  auto keep = std::make_shared<std::shared_ptr<Client>>(std::move(client));
  raw->send(get(server.url()), [keep, &gone](base::Result<Response>) {
    keep->reset();
    gone.set_value();
  });
  keep.reset();
  gone.get_future().wait();
}

TEST(Lifetime, DoneRunsOnTheClientsThreadWhichMayNotWaitForItself) {
  RawServer server([](const std::string&, int) { return http_answer(200, "", "x"); });
  auto client = make();
  std::promise<std::pair<bool, Code>> seen;
  client->send(get(server.url()), [&](base::Result<Response>) {
    seen.set_value({client->loop().on_loop_thread(),
                    client->fetch(get(server.url()), Cancel::never()).status().code()});
  });
  auto [on_thread, code] = seen.get_future().get();
  EXPECT_TRUE(on_thread);
  EXPECT_EQ(code, Code::kInternal);
  EXPECT_FALSE(client->loop().on_loop_thread());
}

TEST(Lifetime, ManyAtOnceFromManyThreads) {
  RawServer server([](const std::string& request, int) {
    return http_answer(200, "", request.substr(5, request.find(' ', 5) - 5));
  });
  auto client = make();
  std::atomic<int> right = 0;
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        std::string name = std::to_string(t) + "-" + std::to_string(i);
        auto answer = client->fetch(get(server.url() + "/" + name), Cancel::never());
        right += answer.ok() && answer->body == name;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(right, 100);
  EXPECT_EQ(server.prefaces(), 1);
}

TEST(Loop, RunsPostsInOrderAndTimersByTime) {
  auto client = make();
  std::promise<std::string> promise;
  std::string order;
  auto& loop = client->loop();
  loop.post([&] { order += "a"; });
  // The timers start with the last post: no time that passes between them changes the order.
  loop.post([&] {
    order += "b";
    loop.run_after(20ms, [&] {
      order += "d";
      promise.set_value(order);
    });
    loop.run_after(1ms, [&] { order += "c"; });
    auto never = loop.run_after(2ms, [&] { order += "X"; });
    loop.cancel_timer(never);
    loop.cancel_timer(never);
    loop.cancel_timer(12345);
  });
  EXPECT_EQ(promise.get_future().get(), "abcd");
}

TEST(Loop, WhatIsLeftIsDestroyedOnTheThreadWithoutBeingRun) {
  auto client = make();
  std::atomic<bool> ran = false;
  std::promise<std::thread::id> destroyed_on, loop_thread;
  std::shared_ptr<void> tell(
      nullptr, [&destroyed_on](void*) { destroyed_on.set_value(std::this_thread::get_id()); });
  auto* loop = &client->loop();
  loop->post([&, loop, tell = std::move(tell)]() mutable {
    loop->run_after(1h, [&ran, tell = std::move(tell)] { ran = true; });
    loop_thread.set_value(std::this_thread::get_id());
  });
  auto thread = loop_thread.get_future().get();
  client.reset();
  EXPECT_EQ(destroyed_on.get_future().get(), thread);
  EXPECT_FALSE(ran);
}

TEST(Fork, InAChildEveryCallFailsAndNothingHangs) {
  RawServer server([](const std::string&, int) { return http_answer(200, "", "x"); });
  auto client = make();
  ASSERT_TRUE(client->fetch(get(server.url()), Cancel::never()).ok());
  pid_t child = fork();
  if (child == 0) {
    int bad = 0;
    auto answer = client->fetch(get(server.url()), Cancel::never());
    bad |= answer.status().code() == Code::kFailedPrecondition ? 0 : 1;
    bad |= answer.status().message().find("fork") != std::string::npos ? 0 : 2;
    bool called = false;
    client->send(get(server.url()), [&](base::Result<Response> result) {
      called = result.status().code() == Code::kFailedPrecondition;
    });
    bad |= called ? 0 : 4;
    client->cancel(1);
    client->loop().post([&] { bad |= 8; });
    bad |= client->loop().on_loop_thread() ? 16 : 0;
    client.reset();
    _exit(bad);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(client->fetch(get(server.url()), Cancel::never()).ok()) << "the parent's goes on";
}

}  // namespace
}  // namespace depot::http
