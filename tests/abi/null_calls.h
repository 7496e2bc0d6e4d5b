/* What abi.py writes: calls of every function of the headers. */
#ifndef NULL_CALLS_H
#define NULL_CALLS_H

#include <depot/depot.h>

#ifdef __cplusplus
extern "C" {
#endif

struct null_handles {
  depot_client* client;
  depot_solve_request* request;
  depot_error* error;
  depot_cancel* cancel;
  depot_build* build;
  depot_machine* machine;
  depot_progress* progress;
  depot_trace* trace;
};

/* Every function with zeros alone: a fallible one has to refuse, a string never is NULL. */
void call_everything_with_nothing(void (*report)(const char* function, const char* expected));
/* Every function that takes one of these handles first, with zeros for the rest. */
void call_with_a_handle_alone(const struct null_handles* handles);

#ifdef __cplusplus
}
#endif

#endif
