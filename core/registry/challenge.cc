#include "registry/challenge.h"

namespace depot::registry {

namespace {

constexpr size_t kMaxHeader = 16 << 10;
constexpr std::string_view kBlank = " \t";

bool token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void skip(std::string_view set) {
    while (!text_.empty() && set.find(text_.front()) != std::string_view::npos)
      text_.remove_prefix(1);
  }
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  std::string_view token() {
    size_t size = 0;
    while (size < text_.size() && token_char(text_[size])) ++size;
    auto out = text_.substr(0, size);
    text_.remove_prefix(size);
    return out;
  }
  // False when a quote is not closed.
  bool value(std::string& out) {
    if (!take('"')) {
      out = token();
      return true;
    }
    while (!text_.empty()) {
      char c = text_.front();
      text_.remove_prefix(1);
      if (c == '"') return true;
      if (c == '\\' && !text_.empty()) {
        c = text_.front();
        text_.remove_prefix(1);
      }
      out.push_back(c);
    }
    return false;
  }

 private:
  std::string_view text_;
};

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> out;
  Reader reader(header.substr(0, kMaxHeader));
  for (;;) {
    reader.skip(" \t,");
    std::string name = lower(reader.token());
    if (name.empty()) return out;
    reader.skip(kBlank);
    if (!reader.take('=')) {
      out.push_back({std::move(name), {}});
      continue;
    }
    reader.skip(kBlank);
    std::string value;
    if (out.empty() || !reader.value(value)) return out;
    out.back().fields.emplace(std::move(name), std::move(value));
  }
}

}  // namespace depot::registry
