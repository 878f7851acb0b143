// The built-in services as a table: a change of a verb, or a new method, needs a change here too.

#include "service/rpcs/builtin.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "service/rpcs/rpc_table.h"

namespace holdfast::service {
namespace {

using ::testing::ElementsAre;

constexpr Verb kRead = Verb::kRead;
constexpr Verb kWrite = Verb::kWrite;
constexpr Verb kAdmin = Verb::kAdmin;

class BuiltInTest : public ::testing::Test {
 protected:
  BuiltInTest() {
    for (RpcTable::Service& service : built_in_.services) table_.Add(std::move(service));
  }

  // Returns the methods of the service with their verbs, in the order of their rows.
  std::vector<std::pair<std::string, Verb>> VerbsOf(const std::string& name) const {
    std::vector<std::pair<std::string, Verb>> verbs;
    for (const RpcTable::Service& service : table_.services()) {
      if (service.name != name) continue;
      for (const RpcTable::Row& row : service.rows) {
        verbs.emplace_back(row.method.substr(name.size() + 1), row.verb.value());
      }
    }
    return verbs;
  }

  Extension built_in_ = BuiltIn();
  RpcTable table_;
};

TEST_F(BuiltInTest, EveryMethodHasARowAndAVerb) { EXPECT_EQ(table_.CheckComplete(), absl::OkStatus()); }

TEST_F(BuiltInTest, TheServicesAndClassesInTheirOrder) {
  EXPECT_THAT(
      table_.service_names(),
      ElementsAre("holdfast.v1.CounterService", "holdfast.v1.RateLimiterService", "holdfast.v1.BatchProcessorService",
                  "holdfast.v1.UserCacheService", "holdfast.v1.ObjectService", "holdfast.v1.AdminService",
                  "holdfast.v1.PlacementService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                  "grpc.reflection.v1alpha.ServerReflection", "envoy.service.ratelimit.v3.RateLimitService"));
  std::vector<std::string> classes;
  for (const actors::ObjectClass* object_class : built_in_.object_classes) {
    classes.emplace_back(object_class->name);
  }
  EXPECT_THAT(classes, ElementsAre("Counter", "RateLimiter", "BatchProcessor", "UserCache", "Object"));
}

TEST_F(BuiltInTest, TheVerbOfEachMethod) {
  using P = std::pair<std::string, Verb>;
  EXPECT_THAT(VerbsOf("holdfast.v1.CounterService"),
              ElementsAre(P("Increment", kWrite), P("GetValue", kRead), P("GetUniqueNumber", kWrite),
                          P("ResetCounter", kWrite), P("BatchIncrement", kWrite), P("StreamIncrement", kWrite)));
  EXPECT_THAT(VerbsOf("holdfast.v1.RateLimiterService"),
              ElementsAre(P("CheckLimit", kWrite), P("CheckLimits", kWrite), P("ResetLimit", kWrite)));
  EXPECT_THAT(VerbsOf("holdfast.v1.BatchProcessorService"),
              ElementsAre(P("AddItems", kWrite), P("ConfigureBatch", kWrite), P("FlushBatch", kWrite),
                          P("ListProcessedItems", kRead), P("TrimProcessedItems", kWrite), P("GetBatchStatus", kRead)));
  EXPECT_THAT(VerbsOf("holdfast.v1.UserCacheService"),
              ElementsAre(P("GetUser", kRead), P("UpdateUser", kWrite), P("DeleteUser", kWrite),
                          P("BatchGetUsers", kRead), P("ListUsers", kRead)));
  EXPECT_THAT(
      VerbsOf("holdfast.v1.ObjectService"),
      ElementsAre(P("GetEntries", kRead), P("PutEntries", kWrite), P("DeleteEntries", kWrite), P("ListEntries", kRead),
                  P("ApplyBatch", kWrite), P("ExecuteSql", kWrite), P("MigrateSchema", kWrite), P("ExportSql", kRead),
                  P("ImportSql", kWrite), P("ExportObject", kRead), P("ImportObject", Verb::kAdmin),
                  P("SetAlarm", kWrite), P("GetAlarm", kRead), P("DeleteAlarm", kWrite), P("WatchAlarms", kWrite),
                  P("AcknowledgeAlarm", kWrite), P("ExtendAlarmLease", kWrite), P("DeleteAll", kWrite),
                  P("Cleanup", kWrite), P("ListObjects", kRead), P("DescribeObject", kRead),
                  P("PassivateObject", kWrite), P("GetRights", kRead)));
  EXPECT_THAT(VerbsOf("holdfast.v1.AdminService"),
              ElementsAre(P("GetStatus", kAdmin), P("ListHotObjects", kAdmin), P("ListNamespaces", kAdmin),
                          P("ListAlarms", kAdmin), P("ListNamespaceChanges", kAdmin), P("GetHistory", kAdmin),
                          P("SetLogLevel", kAdmin), P("CompactStore", kAdmin), P("Scrub", kAdmin),
                          P("CreateBackup", kAdmin), P("ListBackups", kAdmin), P("RestoreObject", kAdmin)));
  EXPECT_THAT(VerbsOf("holdfast.v1.PlacementService"), ElementsAre(P("WatchPlacement", kRead)));
  EXPECT_THAT(VerbsOf("grpc.health.v1.Health"), ElementsAre(P("Check", kRead), P("Watch", kRead)));
  EXPECT_THAT(VerbsOf("grpc.reflection.v1.ServerReflection"), ElementsAre(P("ServerReflectionInfo", kRead)));
  EXPECT_THAT(VerbsOf("grpc.reflection.v1alpha.ServerReflection"), ElementsAre(P("ServerReflectionInfo", kRead)));
  EXPECT_THAT(VerbsOf("envoy.service.ratelimit.v3.RateLimitService"), ElementsAre(P("ShouldRateLimit", kWrite)));
}

TEST_F(BuiltInTest, ReflectionAndEnvoysServiceAreThereIfTheyAreAskedFor) {
  std::vector<std::string> names;
  for (const RpcTable::Service& service : BuiltIn(/*reflection=*/false, /*rate_limits=*/false).services) {
    names.push_back(service.name);
  }
  EXPECT_EQ(names.size(), 8u);
  EXPECT_EQ(names.back(), "grpc.health.v1.Health");
}

// A request that changes something can be repeated by its request_id, and a read has none.
TEST_F(BuiltInTest, NoReadTakesARequestId) {
  for (const RpcTable::Service& service : table_.services()) {
    for (const RpcTable::Row& row : service.rows) {
      const auto* const method = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(row.method);
      ASSERT_NE(method, nullptr) << row.method;
      if (row.verb != kRead) continue;
      EXPECT_EQ(method->input_type()->FindFieldByName("request_id"), nullptr) << row.method;
    }
  }
}

}  // namespace
}  // namespace holdfast::service
