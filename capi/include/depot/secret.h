/* Secrets of a build: what `RUN --mount=type=secret,id=...` sees, and what git and HTTP sources log
 * in with (GIT_AUTH_TOKEN and the like). They go to the steps that mount them, never into the
 * image, the cache or the history; the library holds them in memory that is wiped, and no log or
 * error has them.
 *
 * A secret has at most 512000 bytes. It is sent when a step asks for it, not before. An id that is
 * given twice is refused. A build that needs one that was not given fails with DEPOT_NOT_FOUND and
 * hop DEPOT_HOP_SESSION; the error says which id and which line of the Dockerfile asked.
 *
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_SECRET_H
#define DEPOT_SECRET_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

/* Setters: `request` exclusive; everything copied; DEPOT_INVALID_ARGUMENT for an empty or repeated
 * id or a malformed spec, DEPOT_RESOURCE_EXHAUSTED for too many bytes. What can only be known of a
 * file or a variable when the build begins is told by the call that builds, before anything is
 * sent. */

/** `--secret`: "id=npm,src=token.txt", "id=npm,env=NPM_TOKEN", "id=npm,type=env,src=NPM_TOKEN";
 *  "id=npm" alone is the environment variable of that name if there is one, else the file. A
 *  variable that is named and not set is an empty secret. @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_secret(depot_solve_request *request, const char *spec,
                                                    depot_error **error);
/** These bytes, as they are: nothing is trimmed. `data` may be NULL when `size` is 0. @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_secret_bytes(depot_solve_request *request,
                                                          const char *id, const uint8_t *data,
                                                          size_t size, depot_error **error);
/** The bytes of a file. It has to be there when the build begins and is read each time a step asks.
 *  @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_secret_file(depot_solve_request *request,
                                                         const char *id, const char *path,
                                                         depot_error **error);
/** The value of a variable of the environment that the client was made with; empty when it is not
 *  set. @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_secret_env(depot_solve_request *request,
                                                        const char *id, const char *variable,
                                                        depot_error **error);

/* Takes what a depot_secret_cb has to give; alive while that runs. */
typedef struct depot_secret_answer depot_secret_answer;
/** Give the secret: `size` bytes, copied. The last call counts; none: there is no such secret,
 * which a step may or may not mind. NULL `answer` does nothing. @since 0.1 */
DEPOT_API void depot_secret_answer_set(depot_secret_answer *answer, const uint8_t *data,
                                       size_t size);

/** Asked for the secret when a step needs it, each time anew. Return 0; anything else stops the
 * solve and comes back by depot_error_user_code(). Called on the thread that called depot_solve(),
 * never at the same time as another callback of that solve, never after it returned; may block: the
 * step waits, the session lives on. */
typedef int32_t (*depot_secret_cb)(const char *id, depot_secret_answer *answer, void *user_data);
/** Ask `callback` for the secret. `user_data_free` may be NULL. On failure the caller keeps
 * user_data.
 *  @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_secret_callback(
    depot_solve_request *request, const char *id, depot_secret_cb callback, void *user_data,
    depot_free_cb user_data_free, depot_error **error);

DEPOT_END_DECLS

#endif
