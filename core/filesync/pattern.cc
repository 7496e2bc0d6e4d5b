#include "filesync/pattern.h"

#include <re2/re2.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "filesync/go_text.h"

namespace depot::filesync {
namespace {

// Special in a regular expression, plain in a pattern. Upstream means "|{}" to be among these, but
// the bitmap it looks them up in is too small for bytes beyond 63: "a|b*" is an alternative, there
// and so here.
constexpr std::string_view kEscaped = ".+()$";
constexpr std::string_view kForgotten = "|{}";
// With the state that accepts, one word of bits.
constexpr size_t kMaxTokens = 63;
constexpr int64_t kMaxRe2 = 256 << 10;  // bytes

bool is_alnum(uint32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void append_rune(std::string* out, uint32_t rune) {
  if (rune < 0x80) {
    out->push_back(static_cast<char>(rune));
  } else if (rune < 0x800) {
    out->push_back(static_cast<char>(0xc0 | rune >> 6));
    out->push_back(static_cast<char>(0x80 | (rune & 0x3f)));
  } else if (rune < 0x10000) {
    out->push_back(static_cast<char>(0xe0 | rune >> 12));
    out->push_back(static_cast<char>(0x80 | (rune >> 6 & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (rune & 0x3f)));
  } else {
    out->push_back(static_cast<char>(0xf0 | rune >> 18));
    out->push_back(static_cast<char>(0x80 | (rune >> 12 & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (rune >> 6 & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (rune & 0x3f)));
  }
}

}  // namespace

Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

bool Pattern::Class::holds(uint32_t rune) const {
  for (const auto& [low, high] : ranges)
    if (low <= rune && rune <= high) return !negated;
  return negated;
}

// A cursor over the pattern's runes.
struct Pattern::Scan {
  std::string_view rest;
  bool replaced = false;  // met a byte that is not UTF-8, or U+FFFD, which the two look the same as

  bool end() const { return rest.empty(); }
  bool at(char c) const { return !rest.empty() && rest.front() == c; }
  uint32_t next() {
    Rune rune = decode_rune(rest);
    rest.remove_prefix(rune.size);
    replaced = replaced || rune.value == kRuneError;
    return rune.value;
  }

  // The class behind a '[', if it is of the plain sort that every engine reads alike: runes and
  // ranges, nothing nested, no escapes.
  bool plain_class(Class* out, std::string_view* taken) {
    Scan in{rest};
    if (in.at('^')) {
      out->negated = true;
      in.next();
    }
    for (;;) {
      if (in.end()) return false;
      uint32_t low = in.next();
      if (low == ']' && !out->ranges.empty()) break;
      uint32_t high = low;
      constexpr std::string_view kOdd = "[]\\*?-^&~";
      auto odd = [&](uint32_t c) {
        return c < 0x80 && kOdd.find(static_cast<char>(c)) != kOdd.npos;
      };
      if (odd(low)) return false;
      if (in.at('-')) {
        in.next();
        if (in.end()) return false;
        high = in.next();
        if (odd(high) || high < low) return false;
      }
      if (in.replaced) return false;
      out->ranges.emplace_back(low, high);
    }
    *taken = rest.substr(0, rest.size() - in.rest.size());
    rest = in.rest;
    return true;
  }
};

Pattern Pattern::compile(std::string cleaned, bool exclusion, bool force_re2) {
  Pattern pattern;
  pattern.text_ = std::move(cleaned);
  pattern.exclusion_ = exclusion;
  std::string regex;
  bool simple = true;
  if (pattern.scan(&regex, &simple)) {
    if (simple && !force_re2) pattern.build_glob();
    if (pattern.kind_ == Kind::kRe2) pattern.build_re2(regex);
  }
  return pattern;
}

// Decides the kind; true if it takes an expression, which is then in `regex`, and in `tokens_` too
// while `simple`. Follows the steps of the original, since its kinds depend on their order.
bool Pattern::scan(std::string* regex, bool* simple) {
  Scan in{text_};
  if (text_.starts_with("\xef\xbb\xbf")) {  // Go's scanner drops a byte order mark
    in.next();
    *simple = false;
  }
  *regex = "^";
  auto add = [&](Token::Type type, uint32_t value = 0) { tokens_.push_back({type, value}); };
  for (bool first = true; !in.end(); first = false) {
    uint32_t c = in.next();
    if (c == '*' && in.at('*')) {
      in.next();
      if (in.at('/')) in.next();
      if (!in.end()) {
        *regex += "(.*/)?";
        add(Token::kMaybeBelow);
        add(Token::kUntilSlash);
        kind_ = Kind::kRe2;
      } else if (kind_ == Kind::kExact) {
        kind_ = Kind::kPrefix;
      } else {
        *regex += ".*";
        add(Token::kAll);
        kind_ = Kind::kRe2;
      }
      if (first) kind_ = Kind::kSuffix;
    } else if (c == '*') {
      *regex += "[^/]*";
      add(Token::kStar);
      kind_ = Kind::kRe2;
    } else if (c == '?') {
      *regex += "[^/]";
      add(Token::kAny);
      kind_ = Kind::kRe2;
    } else if (c == '\\') {
      *regex += '\\';
      if (in.end()) {
        *simple = false;
        break;
      }
      kind_ = Kind::kRe2;
      c = in.next();
      append_rune(regex, c);
      add(Token::kRune, c);
      if (c >= 0x80 || is_alnum(c)) *simple = false;  // \d, \x41, \Q...: the expression's own
      if (c == 'C') {                                 // a single byte in RE2, unknown to Go
        kind_ = Kind::kBad;
        return false;
      }
    } else if (c == '[' || c == ']') {
      append_rune(regex, c);
      kind_ = Kind::kRe2;
      Class plain;
      std::string_view taken;
      if (c == '[' && *simple && in.plain_class(&plain, &taken)) {
        add(Token::kClass, static_cast<uint32_t>(classes_.size()));
        classes_.push_back(std::move(plain));
        for (char inside : taken) {
          if (kEscaped.find(inside) != kEscaped.npos) *regex += '\\';
          *regex += inside;
        }
      } else {
        *simple = false;
      }
    } else {
      if (c < 0x80 && kEscaped.find(static_cast<char>(c)) != kEscaped.npos) *regex += '\\';
      // Not escaped: an anchor, an alternative, a repetition.
      if (c == '^' || (c < 0x80 && kForgotten.find(static_cast<char>(c)) != kForgotten.npos))
        *simple = false;
      append_rune(regex, c);
      add(Token::kRune, c);
    }
  }
  if (in.replaced) *simple = false;
  *regex += '$';
  if (kind_ == Kind::kPrefix) head_ = text_.substr(0, text_.size() - 2);
  if (kind_ == Kind::kSuffix) tail_ = text_.substr(2);
  return kind_ == Kind::kRe2;
}

// Cuts the literal ends off and readies the automaton for what is between them.
void Pattern::build_glob() {
  auto first = tokens_.begin();
  while (first != tokens_.end() && first->type == Token::kRune)
    append_rune(&head_, (first++)->value);
  auto last = tokens_.end();
  while (last != first && (last - 1)->type == Token::kRune) --last;
  for (auto token = last; token != tokens_.end(); ++token) append_rune(&tail_, token->value);
  std::vector<Token> middle(first, last);
  fixed_depth_ = true;
  slashes_ = static_cast<size_t>(std::count(head_.begin(), head_.end(), '/') +
                                 std::count(tail_.begin(), tail_.end(), '/'));
  for (const auto& token : middle) {
    if (token.type == Token::kRune && token.value == '/') ++slashes_;
    // A class may hold the slash: "[^a]" does.
    if (token.type == Token::kClass || token.type == Token::kAll ||
        token.type == Token::kMaybeBelow)
      fixed_depth_ = false;
  }
  if (middle.size() > kMaxTokens) {
    tail_.clear();
    return;  // too long for the automaton; RE2 will do
  }
  tokens_ = std::move(middle);
  for (size_t i = 0; i < tokens_.size(); ++i) {
    auto type = tokens_[i].type;
    if (type == Token::kStar || type == Token::kAll || type == Token::kMaybeBelow)
      loops_ |= uint64_t{1} << i;
  }
  kind_ = Kind::kGlob;
}

void Pattern::build_re2(const std::string& regex) {
  tokens_.clear();
  RE2::Options options;
  options.set_log_errors(false);
  // The builder may send thousands, of which each repetition multiplies what is in it: a pattern
  // gets some 10,000 instructions instead of 350,000. Those that people write have less than a
  // hundred.
  options.set_max_mem(kMaxRe2);
  re2_ = std::make_unique<RE2>(regex, options);
  if (!re2_->ok()) kind_ = Kind::kBad;
  constexpr size_t kObject = 4096, kInstruction = 48;  // measured: with its automaton's beginnings
  cost_ = kObject + kInstruction * static_cast<size_t>(std::max(re2_->ProgramSize(), 0));
}

// Adds the states that are reached without a rune.
uint64_t Pattern::closure(uint64_t states) const {
  for (uint64_t open = states & loops_; open != 0;) {
    auto i = static_cast<size_t>(std::countr_zero(open));
    open &= open - 1;
    uint64_t reached = uint64_t{1} << (i + 1);
    if (tokens_[i].type == Token::kMaybeBelow) reached |= uint64_t{1} << (i + 2);
    open |= reached & loops_ & ~states;
    states |= reached;
  }
  return states;
}

bool Pattern::run_glob(std::string_view path) const {
  const uint64_t accept = uint64_t{1} << tokens_.size();
  uint64_t states = closure(1);
  while (!path.empty()) {
    Rune rune = decode_rune(path);
    path.remove_prefix(rune.size);
    uint64_t next = 0;
    for (uint64_t open = states & ~accept; open != 0; open &= open - 1) {
      auto i = static_cast<size_t>(std::countr_zero(open));
      const Token& token = tokens_[i];
      uint64_t here = uint64_t{1} << i;
      uint64_t past = here << 1;
      switch (token.type) {
        case Token::kRune:
          if (rune.value == token.value) next |= past;
          break;
        case Token::kAny:
          if (rune.value != '/') next |= past;
          break;
        case Token::kClass:
          if (classes_[token.value].holds(rune.value)) next |= past;
          break;
        case Token::kStar:
          if (rune.value != '/') next |= here;
          break;
        case Token::kAll:
          if (rune.value != '\n') next |= here;
          break;
        case Token::kMaybeBelow:
          break;
        case Token::kUntilSlash:
          if (rune.value != '\n') next |= here;
          if (rune.value == '/') next |= past;
          break;
      }
    }
    if (next == 0) return false;
    states = closure(next);
  }
  return (states & accept) != 0;
}

bool Pattern::matches(std::string_view path) const {
  switch (kind_) {
    case Kind::kExact:
      return path == text_;
    case Kind::kPrefix:
      return path.starts_with(head_);
    case Kind::kSuffix:
      if (path.ends_with(tail_)) return true;
      return tail_.front() == '/' && path == std::string_view(tail_).substr(1);
    case Kind::kGlob:
      if (path.size() < head_.size() + tail_.size() || !path.starts_with(head_) ||
          !path.ends_with(tail_))
        return false;
      path.remove_prefix(head_.size());
      path.remove_suffix(tail_.size());
      return run_glob(path);
    case Kind::kRe2:
      return RE2::PartialMatch(to_valid_utf8(path), *re2_);
    case Kind::kBad:
      break;
  }
  return false;
}

bool Pattern::may_match_below(std::string_view dir_slash) const {
  switch (kind_) {
    case Kind::kExact:
      return text_.size() > dir_slash.size() && text_.starts_with(dir_slash);
    case Kind::kPrefix:
    case Kind::kGlob:
      if (!std::string_view(head_).starts_with(dir_slash) && !dir_slash.starts_with(head_))
        return false;
      return kind_ != Kind::kGlob || !fixed_depth_ ||
             slashes_ >= static_cast<size_t>(std::count(dir_slash.begin(), dir_slash.end(), '/'));
    case Kind::kSuffix:
    case Kind::kRe2:
    case Kind::kBad:
      break;
  }
  return true;
}

}  // namespace depot::filesync
