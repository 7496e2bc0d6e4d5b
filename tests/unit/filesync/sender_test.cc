#include "filesync/sender.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>

#include "filesync/exchange.h"
#include "filesync/packet.h"
#include "filesync/virtual_tree.h"
#include "temp_tree.h"

namespace depot::filesync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
std::string req(uint32_t id) {
  return encode_packet(PacketType::kReq, id, "");
}
std::string fin() {
  return encode_packet(PacketType::kFin, 0, "");
}

// A receiver, and the loop that a sender lives on.
class Receiver {
 public:
  explicit Receiver(SenderOptions options, size_t buffer_size = 16 << 10) : buffer_(buffer_size) {
    if (!options.readers) options.readers = std::make_shared<base::Pool>(4);
    options.walkers = std::make_shared<base::Pool>(1);
    options.wake = [shared = shared_] {
      std::lock_guard lock(shared->mutex);
      EXPECT_FALSE(shared->gone);
      ++shared->wakes;
      shared->changed.notify_all();
    };
    auto started = Sender::start(std::move(options));
    EXPECT_TRUE(started.ok()) << started.status().message();
    if (started.ok()) sender = std::move(started).value();
  }
  ~Receiver() {
    sender = nullptr;
    std::lock_guard lock(shared_->mutex);
    shared_->gone = true;
    EXPECT_LE(shared_->wakes, pendings_);
  }

  base::Status say(std::string_view packet) { return sender->on_packet(bytes_of(packet)); }

  // Fills once; waits first if the sender has nothing.
  void step() {
    if (waiting_) {
      // gRPC lets go of what was lent on a thread of its own.
      std::thread elsewhere([this] { give_back(0); });
      std::unique_lock lock(shared_->mutex);
      shared_->changed.wait(lock, [&] { return shared_->wakes > seen_; });
      seen_ = shared_->wakes;
      waiting_ = false;
      lock.unlock();
      elsewhere.join();
    }
    Sender::State state = Sender::kMore;
    size_t got = 0;
    if (borrows_ > 0) {
      Sender::Loan loan = sender->lend(buffer_.size());
      auto bytes = loan.bytes.bytes;
      ASSERT_LE(bytes.size(), buffer_.size());
      got = bytes.size();
      state = loan.state;
      stream_.append(reinterpret_cast<const char*>(bytes.data()), got);
      if (got > 0)
        loans_.emplace_back(
            std::move(loan.bytes),
            std::string(stream_.end() - static_cast<ptrdiff_t>(got), stream_.end()));
      lent_bytes += got;
      give_back(borrows_);
    }
    if (got == 0 && state == Sender::kMore) {
      std::fill(buffer_.begin(), buffer_.end(), uint8_t{0xee});
      Sender::Fill fill = sender->fill(buffer_);
      ASSERT_LE(fill.bytes, buffer_.size());
      ASSERT_TRUE(fill.bytes > 0 || fill.state != Sender::kMore);
      got = fill.bytes;
      state = fill.state;
      stream_.append(reinterpret_cast<char*>(buffer_.data()), got);
    }
    wire_bytes += got;
    ended = state == Sender::kEnd;
    if (state == Sender::kPending) {
      ++pendings_;
      waiting_ = true;
    }
    parse();
  }
  template <class Until>
  void run(Until&& until) {
    while (!ended && !until() && !testing::Test::HasFatalFailure()) step();
  }
  void run_to_end() {
    run([] { return false; });
  }

  // Takes the list, asks for everything, says FIN.
  void receive_all() {
    size_t asked = 0;
    run([&] {
      for (; asked < stats.size(); ++asked) {
        if (!go_mode::is_requestable(stats[asked].mode)) continue;
        EXPECT_TRUE(say(req(static_cast<uint32_t>(asked))).ok());
        ++open;
      }
      return listed && open == 0;
    });
    if (ended) return;
    waiting_ = false;  // a packet is reason enough to fill
    EXPECT_TRUE(say(fin()).ok());
    run_to_end();
  }
  std::string content(const std::string& path) {
    for (size_t i = 0; i < stats.size(); ++i)
      if (stats[i].path == path) return contents[static_cast<uint32_t>(i)];
    return "no such entry";
  }
  // After a packet.
  void awake() { waiting_ = false; }
  // Borrows where it can, and holds as many loans at a time.
  void borrow(size_t loans) { borrows_ = loans; }

