#include "solve/csv.h"

namespace depot::solve {

base::Result<std::vector<std::string>> parse_csv(std::string_view line, const std::string& shown) {
  const std::string what = shown.empty() ? "'" + std::string(line) + "'" : shown;
  std::vector<std::string> fields;
  size_t i = 0;
  for (;;) {
    std::string field;
    if (i < line.size() && line[i] == '"') {
      ++i;
      for (;;) {
        if (i >= line.size()) return base::usage_error(what + ": a quote is not closed");
        if (line[i] != '"') {
          field.push_back(line[i++]);
        } else if (i + 1 < line.size() && line[i + 1] == '"') {
          field.push_back('"');
          i += 2;
        } else {
          ++i;
          break;
        }
      }
      if (i < line.size() && line[i] != ',')
        return base::usage_error(what + ": text after a closing quote");
    } else {
      while (i < line.size() && line[i] != ',') {
        if (line[i] == '"') return base::usage_error(what + ": a bare quote in a field");
        if (line[i] == '\n' || line[i] == '\r')
          return base::usage_error(what + ": more than one line");
        field.push_back(line[i++]);
      }
    }
    fields.push_back(std::move(field));
    if (i >= line.size()) return fields;
    ++i;  // the comma
  }
}

}  // namespace depot::solve
