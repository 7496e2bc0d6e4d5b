/* Stop switch. One switch may be given to any number of calls; triggering it ends them all within
 * about 100 ms plus one round trip, each with DEPOT_CANCELLED.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_CANCEL_H
#define DEPOT_CANCEL_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

/** A new switch, not triggered; owned, depot_cancel_free(). NULL only when memory is out.
 *  @since 0.1 */
DEPOT_API depot_cancel *depot_cancel_new(void);
/** Stop everything that was given this switch. Any thread, any time, as often as one likes; not
 *  from a signal handler. NULL does nothing. @since 0.1 */
DEPOT_API void depot_cancel_trigger(depot_cancel *cancel);
/** 1 once triggered. Any thread. @since 0.1 */
DEPOT_API int32_t depot_cancel_triggered(const depot_cancel *cancel);
/** NULL is allowed. Calls under way keep the switch alive for themselves. @since 0.1 */
DEPOT_API void depot_cancel_free(depot_cancel *cancel);

DEPOT_END_DECLS

#endif
