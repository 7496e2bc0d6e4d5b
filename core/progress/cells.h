// Text as a terminal shows it: cells, and nothing that moves the cursor or changes a mode.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace depot::progress {

// One character of UTF-8 at text[at]; moves `at` behind it. What is not UTF-8 is U+FFFD.
char32_t next_character(std::string_view text, size_t& at);
// Cells that a terminal gives it: 0 for what is written over the one before, 2 for most of what is
// written east of it and for pictures, else 1. Controls have none.
int cells_of(char32_t character);

// Without escape sequences and other controls, and without what turns the direction of writing; a
// tab is `tab` spaces (0: stays), a carriage return starts the line again.
std::string clean(std::string_view text, int tab = 1);
// Of clean text.
size_t cells_of(std::string_view text);
// As much of clean text as fits.
std::string_view cut_cells(std::string_view text, size_t cells);
// Clean text with spaces behind it, up to so many cells.
std::string pad_cells(std::string_view text, size_t cells);

void append_character(std::string& out, char32_t character);

}  // namespace depot::progress
