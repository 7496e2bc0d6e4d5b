/* Registry credentials beyond depot_solve_request_set_registry_auth: from a callback, and which
 * token servers may have them.
 *
 * Where the credentials of a host come from, first match wins: what was set for it, what the Depot
 * API gave for the build, the callback, DOCKER_AUTH_CONFIG, the docker config with its helpers.
 * Each party that gets some is told of by depot_status_credential_use().
 *
 * A registry names its token server ("realm") by itself, and a password goes there only if the two
 * belong together: by the same host, by the same domain, by a list of those that are known to, or
 * by what is allowed here. That it uses https, and is no private address for a public registry, no
 * allowing changes.
 *
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_REGISTRY_H
#define DEPOT_REGISTRY_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

/* Takes what a depot_credentials_cb has to give; alive while that runs. */
typedef struct depot_credentials_answer depot_credentials_answer;
/** Give a user and a password, copied; an empty or NULL `username`: `password` is an identity
 * token. The last call counts; none: somebody else may know the host. NULL `answer` does nothing.
 * @since 0.1 */
DEPOT_API void depot_credentials_answer_set(depot_credentials_answer *answer, const char *username,
                                            const char *password);

/** Asked for the credentials of a registry host when the builder needs them; the answer is kept for
 * some minutes. Return 0; anything else stops the solve and comes back by depot_error_user_code().
 * Called on the thread that called depot_solve(), never at the same time as another callback of
 * that solve, never after it returned; may block: the step waits, the session lives on. */
typedef int32_t (*depot_credentials_cb)(const char *host, depot_credentials_answer *answer,
                                        void *user_data);
/** Ask `callback` for the credentials of hosts that none were set for. `request` exclusive;
 *  `user_data_free` may be NULL; on failure the caller keeps user_data. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_credentials_callback(depot_solve_request *request,
                                                                  depot_credentials_cb callback,
                                                                  void *user_data,
                                                                  depot_free_cb user_data_free,
                                                                  depot_error **error);

/** Let token server `realm` ("host[:port]", as the error that refuses it says) have the password of
 *  registry `host`. `request` exclusive; both copied. @since 0.1 */
DEPOT_API depot_code depot_solve_request_allow_realm(depot_solve_request *request, const char *host,
                                                     const char *realm, depot_error **error);
/** Asked when nothing ties the token server `realm` to registry `host`: 1 lets it have the
 * password, 0 does not, and the build fails with DEPOT_PERMISSION_DENIED. Thread and time as
 * depot_credentials_cb. */
typedef int32_t (*depot_realm_cb)(const char *host, const char *realm, void *user_data);
/** Ask `callback`, once for each pair. Arguments as for the credentials' one. @since 0.1 */
DEPOT_API depot_code depot_solve_request_set_realm_callback(depot_solve_request *request,
                                                            depot_realm_cb callback,
                                                            void *user_data,
                                                            depot_free_cb user_data_free,
                                                            depot_error **error);

DEPOT_END_DECLS

#endif
