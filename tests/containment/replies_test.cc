// Replies that nobody reads fill the bound of their connection, and no more.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/containment/containment.h"
#include "tests/containment/wire_client.h"

namespace holdfast::testing {
namespace {

constexpr char kGetEntries[] = "/holdfast.v1.ObjectService/GetEntries";

class RepliesTest : public ContainmentTest {
 protected:
  // Makes an object with two values of 1.7 MiB, which `get_` reads: a reply of 3.4 MiB.
  void FillObject() {
    const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
    for (const char* key : {"a", "b"}) {
      v1::PutEntriesRequest request;
      request.mutable_object()->set_name("large");
      v1::Entry* const entry = request.add_entries();
      entry->set_key(key);
      entry->set_value(std::string(1'780'000, *key));
      ASSERT_TRUE(Invoke(*stub, &v1::ObjectService::Stub::PutEntries, request).ok());
    }
    get_.mutable_object()->set_name("large");
    get_.add_keys("a");
    get_.add_keys("b");
  }

  v1::GetEntriesRequest get_;
};

TEST_F(RepliesTest, UnreadRepliesOfOneConnectionAreBoundedAndOthersAreServed) {
  Start("server { connection_bytes_max: 33554432 connection_streams_max: 1000 }");
  FillObject();
  const int64_t before = MemoryMiB(server_->pid());
  WireClient hoarder(server_->address());
  hoarder.Greet(/*window=*/0);
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    hoarder.Send(hoarder.Open(kGetEntries), get_);
    refused += Ended(hoarder.Read(absl::ZeroDuration()));
  }
  // Nine replies fit into the bound.
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (refused < 391 && absl::Now() < until) refused += Ended(hoarder.Read(absl::Milliseconds(100)));
  EXPECT_EQ(refused, 391);
  EXPECT_LT(ServeVictim(), kSoon);
  // 400 replies would be 1,360 MiB.
  EXPECT_LT(MemoryMiB(server_->pid()) - before, 160);
}

TEST_F(RepliesTest, UnreadRepliesOfManyConnectionsAreBoundedTogether) {
  Start("server { call_bytes_max: 67108864 connection_bytes_max: 33554432 }");
  FillObject();
  const int64_t before = MemoryMiB(server_->pid());
  std::vector<std::unique_ptr<WireClient>> hoarders;
  for (int i = 0; i < 20; ++i) {
    hoarders.push_back(std::make_unique<WireClient>(server_->address()));
    hoarders.back()->Greet(/*window=*/0);
    for (int call = 0; call < 5; ++call) hoarders.back()->Send(hoarders.back()->Open(kGetEntries), get_);
  }
  // 18 of the 100 replies fit; the other calls are refused.
  int refused = 0;
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (refused < 82 && absl::Now() < until) {
    for (const auto& hoarder : hoarders) refused += Ended(hoarder->Read(absl::Milliseconds(5)));
  }
  EXPECT_EQ(refused, 82);
  EXPECT_LT(MemoryMiB(server_->pid()) - before, 200);
}

TEST_F(RepliesTest, AReplyThatIsNotTakenInTimeIsDropped) {
  Start("server { connection_bytes_max: 8388608 reply_time_limit_ms: 400 }");
  FillObject();
  WireClient hoarder(server_->address());
  hoarder.Greet(/*window=*/0);
  hoarder.Send(hoarder.Open(kGetEntries), get_);
  hoarder.Send(hoarder.Open(kGetEntries), get_);
  int resets = 0;
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (resets < 2 && absl::Now() < until) {
    for (const auto& frame : hoarder.Read(absl::Milliseconds(50))) resets += frame.type == WireClient::kReset ? 1 : 0;
  }
  EXPECT_EQ(resets, 2);
  // The memory that the dropped replies held can be used again.
  const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
  EXPECT_TRUE(Invoke(*stub, &v1::ObjectService::Stub::GetEntries, get_).ok());
}

// The messages of calls that gRPC has not reported yet are in its own memory, which has a quota.
TEST_F(RepliesTest, RequestsThatNeverEndAreBoundedByTheQuotaOfGrpc) {
  Start("server { grpc_bytes_max: 67108864 }");
  const int64_t before = MemoryMiB(server_->pid());
  WireClient client(server_->address());
  client.Greet();
  std::vector<uint32_t> streams;
  for (int i = 0; i < 100; ++i) streams.push_back(client.Open("/holdfast.v1.ObjectService/PutEntries"));
  // All the messages together would be 400 MiB.
  const uint64_t sent = client.SendUnfinished(streams, 4 << 20, absl::Seconds(5));
  EXPECT_GT(sent, 16u << 20);
  EXPECT_LT(MemoryMiB(server_->pid()) - before, 120);
  EXPECT_LT(ServeVictim(), kSoon);
}

// A message of many empty fields takes 40 times as much memory as it has bytes, and is counted by its memory.
TEST_F(RepliesTest, ARequestIsCountedByTheMemoryThatItTakes) {
  Start("server { connection_bytes_max: 33554432 }");
  v1::PutEntriesRequest request;
  request.mutable_object()->set_name("x");
  for (int i = 0; i < 1'000'000; ++i) request.add_entries();
  const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
  const auto reply = Invoke(*stub, &v1::ObjectService::Stub::PutEntries, request);
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(reply.status), "SERVER_OVERLOADED");
  EXPECT_NE(reply.status.error_message().find("server.connection_bytes_max"), std::string::npos);
  EXPECT_LT(ServeVictim(), kSoon);
}

}  // namespace
}  // namespace holdfast::testing
