/* Errors: a code to branch on, and an object that says which hop failed, what, where in the
 * Dockerfile, and what to do.
 *
 * Every function that can fail returns a depot_code and takes `depot_error **error` last. `error`
 * may be NULL (then only the code is told); else *error must be NULL on entry, and is set exactly
 * when the code is not DEPOT_OK. The caller owns it: depot_error_free(). An error is immutable and
 * may be read by several threads at once. Strings returned from it live as long as it does.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_ERROR_H
#define DEPOT_ERROR_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

/* Codes: google.rpc.Code, the numbers that BuildKit, gRPC and the Depot API share. More may be
 * added; treat one that you do not know as DEPOT_UNKNOWN. */
#define DEPOT_OK 0
#define DEPOT_CANCELLED 1
#define DEPOT_UNKNOWN 2
#define DEPOT_INVALID_ARGUMENT 3
#define DEPOT_DEADLINE_EXCEEDED 4
#define DEPOT_NOT_FOUND 5
#define DEPOT_ALREADY_EXISTS 6
#define DEPOT_PERMISSION_DENIED 7
#define DEPOT_RESOURCE_EXHAUSTED 8
#define DEPOT_FAILED_PRECONDITION 9
#define DEPOT_ABORTED 10
#define DEPOT_OUT_OF_RANGE 11
#define DEPOT_UNIMPLEMENTED 12
#define DEPOT_INTERNAL 13
#define DEPOT_UNAVAILABLE 14
#define DEPOT_DATA_LOSS 15
#define DEPOT_UNAUTHENTICATED 16

/* Which hop of the build failed. */
#define DEPOT_HOP_NONE 0
#define DEPOT_HOP_USAGE 1     /* the arguments of the call                                  */
#define DEPOT_HOP_LOCAL 2     /* files, memory or disk of this machine                      */
#define DEPOT_HOP_API 3       /* the Depot API                                              */
#define DEPOT_HOP_PROXY 4     /* an HTTP proxy on the way                                   */
#define DEPOT_HOP_BUILDER 5   /* starting the local builder                                 */
#define DEPOT_HOP_MACHINE 6   /* the connection to the machine's BuildKit                   */
#define DEPOT_HOP_SESSION 7   /* the session: BuildKit asking us for files and credentials  */
#define DEPOT_HOP_SOLVE 8     /* the build itself, as BuildKit reports it                   */
#define DEPOT_HOP_REGISTRY 9  /* a registry or its token server                             */
#define DEPOT_HOP_HELPER 10   /* a credential helper program                                */
#define DEPOT_HOP_CALLBACK 11 /* a callback of the caller's                                 */

/** Lines are 1-based, characters 0-based (BuildKit's pb.Range). */
typedef struct depot_range {
  int32_t start_line;
  int32_t start_character;
  int32_t end_line;
  int32_t end_character;
} depot_range;

/** Name of a code as Go's gRPC prints it ("NotFound"); "Unknown" for others; static. @since 0.1 */
DEPOT_API const char *depot_code_name(depot_code code);
/** Name of a hop, lower case ("api"); "none" for others; static. @since 0.1 */
DEPOT_API const char *depot_hop_name(depot_hop hop);

/** NULL is allowed and does nothing. @since 0.1 */
DEPOT_API void depot_error_free(depot_error *error);

/* Getters accept NULL and answer as for "no error": DEPOT_OK, 0, "". None returns NULL. */

DEPOT_API depot_code depot_error_code(const depot_error *error);
DEPOT_API depot_hop depot_error_hop(const depot_error *error);
/** One line: what failed. */
DEPOT_API const char *depot_error_message(const depot_error *error);
/** What to do about it; "" when nothing better than the message is known. May have many lines. */
DEPOT_API const char *depot_error_hint(const depot_error *error);
/** 1 when the same call may well succeed if it is made again, else 0. */
DEPOT_API int32_t depot_error_retryable(const depot_error *error);
/** Digest and name of the failing vertex (build step); "" when no vertex failed. */
DEPOT_API const char *depot_error_vertex_digest(const depot_error *error);
DEPOT_API const char *depot_error_vertex_name(const depot_error *error);
/** Exit code of the failing process; -1 when no process failed. */
DEPOT_API int32_t depot_error_exit_code(const depot_error *error);
/** The last lines that the failing step printed; "" when it printed none. */
DEPOT_API const char *depot_error_log_tail(const depot_error *error);
/** What a callback of the caller's returned to stop the solve; 0 when none did. */
DEPOT_API int32_t depot_error_user_code(const depot_error *error);
/** The whole error as a person wants to read it: message, Dockerfile lines, log tail, hint. */
DEPOT_API const char *depot_error_text(const depot_error *error);

/* Places in source files (Dockerfiles) that the error points at, innermost first. An index out of
 * range answers "" or 0. */
DEPOT_API size_t depot_error_source_count(const depot_error *error);
DEPOT_API const char *depot_error_source_file(const depot_error *error, size_t source);
/** The file's bytes as BuildKit read them; `size` may be NULL. */
DEPOT_API const uint8_t *depot_error_source_data(const depot_error *error, size_t source,
                                                 size_t *size);
/** The lines around the place, as docker buildx shows them under an error; "" when it points
 *  nowhere. */
DEPOT_API const char *depot_error_source_excerpt(const depot_error *error, size_t source);
DEPOT_API size_t depot_error_source_range_count(const depot_error *error, size_t source);
/** Writes to `out`; returns 1, or 0 when there is no such range. */
DEPOT_API int32_t depot_error_source_range(const depot_error *error, size_t source, size_t range,
                                           depot_range *out);

/* Details of the gRPC status as the server sent them: type URL and bytes, unknown ones too. */
DEPOT_API size_t depot_error_detail_count(const depot_error *error);
DEPOT_API const char *depot_error_detail_type(const depot_error *error, size_t detail);
DEPOT_API const uint8_t *depot_error_detail_bytes(const depot_error *error, size_t detail,
                                                  size_t *size);

DEPOT_END_DECLS

#endif
