#include "localbuilder/handshake.h"

#include <charconv>

#include "localbuilder/talk.h"

namespace depot::localbuilder {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace {

constexpr size_t kMaxAnswer = 8 << 10;

// Takes `word` and one number off the front.
bool take(std::string_view& text, std::string_view word, int32_t& number) {
  if (text.substr(0, word.size()) != word) return false;
  text.remove_prefix(word.size());
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

}  // namespace

std::string format_hello(const Hello& hello) {
  return "libdepot-builderd " + hello.version + " protocol " + std::to_string(hello.protocol) +
         " oldest " + std::to_string(hello.oldest) + " builds " + std::to_string(hello.builds) +
         "\n";
}

Result<Hello> parse_hello(std::string_view line) {
  constexpr std::string_view kName = "libdepot-builderd ";
  Hello hello;
  bool good = line.substr(0, kName.size()) == kName;
  if (good) {
    line.remove_prefix(kName.size());
    size_t space = line.find(' ');
    good = space != std::string_view::npos;
    hello.version = std::string(line.substr(0, space));
    line.remove_prefix(good ? space : 0);
    // More may follow in later versions.
    good = good && take(line, " protocol ", hello.protocol) &&
           take(line, " oldest ", hello.oldest) && take(line, " builds ", hello.builds);
  }
  if (!good) {
    return Status(Code::kFailedPrecondition, Hop::kBuilder,
                  "what listens on the local builder's socket is not a local builder");
  }
  return hello;
}

Result<Hello> say_hello(const std::string& socket_path, const base::Cancel& cancel,
                        std::chrono::steady_clock::time_point deadline) {
  DEPOT_ASSIGN(Answer answer,
               exchange(socket_path, {"GET", kHelloPath, "", kMaxAnswer}, cancel, deadline));
  return parse_hello(answer.body);
}

Result<bool> ask_to_retire(const std::string& socket_path, const base::Cancel& cancel,
                           std::chrono::steady_clock::time_point deadline) {
  DEPOT_ASSIGN(Answer answer,
               exchange(socket_path, {"POST", kRetirePath, "", kMaxAnswer}, cancel, deadline));
  if (answer.status == 200) return true;
  if (answer.status == 409) return false;
  return Status(
      Code::kUnknown, Hop::kBuilder,
      "the local builder answered " + std::to_string(answer.status) + " when asked to end");
}

}  // namespace depot::localbuilder
