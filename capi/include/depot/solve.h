/* A solve: what to build (depot_solve_request), and building it (depot_solve).
 *
 * A request is filled by setters, each of which copies what it is given, and may be used for any
 * number of solves, also at the same time.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_SOLVE_H
#define DEPOT_SOLVE_H

#include "depot/base.h"
#include "depot/build.h"

DEPOT_BEGIN_DECLS

/** A new, empty request: frontend dockerfile.v0, no context, no export. Owned,
 *  depot_solve_request_free(). NULL only when memory is out. @since 0.1 */
DEPOT_API depot_solve_request *depot_solve_request_new(void);
/** NULL is allowed. @since 0.1 */
DEPOT_API void depot_solve_request_free(depot_solve_request *request);

/* Setters: `request` exclusive; strings copied, never NULL unless said; DEPOT_INVALID_ARGUMENT with
 * an error that says why when a value cannot be right. */

/** The build context, and the Dockerfile in it.
 *
 *  @param dir         a local directory; or what the builder fetches by itself: a Git reference
 *                     ("https://host/repository.git#ref:subdir", "git@host:repository",
 *                     "...git?ref=main&subdir=app&checksum=<hash>") or the http(s) URL of an
 *                     archive or a Dockerfile; or "-" for a tar or a Dockerfile on standard
 *                     input, or the path of a tar or a pipe. NULL: the files of
 *                     depot_solve_request_add_file alone
 *  @param dockerfile  path as `docker buildx build -f` takes it; NULL: "Dockerfile" in the context;
 *                     "-": on standard input; an http(s) URL: the builder fetches it
 *                     With a remote context a relative one is in it, an absolute one a local file
 */
DEPOT_API depot_code depot_solve_request_set_context(depot_solve_request *request, const char *dir,
                                                     const char *dockerfile, depot_error **error);
/** "dockerfile.v0" (default) or "gateway.v0". */
DEPOT_API depot_code depot_solve_request_set_frontend(depot_solve_request *request,
                                                      const char *frontend, depot_error **error);
/** A frontend attribute by its wire name, e.g. "hostname"; attributes.h has setters for most. */
DEPOT_API depot_code depot_solve_request_set_attr(depot_solve_request *request, const char *key,
                                                  const char *value, depot_error **error);
/** Expose local directory `dir` to the frontend as `name`: a named context, or a frontend's own.
 */
DEPOT_API depot_code depot_solve_request_add_local(depot_solve_request *request, const char *name,
                                                   const char *dir, depot_error **error);

/** Where the result goes. `type`: "image", "oci", "docker", "tar", "local", "cacheonly"; "docker"
 *  without a destination goes into an image store, see depot_solve_request_set_load. Attributes
 *  follow by depot_solve_request_set_export_attr; `index`, when not NULL, is set to the export's
 * number, counted from 0. Without any export the result stays in the builder's cache. */
DEPOT_API depot_code depot_solve_request_add_export(depot_solve_request *request, const char *type,
                                                    size_t *index, depot_error **error);
/** The export as `docker buildx build --output` spells it: "type=oci,dest=out.tar",
 *  "type=image,name=a,push=true". "dest=-" is refused: use a callback. */
DEPOT_API depot_code depot_solve_request_add_output(depot_solve_request *request, const char *spec,
                                                    size_t *index, depot_error **error);
/** An attribute by its wire name, e.g. "name", "push", "compression". Those that every BuildKit
 *  knows are checked here: DEPOT_INVALID_ARGUMENT for a value that its exporter would refuse. */
DEPOT_API depot_code depot_solve_request_set_export_attr(depot_solve_request *request, size_t index,
                                                         const char *key, const char *value,
                                                         depot_error **error);
