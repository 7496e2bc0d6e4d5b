/* Calls: what the frontend tells about a build instead of building it. `--check` of docker buildx
 * is the call "check"; "outline" lists what a build takes, "targets" its stages.
 *
 * A request with a call is given to depot_solve or depot_client_build like any other. Nothing is
 * built and nothing exported; tags and exports do not matter. The result has the answer: as JSON,
 * as text, and for the calls named here by the functions below. Strings are borrowed from the
 * result and never NULL.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_CALL_H
#define DEPOT_CALL_H

#include "depot/base.h"
#include "depot/error.h"

DEPOT_BEGIN_DECLS

/** `--call`: "check", "outline", "targets", "subrequests.describe", or one that a frontend of your
 *  own knows; "build", the default, is none. A frontend that does not know it fails the solve with
 *  DEPOT_UNIMPLEMENTED or DEPOT_UNKNOWN. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_call(depot_solve_request *request, const char *call,
                                                  depot_error **error);

/** What was called: "lint" for a check; "" for a build. @since 0.1 */
DEPOT_API const char *depot_result_call(const depot_result *result);
/** The answer as the frontend gave it; "" when there is none. @since 0.1 */
DEPOT_API const char *depot_result_call_json(const depot_result *result);
/** The answer as `docker buildx build --call` prints it. @since 0.1 */
DEPOT_API const char *depot_result_call_text(const depot_result *result);
/** What `docker buildx build --call` would exit with: 1 for a check that has found something.
 *  @since 0.1 */
DEPOT_API int32_t depot_result_call_status(const depot_result *result);

/* Each entry function writes to `out`, whose size field must be set, and returns 1; 0 when the
 * index is out of range or the size is unknown. Ranges are lines of the Dockerfile. */

/** One finding of a check. */
typedef struct depot_lint_warning {
  size_t size;             /* set by the caller; fields beyond it are not written */
  const char *rule;        /* "StageNameCasing" */
  const char *description; /* of the rule */
  const char *url;         /* of the rule's page */
  const char *detail;      /* what is wrong here */
  const char *source_file; /* "" when it points nowhere */
  size_t range_count;
  const depot_range *ranges;
} depot_lint_warning;

DEPOT_API size_t depot_result_lint_count(const depot_result *result);
DEPOT_API int32_t depot_result_lint(const depot_result *result, size_t index,
                                    depot_lint_warning *out);
/** Why the Dockerfile could not be checked to its end, with its lines; "" when it could.
 *  @since 0.1 */
DEPOT_API const char *depot_result_lint_error(const depot_result *result);

#define DEPOT_OUTLINE_ARG 1
#define DEPOT_OUTLINE_SECRET 2
#define DEPOT_OUTLINE_SSH 3
#define DEPOT_OUTLINE_CACHE 4

/** One thing that a build takes. */
typedef struct depot_outline_entry {
  size_t size;
  const char *name; /* of an argument, secret or SSH agent; id of a cache */
  const char *description;
  const char *value; /* of an argument */
  size_t range_count;
  const depot_range *ranges;
  int32_t kind;     /* DEPOT_OUTLINE_*; more may come */
  int32_t required; /* of a secret or SSH agent */
} depot_outline_entry;

/** Name and description of the target that is outlined; "" when it has none. @since 0.1 */
DEPOT_API const char *depot_result_outline_name(const depot_result *result);
DEPOT_API const char *depot_result_outline_description(const depot_result *result);
DEPOT_API size_t depot_result_outline_count(const depot_result *result);
DEPOT_API int32_t depot_result_outline(const depot_result *result, size_t index,
                                       depot_outline_entry *out);

/** One stage that can be built. */
typedef struct depot_target {
  size_t size;
  const char *name; /* "" for a stage without a name */
  const char *description;
  const char *base;     /* image or stage that it begins with */
  const char *platform; /* of the FROM; "" when it says none */
  size_t range_count;
  const depot_range *ranges;
  int32_t is_default; /* 1: what is built when no target is given */
  int32_t reserved;
} depot_target;

DEPOT_API size_t depot_result_target_count(const depot_result *result);
DEPOT_API int32_t depot_result_target(const depot_result *result, size_t index, depot_target *out);

DEPOT_END_DECLS

#endif
