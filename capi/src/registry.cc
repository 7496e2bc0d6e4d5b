#include "depot/registry.h"

#include "edit.h"

using depot::base::Secret;
using depot::base::Status;
using depot::solve::RegistryLogin;
using namespace depot::capi;  // NOLINT: one file, one purpose

struct depot_credentials_answer {
  std::optional<RegistryLogin> login;
};

void depot_credentials_answer_set(depot_credentials_answer* answer, const char* username,
                                  const char* password) {
  if (answer == nullptr || password == nullptr) return;
  try {
    answer->login = RegistryLogin{"", text_or_empty(username), Secret(password)};
  } catch (...) {  // no memory: somebody else may know the host
    answer->login.reset();
  }
}

depot_code depot_solve_request_set_credentials_callback(depot_solve_request* request,
                                                        depot_credentials_cb callback,
                                                        void* user_data,
                                                        depot_free_cb user_data_free,
                                                        depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    if (callback == nullptr) return null_argument("callback");
    auto data = std::make_shared<UserData>(user_data);
    to.login_reader = std::make_shared<depot::solve::LoginReader>(
        [callback, data](const std::string& host, std::optional<RegistryLogin>& out) {
          depot_credentials_answer answer;
          int32_t code = callback(host.c_str(), &answer, data->get());
          out = std::move(answer.login);
          return code;
        });
    data->own(user_data_free);
    return {};
  });
}

depot_code depot_solve_request_allow_realm(depot_solve_request* request, const char* host,
                                           const char* realm, depot_error** error) {
  return edit(request, {host, realm}, error, [&](auto& to) { return to.allow_realm(host, realm); });
}

depot_code depot_solve_request_set_realm_callback(depot_solve_request* request,
                                                  depot_realm_cb callback, void* user_data,
                                                  depot_free_cb user_data_free,
                                                  depot_error** error) {
  return edit(request, {}, error, [&](auto& to) -> Status {
    if (callback == nullptr) return null_argument("callback");
    auto data = std::make_shared<UserData>(user_data);
    to.realm_reader = std::make_shared<depot::solve::RealmReader>(
        [callback, data](const std::string& host, const std::string& realm) {
          return callback(host.c_str(), realm.c_str(), data->get());
        });
    data->own(user_data_free);
    return {};
  });
}