/** Write the export to `path`. oci, docker, tar: a file, which appears when it is whole; a failed
 *  build leaves the old one. oci and docker with the attribute "tar" at "false": a directory, an
 *  OCI layout that may have other images, and names this one when the build has succeeded. local: a
 * directory, made when it is missing; each file in it appears when it is whole, and what else is
 * there stays, unless the attribute "mode" is "delete". Owners are the caller's. Set-user and
 * set-group bits and security.* attributes (file capabilities) are dropped, and devices refused,
 * unless the attributes "keep-setuid" and "devices" are "true". */
DEPOT_API depot_code depot_solve_request_set_export_file(depot_solve_request *request, size_t index,
                                                         const char *path, depot_error **error);
/** Bytes of an export, in order; `size` 0 once at the end of a complete export. Return 0 to go on;
 *  anything else stops the solve and comes back by depot_error_user_code(). Called on the thread
 *  that called depot_solve(), never at the same time as another callback of that solve, never after
 *  it returned; may block: the builder waits, the session lives on. */
typedef int32_t (*depot_write_cb)(const uint8_t *data, size_t size, void *user_data);
/** Hand the export's bytes to `write`. `user_data_free` may be NULL. On failure the caller keeps
 *  user_data. */
DEPOT_API depot_code depot_solve_request_set_export_callback(depot_solve_request *request,
                                                             size_t index, depot_write_cb write,
                                                             void *user_data,
                                                             depot_free_cb user_data_free,
                                                             depot_error **error);

/** `-t`: a name for the result, in canonical form ("app" becomes "docker.io/library/app:latest").
 *  Goes to the image, oci and docker exports; with none, an image export is added. */
DEPOT_API depot_code depot_solve_request_add_tag(depot_solve_request *request, const char *name,
                                                 depot_error **error);
/** `--push`: 1 pushes the tags; an image export is added when there is none. */
DEPOT_API depot_code depot_solve_request_set_push(depot_solve_request *request, int32_t push,
                                                  depot_error **error);
/** `--load`: 1 loads the image into the Docker Engine that the docker client would use, under the
 *  tags, as an export of type "docker" without a destination does; that one is added when there is
 *  none. Its attribute "into" names another store: "docker://unix:///SOCKET", "podman",
 *  "nerdctl[:NAMESPACE]", "ctr[:NAMESPACE]"; "context" one of docker's contexts. Layers that a
 *  Docker Engine has already are not sent, if it keeps images in its own store. The store is asked
 *  before anything is built: DEPOT_UNAVAILABLE or DEPOT_NOT_FOUND when it is not there,
 *  DEPOT_FAILED_PRECONDITION when it cannot keep such an image, with hop DEPOT_HOP_LOCAL, as has
 *  what it says when it does not take the image. */
DEPOT_API depot_code depot_solve_request_set_load(depot_solve_request *request, int32_t load,
                                                  depot_error **error);
/** `--save`: 1 keeps the image in Depot's registry, from where depot_client_pull_info() lets it be
 *  pulled: an image export is added when there is none, and pushed under the names that the API
 *  gives with the build; tags are pushed with it only when they would be pushed anyway. By
 *  depot_client_build() the build is made for that; with one of depot_build_new() its options have
 *  to say so, which is then enough: DEPOT_INVALID_ARGUMENT else. DEPOT_FAILED_PRECONDITION with any
 *  other builder than Depot, which have no such registry. */
DEPOT_API depot_code depot_solve_request_set_save(depot_solve_request *request, int32_t save,
                                                  depot_error **error);
/** `--save-tag`: a tag under which it is kept, too: "v1" of the project's repository. Says save by
 *  itself. */
DEPOT_API depot_code depot_solve_request_add_save_tag(depot_solve_request *request, const char *tag,
                                                      depot_error **error);
/** Credentials for one registry host, ahead of the docker config. The password is held in memory
 *  that is wiped. It goes to that host's token server; to the builder only when the host takes
 *  nothing else (Basic). */
DEPOT_API depot_code depot_solve_request_set_registry_auth(depot_solve_request *request,
                                                           const char *host, const char *username,
                                                           const char *password,
                                                           depot_error **error);
