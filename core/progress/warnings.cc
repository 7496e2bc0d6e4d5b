#include "progress/warnings.h"

#include "progress/cells.h"
#include "progress/colors.h"
#include "progress/error_text.h"

namespace depot::progress {

std::string warnings_text(const std::deque<StepWarning>& warnings, bool expand,
                          const std::string& hint, const std::string& color) {
  if (warnings.empty()) return "";
  std::string heading =
      std::to_string(warnings.size()) + " warning" + (warnings.size() == 1 ? "" : "s") + " found";
  if (!expand && !hint.empty()) heading += " (" + hint + ")";
  std::string out = "\n " + in_color(heading + ":\n", color);
  for (const auto& warning : warnings) {
    out += " - " + clean(warning.message) + "\n";
    if (!expand) continue;
    for (const auto& detail : warning.details) out += clean(detail) + "\n";
    if (!warning.url.empty()) out += "More info: " + clean(warning.url) + "\n";
    out += source_excerpt(warning.source);
    out += "\n";
  }
  return out;
}

}  // namespace depot::progress
