#include "progress/progress.h"

#include "depot/progress.h"
#include "guard.h"
#include "handles.h"
#include "options.h"
#include "status.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose
namespace progress = depot::progress;

struct depot_progress {
  std::unique_ptr<progress::Progress> progress;
};

namespace {

constexpr size_t kSizeV1 = offsetof(depot_progress_options, replay) + sizeof(int32_t);

Status read(const depot_progress_options& given, progress::Options& out) {
  auto wrong = [](const char* field) {
    return depot::base::usage_error(std::string("depot_progress_options.") + field +
                                    " is out of range");
  };
  if (given.width < 0) return wrong("width");
  if (given.height < 0) return wrong("height");
  if (given.log_lines < 0) return wrong("log_lines");
  if (given.fd < 0) return wrong("fd");
  if (given.color < DEPOT_COLOR_AUTO || given.color > DEPOT_COLOR_OFF) return wrong("color");
  if (given.warnings < DEPOT_WARNINGS_SUMMARY || given.warnings > DEPOT_WARNINGS_OFF)
    return wrong("warnings");
  out.width = static_cast<size_t>(given.width);
  out.height = static_cast<size_t>(given.height);
  out.log_lines = static_cast<size_t>(given.log_lines);
  out.colors = static_cast<progress::Options::Colors>(given.color);
  out.warnings = static_cast<progress::Options::Warnings>(given.warnings);
  out.replay = given.replay != 0;
  out.color_spec = text_or_empty(given.colors);
  out.phase = text_or_empty(given.phase);
  out.description = text_or_empty(given.description);
  out.warnings_hint = text_or_empty(given.warnings_hint);
  return {};
}

}  // namespace

void depot_progress_options_init(depot_progress_options* options, size_t size) {
  init_options(options, size);
}

depot_code depot_progress_new(const char* kind, const depot_progress_options* options,
                              depot_progress** out, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    depot_progress_options given;
    DEPOT_TRY(read_options(options, kSizeV1, "depot_progress_options", given));
    progress::Options to;
    DEPOT_TRY(read(given, to));
    depot::base::Environment environment;
    if (given.use_environment >= 0) environment = depot::base::Environment::of_process();
    // user_data is ours from here on only if the call succeeds: on failure the caller keeps it.
    auto data = std::make_shared<UserData>(given.user_data);
    std::unique_ptr<progress::Output> output;
    if (given.write != nullptr) {
      output = progress::Output::to_function([write = given.write, data](std::string_view text) {
        return write(text.data(), text.size(), data->get());
      });
    } else {
      DEPOT_ASSIGN(output, progress::Output::to_descriptor(given.fd == 0 ? 2 : given.fd));
    }
    auto handle = std::make_unique<depot_progress>();
    DEPOT_ASSIGN(handle->progress,
                 progress::Progress::make(text_or_empty(kind), to, environment, std::move(output)));
    data->own(given.user_data_free);
    *out = handle.release();
    return {};
  });
}

void depot_progress_free(depot_progress* progress) {
  delete progress;
}

const char* depot_progress_kind(const depot_progress* progress) {
  if (progress == nullptr) return "";
  switch (progress->progress->kind()) {
    case progress::Kind::kPlain:
      return "plain";
    case progress::Kind::kTty:
      return "tty";
    case progress::Kind::kRawjson:
      return "rawjson";
    case progress::Kind::kQuiet:
      break;
  }
  return "quiet";
}

depot_code depot_progress_update(depot_progress* progress, const depot_status* status,
                                 depot_error** error) {
  return guard(error, [&]() -> Status {
    if (progress == nullptr) return null_argument("progress");
    if (status == nullptr) return null_argument("status");
    return progress->progress->update(*status->batch);
  });
}

depot_code depot_progress_update_json(depot_progress* progress, const char* line, size_t size,
                                      depot_error** error) {
  return guard(error, [&]() -> Status {
    if (progress == nullptr) return null_argument("progress");
    if (line == nullptr) return null_argument("line");
    return progress->progress->update_json({line, size});
  });
}

depot_code depot_progress_finish(depot_progress* progress, depot_outcome outcome,
                                 depot_error** error) {
  return guard(error, [&]() -> Status {
    if (progress == nullptr) return null_argument("progress");
    if (outcome < DEPOT_OUTCOME_SUCCESS || outcome > DEPOT_OUTCOME_CANCELED)
      return depot::base::usage_error("outcome is none of DEPOT_OUTCOME_*");
    return progress->progress->finish(
        outcome == DEPOT_OUTCOME_CANCELED ? progress::Ending::kCanceled
        : outcome == DEPOT_OUTCOME_FAILED ? progress::Ending::kFailed
                                          : progress::Ending::kSuccess);
  });
}