/** Directory of the docker config; default: DOCKER_CONFIG, else ~/.docker. "" reads none. */
DEPOT_API depot_code depot_solve_request_set_docker_config(depot_solve_request *request,
                                                           const char *dir, depot_error **error);

/** One status batch, complete and in order. Called on the thread that called depot_solve(), one
 *  call at a time, never after it returned. Return 0 to go on; anything else stops the solve and
 *  comes back by depot_error_user_code(). A slow callback makes later batches wait, nothing else:
 *  the session's health and the lease do not depend on it. */
typedef int32_t (*depot_status_cb)(const depot_status *status, void *user_data);

typedef struct depot_solve_options {
  size_t size;
  depot_cancel *cancel;      /* NULL: cannot be cancelled */
  int64_t timeout_ms;        /* of depot_solve(), or of all of depot_client_build(); 0: none */
  depot_status_cb on_status; /* NULL: no progress */
  void *user_data;           /* for on_status */
  depot_free_cb user_data_free;
  /* --- end of version 1: append below, never reorder --- */
} depot_solve_options;

#define DEPOT_SOLVE_OPTIONS_INIT {sizeof(depot_solve_options), NULL, 0, NULL, NULL, NULL}

DEPOT_API void depot_solve_options_init(depot_solve_options *options, size_t size);

/** Build `request` on `machine`. Blocks until the result is exported, or failed.
 *
 *  A cancel reaches the builder (which stops the steps) before the call returns.
 *
 *  @param      machine  several solves may run on it at once: the first connects it, when that was
 *                       not done, and the others wait for that as long as their options let them
 *  @param      request  shared
 *  @param      options  copied; NULL: all defaults
 *  @param[out] out      owned, depot_result_free(); NULL on failure
 *  @return DEPOT_OK; DEPOT_CANCELLED; DEPOT_DEADLINE_EXCEEDED; DEPOT_UNAVAILABLE when the builder
 *          went away; any code the build failed with (hop DEPOT_HOP_SOLVE)
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_solve(depot_machine *machine, const depot_solve_request *request,
                                 const depot_solve_options *options, depot_result **out,
                                 depot_error **error);

/** The whole flow in one call: depot_build_new, depot_machine_acquire, depot_machine_connect,
 *  depot_solve, depot_machine_release, and depot_build_finish by how it went. The cancel of
 *  `solve_options` covers all of it.
 *
 *  A request of several platforms may be divided among machines, as docker buildx divides it among
 *  the nodes of a builder: each platform is built by the machine that runs it, side by side. Images
 *  that are pushed are joined: the result is one index, pushed under every tag. Exports of type
 * local have a folder for each platform; those into one file, and into an image store, are refused
 *  (DEPOT_INVALID_ARGUMENT). A machine that fails ends the others, and the message begins with the
 *  platforms that it was to build; a tag that cannot be pushed is named, and so are those that were
 *  (hop DEPOT_HOP_REGISTRY).
 *
 *  @param platform  "amd64" or "arm64": one machine of that kind builds all of it; "dynamic": it is
 *                   divided; NULL: "dynamic" with Depot and with several nodes, else one machine,
 * of the request's platform or this computer's kind
 *  @since 0.1
 */
DEPOT_API depot_code depot_client_build(const depot_client *client,
                                        const depot_build_options *build_options,
                                        const char *platform, const depot_solve_request *request,
                                        const depot_solve_options *solve_options,
                                        depot_result **out, depot_error **error);

/** Have the result tell what attestations the builder made, and give the provenance as docker
 * buildx gives it in its metadata file ("buildx.build.provenance", of several platforms each its
 * own). One more question to the builder, after the build; a builder that cannot answer is a
 * warning in the log.
 *
 *  @param detail  "min"; "max": with the build's steps and times; "disabled" or NULL: none
 *  @thread request exclusive
 *  @since 0.1
 */
DEPOT_API depot_code depot_solve_request_set_record_provenance(depot_solve_request *request,
                                                               const char *detail,
                                                               depot_error **error);

DEPOT_END_DECLS

#endif
