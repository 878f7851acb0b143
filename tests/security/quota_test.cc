// The quotas of a namespace: its rate, its objects and its bytes, over restarts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;
using Objects = v1::ObjectService::Stub;
using Counters = v1::CounterService::Stub;

class QuotaTest : public ::testing::Test {
 protected:
  void Start(const std::string& config) {
    server_.reset();
    server_ = std::make_unique<ServerProcess>(directory_.path() + "/data", config);
    objects_ = v1::ObjectService::NewStub(server_->NewChannel());
    counters_ = v1::CounterService::NewStub(server_->NewChannel());
  }
  grpc::Status Increment(const std::string& ns, const std::string& name) {
    v1::IncrementRequest request;
    request.mutable_object()->set_namespace_(ns);
    request.mutable_object()->set_name(name);
    return Invoke(*counters_, &Counters::Increment, request).status;
  }
  grpc::Status Put(const std::string& ns, const std::string& name, size_t bytes) {
    v1::PutEntriesRequest request;
    request.mutable_object()->set_namespace_(ns);
    request.mutable_object()->set_name(name);
    auto* const entry = request.add_entries();
    entry->set_key("k");
    entry->set_value(std::string(bytes, 'v'));
    return Invoke(*objects_, &Objects::PutEntries, request).status;
  }
  grpc::Status DeleteAll(const std::string& ns, const std::string& name, const std::string& object_class) {
    v1::DeleteAllRequest request;
    request.mutable_object()->set_namespace_(ns);
    request.mutable_object()->set_name(name);
    request.mutable_object()->set_object_class(object_class);
    return Invoke(*objects_, &Objects::DeleteAll, request).status;
  }
  static void ExpectQuota(const grpc::Status& status, const std::string& setting) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
    EXPECT_EQ(ReasonOf(status), "NAMESPACE_QUOTA");
    EXPECT_THAT(status.error_message(), HasSubstr("namespace." + setting));
    const auto quota = DetailOf<google::rpc::QuotaFailure>(status);
    ASSERT_EQ(quota.violations_size(), 1);
    EXPECT_EQ(quota.violations(0).subject(), "namespace:shop");
    EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(status).has_retry_delay());
  }

  TemporaryDirectory directory_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Objects> objects_;
  std::unique_ptr<Counters> counters_;
};

TEST_F(QuotaTest, Objects) {
  const std::string config = "namespace { name: 'shop' objects_max: 2 }";
  Start(config);
  EXPECT_TRUE(Increment("shop", "a").ok());
  EXPECT_TRUE(Put("shop", "b", 10).ok());
  for (int start = 0; start < 2; ++start) {
    ExpectQuota(Increment("shop", "c"), "objects_max");
    ExpectQuota(Put("shop", "d", 10), "objects_max");
    // The objects that are there go on, others have no quota.
    EXPECT_TRUE(Increment("shop", "a").ok());
    EXPECT_TRUE(Put("shop", "b", 20).ok());
    EXPECT_TRUE(Increment("other", "c").ok());
    server_->Kill();
    Start(config);
  }
  EXPECT_TRUE(DeleteAll("shop", "a", "Counter").ok());
  EXPECT_TRUE(Increment("shop", "c").ok());
  ExpectQuota(Increment("shop", "a"), "objects_max");
}

TEST_F(QuotaTest, Bytes) {
  const std::string config = "namespace { name: 'shop' bytes_max: 100000 }";
  Start(config);
  EXPECT_TRUE(Put("shop", "a", 60'000).ok());
  for (int start = 0; start < 2; ++start) {
    ExpectQuota(Put("shop", "b", 60'000), "bytes_max");
    EXPECT_TRUE(Put("shop", "a", 50'000).ok());  // it replaces 60,000, or 50,000
    EXPECT_TRUE(Put("other", "b", 60'000).ok());
    server_->Kill();
    Start(config);
  }
  EXPECT_TRUE(DeleteAll("shop", "a", "Object").ok());
  EXPECT_TRUE(Put("shop", "b", 60'000).ok());
}

TEST_F(QuotaTest, TheDefaultIsForEachOfTheOthers) {
  Start("namespace { objects_max: 1 } namespace { name: 'shop' objects_max: 2 } namespace { name: 'free' }");
  EXPECT_TRUE(Increment("x", "a").ok());
  EXPECT_FALSE(Increment("x", "b").ok());
  EXPECT_TRUE(Increment("y", "a").ok());
  EXPECT_TRUE(Increment("shop", "a").ok());
  EXPECT_TRUE(Increment("shop", "b").ok());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Increment("free", absl::StrCat(i)).ok());
}

}  // namespace
}  // namespace holdfast::testing
