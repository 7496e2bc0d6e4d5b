/* The builds that a builder remembers: `docker buildx history`. BuildKit has a history since 0.11;
 * an older one, and what stands before a builder and does not pass these calls on, fails with
 * DEPOT_FAILED_PRECONDITION and says so.
 *
 * As builder.h: asked of a machine, which is connected first when that was not done; several at
 * once, and beside solves. Strings are borrowed from the list that they came with, never NULL.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_HISTORY_H
#define DEPOT_HISTORY_H

#include "depot/base.h"
#include "depot/builder.h"
#include "depot/solve.h"

DEPOT_BEGIN_DECLS

typedef struct depot_history depot_history; /* records of builds */

typedef struct depot_history_options {
  size_t size;
  /* NULL-terminated; NULL: all. Several are "or", commas in one "and": ref, status (running,
   * completed, error, canceled) and repository with = or !=; startedAt, completedAt and duration
   * with <, <=, > or >= and "24h" or an RFC 3339 time. Running builds are listed whatever the
   * filter. Since BuildKit 0.20. */
  const char *const *filters;
  const char *ref;      /* this build alone; DEPOT_NOT_FOUND when it is not there; NULL: all */
  int32_t limit;        /* the newest so many; 0: all */
  int32_t active_only;  /* 1: those that run */
  depot_cancel *cancel; /* NULL: cannot be cancelled */
  int64_t timeout_ms;   /* as depot_ask_options */
  /* --- end of version 1: append below, never reorder --- */
} depot_history_options;

#define DEPOT_HISTORY_OPTIONS_INIT {sizeof(depot_history_options), NULL, NULL, 0, 0, NULL, 0}

DEPOT_API void depot_history_options_init(depot_history_options *options, size_t size);

#define DEPOT_BUILD_RUNNING 1
#define DEPOT_BUILD_COMPLETED 2
#define DEPOT_BUILD_FAILED 3
#define DEPOT_BUILD_CANCELED 4

/** One build. */
typedef struct depot_history_record {
  size_t size;      /* set by the caller; fields beyond it are not written */
  const char *ref;  /* what depot_result_ref() gave */
  const char *name; /* as docker buildx calls it; "" when nothing tells */
  const char *frontend;
  size_t attr_count; /* of the frontend, sorted by key */
  const char *const *attr_keys;
  const char *const *attr_values;
  size_t response_count; /* of the exporters, sorted by key: "containerimage.digest", ... */
  const char *const *response_keys;
  const char *const *response_values;
  size_t exporter_count;
  const char *const *exporters; /* types */
  size_t blob_count;            /* depot_history_blob */
  const char *error;            /* why it failed or was cancelled; "" when it did not */
  const char *error_text;       /* as a person wants to read it, several lines */
  int64_t created;              /* nanoseconds since 1970 by the builder's clock */
  int64_t completed;            /* 0: it runs */
  int32_t state;                /* DEPOT_BUILD_*; more may come */
  int32_t total_steps;
  int32_t completed_steps;
  int32_t cached_steps;
  int32_t warnings;   /* since BuildKit 0.16 */
  int32_t pinned;     /* 1: kept when old ones go */
  int32_t error_code; /* DEPOT_OK when it did not fail */
  int32_t reserved;
} depot_history_record;

#define DEPOT_BLOB_LOGS 1
#define DEPOT_BLOB_TRACE 2
#define DEPOT_BLOB_ERROR 3
#define DEPOT_BLOB_RESULT 4
#define DEPOT_BLOB_ATTESTATION 5

/** What a build left with its builder; depot_blob_read() reads it. */
typedef struct depot_blob {
  size_t size;
  const char *type;     /* predicate type of an attestation, else the media type */
  const char *platform; /* of a result or attestation; "" when there is one for all */
  const char *digest;   /* "sha256:<hex>" */
  int64_t bytes;
  int32_t kind; /* DEPOT_BLOB_*; more may come */
  int32_t reserved;
} depot_blob;

/** List the builds: those that run, then the newest.
 *
 *  @param      options  copied; NULL: all defaults
 *  @param[out] out      owned, depot_history_free(); NULL on failure
 *  @return as depot_workers_new(); DEPOT_INVALID_ARGUMENT for a filter that cannot be right;
 *          DEPOT_FAILED_PRECONDITION when the builder is too old; DEPOT_NOT_FOUND for a ref that is
 *          not there
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_history_new(depot_machine *machine, const depot_history_options *options,
                                       depot_history **out, depot_error **error);
DEPOT_API size_t depot_history_count(const depot_history *history);
/* Both as depot_workers_get(). */
DEPOT_API int32_t depot_history_get(const depot_history *history, size_t index,
                                    depot_history_record *out);
DEPOT_API int32_t depot_history_blob(const depot_history *history, size_t record, size_t index,
                                     depot_blob *out);
/** NULL is allowed. @since 0.1 */
DEPOT_API void depot_history_free(depot_history *history);

/** What went on in a build, from its first step on, in status batches as depot_solve() gives them;
 *  also of one that still runs, to its end.
 *
 *  @param ref      copied
 *  @param options  copied; on_status gets the batches; timeout_ms 0: as depot_ask_options
 *  @return as depot_history_new(); DEPOT_CANCELLED with hop DEPOT_HOP_CALLBACK when the callback
 *          ended it
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_history_logs(depot_machine *machine, const char *ref,
                                        const depot_solve_options *options, depot_error **error);

/** Remove a build from the history, and what it left.
 *
 *  @param ref  copied
 *  @return as depot_history_new()
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_history_delete(depot_machine *machine, const char *ref,
                                          const depot_ask_options *options, depot_error **error);

/** Read a blob that depot_history_blob() names. `write` gets its bytes as an export's, but for the
 *  empty piece at the end; they are held against the digest when the last one has come, so that a
 *  caller can only trust them once this returned.
 *
 *  @param digest     copied
 *  @param user_data  for `write`; the caller's
 *  @return DEPOT_OK; DEPOT_NOT_FOUND; DEPOT_DATA_LOSS for other bytes than the digest's; as
 *          depot_workers_new()
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_blob_read(depot_machine *machine, const char *digest,
                                     depot_write_cb write, void *user_data,
                                     const depot_ask_options *options, depot_error **error);

DEPOT_END_DECLS

#endif
