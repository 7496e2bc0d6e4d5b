#include "base/cancel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace depot::base {
namespace {

using namespace std::chrono_literals;

TEST(Cancel, TellsEveryCopyOnce) {
  Cancel cancel;
  Cancel copy = cancel;
  int calls = 0;
  auto registration = copy.on_trigger([&] { ++calls; });
  EXPECT_FALSE(copy.triggered());
  cancel.trigger();
  cancel.trigger();
  EXPECT_TRUE(copy.triggered());
  EXPECT_EQ(calls, 1);
}

TEST(Cancel, RunsLateRegistrationsAtOnce) {
  Cancel cancel;
  cancel.trigger();
  bool called = false;
  auto registration = cancel.on_trigger([&] { called = true; });
  EXPECT_TRUE(called);
}

TEST(Cancel, ForgetsACallbackWhoseRegistrationIsGone) {
  Cancel cancel;
  bool called = false;
  {
    auto registration = cancel.on_trigger([&] { called = true; });
  }
  cancel.trigger();
  EXPECT_FALSE(called);
}

TEST(Cancel, ChildEndsWithItsParentButNotTheOtherWayRound) {
  Cancel parent;
  Cancel first = parent.child();
  Cancel second = parent.child();
  first.trigger();
  EXPECT_FALSE(parent.triggered());
  EXPECT_FALSE(second.triggered());
  parent.trigger();
  EXPECT_TRUE(second.triggered());
}

TEST(Cancel, ChildMayOutliveItsParentsHandle) {
  Cancel child = Cancel().child();
  child.trigger();
  EXPECT_TRUE(child.triggered());
}

TEST(Cancel, ACallbackMayDropItsOwnRegistration) {
  Cancel cancel;
  auto registration = std::make_unique<Cancel::Registration>();
  *registration = cancel.on_trigger([&] { registration.reset(); });
  cancel.trigger();
  EXPECT_EQ(registration, nullptr);
}

TEST(Cancel, WaitEndsWhenTriggeredElsewhere) {
  Cancel cancel;
  std::thread other([&] { cancel.trigger(); });
  EXPECT_TRUE(cancel.wait_for(60s));
  other.join();
  EXPECT_FALSE(Cancel().wait_for(1ms));
}

TEST(Cancel, DestroyingARegistrationWaitsForItsRunningCallback) {
  Cancel cancel;
  std::atomic<bool> entered = false;
  std::atomic<bool> finish = false;
  std::atomic<bool> finished = false;
  auto registration = std::make_unique<Cancel::Registration>();
  *registration = cancel.on_trigger([&] {
    entered = true;
    entered.notify_all();
    finish.wait(false);
    finished = true;
  });
  std::thread trigger([&] { cancel.trigger(); });
  entered.wait(false);
  std::thread release([&] {
    finish = true;
    finish.notify_all();
  });
  registration.reset();
  EXPECT_TRUE(finished);
  trigger.join();
  release.join();
}

// A registration that outlives the trigger is told exactly once. One that goes while the trigger is
// under way is told once or not at all; both kinds are made here, on threads that race it.
TEST(Cancel, SurvivesTriggersAndRegistrationsFromManyThreads) {
  constexpr int kThreads = 8;
  for (int round = 0; round < 50; ++round) {
    Cancel cancel;
    std::vector<int> lasting(kThreads);
    std::vector<int> passing(kThreads);
    std::vector<Cancel::Registration> registrations(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        registrations[i] = cancel.on_trigger([&, i] { ++lasting[i]; });
        auto registration = cancel.on_trigger([&, i] { ++passing[i]; });
        Cancel child = cancel.child();
        if (i % 2 == 0) cancel.trigger();
        EXPECT_TRUE(child.wait_for(60s));
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(lasting, std::vector<int>(kThreads, 1));
    for (int calls : passing) EXPECT_LE(calls, 1);
  }
}

}  // namespace
}  // namespace depot::base
