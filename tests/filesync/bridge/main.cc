// The C++ half of the comparison with upstream's Go code (bridge_test.go is the other).
//
//   bridge send ROOT [--include P]... [--exclude P]... [--follow P]... [--buffer N] [--queue N]
//               [--owner]
//     a Sender whose stream is stdout and whose receiver is stdin, as gRPC messages. At the end
//     prints its status to stderr, if bad, and exits with 0 or 1.
//   bridge match
//     patterns and paths on stdin, what matches on stdout: fields of a line with the length and so
//     many bytes.
//   bridge ignore
//     texts of ignore files on stdin, their patterns on stdout, joined by zeros; fields as above.
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/pool.h"
#include "filesync/ignore_file.h"
#include "filesync/pattern_matcher.h"
#include "filesync/sender.h"

namespace {

using namespace depot;
using filesync::Match;
using filesync::MatchState;

bool read_all(int fd, uint8_t* out, size_t size) {
  while (size > 0) {
    ssize_t got = ::read(fd, out, size);
    if (got <= 0) return false;
    out += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

bool write_all(int fd, const uint8_t* data, size_t size) {
  while (size > 0) {
    ssize_t put = ::write(fd, data, size);
    if (put <= 0) return false;
    data += put;
    size -= static_cast<size_t>(put);
  }
  return true;
}

// A loop of the simplest kind: packets and wakes in, under one lock.
struct Loop {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::vector<uint8_t>> packets;
  bool woken = false;
  bool closed = false;
};

void read_packets(Loop* loop) {
  for (;;) {
    uint8_t prefix[5];
    bool ok = read_all(STDIN_FILENO, prefix, sizeof prefix);
    size_t size = static_cast<size_t>(prefix[1]) << 24 | static_cast<size_t>(prefix[2]) << 16 |
                  static_cast<size_t>(prefix[3]) << 8 | prefix[4];
    std::vector<uint8_t> packet(ok ? size : 0);
    ok = ok && read_all(STDIN_FILENO, packet.data(), size);
    std::lock_guard lock(loop->mutex);
    if (ok) loop->packets.push_back(std::move(packet));
    loop->closed = !ok;
    loop->changed.notify_all();
    if (!ok) return;
  }
}

int report(const base::Status& status) {
  if (status.ok()) return 0;
  std::cerr << status.message() << "\n";
  return 1;
}

int run_sender(filesync::SenderOptions options, size_t buffer_size) {
  auto loop = std::make_shared<Loop>();
  options.readers = std::make_shared<base::Pool>(4);
  options.walkers = std::make_shared<base::Pool>(1);
  options.wake = [loop] {
    std::lock_guard lock(loop->mutex);
    loop->woken = true;
    loop->changed.notify_all();
  };
  auto started = filesync::Sender::start(std::move(options));
  if (!started.ok()) return report(started.status());
  auto sender = std::move(started).value();
  std::thread([loop] { read_packets(loop.get()); }).detach();  // ends with the process
  std::vector<uint8_t> buffer(buffer_size);
  bool pending = false;
  for (;;) {
    std::vector<std::vector<uint8_t>> packets;
    {
      std::unique_lock lock(loop->mutex);
      if (pending)
        loop->changed.wait(lock,
                           [&] { return loop->woken || loop->closed || !loop->packets.empty(); });
      if (loop->closed && loop->packets.empty() && pending && !loop->woken)
        return report(base::internal_error("the receiver is gone"));
      loop->woken = false;
      packets.swap(loop->packets);
    }
    for (const auto& packet : packets)
      if (auto status = sender->on_packet(packet); !status.ok()) return report(status);
    auto fill = sender->fill(buffer);
    if (!write_all(STDOUT_FILENO, buffer.data(), fill.bytes)) return 1;
    if (fill.state == filesync::Sender::kEnd) return report(sender->status());
    pending = fill.state == filesync::Sender::kPending;
  }
}

bool read_field(std::string* out) {
  std::string line;
  if (!std::getline(std::cin, line)) return false;
  out->resize(std::strtoul(line.c_str(), nullptr, 10));
  std::cin.read(out->data(), static_cast<std::streamsize>(out->size()));
  return std::cin.get() == '\n';
}

void write_field(const std::string& text) {
  std::cout << text.size() << "\n" << text << "\n";
}

std::vector<std::string> read_list() {
  std::string count;
  std::vector<std::string> list;
  if (!read_field(&count)) return list;
  list.resize(std::strtoul(count.c_str(), nullptr, 10));
  for (auto& item : list) read_field(&item);
  return list;
}

char letter(Match match) {
  return match == Match::kYes ? '1' : match == Match::kNo ? '0' : 'b';
}

// As the walk asks: every parent first, its state handed down.
char match_walking(const filesync::PatternMatcher& matcher, const std::string& path) {
  MatchState parent;
  MatchState state;
  for (size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (matcher.match(path.substr(0, slash), &parent, &state) == Match::kBadPattern) return 'b';
    std::swap(parent, state);
  }
  return letter(matcher.match(path, &parent, nullptr));
}

int run_match() {
  while (std::cin.peek() != EOF) {
    auto matcher = filesync::PatternMatcher::create(read_list());
    std::string answer;
    for (const auto& path : read_list()) {
      if (!matcher.ok()) continue;
      answer += letter(matcher->match_alone(path));
      answer += match_walking(*matcher, path);
    }
    write_field(matcher.ok() ? answer : "error");
  }
  return 0;
}

int run_ignore() {
  std::string text;
  while (std::cin.peek() != EOF && read_field(&text)) {
    auto rules = filesync::parse_ignore_file(text);
    std::string answer;
    if (rules.ok())
      for (const auto& rule : *rules) answer += rule.pattern + '\0';
    write_field(rules.ok() ? answer : "error");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "match") return run_match();
  if (mode == "ignore") return run_ignore();
  if (mode != "send" || argc < 3) return 2;
  filesync::SenderOptions options;
  options.root = argv[2];
  size_t buffer_size = 64 << 10;
  for (int i = 3; i < argc; ++i) {
    std::string flag = argv[i];
    if (flag == "--owner") {
      options.reset_owner = false;
      continue;
    }
    if (i + 1 == argc) return 2;
    std::string value = argv[++i];
    if (flag == "--include") {
      options.filter.include.push_back(value);
    } else if (flag == "--exclude") {
      options.filter.exclude.push_back(value);
    } else if (flag == "--follow") {
      options.filter.follow_paths.push_back(value);
    } else if (flag == "--buffer") {
      buffer_size = std::stoul(value);
    } else if (flag == "--queue") {
      options.max_queued_stat_bytes = options.max_queued_data_bytes = std::stoul(value);
    } else {
      return 2;
    }
  }
  return run_sender(std::move(options), buffer_size);
}
