/* SSH for a build: what `RUN --mount=type=ssh` and git sources over SSH log in with.
 *
 * A step speaks to an agent: one that runs here, or one of the library's own that holds the keys it
 * was given. It may list the keys and have them sign; everything else (adding, removing, locking,
 * extensions) is refused here. The keys themselves never leave.
 *
 * A build that needs an id that was not given fails with DEPOT_NOT_FOUND and hop DEPOT_HOP_SESSION;
 * the error says which id and which line of the Dockerfile asked.
 *
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_SSH_H
#define DEPOT_SSH_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

/* Setters: `request` exclusive; everything copied; keys held in memory that is wiped;
 * DEPOT_INVALID_ARGUMENT for a repeated id or a malformed spec. Whether sockets are there and keys
 * can be used is told by the call that builds, before anything is sent: DEPOT_FAILED_PRECONDITION
 * for a key that a passphrase protects, or without an agent; DEPOT_UNIMPLEMENTED for a kind of key
 * other than RSA, ECDSA and Ed25519. */

/** `--ssh`: "default" ($SSH_AUTH_SOCK), "id=/path/to/agent.sock", "id=key-file,other-key-file",
 *  "id=/path/to/socket,raw=true". @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_ssh(depot_solve_request *request, const char *spec,
                                                 depot_error **error);
/** Forward the agent at `socket`; NULL: the one of SSH_AUTH_SOCK in the environment that the client
 * was made with. `raw` 1 passes the bytes on as they are, whatever it is that listens there. An id
 * that is empty is "default". @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_ssh_agent(depot_solve_request *request, const char *id,
                                                       const char *socket, int32_t raw,
                                                       depot_error **error);
/** Forward an agent of the library's own with this private key: the text of its file (PEM or
 * OpenSSH's format, not encrypted), 100 KiB at most. Again with the same id: another key of the
 * same agent.
 *  @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_ssh_key(depot_solve_request *request, const char *id,
                                                     const uint8_t *data, size_t size,
                                                     depot_error **error);
/** The same with a key's file. @since 0.1 */
DEPOT_API depot_code depot_solve_request_add_ssh_key_file(depot_solve_request *request,
                                                          const char *id, const char *path,
                                                          depot_error **error);

DEPOT_END_DECLS

#endif
