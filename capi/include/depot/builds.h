/* What the API knows of builds: the list of a project's builds, and how images that a build saved
 * in Depot's registry (depot_solve_request_set_save) are pulled from there.
 *
 * Asked of a client; nothing is built and no machine is leased. Strings are borrowed from the
 * handle that they came with and never NULL.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_BUILDS_H
#define DEPOT_BUILDS_H

#include "depot/base.h"
#include "depot/client.h"
#include "depot/history.h"

DEPOT_BEGIN_DECLS

typedef struct depot_builds depot_builds;       /* a list of builds                      */
typedef struct depot_pull_info depot_pull_info; /* where a saved image is, and the login */

/** All strings are copied. NULL and "" both mean: the default. */
typedef struct depot_builds_options {
  size_t size;
  const char *project;     /* default: the client's */
  const char *token;       /* default: the client's */
  const char *context_dir; /* where to look for depot.json; default: current directory */
  int32_t limit;           /* of a list: the newest so many; 0: 100 */
  int32_t reserved;
  depot_cancel *cancel; /* NULL: cannot be cancelled */
  int64_t timeout_ms;   /* of it all; 0: 30 s */
  /* --- end of version 1: append below, never reorder --- */
} depot_builds_options;

#define DEPOT_BUILDS_OPTIONS_INIT {sizeof(depot_builds_options), NULL, NULL, NULL, 0, 0, NULL, 0}

DEPOT_API void depot_builds_options_init(depot_builds_options *options, size_t size);

/** One build of a list. */
typedef struct depot_listed_build {
  size_t size; /* set by the caller; fields beyond it are not written */
  const char *id;
  int64_t created;  /* nanoseconds since 1970 by the API's clock; 0: not told */
  int64_t finished; /* 0: it runs */
  int32_t state;    /* DEPOT_BUILD_* of history.h; 0: not told; more may come */
  int32_t reserved;
} depot_listed_build;

/** List a project's builds, the newest first. The local builder keeps such a list, too; it starts
 *  for that when it does not run.
 *
 *  @param      client   shared
 *  @param      options  copied; NULL: all defaults
 *  @param[out] out      owned, depot_builds_free(); NULL on failure
 *  @return DEPOT_OK; DEPOT_INVALID_ARGUMENT when no project is named; DEPOT_FAILED_PRECONDITION
 *          with a plain BuildKit address, where nobody keeps one (but depot_history_new);
 *          DEPOT_UNAUTHENTICATED; DEPOT_NOT_FOUND for an unknown project; DEPOT_CANCELLED;
 *          DEPOT_DEADLINE_EXCEEDED; DEPOT_UNAVAILABLE
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_client_list_builds(const depot_client *client,
                                              const depot_builds_options *options,
                                              depot_builds **out, depot_error **error);
DEPOT_API size_t depot_builds_count(const depot_builds *builds);
/** Writes to `out`, whose size field must be set, and returns 1; 0 when the index is out of range
 *  or the size is unknown. @since 0.1 */
DEPOT_API int32_t depot_builds_get(const depot_builds *builds, size_t index,
                                   depot_listed_build *out);
/** NULL is allowed. @since 0.1 */
DEPOT_API void depot_builds_free(depot_builds *builds);

/** What was saved: one for a build, one for each target of a bake. */
typedef struct depot_pull_target {
  size_t size;      /* set by the caller; fields beyond it are not written */
  const char *name; /* of a bake's target, whose image is the reference with "-" and this; "" */
  size_t tag_count;
  const char *const *tags; /* that it was built under */
} depot_pull_target;

/** Ask where the image is that a build saved, and for a login that may pull it (GetPullInfo).
 *
 *  @param      client    shared
 *  @param      build_id  as depot_build_id() gave it; copied
 *  @param      options   copied; NULL: all defaults
 *  @param[out] out       owned, depot_pull_info_free(); NULL on failure
 *  @return DEPOT_OK; DEPOT_FAILED_PRECONDITION for a build that was not saved, and for a client
 *          whose builder is not Depot; DEPOT_NOT_FOUND for an unknown build; as
 *          depot_client_list_builds()
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_client_pull_info(const depot_client *client, const char *build_id,
                                            const depot_builds_options *options,
                                            depot_pull_info **out, depot_error **error);
/** Ask for a login that may pull all that a project saved (GetPullToken). The reference is the
 *  project's repository, without a tag; there are no targets.
 *
 *  @param[out] out  owned, depot_pull_info_free(); NULL on failure
 *  @return as depot_client_pull_info()
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_client_pull_token(const depot_client *client,
                                             const depot_builds_options *options,
                                             depot_pull_info **out, depot_error **error);
/** "registry.depot.dev/PROJECT:BUILD". @since 0.1 */
DEPOT_API const char *depot_pull_info_reference(const depot_pull_info *pull);
DEPOT_API const char *depot_pull_info_username(const depot_pull_info *pull);
/** A secret: in memory that is wiped by depot_pull_info_free(), and in no log or error.
 *  @since 0.1 */
DEPOT_API const char *depot_pull_info_password(const depot_pull_info *pull);
DEPOT_API size_t depot_pull_info_target_count(const depot_pull_info *pull);
/** As depot_builds_get(). @since 0.1 */
DEPOT_API int32_t depot_pull_info_target(const depot_pull_info *pull, size_t index,
                                         depot_pull_target *out);
/** NULL is allowed. Wipes the password. @since 0.1 */
DEPOT_API void depot_pull_info_free(depot_pull_info *pull);

/** All strings and lists are copied. */
typedef struct depot_pull_options {
  size_t size;
  const char *token; /* NULL: the client's */
  /* Names for the image, NULL-terminated; NULL: those that it was built under. It keeps its name in
   * Depot's registry besides. */
  const char *const *tags;
  const char *const
      *targets;         /* of a bake, NULL-terminated; NULL: all; tags then end in "-TARGET" */
  const char *platform; /* "linux/arm64"; NULL: the Engine's own */
  const char *into;     /* "docker://HOST"; NULL: the Docker Engine that docker would use */
  /* --- end of version 1: append below, never reorder --- */
} depot_pull_options;

#define DEPOT_PULL_OPTIONS_INIT {sizeof(depot_pull_options), NULL, NULL, NULL, NULL, NULL}

DEPOT_API void depot_pull_options_init(depot_pull_options *options, size_t size);

/** Have a Docker Engine pull a saved image, as `depot pull` does: asks the API for the login, and
 *  gives it to the Engine with the name. The status has a step for each image, with its layers.
 *
 *  @param client         shared
 *  @param what           a build's id, or "PROJECT:TAG", with "registry.depot.dev/" before it or
 * not
 *  @param options        NULL: all defaults
 *  @param solve_options  cancel, on_status and the timeout, of it all; 0: an hour; NULL: defaults
 *  @return DEPOT_OK; what depot_client_pull_info() returns; with hop DEPOT_HOP_LOCAL
 *          DEPOT_UNAVAILABLE when there is no Engine; with hop DEPOT_HOP_REGISTRY
 *          DEPOT_UNAUTHENTICATED or DEPOT_NOT_FOUND; DEPOT_ABORTED for what else the Engine says
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_client_pull(const depot_client *client, const char *what,
                                       const depot_pull_options *options,
                                       const depot_solve_options *solve_options,
                                       depot_error **error);

DEPOT_END_DECLS

#endif