  std::unique_ptr<Sender> sender;
  std::vector<Stat> stats;
  std::map<uint32_t, std::string> contents;
  std::vector<std::string> errors;
  uint64_t wire_bytes = 0;
  uint64_t lent_bytes = 0;
  size_t open = 0;
  int fins = 0;
  bool listed = false;
  bool ended = false;

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    uint64_t wakes = 0;
    bool gone = false;
  };

  void give_back(size_t keep) {
    while (loans_.size() > keep) {
      auto& [loan, copy] = loans_.front();
      EXPECT_TRUE(
          std::equal(copy.begin(), copy.end(), reinterpret_cast<const char*>(loan.bytes.data())))
          << "changed while it was lent";
      loans_.pop_front();
    }
  }

  void parse() {
    size_t at = 0;
    while (stream_.size() - at >= kGrpcPrefix) {
      auto* prefix = reinterpret_cast<const uint8_t*>(stream_.data() + at);
      ASSERT_EQ(prefix[0], 0);
      size_t size =
          size_t{prefix[1]} << 24 | size_t{prefix[2]} << 16 | size_t{prefix[3]} << 8 | prefix[4];
      if (stream_.size() - at - kGrpcPrefix < size) break;
      auto packet = decode_packet(bytes_of(stream_).subspan(at + kGrpcPrefix, size));
      at += kGrpcPrefix + size;
      ASSERT_TRUE(packet.ok());
      ASSERT_TRUE(errors.empty() && fins == 0) << "something after the end";
      take(*packet);
    }
    stream_.erase(0, at);
  }
  void take(const Packet& packet) {
    switch (packet.type) {
      case PacketType::kStat:
        ASSERT_FALSE(listed);
        if (packet.has_stat) stats.push_back(packet.stat);
        listed = !packet.has_stat;
        break;
      case PacketType::kData:
        ASSERT_LE(packet.data.size(), 32u << 10);
        contents[packet.id].append(packet.data.begin(), packet.data.end());
        if (packet.data.empty()) --open;
        break;
      case PacketType::kFin:
        ++fins;
        break;
      case PacketType::kErr:
        errors.emplace_back(packet.data.begin(), packet.data.end());
        break;
      default:
        FAIL() << "unexpected packet";
    }
  }

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::vector<uint8_t> buffer_;
  size_t borrows_ = 0;
  std::deque<std::pair<base::SharedBytes, std::string>> loans_;  // and what they were
  std::string stream_;
  uint64_t seen_ = 0;
  uint64_t pendings_ = 0;
  bool waiting_ = false;
};

SenderOptions options_of(const std::string& root, Filter filter = {}) {
  SenderOptions options;
  options.root = root;
  options.filter = std::move(filter);
  return options;
}

