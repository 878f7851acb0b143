// A delivery of an alarm ends in one of four ways: acknowledged, refused, expired, or with a batch.

#include "tests/blackbox/watcher.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
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

TEST_P(Deliveries, AnUnknownTokenIsStale) {
  auto wrong = delivery;
  wrong.set_delivery_token(delivery.delivery_token() + "x");
  EXPECT_TRUE(IsStale(Acknowledge(wrong)));
  wrong.set_delivery_token("nonsense");
  EXPECT_TRUE(IsStale(Acknowledge(wrong)));
  wrong = delivery;
  wrong.mutable_object()->set_name("another");
  EXPECT_TRUE(IsStale(Acknowledge(wrong)));
  wrong = delivery;
  wrong.clear_delivery_token();
  EXPECT_TRUE(IsInvalid(Acknowledge(wrong), "delivery_token"));
  EXPECT_TRUE(IsOk(Acknowledge(delivery)));
}

TEST_P(Deliveries, ARefusedDeliveryIsRetriedWithinTheBackoff) {
  for (int failures = 1; failures <= 9; ++failures) {
    const absl::Duration backoff = std::min(absl::Seconds(64), absl::Seconds(1 << failures));
    const absl::Time failed = ServerNow();
    ASSERT_TRUE(IsOk(Refuse(delivery)));
    EXPECT_EQ(AlarmOf("o"), past);  // the time for which it was set
    AdvanceTo(failed + backoff - absl::Milliseconds(200));
    EXPECT_TRUE(watcher->empty() || ServerNow() >= failed + backoff);
    AdvanceTo(failed + backoff * 1.25);
    const std::string before = delivery.delivery_token();
    delivery = watcher->Next();
    EXPECT_EQ(delivery.retry_count(), failures);
    EXPECT_NE(delivery.delivery_token(), before);
    EXPECT_EQ(FromProto(delivery.scheduled_time()), past);
    EXPECT_GE(FromProto(delivery.lease_expire_time()), failed + backoff + absl::Seconds(30));
  }
  ASSERT_TRUE(IsOk(Acknowledge(delivery)));
  Advance(absl::Hours(1));
  ExpectNoMore();
}

TEST_P(Deliveries, AnErrorMustBeOne) {
  auto request = Refusal(delivery);
  request.mutable_error()->set_code(grpc::StatusCode::OK);
  EXPECT_TRUE(IsInvalid(Call(&ObjectStub::AcknowledgeAlarm, request).status, "error.code"));
  EXPECT_TRUE(IsOk(Acknowledge(delivery)));
}

