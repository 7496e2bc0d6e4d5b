/* Progress of a build: shown as docker buildx shows it (depot_progress), or folded into steps that
 * a user interface of your own renders (depot_trace). Both are fed with status batches, in a
 * depot_status_cb or from a file that `--progress=rawjson` (buildctl's, docker buildx's, ours) has
 * written.
 *
 *   depot_progress_new         which display, where it writes
 *   depot_progress_update      a batch; depot_progress_update_json: one as a line of JSON
 *   depot_progress_finish      the build has ended
 *
 * A handle is used by one thread at a time, and may move between threads; a `const depot_trace *`
 * by many at once. Whatever a builder sends is bounded: long texts are cut, of statuses, warnings,
 * log lines and steps the oldest go, and it is told how many.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_PROGRESS_H
#define DEPOT_PROGRESS_H

#include "depot/base.h"
#include "depot/build.h"
#include "depot/error.h"
#include "depot/status.h"

DEPOT_BEGIN_DECLS

typedef struct depot_progress depot_progress; /* a display */
typedef struct depot_trace depot_trace;       /* what is known of a build so far */

/** Text of a display: UTF-8 as far as the builder's is, cut anywhere, no NUL at its end. Return 0
 *  to go on; anything else ends the display, and the next update fails with DEPOT_CANCELLED and
 *  that number by depot_error_user_code(). Called on a thread of the display's (plain, tty) or on
 *  that of the update (rawjson), one call at a time, never after depot_progress_finish() or _free()
 *  returned. */
typedef int32_t (*depot_text_cb)(const char *text, size_t size, void *user_data);

#define DEPOT_COLOR_AUTO 0 /* as NO_COLOR and BUILDKIT_COLORS say */
#define DEPOT_COLOR_ON 1
#define DEPOT_COLOR_OFF 2

#define DEPOT_WARNINGS_SUMMARY 0 /* a line for each, at the end */
#define DEPOT_WARNINGS_EXPAND 1  /* with where to read more, and the lines of the Dockerfile */
#define DEPOT_WARNINGS_OFF 2

typedef struct depot_progress_options {
  size_t size;
  depot_text_cb write; /* where the text goes; NULL: to `fd` */
  void *user_data;     /* for write */
  depot_free_cb user_data_free;
  const char *colors;        /* as in BUILDKIT_COLORS: "run=green:error=255,0,0"; NULL: that */
  const char *phase;         /* the word in "[+] Building"; NULL: that */
  const char *description;   /* tty: at the right end of the first line */
  const char *warnings_hint; /* in the heading of the summary: how to have it expanded */
  int32_t fd;                /* 0: standard error. Stays open, and yours */
  int32_t width;             /* of the terminal; 0: asked of it before each frame, else 80 */
  int32_t height;            /* the same; else 24 */
  int32_t log_lines;         /* tty: of a step that runs; 0: BUILDKIT_TTY_LOG_LINES, else 6 */
  int32_t color;             /* DEPOT_COLOR_* */
  int32_t warnings;          /* DEPOT_WARNINGS_*; of plain and tty */
  int32_t use_environment;   /* 0: BUILDKIT_PROGRESS, NO_COLOR and the like count; -1: no */
  int32_t replay;            /* 1: a recording; plain goes by the batches' own times, not the
                                clock, so that its output is the same each time */
  /* --- end of version 1: append below, never reorder --- */
} depot_progress_options;

