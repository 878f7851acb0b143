// The client finds the same shards as the server.

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "client/shard.h"
#include "storage/store/object_id.h"

namespace holdfast::client {
namespace {

uint32_t ServersShardOf(absl::string_view ns, absl::string_view object_class, absl::string_view name) {
  return static_cast<uint32_t>(storage::ObjectKey(ns, object_class, name).shard());
}

TEST(ClientShardTest, TheExamplesOfTheContract) {
  EXPECT_EQ(ShardOf("default", "Counter", "visits"), 95u);
  EXPECT_EQ(ShardOf("shop", "Object", "cart/\xc3\xa9t\xc3\xa9"), 90u);
}

TEST(ClientShardTest, IsTheServersForAnyName) {
  static_assert(kShardCount == storage::kShardCount);
  for (int i = 0; i < 1000; ++i) {
    std::string name = absl::StrCat("name-", i);
    if (i % 3 == 0) name.push_back('\0');
    if (i % 4 == 0) name.append(static_cast<size_t>(i) / 2, 'x');
    ASSERT_EQ(ShardOf("shop", "Object", name), ServersShardOf("shop", "Object", name)) << i;
  }
}

// A service implies the class and the namespace where a request leaves them out.
TEST(ClientShardTest, OfARequestOfEachService) {
  v1::IncrementRequest increment;
  increment.mutable_object()->set_name("a");
  EXPECT_EQ(ShardOfRequest<v1::CounterService::Stub>(increment), ServersShardOf("default", "Counter", "a"));
  increment.mutable_object()->set_namespace_("shop");
  EXPECT_EQ(ShardOfRequest<v1::CounterService::Stub>(increment), ServersShardOf("shop", "Counter", "a"));
  v1::CheckLimitRequest check;
  check.mutable_object()->set_name("a");
  EXPECT_EQ(ShardOfRequest<v1::RateLimiterService::Stub>(check), ServersShardOf("default", "RateLimiter", "a"));
  v1::AddItemsRequest items;
  items.mutable_object()->set_name("a");
  EXPECT_EQ(ShardOfRequest<v1::BatchProcessorService::Stub>(items), ServersShardOf("default", "BatchProcessor", "a"));
  v1::GetUserRequest user;
  user.mutable_object()->set_name("a");
  EXPECT_EQ(ShardOfRequest<v1::UserCacheService::Stub>(user), ServersShardOf("default", "UserCache", "a"));
  v1::GetEntriesRequest entries;
  entries.mutable_object()->set_name("a");
  EXPECT_EQ(ShardOfRequest<v1::ObjectService::Stub>(entries), ServersShardOf("default", "Object", "a"));
  v1::DescribeObjectRequest describe;
  describe.mutable_object()->set_name("a");
  describe.mutable_object()->set_object_class("Counter");
  EXPECT_EQ(ShardOfRequest<v1::ObjectService::Stub>(describe), ServersShardOf("default", "Counter", "a"));
}

TEST(ClientShardTest, OfNoRequestThatIsNotForOneObject) {
  EXPECT_EQ(ShardOfRequest<v1::CounterService::Stub>(v1::BatchIncrementRequest()), std::nullopt);
  EXPECT_EQ(ShardOfRequest<v1::ObjectService::Stub>(v1::ListObjectsRequest()), std::nullopt);
}

}  // namespace
}  // namespace holdfast::client
