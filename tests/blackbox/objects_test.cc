// Operations on whole objects: alarms of class "Object", deletion, lists, descriptions, passivation.

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using CounterStub = v1::CounterService::Stub;

class Objects : public Behaviour {
 protected:
  using Ids = std::vector<std::pair<std::string, std::string>>;

  static absl::Time InHours(int hours) {
    return absl::FromUnixMicros(absl::ToUnixMicros(absl::Now())) + absl::Hours(hours);
  }
  // Returns classes and names, over all pages.
  Ids List(v1::ListObjectsRequest request, int* pages = nullptr) {
    Ids ids;
    do {
      const auto page = Call(&ObjectStub::ListObjects, request);
      EXPECT_TRUE(IsOk(page));
      for (const auto& summary : page->objects()) {
        ids.emplace_back(summary.object().object_class(), summary.object().name());
      }
      request.set_page_token(page->next_page_token());
      if (pages != nullptr) ++*pages;
    } while (!request.page_token().empty());
    return ids;
  }
  void Increment(const std::string& name) {
    EXPECT_TRUE(IsOk(Call(&CounterStub::Increment, For<v1::IncrementRequest>(name))));
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, Objects, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Objects, AnAlarmIsSetReadAndDeleted) {
  EXPECT_EQ(AlarmOf("o"), std::nullopt);
  const absl::Time time = InHours(1) + absl::Microseconds(7);
  ASSERT_TRUE(IsOk(SetAlarm("o", time)));
  EXPECT_EQ(AlarmOf("o"), time);
  EXPECT_EQ(FromProto(Describe("o").alarm_time()), time);
  ASSERT_TRUE(IsOk(SetAlarm("o", time - absl::Minutes(1))));
  EXPECT_EQ(AlarmOf("o"), time - absl::Minutes(1));
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAlarm, For<v1::DeleteAlarmRequest>("o"))));
  EXPECT_EQ(AlarmOf("o"), std::nullopt);
  EXPECT_TRUE(IsOk(Call(&ObjectStub::DeleteAlarm, For<v1::DeleteAlarmRequest>("o"))));
  EXPECT_TRUE(IsOk(Call(&ObjectStub::DeleteAlarm, For<v1::DeleteAlarmRequest>("never"))));
}

TEST_P(Objects, AnAlarmIsToTheMicrosecondAndNotEarlier) {
  auto request = For<v1::SetAlarmRequest>("o");
  *request.mutable_scheduled_time() = ToProto(InHours(1));
  const int32_t nanos = 123'456'001;
  request.mutable_scheduled_time()->set_nanos(nanos);
  ASSERT_TRUE(IsOk(Call(&ObjectStub::SetAlarm, request)));
  const auto reply = Call(&ObjectStub::GetAlarm, For<v1::GetAlarmRequest>("o"));
  EXPECT_EQ(reply->scheduled_time().seconds(), request.scheduled_time().seconds());
  EXPECT_EQ(reply->scheduled_time().nanos(), 123'457'000);
}

TEST_P(Objects, GarbledTimesAreRefused) {
  auto request = For<v1::SetAlarmRequest>("o");
  const auto refused = [&] { return IsInvalid(Call(&ObjectStub::SetAlarm, request).status, "scheduled_time"); };
  EXPECT_TRUE(refused());
  request.mutable_scheduled_time()->set_nanos(-1);
  EXPECT_TRUE(refused());
  request.mutable_scheduled_time()->set_nanos(1'000'000'000);
  EXPECT_TRUE(refused());
  request.mutable_scheduled_time()->set_nanos(0);
  request.mutable_scheduled_time()->set_seconds(253'402'300'800);  // the year 10000
  EXPECT_TRUE(refused());
  request.mutable_scheduled_time()->set_seconds(INT64_MIN);
  EXPECT_TRUE(refused());
  EXPECT_EQ(AlarmOf("o"), std::nullopt);
}

TEST_P(Objects, DeleteAllClearsKeysAndAlarm) {
  ASSERT_TRUE(IsOk(Put("o", {{"a", "1"}, {"b", "2"}})));
  ASSERT_TRUE(IsOk(SetAlarm("o", InHours(1))));
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, For<v1::DeleteAllRequest>("o"))));
  EXPECT_THAT(All("o"), IsEmpty());
  EXPECT_EQ(AlarmOf("o"), std::nullopt);
  EXPECT_THAT(List({}), IsEmpty());
  EXPECT_FALSE(Describe("o").summary().has_create_time());
  ASSERT_TRUE(IsOk(Put("o", "c", "3")));
  EXPECT_THAT(All("o"), ElementsAre(Pair("c", "3")));
  // DeleteAll also succeeds on an object that never existed.
  EXPECT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, For<v1::DeleteAllRequest>("never"))));
  EXPECT_THAT(List({}), ElementsAre(Pair("Object", "o")));
}

