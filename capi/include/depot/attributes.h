/* How to build: the flags of `docker buildx build` that the frontend hears of, each by a setter
 * that takes the flag's value as it is spelled there. packaging/docs/flags.md has them all in a
 * table. depot_solve_request_set_attr (solve.h) sets any attribute by its wire name.
 *
 * `request` exclusive; strings copied, never NULL unless said; DEPOT_INVALID_ARGUMENT, hop
 * DEPOT_HOP_USAGE, with an error that says why when a value cannot be right. Some depends on
 * another value, and is told by the call that builds, before anything is sent.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_ATTRIBUTES_H
#define DEPOT_ATTRIBUTES_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

/** `--build-arg NAME=VALUE`. `value` NULL, as `--build-arg NAME`: the value in this process's
 *  environment; nothing is set when it is not there. BUILDKIT_SYNTAX names an image that is the
 *  frontend. SOURCE_DATE_EPOCH is passed on to the exports. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_build_arg(depot_solve_request *request,
                                                       const char *name, const char *value,
                                                       depot_error **error);
/** `--label KEY=VALUE` of the image's config. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_label(depot_solve_request *request, const char *key,
                                                   const char *value, depot_error **error);
/** `--target`: the stage to build, by name or number. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_target(depot_solve_request *request,
                                                    const char *target, depot_error **error);
/** `--platform`: comma list, e.g. "linux/amd64,linux/arm64"; "local" is this computer's.
 *  @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_platform(depot_solve_request *request,
                                                      const char *platform, depot_error **error);
/** `--no-cache`: 1 builds every step again. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_no_cache(depot_solve_request *request,
                                                      int32_t no_cache, depot_error **error);
/** `--no-cache-filter`: builds these stages (comma list) again. Not together with no_cache.
 *  @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_no_cache_filter(depot_solve_request *request,
                                                             const char *stages,
                                                             depot_error **error);
/** `--pull`: 1 asks the registry for each image, also when the builder has one of that name.
 *  @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_pull(depot_solve_request *request, int32_t pull,
                                                  depot_error **error);
/** `--add-host`: "db:10.0.0.7", "db=::1", "db=10.0.0.7,10.0.0.8" in the steps' /etc/hosts. The
 *  address "host-gateway" is the builder's host as the builder tells it;
 *  DEPOT_FAILED_PRECONDITION from the call that builds when it does not. @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_host(depot_solve_request *request, const char *host,
                                                  depot_error **error);
/** `--network` of the steps: "default", "none", or "host", which asks for the entitlement
 *  network.host as well. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_network(depot_solve_request *request, const char *mode,
                                                     depot_error **error);
/** `--shm-size` of the steps' /dev/shm: "64m"; "0": the builder's own. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_shm_size(depot_solve_request *request,
                                                      const char *size, depot_error **error);
/** `--ulimit` of the steps: "nofile=1024:2048", "core=-1". The last of a name counts. @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_ulimit(depot_solve_request *request,
                                                    const char *ulimit, depot_error **error);
/** `--resource` of the steps: "memory=2g", "memory-swap=-1", "cpu-shares=512", "cpu-period=100000",
 *  "cpu-quota=50000", "cpuset-cpus=0-3", "cpuset-mems=0". DEPOT_FAILED_PRECONDITION from the call
 *  that builds when the builder is older than 0.31. @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_resource(depot_solve_request *request,
                                                      const char *resource, depot_error **error);
/** `--cgroup-parent` of the steps. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_cgroup_parent(depot_solve_request *request,
                                                           const char *name, depot_error **error);
/** `--allow`: what the build may do if the builder lets it: "network.host", "security.insecure",
 *  "device", "device=NAME". @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_entitlement(depot_solve_request *request,
                                                         const char *entitlement,
                                                         depot_error **error);
/** `--annotation KEY=VALUE` of the image, oci and docker exports. The key may begin with what is
 *  annotated and a colon: "index:", "manifest,manifest-descriptor:", "manifest[linux/amd64]:",
 *  "index-descriptor:"; without, it is the manifest. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_annotation(depot_solve_request *request,
                                                        const char *key, const char *value,
                                                        depot_error **error);
/** `--attest`: "type=sbom,generator=IMAGE", "type=provenance,mode=max". At most one of a type.
 *  @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_attest(depot_solve_request *request, const char *spec,
                                                    depot_error **error);
/** `--sbom`: "true", "false", or attributes: "generator=IMAGE". @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_sbom(depot_solve_request *request, const char *sbom,
                                                  depot_error **error);
/** `--provenance`: "true", "false", or attributes: "mode=max". @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_provenance(depot_solve_request *request,
                                                        const char *provenance,
                                                        depot_error **error);
/** 1: image exports get the provenance that docker buildx adds by itself, mode=min, unless another
 * one, or none, was asked for. 0, the default: none, as with buildctl; a provenance has times in
 * it, and so no two builds the same digest. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_default_attestations(depot_solve_request *request,
                                                                  int32_t on, depot_error **error);

DEPOT_END_DECLS

#endif
