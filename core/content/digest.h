// Content addresses: "sha256:<hex>", sha384 and sha512, and what computes them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

struct evp_md_ctx_st;

namespace depot::content {

struct Digest {
  std::string algorithm;  // "sha256"
  std::string hex;        // lower case, as long as the algorithm's

  // kInvalidArgument for anything that is not an algorithm of the three and its number of digits:
  // a digest becomes a path.
  static base::Result<Digest> parse(std::string_view text);
  std::string text() const { return algorithm + ":" + hex; }
  bool operator==(const Digest&) const = default;
};

class Hasher {
 public:
  // Of an algorithm that Digest::parse takes.
  explicit Hasher(const std::string& algorithm = "sha256");
  void add(std::span<const uint8_t> bytes);
  // Of what was added so far; more may follow.
  Digest digest() const;
  void restart();
  const std::string& algorithm() const { return algorithm_; }

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::string algorithm_;
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

Digest digest_of(std::string_view bytes);

}  // namespace depot::content
