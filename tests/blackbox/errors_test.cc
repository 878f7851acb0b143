// The server refuses wrong requests with the right error.

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "tests/blackbox/watcher.h"

namespace holdfast::blackbox {
namespace {

// The fixture has every call on one object, by the name of its method, with a request that is valid but for the object.
class Errors : public Behaviour {
 protected:
  std::vector<std::pair<std::string, grpc::Status>> Writes(const v1::ObjectId& object) {
    std::vector<std::pair<std::string, grpc::Status>> statuses;
    const auto call = [&](auto method, auto request) {
      *request.mutable_object() = object;
      statuses.emplace_back(decltype(request)::descriptor()->name(), Call(method, request).status);
    };
    call(&ObjectStub::PutEntries, PutRequest("", {{"a", "1"}}));
    v1::DeleteEntriesRequest remove;
    remove.add_keys("a");
    call(&ObjectStub::DeleteEntries, remove);
    v1::ApplyBatchRequest batch;
    batch.add_steps()->set_delete_key("a");
    call(&ObjectStub::ApplyBatch, batch);
    v1::SetAlarmRequest set;
    set.mutable_scheduled_time()->set_seconds(1);
    call(&ObjectStub::SetAlarm, set);
    call(&ObjectStub::DeleteAlarm, v1::DeleteAlarmRequest());
    v1::AcknowledgeAlarmRequest acknowledge;
    acknowledge.set_delivery_token("token");
    call(&ObjectStub::AcknowledgeAlarm, acknowledge);
    v1::ExtendAlarmLeaseRequest extend;
    extend.set_delivery_token("token");
    call(&ObjectStub::ExtendAlarmLease, extend);
    return statuses;
  }
  std::vector<std::pair<std::string, grpc::Status>> Others(const v1::ObjectId& object) {
    std::vector<std::pair<std::string, grpc::Status>> statuses;
    const auto call = [&](auto method, auto request) {
      *request.mutable_object() = object;
      statuses.emplace_back(decltype(request)::descriptor()->name(), Call(method, request).status);
    };
    v1::GetEntriesRequest get;
    get.add_keys("a");
    call(&ObjectStub::GetEntries, get);
    call(&ObjectStub::ListEntries, v1::ListEntriesRequest());
    call(&ObjectStub::GetAlarm, v1::GetAlarmRequest());
    call(&ObjectStub::DescribeObject, v1::DescribeObjectRequest());
    call(&ObjectStub::PassivateObject, v1::PassivateObjectRequest());
    call(&ObjectStub::DeleteAll, v1::DeleteAllRequest());
    call(&ObjectStub::Cleanup, v1::CleanupRequest());
    return statuses;
  }
  std::vector<std::pair<std::string, grpc::Status>> Calls(const v1::ObjectId& object) {
    auto statuses = Writes(object);
    for (auto& other : Others(object)) statuses.push_back(std::move(other));
    return statuses;
  }
  static v1::ObjectId Id(const std::string& ns, const std::string& object_class, const std::string& name) {
    v1::ObjectId id;
    id.set_namespace_(ns);
    id.set_object_class(object_class);
    id.set_name(name);
    return id;
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, Errors, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Errors, NamesOutOfBoundsAreRefused) {
  for (const std::string& ns : {std::string("Upper"), std::string("a_b"), std::string("a/b"), std::string(64, 'a')}) {
    for (const auto& [call, status] : Calls(Id(ns, "", "o")))
      EXPECT_TRUE(IsInvalid(status, "object.namespace")) << call;
  }
  for (const std::string& name : {std::string(), std::string(513, 'n')}) {
    for (const auto& [call, status] : Calls(Id("", "", name))) EXPECT_TRUE(IsInvalid(status, "object.name")) << call;
  }
  for (const auto& [call, status] : Others(Id(std::string(63, 'a'), "Object", std::string(512, 'n')))) {
    EXPECT_TRUE(IsOk(status)) << call;
  }
}

TEST_P(Errors, UnknownClassesAreRefused) {
  for (const char* object_class : {"Nonsense", "object", "Scripted "}) {
    for (const auto& [call, status] : Calls(Id("", object_class, "o"))) {
      EXPECT_TRUE(IsInvalid(status, "object.object_class")) << call;
    }
  }
}

TEST_P(Errors, AnObjectMustBeNamed) {
  EXPECT_TRUE(IsInvalid(Call(&ObjectStub::GetAlarm, v1::GetAlarmRequest()).status, "object"));
  EXPECT_TRUE(IsInvalid(Call(&ObjectStub::DescribeObject, v1::DescribeObjectRequest()).status, "object"));
  EXPECT_TRUE(IsInvalid(Call(&ObjectStub::PassivateObject, v1::PassivateObjectRequest()).status, "object"));
}

TEST_P(Errors, BuiltInClassesAreReadOnly) {
  ASSERT_TRUE(IsOk(Call(&v1::CounterService::Stub::Increment, For<v1::IncrementRequest>("o"))));
  auto add = For<v1::AddItemsRequest>("o");
  add.add_items("item");
  ASSERT_TRUE(IsOk(Call(&v1::BatchProcessorService::Stub::AddItems, add)));
  const auto alarm = AlarmOf("o", "BatchProcessor");
  for (const char* object_class : {"Counter", "RateLimiter", "BatchProcessor", "UserCache"}) {
    for (const auto& [call, status] : Writes(Id("", object_class, "o"))) {
      EXPECT_TRUE(Fails(status, grpc::StatusCode::FAILED_PRECONDITION, "CLASS_READ_ONLY")) << object_class << call;
    }
  }
  EXPECT_EQ(Call(&v1::CounterService::Stub::GetValue, For<v1::GetValueRequest>("o"))->value(), 1);
  EXPECT_TRUE(alarm.has_value());
  EXPECT_EQ(AlarmOf("o", "BatchProcessor"), alarm);
  // Neither reads nor refused writes create objects.
  v1::ListObjectsRequest list;
  list.set_object_class("UserCache");
  EXPECT_EQ(Call(&ObjectStub::ListObjects, list)->objects_size(), 0);
  for (const char* object_class : {"Counter", "RateLimiter", "BatchProcessor", "UserCache"}) {
    for (const auto& [call, status] : Others(Id("", object_class, "o"))) {
      EXPECT_TRUE(IsOk(status)) << object_class << call;
    }
  }
  EXPECT_EQ(Call(&v1::CounterService::Stub::GetValue, For<v1::GetValueRequest>("o"))->value(), 0);
}

TEST_P(Errors, OverloadIsToldApartFromFailure) {
  Start("server { calls_max: 2 }");
  // Streams are calls in progress; a delivery shows that they have begun.
  v1::WatchAlarmsRequest request;
  request.set_max_outstanding(1);
  ASSERT_TRUE(IsOk(SetAlarm("a", absl::FromUnixSeconds(1))));
  Watcher one(channel_, request);
  one.Next();
  ASSERT_TRUE(IsOk(SetAlarm("b", absl::FromUnixSeconds(1))));
  Watcher other(channel_, request);
  other.Next();
  EXPECT_TRUE(Fails(Put("o", "a", "1"), grpc::StatusCode::RESOURCE_EXHAUSTED, "SERVER_OVERLOADED"));
  other.Cancel();
  other.End();
  WaitUntil([&] { return Put("o", "a", "1").ok(); });
  // An invalid request is refused as invalid, not as overload.
  EXPECT_TRUE(IsInvalid(Put("o", "", "1")));
}

TEST_P(Errors, LongErrorsAreCut) {
  // The message has at most 1 KiB and the details 4 KiB; Fails() checks that.
  auto batch = For<v1::ApplyBatchRequest>("o");
  batch.add_preconditions()->set_key_present(std::string(2048, 'k'));
  batch.add_steps()->set_delete_key("a");
  EXPECT_TRUE(Fails(Call(&ObjectStub::ApplyBatch, batch).status, grpc::StatusCode::ABORTED, "PRECONDITION_FAILED"));
  EXPECT_TRUE(IsInvalid(Call(&ObjectStub::GetAlarm, For<v1::GetAlarmRequest>("o", std::string(5000, 'c'))).status,
                        "object.object_class"));
  auto get = For<v1::GetUserRequest>("o");
  get.set_id(std::string(500, 'u'));
  EXPECT_TRUE(Fails(Call(&v1::UserCacheService::Stub::GetUser, get).status, grpc::StatusCode::NOT_FOUND, "NOT_FOUND"));
}

}  // namespace
}  // namespace holdfast::blackbox