std::string pattern_of(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

TEST(Sender, SendsWhatIsAskedFor) {
  TempTree tree;
  tree.file("a/b", "content");
  tree.file("empty");
  tree.symlink("b", "a/link");
  Receiver receiver(options_of(tree.root()));
  receiver.receive_all();
  EXPECT_TRUE(receiver.ended);
  EXPECT_TRUE(receiver.sender->status().ok());
  EXPECT_EQ(receiver.fins, 1);
  ASSERT_EQ(receiver.stats.size(), 4u);
  EXPECT_EQ(receiver.content("a/b"), "content");
  EXPECT_EQ(receiver.content("empty"), "");
  EXPECT_EQ(receiver.stats[0].uid, 0u);
  SenderTotals totals = receiver.sender->totals();
  EXPECT_EQ(totals.stats, 4u);
  EXPECT_EQ(totals.files, 2u);
  EXPECT_EQ(totals.data_bytes, 7u);
  EXPECT_EQ(totals.wire_bytes, receiver.wire_bytes);
}

TEST(Sender, AnyBufferSize) {
  TempTree tree;
  size_t block = kDataBlock;
  std::map<std::string, size_t> sizes = {
      {"one", 1},          {"message", kDataMessage},   {"block", block}, {"more", block + 1},
      {"less", block - 1}, {"several", 3 * block + 77}, {"nothing", 0}};
  for (const auto& [name, size] : sizes) tree.file("dir/" + name, pattern_of(size));
  for (size_t buffer : {1, 2, 3, 17, 4096, 16384, 1 << 20}) {
    SenderOptions options = options_of(tree.root());
    if (buffer < 100) options.max_queued_stat_bytes = options.max_queued_data_bytes = 1;
    Receiver receiver(std::move(options), buffer);
    receiver.receive_all();
    ASSERT_TRUE(receiver.sender->status().ok());
    for (const auto& [name, size] : sizes)
      EXPECT_TRUE(receiver.content("dir/" + name) == pattern_of(size)) << name << " by " << buffer;
  }
}

TEST(Sender, ThousandsOfFilesOverATinyQueue) {
  TempTree tree;
  for (int i = 0; i < 3000; ++i)
    tree.file("d" + std::to_string(i % 20) + "/" + std::to_string(i), std::to_string(i));
  for (size_t queue : {size_t{1}, size_t{200 << 10}, size_t{8 << 20}}) {
    SenderOptions options = options_of(tree.root());
    options.max_queued_stat_bytes = options.max_queued_data_bytes = queue;
    Receiver receiver(std::move(options));
    receiver.receive_all();
    ASSERT_TRUE(receiver.sender->status().ok());
    EXPECT_EQ(receiver.stats.size(), 3020u);
    for (int i = 0; i < 3000; i += 7)
      EXPECT_EQ(receiver.content("d" + std::to_string(i % 20) + "/" + std::to_string(i)),
                std::to_string(i));
  }
}

// Large ones among small ones, more of them than readers, and half of them on disk alone: the loop
// cannot read those itself.
TEST(Sender, LendsWhatItRead) {
  TempTree tree;
  std::map<std::string, size_t> sizes;
  for (size_t i = 0; i < 60; ++i)
    sizes["d/" + std::to_string(i)] = i % 3 == 0 ? 300000 + i * 7919 : i * 50;
  for (const auto& [name, size] : sizes) tree.file(name, pattern_of(size));
  for (size_t queue : {size_t{1}, size_t{500 << 10}, size_t{2 << 20}}) {
    for (size_t loans : {1, 3, 100}) {
      size_t at = 0;
      for (const auto& [name, size] : sizes) {
        if (++at % 2 == 0) continue;
        int fd = ::open(tree.path(name).c_str(), O_RDONLY | O_CLOEXEC);
        EXPECT_EQ(::fdatasync(fd), 0);
        EXPECT_EQ(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        ::close(fd);
      }
      SenderOptions options = options_of(tree.root());
      options.max_queued_data_bytes = queue;
      Receiver receiver(std::move(options));
      receiver.borrow(loans);
      receiver.receive_all();
      ASSERT_TRUE(receiver.sender->status().ok());
      for (const auto& [name, size] : sizes)
        EXPECT_TRUE(receiver.content(name) == pattern_of(size)) << name;
      EXPECT_GT(receiver.lent_bytes, receiver.wire_bytes / 2);
    }
  }
}

TEST(Sender, PacksStats) {
  TempTree tree;
  for (int i = 0; i < 1000; ++i) tree.file("some-file-" + std::to_string(i));
  Receiver receiver(options_of(tree.root()), 4 << 20);
  size_t fills = 0;
  receiver.run([&] {
    ++fills;
    return receiver.listed;
  });
  EXPECT_EQ(receiver.stats.size(), 1000u);
  EXPECT_LT(fills, 100u);
}

// Neither is looked at on the loop: the disk may be slow, and the walk says how it went.
TEST(Sender, TellsAnUnusableRootAndABadPatternInTheExchange) {
  TempTree tree;
  tree.file("file");
  auto outcome = [](SenderOptions options) {
    Receiver receiver(std::move(options));
    receiver.receive_all();
    EXPECT_EQ(receiver.errors.size(), 1u);
    return receiver.sender->status();
  };
  base::Status missing = outcome(options_of(tree.path("missing")));
  EXPECT_EQ(missing.code(), base::Code::kNotFound);
  EXPECT_EQ(missing.hop(), base::Hop::kLocal);
  EXPECT_FALSE(outcome(options_of(tree.path("file"))).ok());
  base::Status bad = outcome(options_of(tree.root(), {{"["}, {}, {}}));
  EXPECT_EQ(bad.code(), base::Code::kInvalidArgument);
  EXPECT_THAT(bad.message(), HasSubstr("invalid includepatterns"));
  EXPECT_THAT(outcome(options_of(tree.root(), {{}, {"!"}, {}})).message(),
              HasSubstr("invalid excludepatterns"));
}

TEST(Sender, WantsPoolsOfItsOwnKind) {
  SenderOptions options = options_of("/");
  EXPECT_EQ(Sender::start(options).status().code(), base::Code::kInternal);
  options.readers = std::make_shared<base::Pool>(1);
  EXPECT_EQ(Sender::start(options).status().code(), base::Code::kInternal);
}

struct Hostile {
  const char* name;
  std::vector<std::string> good;  // taken without complaint
  std::string bad;
  base::Code code;
  const char* message;
};

class HostileReceiver : public testing::TestWithParam<Hostile> {};

TEST_P(HostileReceiver, EndsTheExchange) {
  TempTree tree;
  tree.file("dir/file", "content");
  tree.symlink("x", "link");
  Receiver receiver(options_of(tree.root()));
  receiver.run([&] { return receiver.listed; });
  for (const auto& packet : GetParam().good) ASSERT_TRUE(receiver.say(packet).ok());
  base::Status status = receiver.say(GetParam().bad);
  EXPECT_EQ(status.code(), GetParam().code);
  EXPECT_EQ(status.hop(), base::Hop::kSession);
  EXPECT_THAT(status.message(), HasSubstr(GetParam().message));
  EXPECT_LT(status.message().size(), 5000u);
  receiver.awake();
  receiver.step();
  EXPECT_TRUE(receiver.ended);
  EXPECT_EQ(receiver.sender->status().message(), status.message());
  EXPECT_FALSE(receiver.say(req(1)).ok());  // and stays so
}

INSTANTIATE_TEST_SUITE_P(
    Packets, HostileReceiver,
    testing::Values(
        Hostile{"UnknownId", {}, req(3), base::Code::kInvalidArgument, "invalid file id 3"},
        Hostile{"HugeId", {}, req(4294967295u), base::Code::kInvalidArgument, "invalid file id"},
        Hostile{"Directory", {}, req(0), base::Code::kInvalidArgument, "invalid file id 0"},
        Hostile{"Symlink", {}, req(2), base::Code::kInvalidArgument, "invalid file id 2"},
        Hostile{"Twice", {req(1)}, req(1), base::Code::kInvalidArgument, "invalid file id 1"},
        Hostile{"AfterFin", {fin()}, req(1), base::Code::kInvalidArgument, "REQ after FIN"},
        Hostile{"FinTwice", {fin()}, fin(), base::Code::kInvalidArgument, "FIN after FIN"},
        Hostile{"Stat", {}, "", base::Code::kInvalidArgument, "STAT"},
        Hostile{"Data",
                {},
                encode_packet(PacketType::kData, 1, "x"),
                base::Code::kInvalidArgument,
                "DATA"},
        Hostile{"Garbage", {}, "\xff\xff\xff", base::Code::kInvalidArgument, "malformed"},
        Hostile{"Oversized",
                {},
                encode_packet(PacketType::kErr, 0, std::string(70000, 'x')),
                base::Code::kResourceExhausted,
                "packet of"},
        Hostile{"LongError",
                {},
                encode_packet(PacketType::kErr, 0, std::string(60000, 'x')),
                base::Code::kUnknown,
                "error from receiver: xxx"},
        Hostile{"Error",
                {req(1)},
                encode_packet(PacketType::kErr, 0, "disk full"),
                base::Code::kUnknown,
                "error from receiver: disk full"}),
    [](const auto& param) { return param.param.name; });

TEST(Sender, PacketsOfLaterVersionsAreIgnored) {
  TempTree tree;
  Receiver receiver(options_of(tree.root()));
  EXPECT_TRUE(receiver.say(encode_packet(static_cast<PacketType>(77), 0, "x")).ok());
  receiver.receive_all();
  EXPECT_TRUE(receiver.sender->status().ok());
  EXPECT_TRUE(receiver.say(req(1)).ok()) << "after the end all is discarded";
}

// Before its STAT has left, an id is nobody's.
TEST(Sender, IdsAreKnownOnceSent) {
  TempTree tree;
  tree.file("file");
  Receiver receiver(options_of(tree.root()));
  EXPECT_FALSE(receiver.say(req(0)).ok());
}

TEST(Sender, FinMayComeEarly) {
  TempTree tree;
  for (int i = 0; i < 500; ++i) tree.file(std::to_string(i), pattern_of(100000));
  Receiver receiver(options_of(tree.root()));
  receiver.run([&] { return receiver.listed; });
  for (uint32_t id = 0; id < 500; ++id) ASSERT_TRUE(receiver.say(req(id)).ok());
  receiver.awake();
  receiver.run([&] { return receiver.contents.size() > 3; });
  receiver.awake();
  ASSERT_TRUE(receiver.say(fin()).ok());
  receiver.run_to_end();
  EXPECT_EQ(receiver.fins, 1);
  EXPECT_TRUE(receiver.sender->status().ok());
}

// Whatever the moment: nobody is left behind, and wake is silent afterwards (~Receiver sees to it).
TEST(Sender, MayGoAtAnyTime) {
  TempTree tree;
  for (int i = 0; i < 300; ++i) tree.file("d/" + std::to_string(i), pattern_of(3000));
  auto pool = std::make_shared<base::Pool>(4);
  for (size_t steps = 0; steps < 60; ++steps) {
    SenderOptions options = options_of(tree.root());
    options.readers = pool;
    if (steps % 2 == 0) options.max_queued_stat_bytes = options.max_queued_data_bytes = 1;
    Receiver receiver(std::move(options), 1000 + steps * 700);
    for (size_t i = 0; i < steps; ++i) {
      if (receiver.listed && receiver.open == 0) {
        for (uint32_t id = 1; id <= 300 && receiver.contents.empty(); ++id) {
          ASSERT_TRUE(receiver.say(req(id)).ok());
          ++receiver.open;
        }
        receiver.awake();
        if (receiver.open == 0) break;
      }
      receiver.step();
    }
  }
}

TEST(Sender, UnreadableFilesFailTheTransfer) {
  TempTree tree;
  tree.file("closed", "secret");
  tree.chmod("closed", 0);
  AsNobody nobody;
  Receiver receiver(options_of(tree.root()));
  receiver.receive_all();
  EXPECT_EQ(receiver.sender->status().code(), base::Code::kPermissionDenied);
  EXPECT_EQ(receiver.sender->status().hop(), base::Hop::kLocal);
  EXPECT_THAT(receiver.sender->status().message(), HasSubstr("closed"));
  EXPECT_THAT(receiver.sender->status().error().hint, HasSubstr(".dockerignore"));
  EXPECT_THAT(receiver.errors, ElementsAre(HasSubstr("closed: Permission denied")));
}

TEST(Sender, UnreadableDirectoriesFailTheWalk) {
  TempTree tree;
  tree.file("a");
  tree.dir("b");
  tree.chmod("b", 0);
  AsNobody nobody;
  Receiver receiver(options_of(tree.root()));
  receiver.run_to_end();
  EXPECT_EQ(receiver.sender->status().code(), base::Code::kPermissionDenied);
  EXPECT_EQ(receiver.sender->status().hop(), base::Hop::kLocal);
  EXPECT_EQ(receiver.stats.size(), 2u);  // what came before
  EXPECT_THAT(receiver.errors, ElementsAre(HasSubstr("b: Permission denied")));
}

TEST(Sender, PatternsThatFailInUse) {
  TempTree tree;
  tree.file("a");
  Receiver receiver(options_of(tree.root(), {{}, {"[z-a]x"}, {}}));
  receiver.run_to_end();
  EXPECT_EQ(receiver.sender->status().code(), base::Code::kInvalidArgument);
  EXPECT_THAT(receiver.errors, ElementsAre(HasSubstr("syntax error in pattern")));
}

// Files of proc say that they are empty.
TEST(Sender, SizeBindsNobody) {
  Receiver receiver(options_of("/proc/self", {{"status", "cmdline"}, {}, {}}));
  receiver.receive_all();
  EXPECT_TRUE(receiver.sender->status().ok());
  EXPECT_THAT(receiver.content("status"), HasSubstr("VmPeak"));
}

// The first page of an address space cannot be read.
TEST(Sender, ReadErrorsFailTheTransfer) {
  Receiver receiver(options_of("/proc/self", {{"mem", "status"}, {}, {}}));
  receiver.receive_all();
  EXPECT_TRUE(receiver.ended);
  EXPECT_FALSE(receiver.sender->status().ok());
  EXPECT_EQ(receiver.sender->status().hop(), base::Hop::kLocal);
  EXPECT_THAT(receiver.errors, ElementsAre(HasSubstr("read mem: ")));
  EXPECT_EQ(receiver.fins, 0);
}

// A pool that is busy, or gone, costs time alone.
TEST(Sender, OneReaderForMany) {
  TempTree tree;
  for (int i = 0; i < 50; ++i) tree.file(std::to_string(i), pattern_of(50000));
  auto pool = std::make_shared<base::Pool>(1);
  std::vector<std::unique_ptr<Receiver>> receivers;
  for (int i = 0; i < 3; ++i) {
    SenderOptions options = options_of(tree.root());
    options.readers = pool;
    options.max_queued_data_bytes = 1;
    receivers.push_back(std::make_unique<Receiver>(std::move(options)));
  }
  for (auto& receiver : receivers) {
    receiver->receive_all();
    EXPECT_TRUE(receiver->sender->status().ok());
    EXPECT_TRUE(receiver->content("49") == pattern_of(50000));
  }
}

// Files that the caller gives, over a directory.
TEST(SenderFiles, AreSentAsTheyAreGiven) {
  TempTree dir;
  dir.file("real", "from the disk");
  dir.file("both", "hidden");
  auto files = std::make_shared<VirtualTree>();
  std::string large(300000, 'x');
  std::iota(large.begin(), large.end(), 'a');
  auto add = [&](const char* path, std::string bytes) {
    VirtualFile file;
    file.bytes = std::move(bytes);
    ASSERT_TRUE(files->add(path, std::move(file)).ok());
  };
  add("both", "given");
  add("dir/large", large);
  add("empty", "");
  VirtualFile read;
  std::atomic<bool> on_the_loop{false};
  auto loop = std::this_thread::get_id();
  read.read = [&](uint64_t offset, std::span<uint8_t> out) -> base::Result<size_t> {
    if (std::this_thread::get_id() == loop) on_the_loop = true;
    size_t size = std::min({out.size(), large.size() - static_cast<size_t>(offset), size_t{70000}});
    std::memcpy(out.data(), large.data() + offset, size);
    return size;
  };
  ASSERT_TRUE(files->add("read", read).ok());
  read.size = large.size();
  ASSERT_TRUE(files->add("sized", read).ok());
  for (size_t buffer : {7u, 4096u, 100000u}) {
    for (size_t borrowed : {0u, 3u}) {
      SenderOptions options;
      options.root = dir.root();
      options.files = files;
      options.max_queued_data_bytes = 200000;
      Receiver receiver(std::move(options), buffer);
      receiver.borrow(borrowed);
      receiver.receive_all();
      ASSERT_TRUE(receiver.sender->status().ok()) << receiver.sender->status().message();
      EXPECT_EQ(receiver.content("real"), "from the disk");
      EXPECT_EQ(receiver.content("both"), "given");
      EXPECT_EQ(receiver.content("empty"), "");
      EXPECT_EQ(receiver.content("dir/large"), large);
      EXPECT_EQ(receiver.content("read"), large);
      EXPECT_EQ(receiver.content("sized"), large);
    }
  }
  EXPECT_FALSE(on_the_loop) << "a function of the caller's may take its time";
}

TEST(SenderFiles, AFunctionMayRefuse) {
  struct Case {
    uint64_t gives;
    std::optional<uint64_t> size;
    base::Code code;
    const char* why;
  };
  const Case table[] = {
      {~uint64_t{0}, {}, base::Code::kAborted, "on purpose"},
      {5, 9, base::Code::kDataLoss, "5 bytes, 9 were announced"},
      {5, 3, base::Code::kDataLoss, "more bytes, 3 were announced"},
      {1, 0, base::Code::kDataLoss, "more bytes, 0 were announced"},
  };
  for (const auto& [gives, size, code, why] : table) {
    auto files = std::make_shared<VirtualTree>();
    VirtualFile file;
    file.size = size;
    file.read = [gives = gives](uint64_t offset, std::span<uint8_t> out) -> base::Result<size_t> {
      if (gives == ~uint64_t{0})
        return base::Status(base::Code::kAborted, base::Hop::kCallback, "on purpose");
      return std::min<size_t>(out.size(), gives - offset);
    };
    ASSERT_TRUE(files->add("a", file).ok());
    SenderOptions options;
    options.files = files;
    Receiver receiver(std::move(options));
    receiver.receive_all();
    EXPECT_EQ(receiver.sender->status().code(), code);
    EXPECT_THAT(receiver.sender->status().message(), HasSubstr(why));
  }
}

}  // namespace
}  // namespace depot::filesync
