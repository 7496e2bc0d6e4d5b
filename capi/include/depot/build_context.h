/* Named contexts: what a Dockerfile's FROM, COPY --from and RUN --mount=from mean by a name.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_BUILD_CONTEXT_H
#define DEPOT_BUILD_CONTEXT_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

/** `--build-context NAME=VALUE`.
 *
 *  @param request  exclusive
 *  @param name     as in the Dockerfile: a stage's name or an image's, which it replaces
 *                  ("alpine" is "docker.io/library/alpine:latest"). "NAME::linux/arm64" is for that
 *                  platform alone.
 *  @param value    a directory; "docker-image://REF"; "oci-layout://DIR[:TAG][@DIGEST]", an OCI
 *                  layout on this machine whose image has that tag ("latest"); a Git reference or
 *                  http(s) URL, which the builder fetches. A directory is read, and a tag looked
 * up, when the request is solved.
 *  @return DEPOT_OK; DEPOT_INVALID_ARGUMENT for a name, a reference, a digest or a URL that cannot
 *          be right. What is not there is found by depot_solve(): DEPOT_NOT_FOUND with hop
 *          DEPOT_HOP_LOCAL; DEPOT_DATA_LOSS for a layout whose blobs are not what they should be.
 *  @thread any, quick
 *  @since 0.1
 */
DEPOT_API depot_code depot_solve_request_add_build_context(depot_solve_request *request,
                                                           const char *name, const char *value,
                                                           depot_error **error);

DEPOT_END_DECLS

#endif
