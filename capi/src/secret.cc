#include "depot/secret.h"

#include "edit.h"

using depot::base::Secret;
using depot::base::Status;
using depot::solve::SecretInput;
using namespace depot::capi;  // NOLINT: one file, one purpose

struct depot_secret_answer {
  std::optional<Secret> secret;
};

namespace {

Secret bytes_of(const uint8_t* data, size_t size) {
  return size == 0 ? Secret() : Secret(std::string_view(reinterpret_cast<const char*>(data), size));
}

}  // namespace

depot_code depot_solve_request_add_secret(depot_solve_request* request, const char* spec,
                                          depot_error** error) {
  return edit(request, {spec}, error, [&](auto& to) { return to.add_secret(std::string(spec)); });
}

depot_code depot_solve_request_add_secret_bytes(depot_solve_request* request, const char* id,
                                                const uint8_t* data, size_t size,
                                                depot_error** error) {
  return edit(request, {id}, error, [&](auto& to) -> Status {
    if (data == nullptr && size != 0) return null_argument("data");
    SecretInput secret;
    secret.id = id;
    secret.value = std::make_shared<Secret>(bytes_of(data, size));
    return to.add_secret(std::move(secret));
  });
}

depot_code depot_solve_request_add_secret_file(depot_solve_request* request, const char* id,
                                               const char* path, depot_error** error) {
  return edit(request, {id, path}, error, [&](auto& to) -> Status {
    if (*path == '\0') return depot::base::usage_error("the secret's file has no name");
    SecretInput secret;
    secret.id = id;
    secret.file = path;
    return to.add_secret(std::move(secret));
  });
}

depot_code depot_solve_request_add_secret_env(depot_solve_request* request, const char* id,
                                              const char* variable, depot_error** error) {
  return edit(request, {id, variable}, error, [&](auto& to) -> Status {
    if (*variable == '\0') return depot::base::usage_error("the secret's variable has no name");
    SecretInput secret;
    secret.id = id;
    secret.variable = variable;
    return to.add_secret(std::move(secret));
  });
}

void depot_secret_answer_set(depot_secret_answer* answer, const uint8_t* data, size_t size) {
  if (answer == nullptr || (data == nullptr && size != 0)) return;
  try {
    answer->secret = bytes_of(data, size);
  } catch (...) {  // no memory: the step is told that there is none
    answer->secret.reset();
  }
}

depot_code depot_solve_request_add_secret_callback(depot_solve_request* request, const char* id,
                                                   depot_secret_cb callback, void* user_data,
                                                   depot_free_cb user_data_free,
                                                   depot_error** error) {
  return edit(request, {id}, error, [&](auto& to) -> Status {
    if (callback == nullptr) return null_argument("callback");
    auto data = std::make_shared<UserData>(user_data);
    SecretInput secret;
    secret.id = id;
    secret.reader = std::make_shared<depot::solve::SecretReader>(
        [callback, data](const std::string& asked, std::optional<Secret>& out) {
          depot_secret_answer answer;
          int32_t code = callback(asked.c_str(), &answer, data->get());
          out = std::move(answer.secret);
          return code;
        });
    DEPOT_TRY(to.add_secret(std::move(secret)));
    data->own(user_data_free);
    return {};
  });
}
