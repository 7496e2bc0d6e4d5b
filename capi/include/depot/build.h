/* A build: registered with the API by depot_build_new(), ended by depot_build_finish().
 *
 * The outcome is always told by name: a build that is freed without depot_build_finish() is
 * reported as failed, never as a success.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_BUILD_H
#define DEPOT_BUILD_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

/* 0 is no outcome, so that a forgotten variable is refused and not a success. */
#define DEPOT_OUTCOME_SUCCESS 1
#define DEPOT_OUTCOME_FAILED 2
#define DEPOT_OUTCOME_CANCELED 3

/** All strings are copied. NULL and "" both mean: the default. */
typedef struct depot_build_options {
  size_t size;
  const char *project;     /* default: the client's */
  const char *token;       /* default: the client's */
  const char *build_id;    /* join this build (DEPOT_BUILD_ID) and do not create one */
  const char *context_dir; /* where to look for depot.json; default: current directory */
  const char *const *tags; /* told to the API for its build list; NULL-terminated, or NULL */
  depot_cancel *cancel;    /* NULL: cannot be cancelled */
  int64_t timeout_ms;      /* of it all; CreateBuild has a third of it at least; 0: 30 s */
  /* --- end of version 1: append below, never reorder --- */
  /* NULL-terminated, or NULL: keep the image in Depot's registry under these tags of the project,
   * too; says save by itself */
  const char *const *save_tags;
  int32_t save; /* 1: keep the image in Depot's registry; depot_solve_request_set_save has it all */
  int32_t reserved;
} depot_build_options;

#define DEPOT_BUILD_OPTIONS_INIT \
  {sizeof(depot_build_options), NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, 0}

DEPOT_API void depot_build_options_init(depot_build_options *options, size_t size);

/** Register a build (CreateBuild). With a plain BuildKit address nothing is sent.
 *
 *  @param      client   shared; the build keeps what it needs of it
 *  @param      options  copied; NULL: all defaults
 *  @param[out] out      owned, depot_build_free(); NULL on failure
 *  @return DEPOT_OK; DEPOT_UNAUTHENTICATED without or with a refused token; DEPOT_NOT_FOUND for an
 *          unknown project; DEPOT_CANCELLED; DEPOT_DEADLINE_EXCEEDED; DEPOT_UNAVAILABLE
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_build_new(const depot_client *client, const depot_build_options *options,
                                     depot_build **out, depot_error **error);

/** Tell the API how the build ended (FinishBuild). Once: when the API has answered, a second call
 *  does nothing and returns the same; after a failure that may pass (a connection that broke) it
 *  tries again. Uses a deadline of its own (30 s), so that it also works after a cancel.
 *
 *  @param build    exclusive
 *  @param outcome  DEPOT_OUTCOME_*
 *  @param message  why it failed, for DEPOT_OUTCOME_FAILED; copied; may be NULL
 *  @return DEPOT_OK; DEPOT_INVALID_ARGUMENT for another outcome; transport codes
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_build_finish(depot_build *build, depot_outcome outcome,
                                        const char *message, depot_error **error);

/** Ids as the API gave them; "" where it gave none. Borrowed from the build. @since 0.1 */
DEPOT_API const char *depot_build_id(const depot_build *build);
DEPOT_API const char *depot_build_project(const depot_build *build);
/** Page of the build for a person; "" with a local or plain builder. @since 0.1 */
DEPOT_API const char *depot_build_url(const depot_build *build);

/** NULL is allowed; never blocks on the network. Unfinished: reported as failed in the background
 *  when the last machine of the build is gone, as far as the process lives that long. @since 0.1 */
DEPOT_API void depot_build_free(depot_build *build);

DEPOT_END_DECLS

#endif
