// The C API's promises that need a running library and no builder: option structs of other
// versions, NULL everywhere, freeing in any order, errors that outlive what they came from.
#include <depot/depot.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "null_calls.h"

namespace {

// Nothing listens there; making a client, a build and a machine of it needs no network.
constexpr char kNowhere[] = "unix:///nonexistent/buildkitd.sock";

// sizeof each struct as version 0.1 has it, for ever.
constexpr size_t kClientOptionsV1 = 160, kBuildOptionsV1 = 64, kMachineOptionsV1 = 24,
                 kSolveOptionsV1 = 48, kProgressOptionsV1 = 96, kLocalOptionsV1 = 40;

depot_client_options nowhere() {
  depot_client_options options = DEPOT_CLIENT_OPTIONS_INIT;
  options.builder = kNowhere;
  options.use_environment = -1;
  return options;
}

// The library's view of a struct that another version compiled: `size` bytes, the known ones from
// `known`, the rest filled with `tail`.
template <class Options>
std::vector<char> of_size(const Options& known, size_t size, char tail) {
  std::vector<char> bytes(std::max(size, sizeof(Options)), tail);
  std::memcpy(bytes.data(), &known, sizeof(Options));
  std::memcpy(bytes.data(), &size, sizeof(size));
  return bytes;
}

class Abi : public testing::Test {
 protected:
  void SetUp() override {
    depot_client_options options = nowhere();
    ASSERT_EQ(depot_client_new(&options, &client_, &error_), DEPOT_OK) << depot_error_text(error_);
  }
  void TearDown() override {
    depot_error_free(error_);
    depot_client_free(client_);
  }
  depot_build* new_build() {
    depot_build* build = nullptr;
    EXPECT_EQ(depot_build_new(client_, nullptr, &build, &error_), DEPOT_OK)
        << depot_error_text(error_);
    return build;
  }
  depot_machine* new_machine(depot_build* build) {
    depot_machine* machine = nullptr;
    EXPECT_EQ(depot_machine_acquire(build, nullptr, nullptr, &machine, &error_), DEPOT_OK)
        << depot_error_text(error_);
    return machine;
  }
  // Runs `call` on a struct of each odd size and says which were taken.
  template <class Options, class Call>
  void try_sizes(size_t v1, const Options& options, Call call) {
    EXPECT_EQ(call(of_size(options, v1, 0)), DEPOT_OK) << "a caller of version 0.1";
    EXPECT_EQ(call(of_size(options, sizeof(options) + 64, 0)), DEPOT_OK)
        << "a newer caller who asks for nothing new";
    EXPECT_EQ(call(of_size(options, sizeof(options) + 64, 1)), DEPOT_INVALID_ARGUMENT)
        << "a newer caller who asks for what is unknown here";
    for (size_t size : {size_t{0}, size_t{1}, sizeof(size_t), v1 - 1, size_t{1} << 40, SIZE_MAX}) {
      auto bytes = of_size(options, sizeof(options), 0);
      std::memcpy(bytes.data(), &size, sizeof(size));
      EXPECT_EQ(call(bytes), DEPOT_INVALID_ARGUMENT) << size;
    }
  }

