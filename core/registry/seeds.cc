#include "registry/seeds.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "base/base64.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/secret.h"
#include "registry/json_text.h"

namespace depot::registry {

namespace {

constexpr size_t kMaxFile = 1 << 20;
constexpr size_t kSeedSize = 16;

std::string random_seed() {
  std::string hex = base::random_hex(kSeedSize);
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    out += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  }
  base::wipe(hex);
  return out;
}

void make_folders(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    ::mkdir(path.substr(0, at).c_str(), 0755);
  }
  ::mkdir(path.c_str(), 0755);
}

// Nothing when it cannot be read, is too large or no regular file.
std::optional<std::string> read_small(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st;
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return std::nullopt;
  if (static_cast<uint64_t>(st.st_size) > kMaxFile) return std::nullopt;
  std::string text(static_cast<size_t>(st.st_size), '\0');
  ssize_t n = ::pread(fd.get(), text.data(), text.size(), 0);
  if (n < 0) return std::nullopt;
  text.resize(static_cast<size_t>(n));
  return text;
}

void write_small(const std::string& path, std::string_view text) {
  base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  while (fd.valid() && !text.empty()) {
    ssize_t n = ::write(fd.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

// Closing the descriptor drops the lock. Others hold it for as long as it takes to read and write
// the file, unless they were stopped in the middle; flock has no time limit and nothing to wait on.
base::UniqueFd take_lock(const std::string& path, const base::Cancel& cancel) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
  std::chrono::milliseconds pause{1};
  for (int attempt = 0; fd.valid() && attempt < 11; ++attempt, pause *= 2) {  // 2047 ms in all
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) break;
    if (errno != EWOULDBLOCK && errno != EINTR) break;
    if (cancel.wait_for(pause)) break;
  }
  return fd;
}

}  // namespace

std::string TokenSeeds::seed(const std::string& host, const base::Cancel& cancel) {
  std::lock_guard guard(mutex_);
  auto known = seeds_.find(host);
  if (known != seeds_.end()) return known->second;
  if (directory_.empty()) return seeds_[host] = random_seed();

  make_folders(directory_);
  base::UniqueFd lock = take_lock(directory_ + "/.token_seed.lock", cancel);
  std::string path = directory_ + "/.token_seed";
  nlohmann::json all = nlohmann::json::object();
  if (auto text = read_small(path)) {
    auto document = JsonDocument::parse(*text, base::Code::kDataLoss, base::Hop::kLocal);
    if (document.ok() && document->root().is_object()) all = document->root();
    base::wipe(*text);
  }
  std::string seed;
  if (auto entry = all.find(host); entry != all.end()) {
    auto text = string_member(*entry, "Seed");
    auto bytes = text ? base::base64_decode(*text) : std::nullopt;
    if (bytes) seed = std::move(*bytes);
  }
  if (seed.empty()) {
    seed = random_seed();
    all[host] = {{"Seed", base::base64_encode(seed)}};
    // Go's encoder, of the other clients, indents by two spaces too.
    write_small(path, all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  return seeds_[host] = seed;
}

}  // namespace depot::registry
