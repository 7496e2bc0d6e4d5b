/* Version of the library, at compile time and at run time.
 * Since 0.1.0; what came later says so. */
#ifndef DEPOT_VERSION_H
#define DEPOT_VERSION_H

#include "depot/base.h"

DEPOT_BEGIN_DECLS

#define DEPOT_VERSION_MAJOR 0
#define DEPOT_VERSION_MINOR 1
#define DEPOT_VERSION_PATCH 0
#define DEPOT_VERSION_STRING "0.1.0"
/* major * 1000000 + minor * 1000 + patch */
#define DEPOT_VERSION_NUMBER 1000

/** The loaded library's DEPOT_VERSION_NUMBER. @since 0.1 */
DEPOT_API int32_t depot_version_number(void);
/** The loaded library's DEPOT_VERSION_STRING; static. @since 0.1 */
DEPOT_API const char *depot_version_string(void);

DEPOT_END_DECLS

#endif
