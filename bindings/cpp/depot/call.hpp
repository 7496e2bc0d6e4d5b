// What a frontend tells about a build instead of building it: SolveRequest::set_call, Result::call.
#ifndef DEPOT_CALL_HPP
#define DEPOT_CALL_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "depot/call.h"

namespace depot {

/// One finding of a check.
struct LintWarning {
  std::string rule, description, url, detail;
  std::string source_file;
  std::vector<depot_range> ranges;
};

/// One thing that a build takes.
struct OutlineEntry {
  std::int32_t kind = 0;  // DEPOT_OUTLINE_*
  std::string name, description, value;
  bool required = false;
  std::vector<depot_range> ranges;
};

/// One stage that can be built.
struct Target {
  std::string name, description, base, platform;
  bool is_default = false;
  std::vector<depot_range> ranges;
};

/// The answer to a call: text as docker buildx prints it, and what it means.
struct Call {
  std::string method;  // "lint", "outline", "targets"; empty for a build
  std::string json, text;
  std::int32_t status = 0;            // 1: a check has found something
  std::vector<LintWarning> warnings;  // of "lint"
  std::string error;                  // why it could not be checked to its end
  std::string name, description;      // of "outline": the target
  std::vector<OutlineEntry> outline;  // of "outline"
  std::vector<Target> targets;        // of "targets"
};

namespace detail {

inline std::vector<depot_range> ranges_of(const depot_range* ranges, std::size_t count) {
  return count == 0 ? std::vector<depot_range>() : std::vector<depot_range>(ranges, ranges + count);
}

inline Call call_of(const depot_result* raw) {
  Call out;
  out.method = depot_result_call(raw);
  out.json = depot_result_call_json(raw);
  out.text = depot_result_call_text(raw);
  out.status = depot_result_call_status(raw);
  out.error = depot_result_lint_error(raw);
  out.name = depot_result_outline_name(raw);
  out.description = depot_result_outline_description(raw);
  for (std::size_t i = 0; i < depot_result_lint_count(raw); ++i) {
    depot_lint_warning w{};
    w.size = sizeof(w);
    if (depot_result_lint(raw, i, &w) == 0) continue;
    out.warnings.push_back({w.rule, w.description, w.url, w.detail, w.source_file,
                            ranges_of(w.ranges, w.range_count)});
  }
  for (std::size_t i = 0; i < depot_result_outline_count(raw); ++i) {
    depot_outline_entry e{};
    e.size = sizeof(e);
    if (depot_result_outline(raw, i, &e) == 0) continue;
    out.outline.push_back({e.kind, e.name, e.description, e.value, e.required != 0,
                           ranges_of(e.ranges, e.range_count)});
  }
  for (std::size_t i = 0; i < depot_result_target_count(raw); ++i) {
    depot_target t{};
    t.size = sizeof(t);
    if (depot_result_target(raw, i, &t) == 0) continue;
    out.targets.push_back({t.name, t.description, t.base, t.platform, t.is_default != 0,
                           ranges_of(t.ranges, t.range_count)});
  }
  return out;
}

}  // namespace detail
}  // namespace depot

#endif
