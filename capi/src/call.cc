#include "depot/call.h"

#include "call.h"
#include "edit.h"
#include "hand_out.h"
#include "progress/error_text.h"
#include "solve/call.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose
namespace solve = depot::solve;

namespace {

// What the structs were in 0.1.0: the least that a caller can have.
constexpr size_t kFirstLint = DEPOT_SIZE_TO(depot_lint_warning, ranges);
constexpr size_t kFirstOutline = DEPOT_SIZE_TO(depot_outline_entry, required);
constexpr size_t kFirstTarget = DEPOT_SIZE_TO(depot_target, reserved);

std::vector<depot_range> ranges_of(const solve::Place& place) {
  std::vector<depot_range> out;
  for (const auto& range : place.ranges)
    out.push_back({range.start_line, range.start_character, range.end_line, range.end_character});
  return out;
}

// docker buildx's words around what the frontend printed. An outline may have nothing to tell.
std::string printed(const solve::CallAnswer& answer) {
  if (answer.method == "outline" || answer.method == "targets") return answer.text;
  if (answer.method != "lint") return answer.text.empty() ? answer.json : answer.text;
  size_t count = answer.warnings.size();
  if (count == 0) return answer.error ? "" : "Check complete, no warnings found.\n";
  std::string found = count == 1 ? "1 warning has" : std::to_string(count) + " warnings have";
  return "Check complete, " + found + " been found!\n" + answer.text + (answer.error ? "\n" : "");
}

const solve::CallAnswer* answer_of(const depot_result* result) {
  return result == nullptr ? nullptr : &result->result.call;
}

}  // namespace

namespace depot::capi {

CallView view_of(const solve::CallAnswer& answer) {
  CallView view;
  if (answer.method.empty()) return view;
  view.text = printed(answer);
  if (answer.error) {
    view.error = answer.error->message + "\n" + progress::source_excerpt(answer.error->location);
    while (view.error.ends_with('\n')) view.error.pop_back();
  }
  for (const auto& warning : answer.warnings) view.lint.push_back(ranges_of(warning.place));
  for (const auto& entry : answer.outline) view.outline.push_back(ranges_of(entry.place));
  for (const auto& target : answer.targets) view.targets.push_back(ranges_of(target.place));
  return view;
}

}  // namespace depot::capi

depot_code depot_solve_request_set_call(depot_solve_request* request, const char* call,
                                        depot_error** error) {
  return edit(request, {call}, error, [&](auto& to) { return solve::set_call(to, call); });
}

const char* depot_result_call(const depot_result* result) {
  return result == nullptr ? "" : result->result.call.method.c_str();
}
const char* depot_result_call_json(const depot_result* result) {
  return result == nullptr ? "" : result->result.call.json.c_str();
}
const char* depot_result_call_text(const depot_result* result) {
  return result == nullptr ? "" : result->call.text.c_str();
}
int32_t depot_result_call_status(const depot_result* result) {
  return result == nullptr ? 0 : result->result.call.status;
}

size_t depot_result_lint_count(const depot_result* result) {
  return result == nullptr ? 0 : result->result.call.warnings.size();
}
int32_t depot_result_lint(const depot_result* result, size_t index, depot_lint_warning* out) {
  if (index >= depot_result_lint_count(result)) return 0;
  const auto& from = answer_of(result)->warnings[index];
  const auto& ranges = result->call.lint[index];
  depot_lint_warning warning{};
  warning.rule = from.rule.c_str();
  warning.description = from.description.c_str();
  warning.url = from.url.c_str();
  warning.detail = from.detail.c_str();
  warning.source_file = from.place.file.c_str();
  warning.range_count = ranges.size();
  warning.ranges = ranges.data();
  return hand_out(warning, kFirstLint, out);
}
const char* depot_result_lint_error(const depot_result* result) {
  return result == nullptr ? "" : result->call.error.c_str();
}

const char* depot_result_outline_name(const depot_result* result) {
  return result == nullptr ? "" : result->result.call.name.c_str();
}
const char* depot_result_outline_description(const depot_result* result) {
  return result == nullptr ? "" : result->result.call.description.c_str();
}
size_t depot_result_outline_count(const depot_result* result) {
  return result == nullptr ? 0 : result->result.call.outline.size();
}
int32_t depot_result_outline(const depot_result* result, size_t index, depot_outline_entry* out) {
  if (index >= depot_result_outline_count(result)) return 0;
  const auto& from = answer_of(result)->outline[index];
  const auto& ranges = result->call.outline[index];
  depot_outline_entry entry{};
  entry.name = from.name.c_str();
  entry.description = from.description.c_str();
  entry.value = from.value.c_str();
  entry.range_count = ranges.size();
  entry.ranges = ranges.data();
  entry.kind = static_cast<int32_t>(from.kind);
  entry.required = from.required ? 1 : 0;
  return hand_out(entry, kFirstOutline, out);
}

size_t depot_result_target_count(const depot_result* result) {
  return result == nullptr ? 0 : result->result.call.targets.size();
}
int32_t depot_result_target(const depot_result* result, size_t index, depot_target* out) {
  if (index >= depot_result_target_count(result)) return 0;
  const auto& from = answer_of(result)->targets[index];
  const auto& ranges = result->call.targets[index];
  depot_target target{};
  target.name = from.name.c_str();
  target.description = from.description.c_str();
  target.base = from.base.c_str();
  target.platform = from.platform.c_str();
  target.range_count = ranges.size();
  target.ranges = ranges.data();
  target.is_default = from.is_default ? 1 : 0;
  return hand_out(target, kFirstTarget, out);
}
