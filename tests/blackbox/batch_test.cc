// ApplyBatch refuses a batch whose conditions do not hold, and says which condition that is.

#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

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
};

INSTANTIATE_TEST_SUITE_P(Stores, Batches, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

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

}  // namespace
}  // namespace holdfast::blackbox
