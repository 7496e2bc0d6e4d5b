/* A machine: one leased BuildKit, kept alive by a heartbeat that no callback of yours can delay.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_MACHINE_H
#define DEPOT_MACHINE_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

typedef struct depot_machine_options {
  size_t size;
  depot_cancel *cancel; /* NULL: cannot be cancelled */
  int64_t timeout_ms;   /* until the machine is there; 0: 5 minutes, 20 s at a plain address */
  /* --- end of version 1: append below, never reorder --- */
} depot_machine_options;

#define DEPOT_MACHINE_OPTIONS_INIT {sizeof(depot_machine_options), NULL, 0}

DEPOT_API void depot_machine_options_init(depot_machine_options *options, size_t size);

/** Lease a machine for `build`. Blocks until it is there, cancelled, refused or out of time.
 *
 *  A heartbeat (ReportBuildHealth, at once and every 5 s) runs from here until release or free. On
 *  failure nothing is left running. The acquire is tried twice.
 *
 *  @param      build     exclusive; outlived-safe (the machine keeps what it needs)
 *  @param      platform  "amd64" or "arm64" ("linux/amd64" too); NULL: this computer's; copied. Of
 *                        several addresses, the one that is to build it, or else the first
 *  @param      options   copied; NULL: all defaults
 *  @param[out] out       owned, depot_machine_free(); NULL on failure
 *  @return DEPOT_OK; DEPOT_INVALID_ARGUMENT for another platform; DEPOT_DEADLINE_EXCEEDED;
 *          DEPOT_CANCELLED; DEPOT_UNAUTHENTICATED; transport codes
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_machine_acquire(depot_build *build, const char *platform,
                                           const depot_machine_options *options,
                                           depot_machine **out, depot_error **error);

/** Connect to the machine's BuildKit: mutual TLS with the identity the API handed out (kept in
 *  memory), ready as soon as ListWorkers answers. depot_solve() does it when it was not done.
 *
 *  @return DEPOT_OK, also when connected already; DEPOT_DEADLINE_EXCEEDED when it never became
 *          ready; DEPOT_UNAVAILABLE; DEPOT_UNAUTHENTICATED for a certificate that does not verify;
 *          DEPOT_CANCELLED; DEPOT_FAILED_PRECONDITION after release
 *  @thread blocking; any
 *  @since 0.1
 */
DEPOT_API depot_code depot_machine_connect(depot_machine *machine,
                                           const depot_machine_options *options,
                                           depot_error **error);

/** "tcp://host:port" or "unix:///path", borrowed from the machine. @since 0.1 */
DEPOT_API const char *depot_machine_endpoint(const depot_machine *machine);
/** "amd64" or "arm64", borrowed. @since 0.1 */
DEPOT_API const char *depot_machine_platform(const depot_machine *machine);

/** Stop the heartbeat and close the connection; a solve under way ends with DEPOT_CANCELLED. As
 *  often as one likes; NULL does nothing. Does not wait for the network. Any thread. @since 0.1 */
DEPOT_API void depot_machine_release(depot_machine *machine);

/** Releases, then frees. NULL is allowed; before or after its build. @since 0.1 */
DEPOT_API void depot_machine_free(depot_machine *machine);

DEPOT_END_DECLS

#endif
