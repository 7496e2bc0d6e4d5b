// The generated messages: what the rest of the core relies on and a change of generator could lose.
// That names and numbers are upstream's is tests/proto's business.
#include <dlfcn.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>
#include <link.h>

#include <string>
#include <type_traits>

#include "containerd/services/content/v1/content.pb.h"
#include "depot/cli/v1/build.pb.h"
#include "fsutil/types/wire.pb.h"
#include "google/rpc/status.pb.h"
#include "moby/buildkit/v1/control.pb.h"
#include "stack/stack.pb.h"

namespace {

using google::protobuf::Message;  // the full runtime's base class; only its declaration is used
using google::protobuf::MessageLite;

template <typename T>
constexpr bool kLite = std::is_base_of_v<MessageLite, T> && !std::is_base_of_v<Message, T>;

TEST(Wire, EveryMessageIsLiteTheWellKnownTypesToo) {
  EXPECT_TRUE(kLite<moby::buildkit::v1::SolveRequest>);
  EXPECT_TRUE(kLite<google::rpc::Status>);
  EXPECT_TRUE(kLite<google::protobuf::Timestamp>);
  EXPECT_TRUE(kLite<google::protobuf::Any>);
  EXPECT_TRUE(kLite<google::protobuf::Empty>);
  EXPECT_TRUE(kLite<google::protobuf::FieldMask>);
}

TEST(Wire, TheFullProtobufRuntimeIsNotLoaded) {
  std::string loaded;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        *static_cast<std::string*>(out) += std::string(info->dlpi_name) + "\n";
        return 0;
      },
      &loaded);
  EXPECT_NE(loaded.find("libc.so"), std::string::npos) << "the list itself is not to be trusted";
  EXPECT_EQ(loaded.find("libprotobuf.so"), std::string::npos) << loaded;
}

// A Depot builder adds fields from 9998 on to BuildKit's messages.
TEST(Wire, UnknownFieldsSurviveARoundTrip) {
  const std::string bytes = {0x0a, 0x01, 'd', '\xfa', '\xf0', 0x04, 0x01, 's'};  // digest, 9999
  moby::buildkit::v1::Vertex vertex;
  ASSERT_TRUE(vertex.ParseFromString(bytes));
  EXPECT_EQ(vertex.digest(), "d");
  EXPECT_EQ(vertex.SerializeAsString(), bytes);
}

// The packet that ends a list of files is a message of no bytes.
TEST(Wire, AStatPacketWithoutAStatIsEmpty) {
  fsutil::types::Packet packet;
  packet.set_type(fsutil::types::Packet::PACKET_STAT);
  EXPECT_EQ(packet.ByteSizeLong(), 0u);
  packet.mutable_stat();
  EXPECT_EQ(packet.SerializeAsString(), std::string({0x12, 0x00}));
}

TEST(Wire, TruncatedBytesAreRefused) {
  moby::buildkit::v1::StatusResponse status;
  status.add_vertexes()->set_name("[1/2] FROM busybox");
  const std::string bytes = status.SerializeAsString();
  for (size_t n = 1; n < bytes.size(); ++n) {
    moby::buildkit::v1::StatusResponse cut;
    EXPECT_FALSE(cut.ParseFromString(bytes.substr(0, n))) << n;
  }
}

TEST(Wire, AnErrorDetailIsFoundByItsTypeUrl) {
  stack::Stack stack;
  stack.set_pid(7);
  google::rpc::Status status;
  status.add_details()->PackFrom(stack);
  EXPECT_EQ(status.details(0).type_url(), "type.googleapis.com/stack.Stack");
  stack::Stack back;
  ASSERT_TRUE(status.details(0).UnpackTo(&back));
  EXPECT_EQ(back.pid(), 7);
}

TEST(Wire, OneofsTellWhatTheApiAnswered) {
  depot::cli::v1::GetBuildKitConnectionResponse answer;
  EXPECT_EQ(answer.connection_case(), answer.CONNECTION_NOT_SET);
  answer.mutable_pending()->set_wait_ms(250);
  answer.mutable_active()->mutable_gzip();
  EXPECT_FALSE(answer.has_pending());
  EXPECT_TRUE(answer.active().has_gzip());
  EXPECT_FALSE(answer.active().has_identity());
}

}  // namespace
