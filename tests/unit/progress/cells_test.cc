#include "progress/cells.h"

#include <gtest/gtest.h>

#include "progress/colors.h"
#include "progress/log_window.h"

namespace depot::progress {
namespace {

using Lines = std::vector<std::string>;

TEST(Clean, LeavesNothingThatMovesTheCursor) {
  EXPECT_EQ(clean("\x1b]0;title\x07"
                  "a\tb\x1b[1;2Hc\xc2\x9b"),
            "a bc");
  EXPECT_EQ(clean("\x1b[31mred\x1b[0m \x1b(Bset \x1bPdata\x1b\\x\x7f"), "red set x");
  EXPECT_EQ(clean("1%\r50%\r100%\r"), "100%");
  EXPECT_EQ(clean("a\nb"), "a b");
  EXPECT_EQ(clean("\x1b"), "");
  EXPECT_EQ(clean("\x1b["), "");
  EXPECT_EQ(clean("\x1b]unended"), "");
  EXPECT_EQ(clean("\xff\xe6\x97"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(clean("\xe2\x80\xaetxt"), "txt");  // right-to-left override
  EXPECT_EQ(clean("a\tb", 4), "a    b");
  EXPECT_EQ(clean("a\tb", 0), "a\tb");
}

TEST(Cells, AreCountedAsATerminalDoes) {
  EXPECT_EQ(cells_of("abc"), 3u);
  EXPECT_EQ(cells_of("日本語"), 6u);
  EXPECT_EQ(cells_of("한글"), 4u);
  EXPECT_EQ(cells_of("🙂🚀"), 4u);
  EXPECT_EQ(cells_of("e\xcc\x81"), 1u);  // a combining accent
  EXPECT_EQ(cells_of("naïve"), 5u);
  EXPECT_EQ(cut_cells("日本語", 5), "日本");
  EXPECT_EQ(cut_cells("abc", 0), "");
  EXPECT_EQ(pad_cells("日本語", 5), "日本 ");
  EXPECT_EQ(pad_cells("a", 3), "a  ");
}

TEST(LogWindow, ShowsTheLastLines) {
  LogWindow window(3, 20);
  window.write("one\ntwo\nthr");
  EXPECT_EQ(window.lines(), (Lines{"one", "two", "thr"}));
  window.write("ee\nfour\n");
  EXPECT_EQ(window.lines(), (Lines{"three", "four"}));
}

TEST(LogWindow, ABarThatIsDrawnAgainIsOneLine) {
  LogWindow window(6, 40);
  window.write("10%\r20%\r\x1b[K30% of it\r100%");
  EXPECT_EQ(window.lines(), (Lines{"100%of it"}));
  window.write("\r\x1b[2Kdone\n");
  EXPECT_EQ(window.lines(), (Lines{"done"}));
  window.write("a\nb\n\x1b[2Ax\x1b[1Cy\x1b[B\r");
  EXPECT_EQ(window.lines(), (Lines{"done", "x y", "b"}));
  window.write("\x1b[2J\x1b[Hhome\b\b!");
  EXPECT_EQ(window.lines(), (Lines{"ho!e"}));
}

TEST(LogWindow, PiecesAreCutAnywhere) {
  std::string text = "\x1b[31m日本\x1b[0m\n🙂\x1b]0;t\x07!\n";
  LogWindow window(6, 40);
  for (char c : text) window.write(std::string(1, c));
  EXPECT_EQ(window.lines(), (Lines{"日本", "🙂!"}));
}

TEST(LogWindow, LongLinesWrapAndWideOnesStayWhole) {
  LogWindow window(6, 5);
  window.write("1234567\n日本語\n");
  EXPECT_EQ(window.lines(), (Lines{"12345", "67", "日本", "語"}));
  window.resize(2, 3);
  EXPECT_EQ(window.lines(), (Lines{"語"}));
}

TEST(LogWindow, NonsenseIsHarmless) {
  LogWindow window(3, 10);
  for (const char* text :
       {"\x1b[999999999;99999999H", "\x1b[99999A", "\x1b[9999B", "\x1b[99999C", "\x1b[99999D",
        "\x1b[;;;;H", "\x1b[3J", "\x1b[1K", "\xff", "\x1b[", "H", "\x1b[0G", "\x1b[?25l", "\x1b"})
    window.write(text);
  window.write("]" + std::string(1000, 'x'));
  window.write("\n1\n2\n3\n4\n");
  window.write("ok");
  EXPECT_EQ(window.lines(), (Lines{"3", "4", "ok"}));
  window.resize(0, 0);
  window.write("日");
}

TEST(Colors, AreReadAsBuildKitReadsThem) {
  Colors colors = Colors::standard();
  read_colors("run=green:ERROR=255,165,0:cancel=light-red:warning=Yellow", colors);
  EXPECT_EQ(colors.run, "\x1b[32m");
  EXPECT_EQ(colors.error, "\x1b[38;5;214m");
  EXPECT_EQ(colors.cancel, "\x1b[91m");
  EXPECT_EQ(colors.warning, "\x1b[33m");
  Colors before = colors;
  read_colors("run=nonsense:error=1,2:cancel=1,2,256:what=red:run:run=a=b::warning=1,,3", colors);
  EXPECT_EQ(colors.run, before.run);
  EXPECT_EQ(colors.error, before.error);
  EXPECT_EQ(colors.cancel, before.cancel);
  EXPECT_EQ(colors.warning, before.warning);
}

}  // namespace
}  // namespace depot::progress
