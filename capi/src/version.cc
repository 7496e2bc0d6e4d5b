#include "depot/version.h"

static_assert(DEPOT_VERSION_NUMBER ==
              DEPOT_VERSION_MAJOR * 1000000 + DEPOT_VERSION_MINOR * 1000 + DEPOT_VERSION_PATCH);

int32_t depot_version_number(void) {
  return DEPOT_VERSION_NUMBER;
}
const char* depot_version_string(void) {
  return DEPOT_VERSION_STRING;
}
