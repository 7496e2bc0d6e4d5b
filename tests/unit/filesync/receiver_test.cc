#include "filesync/receiver.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

#include "filesync/packet.h"
#include "temp_tree.h"

namespace depot::filesync {
namespace {

using base::Code;
using base::Status;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kTime = 1700000000'123456789;

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Stat dir(std::string path, uint32_t mode = 0755) {
  Stat stat;
  stat.path = std::move(path);
  stat.mode = mode | go_mode::kDir;
  stat.mod_time = kTime;
  return stat;
}
Stat file(std::string path, int64_t size, uint32_t mode = 0644) {
  Stat stat;
  stat.path = std::move(path);
  stat.mode = mode;
  stat.size = size;
  stat.mod_time = kTime;
  return stat;
}
Stat link(std::string path, std::string target, uint32_t type = go_mode::kSymlink) {
  Stat stat = file(std::move(path), 0);
  stat.mode |= type;
  stat.linkname = std::move(target);
  return stat;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}
struct stat lstat_of(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info;
}

// A sender that says what a test wants, and the loop that a receiver lives on.
class Sender {
 public:
  explicit Sender(TreeOptions tree, uint32_t max_entries = 1000) {
    ReceiverOptions options;
    options.tree = std::move(tree);
    options.pool = std::make_shared<base::Pool>(2);
    options.max_entries = max_entries;
    options.wake = [shared = shared_] {
      std::lock_guard lock(shared->mutex);
      ++shared->wakes;
      shared->changed.notify_all();
    };
    pool_ = options.pool;
    receiver = Receiver::start(std::move(options));
  }

  Status stat(const Stat& stat) {
    StatView view = view_of(stat);
    std::string message(stat_message_size(view), '\0');
    write_stat_message(reinterpret_cast<uint8_t*>(message.data()), view);
    return say(message.substr(kGrpcPrefix));
  }
  Status say(std::string_view packet) { return receiver->on_packet(bytes_of(packet)); }
  Status data(uint32_t id, std::string_view content) {
    return say(encode_packet(PacketType::kData, id, content));
  }
  // The same, cut in pieces of that size.
  void data_in_parts(uint32_t id, std::string_view content, size_t size) {
    std::string packet = encode_packet(PacketType::kData, id, content);
    for (size_t at = 0; at < packet.size(); at += size) {
      auto part = bytes_of(packet).subspan(at, std::min(size, packet.size() - at));
      ASSERT_TRUE(receiver->on_part(part, packet.size() - at - part.size()));
    }
  }
  Status end_of_list() { return say(""); }
  // Content, and its end.
  void whole(uint32_t id, std::string_view content) {
    if (!content.empty()) {
      EXPECT_TRUE(data(id, content).ok());
    }
    EXPECT_TRUE(data(id, "").ok());
  }

  // Takes what the receiver says until it says FIN, or ends.
  void listen() {
    uint8_t buffer[7];  // messages are cut anywhere
    for (;;) {
      size_t seen;
      {
        std::lock_guard lock(shared_->mutex);
        seen = shared_->wakes;
      }
      auto fill = receiver->fill(buffer);
      said_.append(reinterpret_cast<char*>(buffer), fill.bytes);
      parse();
      ended = fill.state == Receiver::kEnd;
      if (ended || fin) return;
      if (fill.state == Receiver::kMore) continue;
      std::unique_lock lock(shared_->mutex);
      shared_->changed.wait(lock, [&] { return shared_->wakes != seen; });
    }
  }
  void finish() {
    ASSERT_TRUE(end_of_list().ok());
    listen();
    ASSERT_TRUE(fin) << receiver->status().message();
    EXPECT_TRUE(say(encode_packet(PacketType::kFin, 0, "")).ok());
    listen();
    EXPECT_TRUE(ended && receiver->complete());
  }
  // The receiver gives up by itself, because of the disk.
  Status failure() {
    listen();
    EXPECT_TRUE(ended);
    return receiver->status();
  }
  void go() {
    receiver = nullptr;
    pool_ = nullptr;  // waits for the writer
  }

  std::unique_ptr<Receiver> receiver;
  std::vector<uint32_t> asked;
  std::string err;
  bool fin = false, ended = false;

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    size_t wakes = 0;
  };

