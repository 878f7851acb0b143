// ApplyBatch makes conditions, steps and the alarm one atomic commit, or does nothing.

#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr absl::Duration kHour = absl::Hours(1);

class Batches : public Behaviour {
 protected:
  void AddPut(const std::string& key, const std::string& value) {
    auto* const put = batch.add_steps()->mutable_put();
    put->set_key(key);
    put->set_value(value);
  }
  void AddEtagEquals(const std::string& key, const std::string& etag) {
    auto* const entry = batch.add_preconditions()->mutable_etag_equals();
    entry->set_key(key);
    entry->set_etag(etag);
  }
  grpc::Status Apply() { return Call(&ObjectStub::ApplyBatch, batch).status; }
  ::testing::AssertionResult FailsPrecondition(const std::string& named, const std::string& reason) {
    const grpc::Status status = Apply();
    if (auto fails = Fails(status, grpc::StatusCode::ABORTED, reason); !fails) return fails;
    if (status.error_message().find(named) != std::string::npos) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "does not name " << named << ": " << status.error_message();
  }

  v1::ApplyBatchRequest batch = For<v1::ApplyBatchRequest>("o");
  const absl::Time now = absl::FromUnixMicros(absl::ToUnixMicros(absl::Now()));
};

INSTANTIATE_TEST_SUITE_P(Stores, Batches, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Batches, StepsAndAlarmAreOneCommit) {
  ASSERT_TRUE(IsOk(Put("o", "old", "0")));
  AddPut("a", "1");
  batch.add_steps()->set_delete_key("old");
  *batch.add_steps()->mutable_set_alarm() = ToProto(now + kHour);
  ASSERT_TRUE(IsOk(Apply()));
  EXPECT_THAT(All("o"), ElementsAre(Pair("a", "1")));
  EXPECT_EQ(AlarmOf("o"), now + kHour);

  batch.clear_steps();
  AddPut("b", "2");
  batch.add_steps()->set_delete_alarm(true);
  ASSERT_TRUE(IsOk(Apply()));
  EXPECT_THAT(All("o"), ElementsAre(Pair("a", "1"), Pair("b", "2")));
  EXPECT_EQ(AlarmOf("o"), std::nullopt);
}

TEST_P(Batches, StepsAreTakenInOrder) {
  AddPut("a", "1");
  AddPut("a", "2");
  AddPut("gone", "1");
  batch.add_steps()->set_delete_key("gone");
  batch.add_steps()->set_delete_key("back");
  AddPut("back", "1");
  *batch.add_steps()->mutable_set_alarm() = ToProto(now + kHour);
  batch.add_steps()->set_delete_alarm(true);
  ASSERT_TRUE(IsOk(Apply()));
  EXPECT_THAT(All("o"), ElementsAre(Pair("a", "2"), Pair("back", "1")));
  EXPECT_EQ(AlarmOf("o"), std::nullopt);

  batch.clear_steps();
  batch.add_steps()->set_delete_alarm(true);
  *batch.add_steps()->mutable_set_alarm() = ToProto(now + 2 * kHour);
  *batch.add_steps()->mutable_set_alarm() = ToProto(now + kHour);
  ASSERT_TRUE(IsOk(Apply()));
  EXPECT_EQ(AlarmOf("o"), now + kHour);
}

TEST_P(Batches, AConditionThatDoesNotHoldLeavesNothing) {
  ASSERT_TRUE(IsOk(Put("o", "a", "old")));
  AddPut("a", "new");
  AddPut("b", "new");
  batch.add_steps()->set_delete_key("a");
  batch.add_preconditions()->set_key_present("a");
  batch.add_preconditions()->set_key_absent("a");
  EXPECT_TRUE(FailsPrecondition("preconditions[1]", "PRECONDITION_FAILED"));
  EXPECT_THAT(All("o"), ElementsAre(Pair("a", "old")));
}

