// Errors out of answers: Connect's JSON, and what other HTTP answers stand for. Private to the
// depotapi module.
#pragma once

#include <optional>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"
#include "http/client.h"

namespace depot::depotapi {

// "not_found" -> kNotFound; nullopt for what is no code of Connect's.
std::optional<base::Code> connect_code(std::string_view name);
// What a status stands for when the body says nothing (the protocol's table).
base::Code code_of_http(int status);

// A non-200 answer whose body (unpacked) is `body`. Connect's own error if it is one. `token` is
// kept out of the texts, even if the server sent it back.
base::Status error_of_answer(const http::Response& response, std::string_view body,
                             const base::Secret& token);
// The message at the end of a stream: OK unless it has an error.
base::Status error_of_end(const http::Response& response, std::string_view end,
                          const base::Secret& token);
// A 200 answer of another type than application/proto.
base::Status wrong_type(const http::Response& response, std::string_view body,
                        const base::Secret& token);

}  // namespace depot::depotapi
