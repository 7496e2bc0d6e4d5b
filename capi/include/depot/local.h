/* The local builder's books: its projects, the machines of each, what their caches take on the
 * disk; stopping machines, and removing a project's cache.
 *
 * They are those of the local builder of this computer and user, whichever builder the client has:
 * of the client's options state_dir counts, of the environment LIBDEPOT_STATE_DIR and
 * LIBDEPOT_RUNTIME_DIR. Nothing here starts it, nor a machine: where it does not run, the books are
 * read from the disk.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_LOCAL_H
#define DEPOT_LOCAL_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

typedef struct depot_local_projects depot_local_projects; /* those of the local builder */

/* What a machine does. Tolerate new numbers. */
#define DEPOT_LOCAL_UNKNOWN 0 /* a local builder that cannot be asked has it */
#define DEPOT_LOCAL_STOPPED 1
#define DEPOT_LOCAL_STARTING 2
#define DEPOT_LOCAL_RUNNING 3
#define DEPOT_LOCAL_STOPPING 4

typedef struct depot_local_options {
  size_t size;
  const char *project;  /* NULL: all, where that is allowed */
  int32_t force;        /* 1: also what builds use: they fail */
  int32_t reserved;     /* 0 */
  depot_cancel *cancel; /* NULL: cannot be cancelled */
  int64_t timeout_ms;   /* 0: five minutes to list, two to stop, an hour to reset */
  /* --- end of version 1: append below, never reorder --- */
} depot_local_options;

#define DEPOT_LOCAL_OPTIONS_INIT {sizeof(depot_local_options), NULL, 0, 0, NULL, 0}

DEPOT_API void depot_local_options_init(depot_local_options *options, size_t size);

/** A project that has a cache here. */
typedef struct depot_local_project {
  size_t size; /* set by the caller; fields beyond it are not written */
  const char *id;
  const char *directory; /* of its cache */
  size_t machine_count;  /* depot_local_projects_machine */
  int64_t builds;        /* under way */
  int64_t last_used;     /* nanoseconds since 1970; 0: not known */
  int64_t cache_bytes;   /* on the disk, as `du` counts; -1: not known */
  int32_t cache_partial; /* 1: so much at least; there was no time to count all of it */
  int32_t reserved;
} depot_local_project;

/** A machine: the buildkitd of a project and an architecture. */
typedef struct depot_local_machine {
  size_t size;
  const char *architecture;     /* "amd64", "arm64" */
  const char *buildkit_version; /* "v0.34.2"; "" when it does not run */
  int64_t pid;                  /* of the process that holds all of its processes; 0: none */
  int64_t builds;               /* that use it */
  int32_t state;                /* DEPOT_LOCAL_* */
  int32_t reserved;
} depot_local_machine;

/** List the projects, sorted by id, with the sizes of their caches.
 *
 *  @param      client   any; see above
 *  @param      options  copied; NULL: all defaults; force has no meaning here. Of the time the most
 *                       goes into the sizes: what is not counted by its end is cache_partial
 *  @param[out] out      owned, depot_local_projects_free(); NULL on failure
 *  @return DEPOT_OK; DEPOT_INVALID_ARGUMENT for an impossible project; DEPOT_CANCELLED;
 *          DEPOT_DEADLINE_EXCEEDED; DEPOT_FAILED_PRECONDITION or DEPOT_UNIMPLEMENTED when a local
 *          builder of another version runs
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_local_projects_new(const depot_client *client,
                                              const depot_local_options *options,
                                              depot_local_projects **out, depot_error **error);
DEPOT_API size_t depot_local_projects_count(const depot_local_projects *projects);
/** Each writes to `out`, whose size field must be set, and returns 1; 0 when an index is out of
 * range or the size is unknown. Strings are borrowed from the list and never NULL. @since 0.1 */
DEPOT_API int32_t depot_local_projects_get(const depot_local_projects *projects, size_t index,
                                           depot_local_project *out);
DEPOT_API int32_t depot_local_projects_machine(const depot_local_projects *projects, size_t project,
                                               size_t index, depot_local_machine *out);
/** NULL is allowed. @since 0.1 */
DEPOT_API void depot_local_projects_free(depot_local_projects *projects);

/** Stop a project's machines, or all, and wait for their end. Caches stay: the next build starts a
 *  machine again, and has what was cached.
 *
 *  @param      options   copied; NULL is refused: what stops is to be said, if only by
 *                        DEPOT_LOCAL_OPTIONS_INIT
 *  @param[out] machines  how many there were; NULL to ignore
 *  @return as depot_local_projects_new(); DEPOT_FAILED_PRECONDITION when builds use one, unless
 *          forced: then none was stopped. With force those builds fail with DEPOT_CANCELLED, hop
 *          DEPOT_HOP_BUILDER, and the stop takes until they have heard: some seconds.
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_local_stop(const depot_client *client,
                                      const depot_local_options *options, int64_t *machines,
                                      depot_error **error);

/** Stop a project's machines and remove its cache. It has none from the beginning of the removal
 * on: what of that is not done when the time is over, or this process or the local builder ends, is
 *  done when the local builder starts the next time.
 *
 *  @param      options  copied; its project is needed
 *  @param[out] bytes    what was freed on the disk; NULL to ignore
 *  @return as depot_local_stop(); DEPOT_NOT_FOUND when the project has no cache
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_local_reset(const depot_client *client,
                                       const depot_local_options *options, int64_t *bytes,
                                       depot_error **error);

DEPOT_END_DECLS

#endif
