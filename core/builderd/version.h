#pragma once

namespace depot::builderd {

// Of the whole project; from CMake.
inline constexpr char kVersion[] = DEPOT_BUILDERD_VERSION;

}  // namespace depot::builderd