  void parse() {
    while (said_.size() >= kGrpcPrefix) {
      size_t size = static_cast<uint8_t>(said_[3]) << 8 | static_cast<uint8_t>(said_[4]);
      if (said_.size() < kGrpcPrefix + size) return;
      std::string packet = said_.substr(kGrpcPrefix, size);
      said_.erase(0, kGrpcPrefix + size);
      auto decoded = decode_packet(bytes_of(packet));
      ASSERT_TRUE(decoded.ok());
      if (decoded->type == PacketType::kReq) asked.push_back(decoded->id);
      if (decoded->type == PacketType::kFin) fin = true;
      if (decoded->type == PacketType::kErr) err.assign(decoded->data.begin(), decoded->data.end());
    }
  }

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::shared_ptr<base::Pool> pool_;
  std::string said_;
};

class ReceiverTest : public testing::Test {
 protected:
  TreeOptions options() const {
    TreeOptions out;
    out.root = tree_.path("out");
    return out;
  }
  std::string out(const std::string& name) const { return tree_.path("out/" + name); }
  bool exists(const std::string& name) const {
    struct stat info {};
    return ::lstat(out(name).c_str(), &info) == 0;
  }
  size_t count() const {
    size_t all = 0;
    for ([[maybe_unused]] auto& entry : std::filesystem::recursive_directory_iterator(tree_.root()))
      ++all;
    return all;
  }