TEST_P(Batches, ARolledBackBatchLeavesTheOldAlarm) {
  ASSERT_TRUE(IsOk(SetAlarm("o", now + kHour)));
  *batch.add_steps()->mutable_set_alarm() = ToProto(now + 2 * kHour);
  batch.add_preconditions()->set_key_present("missing");
  EXPECT_TRUE(FailsPrecondition("preconditions[0]", "PRECONDITION_FAILED"));
  EXPECT_EQ(AlarmOf("o"), now + kHour);
  batch.mutable_steps(0)->set_delete_alarm(true);
  EXPECT_TRUE(FailsPrecondition("preconditions[0]", "PRECONDITION_FAILED"));
  EXPECT_EQ(AlarmOf("o"), now + kHour);
}

TEST_P(Batches, AFailedBatchOnANewObjectCreatesNothing) {
  AddPut("a", "1");
  *batch.add_steps()->mutable_set_alarm() = ToProto(now + kHour);
  batch.add_preconditions()->set_key_present("a");
  EXPECT_TRUE(FailsPrecondition("preconditions[0]", "PRECONDITION_FAILED"));
  EXPECT_THAT(All("o"), IsEmpty());
  EXPECT_EQ(Call(&ObjectStub::ListObjects, v1::ListObjectsRequest())->objects_size(), 0);
}

TEST_P(Batches, ConditionsHoldBeforeTheFirstStep) {
  AddPut("a", "1");
  batch.add_preconditions()->set_key_absent("a");
  ASSERT_TRUE(IsOk(Apply()));
  EXPECT_TRUE(FailsPrecondition("preconditions[0]", "PRECONDITION_FAILED"));
  batch.mutable_preconditions(0)->set_key_present("a");
  batch.add_steps()->set_delete_key("a");
  ASSERT_TRUE(IsOk(Apply()));
  EXPECT_EQ(Get("o", "a"), std::nullopt);
  EXPECT_TRUE(FailsPrecondition("preconditions[0]", "PRECONDITION_FAILED"));
}

TEST_P(Batches, AnEtagIsACondition) {
  ASSERT_TRUE(IsOk(Put("o", "a", "1")));
  const std::string etag = EtagOf("o", "a");
  AddEtagEquals("a", etag);
  batch.mutable_preconditions(0)->mutable_etag_equals()->set_value("is not looked at");
  AddPut("a", "2");
  ASSERT_TRUE(IsOk(Apply()));
  EXPECT_EQ(Get("o", "a"), "2");
  EXPECT_TRUE(FailsPrecondition("preconditions[0]", "ETAG_MISMATCH"));
  EXPECT_EQ(Get("o", "a"), "2");
  // A key that is missing has no etag.
  batch.mutable_preconditions(0)->mutable_etag_equals()->set_key("missing");
  EXPECT_TRUE(FailsPrecondition("preconditions[0]", "ETAG_MISMATCH"));
}

TEST_P(Batches, AGarbledStepOrConditionIsNamed) {
  AddPut("a", "1");
  batch.add_steps();
  EXPECT_TRUE(IsInvalid(Apply(), "steps[1]"));
  batch.mutable_steps(1)->set_delete_alarm(false);
  EXPECT_TRUE(IsInvalid(Apply(), "steps[1]"));
  batch.mutable_steps(1)->set_delete_key("");
  EXPECT_TRUE(IsInvalid(Apply(), "steps[1]"));
  batch.mutable_steps(1)->mutable_set_alarm()->set_nanos(-1);
  EXPECT_TRUE(IsInvalid(Apply(), "steps[1]"));
  batch.mutable_steps(1)->set_delete_key("b");
  batch.add_preconditions();
  EXPECT_TRUE(IsInvalid(Apply(), "preconditions[0]"));
  batch.mutable_preconditions(0)->set_key_absent("");
  EXPECT_TRUE(IsInvalid(Apply(), "preconditions[0]"));
  EXPECT_THAT(All("o"), IsEmpty());
}

}  // namespace
}  // namespace holdfast::blackbox
