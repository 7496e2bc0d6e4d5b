/* What every other header needs: export macro, fixed-width types, the handles by name.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_BASE_H
#define DEPOT_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define DEPOT_API __declspec(dllimport)
#elif defined(DEPOT_BUILDING_LIBRARY)
#define DEPOT_API __attribute__((visibility("default")))
#else
#define DEPOT_API
#endif

#ifdef __cplusplus
#define DEPOT_BEGIN_DECLS extern "C" {
#define DEPOT_END_DECLS }
#else
#define DEPOT_BEGIN_DECLS
#define DEPOT_END_DECLS
#endif

DEPOT_BEGIN_DECLS

typedef struct depot_client depot_client;               /* endpoint, token, builder choice       */
typedef struct depot_build depot_build;                 /* one registered build                  */
typedef struct depot_machine depot_machine;             /* one leased machine and its heartbeat  */
typedef struct depot_solve_request depot_solve_request; /* what to build, and where to put it    */
typedef struct depot_status depot_status;               /* one status batch, alive in a callback */
typedef struct depot_result depot_result;               /* what a solve exported                 */
typedef struct depot_error depot_error;                 /* code, hop, message, typed details     */
typedef struct depot_cancel depot_cancel;               /* thread-safe stop switch               */

typedef int32_t depot_code;      /* DEPOT_OK or another DEPOT_* code of error.h */
typedef int32_t depot_hop;       /* DEPOT_HOP_* of error.h                      */
typedef int32_t depot_log_level; /* DEPOT_LOG_* of client.h                     */
typedef int32_t depot_outcome;   /* DEPOT_OUTCOME_* of build.h                  */

/* Frees a callback's user_data; called exactly once, when the library lets go of it. */
typedef void (*depot_free_cb)(void *user_data);

DEPOT_END_DECLS

#endif