  TempTree tree_;
};

TEST_F(ReceiverTest, ContentMayComeInParts) {
  std::string first(300000, 'a'), second(70000, 'b');
  for (size_t i = 0; i < first.size(); ++i) first[i] = static_cast<char>(i * 7 % 251);
  Sender sender(options());
  ASSERT_TRUE(sender.stat(file("a", 300000)).ok());
  ASSERT_TRUE(sender.stat(file("b", 70000)).ok());
  sender.data_in_parts(0, first.substr(0, 100000), 16384);
  sender.data_in_parts(1, second, 9);
  sender.data_in_parts(0, first.substr(100000), 150001);
  // What is no content is not taken.
  std::string end = encode_packet(PacketType::kData, 0, "");
  EXPECT_FALSE(sender.receiver->on_part(bytes_of(end).first(1), end.size() - 1));
  sender.whole(0, "");
  sender.whole(1, "");
  sender.finish();
  EXPECT_TRUE(read_file(out("a")) == first);
  EXPECT_TRUE(read_file(out("b")) == second);
  EXPECT_EQ(sender.receiver->totals().bytes, 370000u);
}

TEST_F(ReceiverTest, PartsOfWhatNobodyAskedForEndIt) {
  Sender sender(options());
  ASSERT_TRUE(sender.stat(file("a", 5)).ok());
  sender.data_in_parts(7, "content", 7);
  EXPECT_EQ(sender.failure().code(), Code::kInternal);
  EXPECT_THAT(sender.err, HasSubstr("invalid file request 7"));
}

TEST_F(ReceiverTest, WritesATree) {
  Sender sender(options());
  ASSERT_TRUE(sender.stat(file("a", 5, 0640)).ok());
  ASSERT_TRUE(sender.stat(dir("d", 0555)).ok());
  ASSERT_TRUE(sender.stat(file("d/b", 6, 0400)).ok());
  ASSERT_TRUE(sender.stat(link("d/hard", "a", 0)).ok());
  ASSERT_TRUE(sender.stat(file("empty", 0)).ok());
  ASSERT_TRUE(sender.stat(link("s", "/etc/passwd")).ok());
  Stat fifo = file("z", 0, 0600);
  fifo.mode |= go_mode::kNamedPipe;
  ASSERT_TRUE(sender.stat(fifo).ok());
  // Content comes in any order, in pieces, interleaved.
  ASSERT_TRUE(sender.data(2, "sec").ok());
  sender.whole(0, "first");
  ASSERT_TRUE(sender.data(2, "ond").ok());
  sender.whole(4, "");
  sender.whole(2, "");
  sender.finish();
  EXPECT_THAT(sender.asked, testing::ElementsAre(0u, 2u, 4u));
  EXPECT_EQ(read_file(out("a")), "first");
  EXPECT_EQ(read_file(out("d/b")), "second");
  EXPECT_EQ(lstat_of(out("a")).st_mode & 07777, 0640u);
  EXPECT_EQ(lstat_of(out("a")).st_mtim.tv_nsec, 123456789);
  EXPECT_EQ(lstat_of(out("a")).st_ino, lstat_of(out("d/hard")).st_ino);
  EXPECT_EQ(lstat_of(out("d/b")).st_mode & 07777, 0400u);
  EXPECT_EQ(lstat_of(out("d")).st_mode & 07777, 0555u);
  EXPECT_EQ(lstat_of(out("d")).st_mtim.tv_sec, 1700000000);
  EXPECT_EQ(std::filesystem::read_symlink(out("s")), "/etc/passwd");
  EXPECT_EQ(lstat_of(out("s")).st_mtim.tv_nsec, 123456789);
  EXPECT_TRUE(S_ISFIFO(lstat_of(out("z")).st_mode));
  EXPECT_EQ(lstat_of(out("")).st_mode & 07777, 0700u);
  auto totals = sender.receiver->totals();
  EXPECT_EQ(totals.entries, 7u);
  EXPECT_EQ(totals.files, 3u);
  EXPECT_EQ(totals.bytes, 11u);
}

TEST_F(ReceiverTest, ReplacesWhatIsThere) {
  tree_.file("out/a", "old and longer");
  tree_.file("out/d/kept", "kept");
  tree_.file("out/was-dir/x/y", "gone");
  tree_.file("out/was-file", "gone");
  tree_.symlink("a", "out/l");
  Sender sender(options());
  ASSERT_TRUE(sender.stat(file("a", 3)).ok());
  ASSERT_TRUE(sender.stat(dir("d")).ok());
  ASSERT_TRUE(sender.stat(file("l", 2)).ok());
  ASSERT_TRUE(sender.stat(file("was-dir", 3)).ok());
  ASSERT_TRUE(sender.stat(dir("was-file")).ok());
  sender.whole(2, "l!");
  sender.whole(3, "now");
  ASSERT_TRUE(sender.data(0, "new").ok());
  sender.whole(0, "");
  sender.finish();
  EXPECT_EQ(read_file(out("a")), "new");
  EXPECT_EQ(read_file(out("l")), "l!");
  EXPECT_EQ(read_file(out("d/kept")), "kept");
  EXPECT_EQ(read_file(out("was-dir")), "now");
  EXPECT_TRUE(S_ISDIR(lstat_of(out("was-file")).st_mode));
  EXPECT_EQ(count(), 1u + 6);
}

TEST_F(ReceiverTest, RemovesOthersWhenAskedTo) {
  tree_.file("out/d/other/deep", "x");
  tree_.file("out/stale", "x");
  tree_.file("out/a", "x");
  TreeOptions tree = options();
  tree.remove_others = true;
  Sender sender(tree);
  ASSERT_TRUE(sender.stat(file("a", 0)).ok());
  ASSERT_TRUE(sender.stat(dir("d")).ok());
  sender.whole(0, "");
  sender.finish();
  EXPECT_TRUE(exists("a") && exists("d"));
  EXPECT_FALSE(exists("stale"));
  EXPECT_FALSE(exists("d/other"));
  EXPECT_EQ(sender.receiver->totals().removed, 3u);
}

// Nothing that is on the disk, or was sent before, leads out of the tree.
TEST_F(ReceiverTest, FollowsNoLink) {
  tree_.dir("elsewhere");
  tree_.dir("out");
  tree_.symlink("../elsewhere", "out/d");
  {
    // A link where a directory is sent: it is replaced.
    Sender sender(options());
    ASSERT_TRUE(sender.stat(dir("d")).ok());
    ASSERT_TRUE(sender.stat(file("d/x", 1)).ok());
    sender.whole(1, "x");
    sender.finish();
    EXPECT_EQ(read_file(out("d/x")), "x");
  }
  {
    Sender sender(options());
    ASSERT_TRUE(sender.stat(link("l", "../elsewhere")).ok());
    Status status = sender.stat(file("l/x", 1));
    EXPECT_THAT(status.message(), HasSubstr("out of order"));
  }
  EXPECT_THAT(std::filesystem::directory_iterator(tree_.path("elsewhere")),
              testing::Eq(std::filesystem::directory_iterator()));
}

// A directory that somebody swaps for a link while it is written.
TEST_F(ReceiverTest, SwappedDirectoryIsNotFollowed) {
  tree_.dir("elsewhere");
  Sender sender(options());
  ASSERT_TRUE(sender.stat(dir("d")).ok());
  ASSERT_TRUE(sender.stat(dir("d/e")).ok());
  ASSERT_TRUE(sender.stat(file("d/e/first", 1)).ok());
  sender.whole(2, "x");
  while (!exists("d/e/first")) std::this_thread::yield();
  std::filesystem::rename(out("d"), tree_.path("moved"));
  tree_.symlink("../elsewhere", "out/d");
  ASSERT_TRUE(sender.stat(dir("d/f")).ok());
  ASSERT_TRUE(sender.stat(file("d/f/second", 1)).ok());
  sender.whole(4, "x");
  ASSERT_TRUE(sender.end_of_list().ok());
  Status status = sender.failure();
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(std::filesystem::exists(tree_.path("elsewhere/f")));
}

TEST_F(ReceiverTest, RefusesWhatMayNotBe) {
  struct Case {
    const char* what;
    std::function<Status(Sender&)> say;
    const char* message;
  };
  const Case cases[] = {
      {"dotdot", [](Sender& s) { return s.stat(file("../x", 1)); }, "escape"},
      {"absolute", [](Sender& s) { return s.stat(file("/x", 1)); }, "absolute"},
      {"unclean", [](Sender& s) { return s.stat(file("a//b", 1)); }, "unclean"},
      {"nul", [](Sender& s) { return s.stat(file(std::string("a\0b", 3), 1)); }, "unclean"},
      {"no parent", [](Sender& s) { return s.stat(file("a/b", 1)); }, "out of order"},
      {"link out", [](Sender& s) { return s.stat(link("a", "../../etc/passwd", 0)); },
       "unknown path"},
      {"negative", [](Sender& s) { return s.stat(file("a", -1)); }, "negative"},
      {"unasked", [](Sender& s) { return s.data(0, "x"); }, "invalid file request 0"},
      {"asks back", [](Sender& s) { return s.say(encode_packet(PacketType::kReq, 0, "")); },
       "of its own"},
      {"early FIN", [](Sender& s) { return s.say(encode_packet(PacketType::kFin, 0, "")); },
       "before we did"},
      {"ERR", [](Sender& s) { return s.say(encode_packet(PacketType::kErr, 0, "their disk")); },
       "error from sender: their disk"},
      {"garbage", [](Sender& s) { return s.say("\xff\xff\xff"); }, ""},
  };
  for (const auto& one : cases) {
    Sender sender(options());
    Status status = one.say(sender);
    EXPECT_FALSE(status.ok()) << one.what;
    EXPECT_THAT(status.message(), HasSubstr(one.message)) << one.what;
    sender.listen();
    EXPECT_TRUE(sender.ended) << one.what;
    EXPECT_EQ(sender.err.empty(), std::string(one.what) == "ERR") << one.what;
  }
  EXPECT_EQ(count(), 0u);
}

TEST_F(ReceiverTest, HoldsTheSenderToItsSizes) {
  {
    Sender sender(options());
    ASSERT_TRUE(sender.stat(file("a", 2)).ok());
    sender.whole(0, "123");  // content alone waits for more of it
    EXPECT_THAT(sender.failure().message(), HasSubstr("more of"));
    sender.go();
  }
  EXPECT_FALSE(exists("a"));
  {
    Sender sender(options());
    ASSERT_TRUE(sender.stat(file("a", 4)).ok());
    sender.whole(0, "123");
    EXPECT_THAT(sender.failure().message(), HasSubstr("3 of the 4 bytes"));
    sender.go();
  }
  EXPECT_FALSE(exists("a"));
}

TEST_F(ReceiverTest, BoundsTheEntries) {
  Sender sender(options(), 3);
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(sender.stat(file(name, 0)).ok());
  EXPECT_EQ(sender.stat(file("d", 0)).code(), Code::kResourceExhausted);
}

// A builder that stops in the middle: what was there stays, nothing half-written is left.
TEST_F(ReceiverTest, LeavesNoHalfFile) {
  tree_.file("out/old", "old");
  Sender sender(options());
  ASSERT_TRUE(sender.stat(file("half", 10)).ok());
  ASSERT_TRUE(sender.stat(file("old", 10)).ok());
  ASSERT_TRUE(sender.stat(file("whole", 1)).ok());
  ASSERT_TRUE(sender.data(0, "12345").ok());
  ASSERT_TRUE(sender.data(1, "12345").ok());
  sender.whole(2, "w");
  while (sender.receiver->totals().files < 1) std::this_thread::yield();
  sender.go();
  EXPECT_EQ(read_file(out("old")), "old");
  EXPECT_FALSE(exists("half"));
  EXPECT_EQ(count(), 3u);
}

TEST_F(ReceiverTest, ManyFilesBegunAtOnce) {
  Sender sender(options());
  constexpr uint32_t kFiles = 300;
  for (uint32_t i = 0; i < kFiles; ++i)
    ASSERT_TRUE(sender.stat(file("f" + std::to_string(1000 + i), 2)).ok());
  for (const char* piece : {"a", "b"})
    for (uint32_t i = 0; i < kFiles; ++i) ASSERT_TRUE(sender.data(i, piece).ok());
  for (uint32_t i = 0; i < kFiles; ++i) sender.whole(i, "");
  sender.finish();
  for (uint32_t i = 0; i < kFiles; ++i)
    EXPECT_EQ(read_file(out("f" + std::to_string(1000 + i))), "ab");
}

TEST_F(ReceiverTest, DropsSetuidAndRefusesDevices) {
  Sender sender(options());
  ASSERT_TRUE(sender.stat(file("su", 0, 0755 | go_mode::kSetuid | go_mode::kSetgid)).ok());
  sender.whole(0, "");
  sender.finish();
  EXPECT_EQ(lstat_of(out("su")).st_mode & 07777, 0755u);
  EXPECT_EQ(sender.receiver->totals().setuid_dropped, 1u);

  Sender device(options());
  Stat null = file("null", 0, 0666);
  null.mode |= go_mode::kDevice | go_mode::kCharDevice;
  null.dev_major = 1;
  null.dev_minor = 3;
  ASSERT_TRUE(device.stat(null).ok());
  EXPECT_THAT(device.failure().message(), HasSubstr("holds a device, null"));

  TreeOptions kept = options();
  kept.keep_setuid = true;
  Sender keeper(kept);
  ASSERT_TRUE(keeper.stat(file("su", 0, 0755 | go_mode::kSetuid)).ok());
  keeper.whole(0, "");
  keeper.finish();
  EXPECT_EQ(lstat_of(out("su")).st_mode & 07777, 04755u);
}

// A file capability is set-user-ID by another name.
TEST_F(ReceiverTest, DropsWhatTheKernelBelieves) {
  Stat tool = file("tool", 0, 0755);
  // cap_setuid=ep, as setcap writes it.
  tool.xattrs = {
      {"security.capability", std::string("\1\0\0\2\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20)},
      {"trusted.mine", "1"},
      {"user.note", "kept"}};
  auto xattr = [&](const char* key) {
    char value[64];
    ssize_t size = ::getxattr(out("tool").c_str(), key, value, sizeof value);
    return size < 0 ? std::string("none") : std::string(value, static_cast<size_t>(size));
  };
  for (bool keep : {false, true}) {
    TreeOptions how = options();
    how.keep_setuid = keep;
    Sender sender(how);
    ASSERT_TRUE(sender.stat(tool).ok());
    sender.whole(0, "");
    sender.finish();
    bool root = ::geteuid() == 0;
    EXPECT_EQ(xattr("security.capability") != "none", keep && root);
    EXPECT_EQ(xattr("trusted.mine") != "none", keep && root);
    EXPECT_EQ(xattr("user.note"), "kept");
    EXPECT_EQ(sender.receiver->totals().setuid_dropped, keep ? 0u : 1u);
  }
}

TEST_F(ReceiverTest, BoundsTheAttributes) {
  Sender sender(options());
  Stat large = dir("d");
  large.xattrs = {{"user.a", std::string(15 << 20, 'x')}};
  Status status;
  for (int i = 0; i < 6 && status.ok(); ++i) {
    large.path = "d" + std::to_string(i);
    status = sender.stat(large);
  }
  if (status.ok()) status = sender.failure();
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("extended attributes"));
}

TEST_F(ReceiverTest, TellsAboutTheDisk) {
  tree_.file("out", "a file");
  Sender sender(options());
  ASSERT_TRUE(sender.stat(file("a", 0)).ok());
  Status status = sender.failure();
  EXPECT_EQ(status.hop(), base::Hop::kLocal);
  EXPECT_THAT(status.message(), HasSubstr(tree_.path("out")));
  EXPECT_FALSE(sender.err.empty());
}

}  // namespace
}  // namespace depot::filesync
