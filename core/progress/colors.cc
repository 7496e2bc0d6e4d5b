#include "progress/colors.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace depot::progress {
namespace {

struct Named {
  std::string_view name;
  int code;
};

constexpr std::array<Named, 17> kNames = {{
    {"default", 39},
    {"black", 30},
    {"red", 31},
    {"green", 32},
    {"yellow", 33},
    {"blue", 34},
    {"magenta", 35},
    {"cyan", 36},
    {"white", 37},
    {"light-black", 90},
    {"light-red", 91},
    {"light-green", 92},
    {"light-yellow", 93},
    {"light-blue", 94},
    {"light-magenta", 95},
    {"light-cyan", 96},
    {"light-white", 97},
}};

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> out;
  for (size_t start = 0; start <= text.size();) {
    size_t end = std::min(text.find(at, start), text.size());
    out.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  return out;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// One of the 216 colours of a terminal's cube, or nothing.
std::string of_numbers(const std::string& value) {
  auto fields = split(value, ',');
  if (fields.size() != 3) return "";
  int code = 16;
  constexpr std::array<int, 3> kWeights = {36, 6, 1};
  for (size_t i = 0; i < 3; ++i) {
    const auto& field = fields[i];
    if (field.empty() || field.size() > 3 ||
        field.find_first_not_of("0123456789") != std::string::npos)
      return "";
    int number = std::stoi(field);
    if (number > 255) return "";
    code += number / 43 * kWeights[i];
  }
  return "\x1b[38;5;" + std::to_string(code) + "m";
}

std::string color_of(const std::string& value) {
  for (const auto& named : kNames)
    if (named.name == lower(value)) return "\x1b[" + std::to_string(named.code) + "m";
  return of_numbers(value);
}

}  // namespace

Colors Colors::standard() {
  return {"\x1b[34m", "\x1b[33m", "\x1b[33m", "\x1b[31m", "\x1b[2m"};
}

void read_colors(std::string_view spec, Colors& colors) {
  // Quotes make a field as in CSV; no colour needs them, but a spec may have them all the same.
  std::string plain(spec);
  std::erase(plain, '"');
  for (const auto& field : split(plain, ':')) {
    auto parts = split(field, '=');
    if (parts.size() != 2) continue;
    std::string color = color_of(parts[1]);
    if (color.empty()) continue;
    std::string key = lower(parts[0]);
    if (key == "run") colors.run = color;
    if (key == "cancel") colors.cancel = color;
    if (key == "warning") colors.warning = color;
    if (key == "error") colors.error = color;
  }
}

std::string in_color(std::string_view text, std::string_view color) {
  if (color.empty()) return std::string(text);
  return std::string(color) + std::string(text) + std::string(kColorOff);
}

}  // namespace depot::progress
