#include "depot/client.h"

#include "guard.h"
#include "handles.h"
#include "options.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose

namespace {

// The tail of version 1: everything up to and with user_data_free.
constexpr size_t kSizeV1 = offsetof(depot_client_options, user_data_free) + sizeof(depot_free_cb);
constexpr size_t kMaxNodes = 1000;

}  // namespace

void depot_client_options_init(depot_client_options* options, size_t size) {
  init_options(options, size);
}

depot_code depot_client_new(const depot_client_options* options, depot_client** out,
                            depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    depot_client_options given;
    DEPOT_TRY(read_options(options, kSizeV1, "depot_client_options", given));
    depot::machine::ClientOptions to;
    to.builder = text_or_empty(given.builder);
    for (size_t i = 0; given.nodes != nullptr && given.nodes[i] != nullptr; ++i) {
      if (i == kMaxNodes)
        return depot::base::usage_error("depot_client_options.nodes has no NULL at its end");
      to.nodes.emplace_back(given.nodes[i]);
    }
    to.token = text_or_empty(given.token);
    to.project = text_or_empty(given.project);
    to.api_url = text_or_empty(given.api_url);
    to.ca_file = text_or_empty(given.ca_file);
    to.proxy = text_or_empty(given.proxy);
    to.tls_ca_file = text_or_empty(given.tls_ca_file);
    to.tls_cert_file = text_or_empty(given.tls_cert_file);
    to.tls_key_file = text_or_empty(given.tls_key_file);
    to.tls_server_name = text_or_empty(given.tls_server_name);
    to.allow_plaintext = given.allow_plaintext != 0;
    if (given.use_environment >= 0) to.environment = depot::base::Environment::of_process();
    to.builderd_path = text_or_empty(given.builderd_path);
    to.engine_dir = text_or_empty(given.engine_dir);
    to.state_dir = text_or_empty(given.state_dir);
    to.product = text_or_empty(given.product);
    to.max_message = given.max_message_size;
    // user_data is ours from here on only if the call succeeds: on failure the caller keeps it.
    auto data = std::make_shared<UserData>(given.user_data);
    if (given.on_log != nullptr) {
      to.log = [callback = given.on_log, data](depot::base::LogLevel level, std::string_view line) {
        callback(static_cast<depot_log_level>(level), std::string(line).c_str(), data->get());
      };
    }
    auto handle = std::make_unique<depot_client>();
    DEPOT_ASSIGN(handle->client, depot::machine::Client::create(std::move(to)));
    data->own(given.user_data_free);
    *out = handle.release();
    return {};
  });
}

void depot_client_free(depot_client* client) {
  if (client == nullptr) return;
  client->client->close_log();  // builds and machines may hold on to it, user_data is not theirs
  delete client;
}

const char* depot_client_builder(const depot_client* client) {
  return client == nullptr ? "" : client->client->builder().c_str();
}
