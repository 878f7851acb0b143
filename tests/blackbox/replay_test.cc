// A request that is sent again with its request_id gets the first reply byte for byte, marked as a replay.

#include <string>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "tests/blackbox/behaviour.h"
#include "tests/blackbox/raw_call.h"

namespace holdfast::blackbox {
namespace {

template <typename Base>
class ReplayTest : public Base {
 protected:
  RawReply CallMethod(const std::string& method, const google::protobuf::Message& request) {
    return CallRaw(this->channel_, method, request, this->Timeout());
  }

  // Returns a change whose reply has maps of twelve keys, one of them within the other.
  static v1::UpdateUserRequest UpdateWithMaps(const std::string& id) {
    auto request = For<v1::UpdateUserRequest>("users");
    request.set_request_id(absl::StrCat("update-", id));
    request.set_allow_missing(true);
    request.mutable_user()->set_id(id);
    auto& attributes = *request.mutable_user()->mutable_attributes()->mutable_fields();
    for (int i = 0; i < 11; ++i) attributes[absl::StrCat("key-", i)].set_number_value(i);
    auto& nested = *attributes["nested"].mutable_struct_value()->mutable_fields();
    for (int i = 0; i < 12; ++i) nested[absl::StrCat("inner-", i)].set_bool_value(true);
    return request;
  }
  RawReply Update(const std::string& id) {
    return CallMethod("/holdfast.v1.UserCacheService/UpdateUser", UpdateWithMaps(id));
  }
};

using Replays = ReplayTest<Behaviour>;
INSTANTIATE_TEST_SUITE_P(Stores, Replays, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Replays, AReplyWithMapsIsTheSameBytesAndMarked) {
  for (int i = 0; i < 8; ++i) {
    const std::string id = absl::StrCat("u", i);
    const RawReply first = Update(id);
    ASSERT_TRUE(IsOk(first.status));
    EXPECT_FALSE(first.replayed);
    for (int again = 0; again < 3; ++again) {
      const RawReply replay = Update(id);
      ASSERT_TRUE(IsOk(replay.status));
      EXPECT_EQ(replay.bytes, first.bytes) << id;
      EXPECT_TRUE(replay.replayed);
    }
  }
}

TEST_P(Replays, ReadsOfTheSameStateAreTheSameBytes) {
  ASSERT_TRUE(IsOk(Update("u").status));
  auto request = For<v1::GetUserRequest>("users");
  request.set_id("u");
  const std::string method = "/holdfast.v1.UserCacheService/GetUser";
  const RawReply first = CallMethod(method, request);
  for (int again = 0; again < 8; ++again) EXPECT_EQ(CallMethod(method, request).bytes, first.bytes);
}

TEST_P(Replays, OnlyAReplayIsMarked) {
  const std::string method = "/holdfast.v1.CounterService/Increment";
  auto request = For<v1::IncrementRequest>("n");
  EXPECT_FALSE(CallMethod(method, request).replayed);
  EXPECT_FALSE(CallMethod(method, request).replayed);
  request.set_request_id("1");
  EXPECT_FALSE(CallMethod(method, request).replayed);
  EXPECT_TRUE(CallMethod(method, request).replayed);
  // The id with another request is an error, which is no replay; neither is an error that is repeated.
  request.set_amount(7);
  const RawReply reused = CallMethod(method, request);
  EXPECT_TRUE(Fails(reused.status, grpc::StatusCode::ALREADY_EXISTS, "REQUEST_ID_REUSED"));
  EXPECT_FALSE(reused.replayed);
  request.set_request_id("2");
  request.set_amount(INT64_MAX);
  for (int again = 0; again < 2; ++again) {
    const RawReply refused = CallMethod(method, request);
    EXPECT_TRUE(Fails(refused.status, grpc::StatusCode::OUT_OF_RANGE, "COUNTER_OVERFLOW"));
    EXPECT_FALSE(refused.replayed);
  }
}

TEST_P(Replays, AReplayedImportIsMarked) {
  for (const bool replayed : {false, true}) {
    v1::ObjectService::Stub stub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + Timeout());
    v1::ImportSqlResponse response;
    const auto writer = stub.ImportSql(&context, &response);
    v1::ImportSqlRequest part;
    part.mutable_header()->mutable_object()->set_name("db");
    part.mutable_header()->set_request_id("1");
    ASSERT_TRUE(writer->Write(part));
    writer->WritesDone();
    ASSERT_TRUE(IsOk(writer->Finish()));
    EXPECT_EQ(context.GetServerInitialMetadata().count("holdfast-replayed"), replayed ? 1u : 0u);
  }
}

using KilledReplays = ReplayTest<KillBehaviour>;

TEST_F(KilledReplays, AReplyWithMapsIsTheSameBytesAfterAKill) {
  const RawReply first = Update("u");
  ASSERT_TRUE(IsOk(first.status));
  Kill();
  Start();
  const RawReply replay = Update("u");
  ASSERT_TRUE(IsOk(replay.status));
  EXPECT_EQ(replay.bytes, first.bytes);
  EXPECT_TRUE(replay.replayed);
}

}  // namespace
}  // namespace holdfast::blackbox