TEST_P(Objects, ListObjectsIsInByteOrderOfClassAndName) {
  for (const char* name : {"b", "a", "ab", "\xC3\xA9"}) ASSERT_TRUE(IsOk(Put(name, "k", "1")));
  Increment("z");
  auto elsewhere = PutRequest("elsewhere", {{"k", "1"}});
  elsewhere.mutable_object()->set_namespace_("tenant-2");
  ASSERT_TRUE(IsOk(Call(&ObjectStub::PutEntries, elsewhere)));

  EXPECT_THAT(List({}), ElementsAre(Pair("Counter", "z"), Pair("Object", "a"), Pair("Object", "ab"),
                                    Pair("Object", "b"), Pair("Object", "\xC3\xA9")));
  v1::ListObjectsRequest request;
  request.set_name_prefix("a");
  EXPECT_THAT(List(request), ElementsAre(Pair("Object", "a"), Pair("Object", "ab")));
  request.clear_name_prefix();
  request.set_object_class("Counter");
  EXPECT_THAT(List(request), ElementsAre(Pair("Counter", "z")));
  request.clear_object_class();
  request.set_namespace_("tenant-2");
  EXPECT_THAT(List(request), ElementsAre(Pair("Object", "elsewhere")));
  request.set_namespace_("Upper");
  EXPECT_TRUE(IsInvalid(Call(&ObjectStub::ListObjects, request).status, "namespace"));
}

TEST_P(Objects, ListObjectsPages) {
  Ids all;
  for (int i = 0; i < 7; ++i) {
    all.emplace_back("Object", absl::StrFormat("o%d", i));
    ASSERT_TRUE(IsOk(Put(all.back().second, "k", "1")));
  }
  v1::ListObjectsRequest request;
  request.set_page_size(3);
  int pages = 0;
  EXPECT_EQ(List(request, &pages), all);
  EXPECT_EQ(pages, 3);
  const std::string token = Call(&ObjectStub::ListObjects, request)->next_page_token();
  request.set_page_token(token + "x");
  EXPECT_TRUE(IsInvalid(Call(&ObjectStub::ListObjects, request).status, "page_token"));
  request.set_page_token(token);
  request.set_name_prefix("o");
  EXPECT_TRUE(IsInvalid(Call(&ObjectStub::ListObjects, request).status, "page_token"));
  request.clear_page_token();
  request.set_page_size(-1);
  EXPECT_TRUE(IsInvalid(Call(&ObjectStub::ListObjects, request).status, "page_size"));
}

TEST_P(Objects, DescribeObjectSaysWhatIsStored) {
  const auto never = Describe("never");
  EXPECT_EQ(never.summary().object().name(), "never");
  EXPECT_FALSE(never.summary().has_create_time());
  EXPECT_FALSE(never.summary().has_update_time());
  EXPECT_EQ(never.summary().size_bytes(), 0);
  EXPECT_EQ(never.key_count(), 0);
  EXPECT_EQ(never.activation_state(), v1::ACTIVATION_STATE_INACTIVE);

  const absl::Time before = absl::Now() - absl::Milliseconds(1);
  ASSERT_TRUE(IsOk(Put("o", {{"key", "value"}, {"k2", ""}})));
  const auto described = Describe("o");
  EXPECT_EQ(described.key_count(), 2);
  EXPECT_EQ(described.summary().size_bytes(), 10);
  EXPECT_GE(FromProto(described.summary().create_time()), before);
  EXPECT_GE(FromProto(described.summary().update_time()), FromProto(described.summary().create_time()));
  EXPECT_EQ(described.activation_state(), v1::ACTIVATION_STATE_ACTIVE);
  EXPECT_NE(described.placement(), v1::PLACEMENT_UNSPECIFIED);
  EXPECT_EQ(described.mailbox_depth(), 0);
  EXPECT_LT(described.shard(), 256u);
  ASSERT_TRUE(IsOk(Put("o", "key", "longer value")));
  EXPECT_EQ(Describe("o").summary().size_bytes(), 17);
  Passivate("o");
  EXPECT_EQ(Describe("o").summary().size_bytes(), 17);
  EXPECT_EQ(Describe("o").key_count(), 2);
  // DescribeObject did not load the object.
  EXPECT_EQ(Describe("o").activation_state(), v1::ACTIVATION_STATE_INACTIVE);
}

TEST_P(Objects, DescribeObjectCountsTheRecordsOfBuiltInClasses) {
  auto add = For<v1::AddItemsRequest>("mail");
  for (const char* item : {"a", "b", "c"}) add.add_items(item);
  ASSERT_TRUE(IsOk(Call(&v1::BatchProcessorService::Stub::AddItems, add)));
  const auto described = Describe("mail", "BatchProcessor");
  EXPECT_TRUE(described.has_alarm_time());
  EXPECT_TRUE(described.summary().has_create_time());
  int64_t rows = 0;
  for (const auto& table : described.tables()) rows = std::max(rows, table.row_count());
  EXPECT_EQ(rows, 3);
}

TEST_P(Objects, PassivateObjectUnloadsAndChangesNothing) {
  ASSERT_TRUE(IsOk(Put("o", "a", "1")));
  ASSERT_TRUE(IsOk(SetAlarm("o", InHours(1))));
  EXPECT_EQ(Describe("o").activation_state(), v1::ACTIVATION_STATE_ACTIVE);
  Passivate("o");
  EXPECT_EQ(Get("o", "a"), "1");
  EXPECT_EQ(Describe("o").activation_state(), v1::ACTIVATION_STATE_ACTIVE);
  EXPECT_TRUE(AlarmOf("o").has_value());
  EXPECT_TRUE(IsOk(Call(&ObjectStub::PassivateObject, For<v1::PassivateObjectRequest>("never"))));
  EXPECT_THAT(List({}), ElementsAre(Pair("Object", "o")));
  Increment("n");
  Passivate("n", "Counter");
  EXPECT_EQ(Call(&CounterStub::GetValue, For<v1::GetValueRequest>("n"))->value(), 1);
}

}  // namespace
}  // namespace holdfast::blackbox
