/* libdepot: build container images from code, on Depot, on a local builder, on any BuildKit.
 *
 *   depot_client_new          which builder, how to reach it
 *   depot_build_new           registers a build
 *   depot_machine_acquire     leases a machine for it, depot_machine_connect connects
 *   depot_solve               builds; status batches go to a callback
 *   depot_machine_release     gives the machine back
 *   depot_build_finish        tells how it went
 * or all of it by depot_client_build.
 *
 * Ownership, three words: inputs are copied before a call returns; returned `const` pointers are
 * borrowed from the handle they came from; what comes by an `out` parameter is owned by the caller
 * and freed by the handle's _free. _free accepts NULL, never blocks on the network, and works in
 * any order.
 *
 * Threads: a `const depot_x *` may be used by many threads at once; a `depot_x *` by one at a time,
 * and it may move between threads; a depot_cancel by any thread at any time; depot_machine_release
 * by any thread at any time.
 *
 * Callbacks: one thread at a time per solve, never after the call returned, never under a lock. Do
 * not call depot_solve, _release or _free of the same machine from one; depot_cancel_trigger is
 * allowed.
 *
 * fork(): a child must not touch handles of its parent, and where the parent has connected to a
 * builder before, the child cannot connect to one, not by handles of its own either: calls that
 * notice return DEPOT_FAILED_PRECONDITION. To fork before the first build is fine, and so is
 * exec().
 *
 * Option structs start with their size: set it by the _INIT macro or the _init function. Fields may
 * be appended in later versions, never moved. Numbers are for ever; tolerate new ones.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_H
#define DEPOT_H

#include "depot/attributes.h"
#include "depot/base.h"
#include "depot/build.h"
#include "depot/build_context.h"
#include "depot/builder.h"
#include "depot/builds.h"
#include "depot/cache.h"
#include "depot/call.h"
#include "depot/cancel.h"
#include "depot/client.h"
#include "depot/context.h"
#include "depot/error.h"
#include "depot/history.h"
#include "depot/local.h"
#include "depot/machine.h"
#include "depot/progress.h"
#include "depot/registry.h"
#include "depot/result.h"
#include "depot/secret.h"
#include "depot/solve.h"
#include "depot/ssh.h"
#include "depot/status.h"
#include "depot/version.h"

#endif
