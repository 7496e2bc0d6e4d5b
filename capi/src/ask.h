// What the functions of depot/builder.h and depot/history.h share.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "builder/ask.h"
#include "depot/builder.h"
#include "handles.h"

namespace depot::capi {

base::Status read_ask_options(const depot_ask_options* options, machine::WaitOptions& out);
// Cancel and time limit as two options of another struct have them.
base::Status read_wait(const depot_cancel* cancel, int64_t timeout_ms, const char* name,
                       machine::WaitOptions& out);
// A NULL-terminated list; NULL is empty.
base::Status read_list(const char* const* given, const char* name, std::vector<std::string>& out);

// Asks the machine's builder, with `by_default` for the deadline.
using Question = std::function<base::Status(
    buildkit::Channel&, const std::vector<buildkit::Worker>&, const builder::Ask&)>;
base::Status ask(depot_machine* machine, const machine::WaitOptions& options,
                 std::chrono::milliseconds by_default, const Question& question);

// A callback of the caller's ended it.
base::Status ended_by(const char* callback, int32_t code);

// Strings as C reads them; borrows from what it was made of.
using Strings = std::vector<const char*>;
inline Strings strings_of(const std::vector<std::string>& from) {
  Strings out;
  for (const auto& text : from) out.push_back(text.c_str());
  return out;
}
struct Pairs {
  Strings keys, values;
};
inline Pairs pairs_of(const std::map<std::string, std::string>& from) {
  Pairs out;
  for (const auto& [key, value] : from) {
    out.keys.push_back(key.c_str());
    out.values.push_back(value.c_str());
  }
  return out;
}

}  // namespace depot::capi
