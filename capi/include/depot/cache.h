/* Caches that a build takes from and leaves behind, besides the builder's own.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_CACHE_H
#define DEPOT_CACHE_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

/** `--cache-from` as docker buildx and buildctl spell it: "type=registry,ref=NAME" or NAME alone,
 *  "type=local,src=DIR" (with tag or digest), "type=gha", "type=s3,...", "type=azblob,...".
 *
 *  Of a local cache the manifest that its index.json has under the tag ("latest") is taken; one
 * that is not there is left out with a warning in the client's log. What gha and s3 need and `spec`
 * has not comes from the client's environment when the request is solved (ACTIONS_*, AWS_*). Keys
 * and tokens among the attributes are held in memory that is wiped, and are in no error.
 *
 *  @param request  exclusive
 *  @param spec     copied; "" adds nothing; NULL is refused
 *  @return DEPOT_OK; DEPOT_INVALID_ARGUMENT for an unknown type, one that lacks what it needs, or
 *          what is no such spec
 *  @thread any, quick
 *  @since 0.1
 */
DEPOT_API depot_code depot_solve_request_add_cache_from(depot_solve_request *request,
                                                        const char *spec, depot_error **error);

/** `--cache-to`: as depot_solve_request_add_cache_from, and "type=inline" (into the image), with
 *  "type=local,dest=DIR". mode=min keeps the layers of the result, mode=max those of every step;
 *  ignore-error=true lets a build succeed whose cache could not be written.
 *
 *  The directory of a local cache is made, if need be, before anything is sent to the builder. Its
 *  index.json names the cache when the build has succeeded. Several builds, also of other
 *  processes, may write to one directory.
 *
 *  @since 0.1
 */
DEPOT_API depot_code depot_solve_request_add_cache_to(depot_solve_request *request,
                                                      const char *spec, depot_error **error);

DEPOT_END_DECLS

#endif