TEST_P(Deliveries, AnExpiredLeaseIsAFailedAttempt) {
  AdvanceTo(FromProto(delivery.lease_expire_time()) + absl::Milliseconds(1));
  EXPECT_TRUE(IsStale(Acknowledge(delivery)));
  EXPECT_TRUE(IsStale(Refuse(delivery)));
  EXPECT_TRUE(IsStale(Extend(delivery, absl::Seconds(30)).status));
  EXPECT_EQ(AlarmOf("o"), past);
  Advance(absl::Seconds(3));
  const auto again = watcher->Next();
  EXPECT_EQ(again.retry_count(), 1);
  EXPECT_TRUE(IsStale(Acknowledge(delivery)));
  EXPECT_TRUE(IsOk(Acknowledge(again)));
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

TEST_P(Deliveries, ALeaseHasItsBounds) {
  EXPECT_TRUE(IsInvalid(Extend(delivery, absl::Milliseconds(99)).status, "lease"));
  EXPECT_TRUE(IsInvalid(Extend(delivery, absl::Minutes(15) + absl::Microseconds(1)).status, "lease"));
  EXPECT_TRUE(IsOk(Extend(delivery, absl::Minutes(15))));
  EXPECT_TRUE(IsOk(Extend(delivery, absl::Milliseconds(100))));
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

TEST_P(Deliveries, ABatchNeedsNoStepsWithAToken) {
  ASSERT_TRUE(IsOk(Call(&ObjectStub::ApplyBatch, Batch())));
  EXPECT_TRUE(IsStale(Acknowledge(delivery)));
}

TEST_P(Deliveries, ABatchWhoseConditionFailsAcknowledgesNothing) {
  auto batch = Batch();
  batch.add_preconditions()->set_key_present("missing");
  EXPECT_TRUE(Fails(Call(&ObjectStub::ApplyBatch, batch).status, grpc::StatusCode::ABORTED, "PRECONDITION_FAILED"));
  EXPECT_TRUE(IsOk(Acknowledge(delivery)));
}

TEST_P(Deliveries, ABatchAfterTheLeaseDoesNothing) {
  AdvanceTo(FromProto(delivery.lease_expire_time()) + absl::Milliseconds(1));
  auto batch = Batch();
  batch.add_steps()->mutable_put()->set_key("late");
  EXPECT_TRUE(IsStale(Call(&ObjectStub::ApplyBatch, batch).status));
  EXPECT_THAT(All("o"), IsEmpty());
}

TEST_P(Deliveries, ABatchThatSetsTheAlarmHasItFireAgain) {
  auto batch = Batch();
  *batch.add_steps()->mutable_set_alarm() = ToProto(past);  // the same time
  ASSERT_TRUE(IsOk(Call(&ObjectStub::ApplyBatch, batch)));
  const auto again = watcher->Next();
  EXPECT_EQ(again.object().name(), "o");
  EXPECT_EQ(again.retry_count(), 0);
  EXPECT_NE(again.delivery_token(), delivery.delivery_token());
}

TEST_P(Deliveries, AnAlarmSetWhileOneIsOutIsTheNext) {
  const absl::Time next = ServerNow() + absl::Hours(1);
  ASSERT_TRUE(IsOk(SetAlarm("o", next)));
  ASSERT_TRUE(AlarmOf("o").has_value());
  EXPECT_TRUE(IsOk(Acknowledge(delivery)));
  ASSERT_TRUE(AlarmOf("o").has_value());
  Advance(absl::Hours(1));
  EXPECT_EQ(watcher->Next().retry_count(), 0);
}

TEST_P(Deliveries, AnAlarmSetWhileOneIsOutTakesThePlaceOfItsRetry) {
  ASSERT_TRUE(IsOk(SetAlarm("o", ServerNow() + absl::Hours(1))));
  Refuse(delivery);
  Advance(absl::Minutes(5));
  ExpectNoMore();
  Advance(absl::Hours(1));
  const auto next = watcher->Next();
  EXPECT_EQ(next.object().name(), "o");
  EXPECT_EQ(next.retry_count(), 0);
}

TEST_P(Deliveries, AnAlarmDeletedWhileOneIsOutIsNotRetried) {
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAlarm, For<v1::DeleteAlarmRequest>("o"))));
  Refuse(delivery);
  Advance(absl::Hours(1));
  ExpectNoMore();
  EXPECT_EQ(AlarmOf("o"), std::nullopt);
}

TEST_P(Deliveries, DeleteAllEndsTheDelivery) {
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, For<v1::DeleteAllRequest>("o"))));
  EXPECT_TRUE(IsStale(Acknowledge(delivery)));
  Advance(absl::Hours(1));
  ExpectNoMore();
}

TEST_P(Deliveries, DeleteAllThatKeepsTheAlarmKeepsTheDelivery) {
  ASSERT_TRUE(IsOk(Put("o", "a", "1")));
  auto request = For<v1::DeleteAllRequest>("o");
  request.set_keep_alarm(true);
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, request)));
  EXPECT_THAT(All("o"), IsEmpty());
  EXPECT_TRUE(IsOk(Acknowledge(delivery)));
}

TEST_P(Deliveries, ADeliverySurvivesPassivation) {
  Passivate("o");
  EXPECT_EQ(AlarmOf("o"), std::nullopt);
  Passivate("o");
  EXPECT_TRUE(IsOk(Acknowledge(delivery)));
}

TEST_P(Deliveries, ALeaseOfAnObjectThatIsNotLoadedExpires) {
  Passivate("o");
  Advance(absl::Seconds(34));
  const auto again = watcher->Next();
  EXPECT_EQ(again.retry_count(), 1);
  EXPECT_TRUE(IsStale(Acknowledge(delivery)));
  EXPECT_TRUE(IsOk(Acknowledge(again)));
}

}  // namespace
}  // namespace holdfast::blackbox