  depot_client* client_ = nullptr;
  depot_error* error_ = nullptr;
};

TEST_F(Abi, EveryFunctionTakesNothingWithoutACrash) {
  call_everything_with_nothing([](const char* function, const char* expected) {
    ADD_FAILURE() << function << "(NULL...): expected " << expected;
  });
}

TEST_F(Abi, EveryFunctionTakesAHandleAloneWithoutACrash) {
  null_handles handles{
      client_, depot_solve_request_new(), nullptr, depot_cancel_new(), new_build(), nullptr,
      nullptr, depot_trace_new()};
  ASSERT_EQ(depot_progress_new("quiet", nullptr, &handles.progress, nullptr), DEPOT_OK);
  handles.machine = new_machine(handles.build);
  ASSERT_NE(depot_client_new(nullptr, nullptr, &handles.error), DEPOT_OK);
  call_with_a_handle_alone(&handles);
  depot_error_free(handles.error);
  depot_progress_free(handles.progress);
  depot_trace_free(handles.trace);
  depot_machine_free(handles.machine);
  depot_build_free(handles.build);
  depot_cancel_free(handles.cancel);
  depot_solve_request_free(handles.request);
}

TEST_F(Abi, InitMacrosAndFunctionsAgreeByteForByte) {
  auto same = [](auto from_macro, auto init) {
    auto from_function = from_macro;
    std::memset(&from_function, 0x5a, sizeof(from_function));
    init(&from_function, sizeof(from_function));
    EXPECT_EQ(std::memcmp(&from_macro, &from_function, sizeof(from_macro)), 0);
  };
  same(depot_client_options DEPOT_CLIENT_OPTIONS_INIT, depot_client_options_init);
  same(depot_build_options DEPOT_BUILD_OPTIONS_INIT, depot_build_options_init);
  same(depot_machine_options DEPOT_MACHINE_OPTIONS_INIT, depot_machine_options_init);
  same(depot_progress_options DEPOT_PROGRESS_OPTIONS_INIT, depot_progress_options_init);
  same(depot_solve_options DEPOT_SOLVE_OPTIONS_INIT, depot_solve_options_init);
  same(depot_ask_options DEPOT_ASK_OPTIONS_INIT, depot_ask_options_init);
  same(depot_prune_options DEPOT_PRUNE_OPTIONS_INIT, depot_prune_options_init);
  same(depot_history_options DEPOT_HISTORY_OPTIONS_INIT, depot_history_options_init);
  same(depot_local_options DEPOT_LOCAL_OPTIONS_INIT, depot_local_options_init);
}

TEST_F(Abi, InitWritesNoFurtherThanItIsTold) {
  std::vector<char> bytes(64, 0x5a);
  depot_machine_options_init(reinterpret_cast<depot_machine_options*>(bytes.data()), 16);
  EXPECT_EQ(bytes[15], 0);
  EXPECT_EQ(bytes[16], 0x5a);
}

TEST_F(Abi, ClientOptionsOfOtherVersions) {
  try_sizes(kClientOptionsV1, nowhere(), [](const std::vector<char>& bytes) {
    depot_client* out = nullptr;
    depot_code code = depot_client_new(reinterpret_cast<const depot_client_options*>(bytes.data()),
                                       &out, nullptr);
    EXPECT_EQ(out != nullptr, code == DEPOT_OK);
    depot_client_free(out);
    return code;
  });
}

TEST_F(Abi, BuildOptionsOfOtherVersions) {
  depot_build_options options = DEPOT_BUILD_OPTIONS_INIT;
  try_sizes(kBuildOptionsV1, options, [&](const std::vector<char>& bytes) {
    depot_build* out = nullptr;
    depot_code code = depot_build_new(
        client_, reinterpret_cast<const depot_build_options*>(bytes.data()), &out, nullptr);
    depot_build_free(out);
    return code;
  });
}

TEST_F(Abi, ProgressOptionsOfOtherVersions) {
  depot_progress_options options = DEPOT_PROGRESS_OPTIONS_INIT;
  try_sizes(kProgressOptionsV1, options, [](const std::vector<char>& bytes) {
    depot_progress* out = nullptr;
    depot_code code = depot_progress_new(
        "plain", reinterpret_cast<const depot_progress_options*>(bytes.data()), &out, nullptr);
    EXPECT_EQ(out != nullptr, code == DEPOT_OK);
    depot_progress_free(out);
    return code;
  });
}

TEST_F(Abi, LocalOptionsOfOtherVersions) {
  depot_local_options options = DEPOT_LOCAL_OPTIONS_INIT;
  options.project = "no-such-project";
  try_sizes(kLocalOptionsV1, options, [&](const std::vector<char>& bytes) {
    depot_local_projects* out = nullptr;
    depot_code code = depot_local_projects_new(
        client_, reinterpret_cast<const depot_local_options*>(bytes.data()), &out, nullptr);
    EXPECT_EQ(out != nullptr, code == DEPOT_OK);
    EXPECT_EQ(depot_local_projects_count(out), 0u);
    depot_local_projects_free(out);
    return code;
  });
}

TEST_F(Abi, MachineOptionsOfOtherVersions) {
  depot_machine_options options = DEPOT_MACHINE_OPTIONS_INIT;
  depot_build* build = new_build();
  try_sizes(kMachineOptionsV1, options, [&](const std::vector<char>& bytes) {
    depot_machine* out = nullptr;
    depot_code code = depot_machine_acquire(
        build, nullptr, reinterpret_cast<const depot_machine_options*>(bytes.data()), &out,
        nullptr);
    depot_machine_free(out);
    return code;
  });
  depot_build_free(build);
}

TEST_F(Abi, SolveOptionsOfOtherVersions) {
  depot_solve_options options = DEPOT_SOLVE_OPTIONS_INIT;
  options.cancel = depot_cancel_new();
  depot_cancel_trigger(options.cancel);  // the options were taken: the solve ends at once
  depot_build* build = new_build();
  depot_machine* machine = new_machine(build);
  depot_solve_request* request = depot_solve_request_new();
  try_sizes(kSolveOptionsV1, options, [&](const std::vector<char>& bytes) {
    depot_result* out = nullptr;
    depot_code code =
        depot_solve(machine, request, reinterpret_cast<const depot_solve_options*>(bytes.data()),
                    &out, nullptr);
    depot_result_free(out);
    return code == DEPOT_CANCELLED ? DEPOT_OK : code;
  });
  depot_cancel_free(options.cancel);
  depot_solve_request_free(request);
  depot_machine_free(machine);
  depot_build_free(build);
}

TEST_F(Abi, HandlesGoInAnyOrder) {
  std::vector<int> order{0, 1, 2, 3};
  do {
    depot_client_options options = nowhere();
    depot_client* client = nullptr;
    depot_build* build = nullptr;
    depot_machine* machine = nullptr;
    ASSERT_EQ(depot_client_new(&options, &client, nullptr), DEPOT_OK);
    ASSERT_EQ(depot_build_new(client, nullptr, &build, nullptr), DEPOT_OK);
    ASSERT_EQ(depot_machine_acquire(build, "amd64", nullptr, &machine, nullptr), DEPOT_OK);
    for (int which : order) {
      if (which == 0) depot_client_free(client);
      if (which == 1) depot_build_free(build);
      if (which == 2) depot_machine_free(machine);
      if (which == 3) depot_client_free(nullptr);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(Abi, AMachineOutlivesItsBuildAndClient) {
  depot_build* build = new_build();
  depot_machine* machine = new_machine(build);
  depot_build_free(build);
  depot_client_free(client_);
  client_ = nullptr;
  EXPECT_STREQ(depot_machine_endpoint(machine), kNowhere);
  EXPECT_TRUE(std::string("amd64 arm64").find(depot_machine_platform(machine)) !=
              std::string::npos);
  depot_machine_free(machine);
}

TEST_F(Abi, ReleaseAndFinishMayBeToldTwice) {
  depot_build* build = new_build();
  depot_machine* machine = new_machine(build);
  depot_machine_release(machine);
  depot_machine_release(machine);
  EXPECT_EQ(depot_machine_connect(machine, nullptr, &error_), DEPOT_FAILED_PRECONDITION);
  EXPECT_EQ(depot_build_finish(build, 0, nullptr, nullptr), DEPOT_INVALID_ARGUMENT);
  EXPECT_EQ(depot_build_finish(build, 4, nullptr, nullptr), DEPOT_INVALID_ARGUMENT);
  EXPECT_EQ(depot_build_finish(build, DEPOT_OUTCOME_SUCCESS, nullptr, nullptr), DEPOT_OK);
  EXPECT_EQ(depot_build_finish(build, DEPOT_OUTCOME_FAILED, "late", nullptr), DEPOT_OK);
  depot_machine_free(machine);
  depot_build_free(build);
}

TEST_F(Abi, ReleaseFromManyThreads) {
  depot_build* build = new_build();
  depot_machine* machine = new_machine(build);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { depot_machine_release(machine); });
  for (auto& thread : threads) thread.join();
  depot_machine_free(machine);
  depot_build_free(build);
}

TEST_F(Abi, AnErrorOutlivesEverythingAndIsReadByManyThreads) {
  depot_client_options options = nowhere();
  std::string address = "smoke://signals";
  options.builder = address.c_str();
  depot_client* none = client_;
  ASSERT_EQ(depot_client_new(&options, &none, &error_), DEPOT_INVALID_ARGUMENT);
  EXPECT_EQ(none, nullptr) << "*out is NULL after a failure";
  const char* message = depot_error_message(error_);
  address.assign(address.size(), '#');
  depot_client_free(client_);
  client_ = nullptr;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      EXPECT_EQ(depot_error_code(error_), DEPOT_INVALID_ARGUMENT);
      EXPECT_EQ(depot_error_hop(error_), DEPOT_HOP_USAGE);
      EXPECT_EQ(depot_error_message(error_), message) << "borrowed: the same string each time";
      EXPECT_NE(std::string(message).find("smoke"), std::string::npos) << message;
      EXPECT_EQ(depot_error_exit_code(error_), -1);
      EXPECT_STREQ(depot_error_source_file(error_, 7), "");
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_F(Abi, StringsOfOptionsAreCopied) {
  std::string address = kNowhere;
  depot_client_options options = nowhere();
  options.builder = address.c_str();
  depot_client* client = nullptr;
  ASSERT_EQ(depot_client_new(&options, &client, nullptr), DEPOT_OK);
  address.assign(address.size(), '#');
  EXPECT_STREQ(depot_client_builder(client), kNowhere);
  depot_client_free(client);
}

TEST_F(Abi, UserDataIsFreedOnceAndOnlyWhenItWasTaken) {
  int freed = 0;
  depot_client_options options = nowhere();
  options.on_log = [](depot_log_level, const char*, void*) {};
  options.user_data = &freed;
  options.user_data_free = [](void* data) { ++*static_cast<int*>(data); };
  depot_client* client = nullptr;
  options.builder = "smoke://signals";
  ASSERT_NE(depot_client_new(&options, &client, nullptr), DEPOT_OK);
  EXPECT_EQ(freed, 0) << "on failure the caller keeps it";
  options.builder = kNowhere;
  ASSERT_EQ(depot_client_new(&options, &client, nullptr), DEPOT_OK);
  depot_client_free(client);
  EXPECT_EQ(freed, 1);

  auto write = [](const uint8_t*, size_t, void*) -> int32_t { return 0; };
  depot_solve_request* request = depot_solve_request_new();
  size_t image = 9;
  ASSERT_EQ(depot_solve_request_add_export(request, "oci", &image, nullptr), DEPOT_OK);
  EXPECT_EQ(image, 0u);
  EXPECT_EQ(depot_solve_request_set_export_callback(request, 1, write, &freed,
                                                    options.user_data_free, nullptr),
            DEPOT_INVALID_ARGUMENT);
  EXPECT_EQ(freed, 1);
  for (int i = 0; i < 2; ++i) {  // the second takes the place of the first
    ASSERT_EQ(depot_solve_request_set_export_callback(request, 0, write, &freed,
                                                      options.user_data_free, nullptr),
              DEPOT_OK);
    EXPECT_EQ(freed, 1 + i);
  }
  depot_solve_request_free(request);
  EXPECT_EQ(freed, 3);
}

TEST_F(Abi, ACancelOutlivesItsHandle) {
  depot_cancel* cancel = depot_cancel_new();
  EXPECT_EQ(depot_cancel_triggered(cancel), 0);
  depot_cancel_trigger(cancel);
  depot_cancel_trigger(cancel);
  EXPECT_EQ(depot_cancel_triggered(cancel), 1);
  depot_build* build = new_build();
  depot_machine* machine = new_machine(build);
  depot_machine_options options = DEPOT_MACHINE_OPTIONS_INIT;
  options.cancel = cancel;
  EXPECT_EQ(depot_machine_connect(machine, &options, nullptr), DEPOT_CANCELLED);
  depot_cancel_free(cancel);
  depot_machine_free(machine);
  depot_build_free(build);
}

TEST_F(Abi, EveryNumberHasAName) {
  const char* codes[] = {
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  for (int i = 0; i <= 16; ++i) EXPECT_STREQ(depot_code_name(i), codes[i]);
  for (int i : {-1, 17, 1 << 30}) EXPECT_STREQ(depot_code_name(i), "Unknown") << i;
  const char* hops[] = {"none",    "usage",   "local", "api",      "proxy",  "builder",
                        "machine", "session", "solve", "registry", "helper", "callback"};
  for (int i = 0; i <= 11; ++i) EXPECT_STREQ(depot_hop_name(i), hops[i]);
  for (int i : {-1, 12, 1 << 30}) EXPECT_STREQ(depot_hop_name(i), "none") << i;
}

TEST_F(Abi, TheLibraryIsTheOneOfTheHeaders) {
  EXPECT_EQ(depot_version_number(), DEPOT_VERSION_NUMBER);
  EXPECT_STREQ(depot_version_string(), DEPOT_VERSION_STRING);
}

}  // namespace
