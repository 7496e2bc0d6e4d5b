// The warnings of a build (lint, mostly) once more at its end, as docker buildx shows them.
#pragma once

#include <deque>
#include <string>

#include "progress/trace.h"

namespace depot::progress {

// Empty when there are none. `expand`: with what each is about, where to read more, and the lines
// of the Dockerfile; else the heading names `hint`, how to have it so. `color`: of the heading.
std::string warnings_text(const std::deque<StepWarning>& warnings, bool expand,
                          const std::string& hint, const std::string& color);

}  // namespace depot::progress