#define DEPOT_PROGRESS_OPTIONS_INIT \
  {sizeof(depot_progress_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0}

DEPOT_API void depot_progress_options_init(depot_progress_options *options, size_t size);

/** A display.
 *
 *  @param kind     "tty": lines that are redrawn in place, ten times a second at most; "plain":
 *                  lines as `docker buildx build --progress=plain` prints them; "rawjson": each
 *                  batch as a line of JSON, at once; "quiet" or "none": nothing. "auto", "" or
 *                  NULL: what BUILDKIT_PROGRESS says, else tty on a terminal and plain elsewhere
 *  @param options  copied; NULL: all defaults
 *  @param[out] out owned, depot_progress_free()
 *  @return DEPOT_INVALID_ARGUMENT for an unknown kind, and for "tty" where there is no terminal and
 *          no width and height. On failure the caller keeps user_data
 *  @since 0.1
 */
DEPOT_API depot_code depot_progress_new(const char *kind, const depot_progress_options *options,
                                        depot_progress **out, depot_error **error);
/** NULL is allowed. What was not written by depot_progress_finish() is not written any more. */
DEPOT_API void depot_progress_free(depot_progress *progress);
/** "tty", "plain", "rawjson" or "quiet": what it is. @since 0.1 */
DEPOT_API const char *depot_progress_kind(const depot_progress *progress);

/** A batch. Does not wait for a terminal or reader (but rawjson does). Fails when what came before
 *  could not be written: from a depot_status_cb return non-zero then, or go on without a display.
 *  @since 0.1 */
DEPOT_API depot_code depot_progress_update(depot_progress *progress, const depot_status *status,
                                           depot_error **error);
/** A batch as one line of `--progress=rawjson`, without its newline. DEPOT_INVALID_ARGUMENT when it
 *  is none. @since 0.1 */
DEPOT_API depot_code depot_progress_update_json(depot_progress *progress, const char *line,
                                                size_t size, depot_error **error);
/** The build has ended so: writes what is left, the logs of the steps that failed, the warnings,
 *  and waits until that is written. After DEPOT_OUTCOME_CANCELED what still runs is shown as
 *  cancelled. Further calls do nothing. @since 0.1 */
DEPOT_API depot_code depot_progress_finish(depot_progress *progress, depot_outcome outcome,
                                           depot_error **error);

/** Nothing is known yet. NULL only when memory is out. Owned, depot_trace_free(). @since 0.1 */
DEPOT_API depot_trace *depot_trace_new(void);
/** NULL is allowed. @since 0.1 */
DEPOT_API void depot_trace_free(depot_trace *trace);
/** Takes a batch in. What was borrowed from `trace` before is gone. @since 0.1 */
DEPOT_API depot_code depot_trace_update(depot_trace *trace, const depot_status *status,
                                        depot_error **error);
/** As depot_progress_update_json(). @since 0.1 */
DEPOT_API depot_code depot_trace_update_json(depot_trace *trace, const char *line, size_t size,
                                             depot_error **error);
/** The build was cancelled: what still runs ends now. @since 0.1 */
DEPOT_API void depot_trace_cancel(depot_trace *trace);

#define DEPOT_STEP_PENDING 0 /* told of, not begun */
#define DEPOT_STEP_RUNNING 1
#define DEPOT_STEP_DONE 2
#define DEPOT_STEP_CACHED 3
#define DEPOT_STEP_ERROR 4
#define DEPOT_STEP_CANCELED 5

/** A step: a vertex, or a progress group, which stands for its members. The members are steps too;
 *  who shows steps leaves out those with a `group`, and a group that is hidden. */
typedef struct depot_step {
  size_t size;
  const char *digest; /* of a group: its id */
  const char *name;
  const char *error;    /* "" while it has not failed */
  const char *platform; /* that it runs on, where its name says that: "linux/arm64"; else "" */
  const char *group;    /* digest of the group that it is in; "" */
  const char *log_tail; /* the last lines that it printed, ten at most; "" */
  int64_t started;      /* first; nanoseconds by the builder's clock, 0: not */
  int64_t completed;    /* last; 0 while it runs */
  int64_t duration;     /* nanoseconds, overlaps counted once; until depot_trace_now() */
  uint64_t dropped_statuses;
  uint64_t dropped_warnings;
  uint64_t dropped_log_lines; /* that came before log_tail */
  size_t status_count;
  size_t warning_count;
  size_t input_count;
  size_t interval_count;
  int32_t number;   /* counted from 1 in the order in which they began; 0: not begun */
  int32_t state;    /* DEPOT_STEP_*; more may come */
  int32_t is_group; /* 1: a progress group */
  int32_t hidden;   /* 1: a group of which nothing worth showing has begun */
} depot_step;

/** A time in which a step ran. */
typedef struct depot_interval {
  size_t size;
  int64_t start;
  int64_t stop; /* 0: goes on */
} depot_interval;

/* Each that takes `out`, whose size field must be set, writes there and returns 1; 0 when an index
 * is out of range or the size is unknown. Strings and lists are borrowed until the next update. */

DEPOT_API size_t depot_trace_step_count(const depot_trace *trace);
/** In the order in which the builder told of them. @since 0.1 */
DEPOT_API int32_t depot_trace_step(const depot_trace *trace, size_t step, depot_step *out);
/** A transfer or the like, as it was told last. @since 0.1 */
DEPOT_API int32_t depot_trace_status(const depot_trace *trace, size_t step, size_t index,
                                     depot_vertex_status *out);
DEPOT_API int32_t depot_trace_step_warning(const depot_trace *trace, size_t step, size_t index,
                                           depot_vertex_warning *out);
DEPOT_API int32_t depot_trace_interval(const depot_trace *trace, size_t step, size_t index,
                                       depot_interval *out);
/** Digest of a step that this one takes from; "" when there is none with that index. */
DEPOT_API const char *depot_trace_input(const depot_trace *trace, size_t step, size_t index);

/** Warnings of all steps, each once. @since 0.1 */
DEPOT_API size_t depot_trace_warning_count(const depot_trace *trace);
DEPOT_API int32_t depot_trace_warning(const depot_trace *trace, size_t index,
                                      depot_vertex_warning *out);
/** The builder's clock as far as it was seen; 0: not at all. @since 0.1 */
DEPOT_API int64_t depot_trace_now(const depot_trace *trace);
/** Steps that were let go of because there were too many. @since 0.1 */
DEPOT_API uint64_t depot_trace_dropped_steps(const depot_trace *trace);

DEPOT_END_DECLS

#endif
