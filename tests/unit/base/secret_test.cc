#include "base/secret.h"

#include <gtest/gtest.h>

#include <sstream>
#include <type_traits>

namespace depot::base {
namespace {

template <class T>
concept Printable = requires(std::ostream& out, const T& value) { out << value; };

TEST(Secret, CannotBePrintedOrTurnedIntoText) {
  static_assert(!Printable<Secret>);
  static_assert(!std::is_convertible_v<Secret, std::string>);
  static_assert(!std::is_convertible_v<Secret, std::string_view>);
}

TEST(Secret, TakeLeavesNothingBehind) {
  std::string text = "short";  // lives inside the string object itself
  const char* memory = text.data();
  Secret secret = Secret::take(std::move(text));
  EXPECT_EQ(secret.reveal(), "short");
  EXPECT_EQ(std::string(memory, 5), std::string(5, '\0'));
}

TEST(Secret, MovingLeavesNothingBehind) {
  Secret first("short");
  const char* memory = first.reveal().data();
  Secret second = std::move(first);
  EXPECT_EQ(second.reveal(), "short");
  EXPECT_EQ(std::string(memory, 5), std::string(5, '\0'));
}

TEST(Secret, WipeReachesBytesBehindAShrunkString) {
  std::string text(64, 'x');
  text.resize(3);
  char* memory = text.data();
  wipe(text);
  EXPECT_TRUE(text.empty());
  for (size_t i = 0; i < 64; ++i) EXPECT_EQ(memory[i], '\0') << i;
}

}  // namespace
}  // namespace depot::base
