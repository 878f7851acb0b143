// The calls that end a delivery of an alarm or extend its lease, and what they answer.

#include "tests/blackbox/watcher.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class Deliveries : public ScriptedBehaviour {
 protected:
  void SetUp() override {
    Start();
    watcher = std::make_unique<Watcher>(channel_, v1::WatchAlarmsRequest());
    ASSERT_TRUE(IsOk(SetAlarm("o", past)));
    delivery = watcher->Next();
    ASSERT_EQ(delivery.object().name(), "o");
  }
  grpc::Status Acknowledge(const Watcher::Delivery& of) {
    return Call(&ObjectStub::AcknowledgeAlarm, Acknowledgement(of)).status;
  }
  grpc::Status Refuse(const Watcher::Delivery& of) { return Call(&ObjectStub::AcknowledgeAlarm, Refusal(of)).status; }
  Reply<v1::ExtendAlarmLeaseResponse> Extend(const Watcher::Delivery& of, absl::Duration lease) {
    auto request = OfDelivery<v1::ExtendAlarmLeaseRequest>(of);
    *request.mutable_lease() = ToProto(lease);
    return Call(&ObjectStub::ExtendAlarmLease, request);
  }
  v1::ApplyBatchRequest Batch() {
    auto batch = For<v1::ApplyBatchRequest>("o");
    batch.set_alarm_delivery_token(delivery.delivery_token());
    return batch;
  }
  ::testing::AssertionResult IsStale(const grpc::Status& status) {
    return Fails(status, grpc::StatusCode::ABORTED, "ALARM_DELIVERY_STALE");
  }
  // Expects that nothing else has come before the alarm that is set now.
  void ExpectNoMore() {
    ASSERT_TRUE(IsOk(SetAlarm("barrier", past)));
    const auto barrier = watcher->Next();
    EXPECT_EQ(barrier.object().name(), "barrier");
    EXPECT_TRUE(IsOk(Acknowledge(barrier)));
  }

  std::unique_ptr<Watcher> watcher;
  Watcher::Delivery delivery;
  const absl::Time past = absl::FromUnixSeconds(1);
};

INSTANTIATE_TEST_SUITE_P(Stores, Deliveries, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Deliveries, AnAcknowledgedOneHasEnded) {
  ASSERT_TRUE(IsOk(Acknowledge(delivery)));
  EXPECT_TRUE(IsStale(Acknowledge(delivery)));
  EXPECT_TRUE(IsStale(Refuse(delivery)));
  EXPECT_TRUE(IsStale(Extend(delivery, absl::Seconds(1)).status));
  Advance(absl::Hours(1));
  ExpectNoMore();
  EXPECT_EQ(AlarmOf("o"), std::nullopt);
}

TEST_P(Deliveries, ARefusedDeliveryIsRetriedWithAnotherToken) {
  const absl::Time failed = ServerNow();
  ASSERT_TRUE(IsOk(Refuse(delivery)));
  Advance(absl::Seconds(2.5));
  const auto again = watcher->Next();
  EXPECT_EQ(again.retry_count(), 1);
  EXPECT_NE(again.delivery_token(), delivery.delivery_token());
  EXPECT_EQ(FromProto(again.scheduled_time()), past);
  EXPECT_GE(FromProto(again.lease_expire_time()), failed + absl::Seconds(32));
  EXPECT_TRUE(IsStale(Acknowledge(delivery)));
  EXPECT_TRUE(IsOk(Acknowledge(again)));
}

TEST_P(Deliveries, AnErrorMustBeOne) {
  auto request = Refusal(delivery);
  request.mutable_error()->set_code(grpc::StatusCode::OK);
  EXPECT_TRUE(IsInvalid(Call(&ObjectStub::AcknowledgeAlarm, request).status, "error.code"));
  EXPECT_TRUE(IsOk(Acknowledge(delivery)));
}

TEST_P(Deliveries, AnExtendedLeaseHolds) {
  const absl::Time before = ServerNow();
  const auto extended = Extend(delivery, absl::Minutes(10));
  ASSERT_TRUE(IsOk(extended));
  EXPECT_GE(FromProto(extended->lease_expire_time()), before + absl::Minutes(10) - absl::Microseconds(1));
  EXPECT_LE(FromProto(extended->lease_expire_time()), ServerNow() + absl::Minutes(10));
  Advance(absl::Minutes(9));
  ExpectNoMore();
  EXPECT_EQ(AlarmOf("o"), std::nullopt);
  // ExtendAlarmLease may shorten the lease as well; the default is 30 s.
  ASSERT_TRUE(IsOk(Call(&ObjectStub::ExtendAlarmLease, OfDelivery<v1::ExtendAlarmLeaseRequest>(delivery))));
  Advance(absl::Seconds(34));
  EXPECT_EQ(watcher->Next().retry_count(), 1);
}

TEST_P(Deliveries, ABatchAcknowledgesInItsCommit) {
  auto batch = Batch();
  batch.add_steps()->mutable_put()->set_key("done");
  ASSERT_TRUE(IsOk(Call(&ObjectStub::ApplyBatch, batch)));
  EXPECT_THAT(All("o"), ElementsAre(Pair("done", "")));
  EXPECT_TRUE(IsStale(Acknowledge(delivery)));
  // The batch is applied once only: the same batch again changes nothing.
  batch.mutable_steps(0)->mutable_put()->set_key("twice");
  EXPECT_TRUE(IsStale(Call(&ObjectStub::ApplyBatch, batch).status));
  EXPECT_THAT(All("o"), ElementsAre(Pair("done", "")));
  Advance(absl::Hours(1));
  ExpectNoMore();
}

}  // namespace
}  // namespace holdfast::blackbox
