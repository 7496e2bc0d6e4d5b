// One pattern of a .dockerignore or of a filter, compiled. It answers as Go's
// github.com/moby/patternmatcher does (protocol.md 5.2), which turns every pattern into one of four
// kinds: equality, prefix, suffix, or an anchored regular expression. The expressions of ordinary
// patterns run here as a bit-parallel automaton of at most 64 states; the odd ones (escaped
// letters, unusual classes) go to RE2. Never changes after compile(): any number of threads may
// match.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace depot::filesync {

class Pattern {
 public:
  // `cleaned` has neither its '!' nor surrounding blanks. `force_re2` is for comparing the two
  // engines.
  static Pattern compile(std::string cleaned, bool exclusion, bool force_re2 = false);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  const std::string& text() const { return text_; }
  bool exclusion() const { return exclusion_; }
  // Go finds some syntax errors only when it first tries to match; so must we.
  bool bad() const { return kind_ == Kind::kBad; }
  bool matches(std::string_view path) const;
  // A plain path: matches itself and nothing else.
  bool exact() const { return kind_ == Kind::kExact; }
  // False if no path below `dir` can match, whatever is there; `dir_slash` is the directory with
  // its slash, empty for the root. True proves nothing.
  bool may_match_below(std::string_view dir_slash) const;
  bool uses_re2() const { return kind_ == Kind::kRe2; }
  // Bytes of memory that RE2 takes for it, roughly; 0 for the others.
  size_t cost() const { return cost_; }

 private:
  enum class Kind { kExact, kPrefix, kSuffix, kGlob, kRe2, kBad };
  struct Class {
    bool negated = false;
    std::vector<std::pair<uint32_t, uint32_t>> ranges;
    bool holds(uint32_t rune) const;
  };
  struct Token {
    enum Type : uint8_t {
      kRune,        // this rune
      kAny,         // a rune but '/'
      kClass,       // a rune of the class
      kStar,        // runes but '/', any number
      kAll,         // runes but newline, any number
      kMaybeBelow,  // nothing, or what kUntilSlash takes
      kUntilSlash,  // runes but newline, any number, then '/'
    };
    Type type;
    uint32_t value = 0;  // the rune, or the index of the class
  };
  struct Scan;

  Pattern() = default;
  bool scan(std::string* regex, bool* simple);
  void build_glob();
  void build_re2(const std::string& regex);
  uint64_t closure(uint64_t states) const;
  bool run_glob(std::string_view path) const;

  std::string text_;
  bool exclusion_ = false;
  Kind kind_ = Kind::kExact;
  std::string head_;  // literal text a match starts with
  std::string tail_;  // literal text a match ends with, behind head_
  std::vector<Token> tokens_;
  std::vector<Class> classes_;
  size_t slashes_ = 0;        // of every match, if
  bool fixed_depth_ = false;  // this
  uint64_t loops_ = 0;        // states that may be passed without a rune
  std::unique_ptr<re2::RE2> re2_;
  size_t cost_ = 0;
};

}  // namespace depot::filesync
