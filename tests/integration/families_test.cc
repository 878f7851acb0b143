// Column families are a bounded resource: some objects have one, the others are packed, and clients see no difference.

#include <gtest/gtest.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "rocksdb/db.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

constexpr int kObjects = 2000;
constexpr int kFamiliesMax = 512;
constexpr size_t kNodeFamilies = 5;

// Returns the families of objects in the data directory of a stopped server.
std::vector<std::string> FamiliesIn(const std::string& data_dir) {
  std::vector<std::string> names;
  EXPECT_TRUE(rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), data_dir, &names).ok());
  return names;
}

void ExpectAllThere(const ServerProcess& server) {
  auto stub = v1::CounterService::NewStub(server.NewChannel());
  for (int i = 0; i < kObjects; ++i) {
    v1::GetValueRequest get;
    get.mutable_object()->set_name(absl::StrCat("object", i));
    ASSERT_EQ(Invoke(*stub, &v1::CounterService::Stub::GetValue, get)->value(), i + 1) << i;
  }
}

TEST(FamiliesTest, TwoThousandObjectsHaveNoMoreThanTheirBound) {
  TemporaryDirectory directory;
  const std::string data_dir = directory.path() + "/data";
  const std::string config = absl::StrCat("storage { column_families_max: ", kFamiliesMax, " }");
  {
    ServerProcess server(data_dir, config);
    auto stub = v1::CounterService::NewStub(server.NewChannel());
    for (int i = 0; i < kObjects; ++i) {
      v1::IncrementRequest request;
      request.mutable_object()->set_name(absl::StrCat("object", i));
      request.set_amount(i + 1);
      ASSERT_TRUE(Invoke(*stub, &v1::CounterService::Stub::Increment, request).ok());
    }
    ExpectAllThere(server);
    ASSERT_EQ(server.Terminate(), 0);
  }
  const size_t families = FamiliesIn(data_dir).size();
  std::printf("%d objects written: %zu column families, of which %zu are the node's own\n", kObjects, families,
              kNodeFamilies);
  EXPECT_EQ(families, kFamiliesMax + kNodeFamilies);
  {
    ServerProcess server(data_dir, config);
    ExpectAllThere(server);
    // A deleted object gives its family back, and another object gets one.
    auto objects = v1::ObjectService::NewStub(server.NewChannel());
    v1::DeleteAllRequest request;
    request.mutable_object()->set_object_class("Counter");
    request.mutable_object()->set_name("object0");
    ASSERT_TRUE(Invoke(*objects, &v1::ObjectService::Stub::DeleteAll, request).ok());
    ASSERT_EQ(server.Terminate(), 0);
  }
  EXPECT_LE(FamiliesIn(data_dir).size(), kFamiliesMax + kNodeFamilies);
  ServerProcess server(data_dir, config);
  auto stub = v1::CounterService::NewStub(server.NewChannel());
  v1::GetValueRequest get;
  get.mutable_object()->set_name("object0");
  EXPECT_EQ(Invoke(*stub, &v1::CounterService::Stub::GetValue, get)->value(), 0);
}

}  // namespace
}  // namespace holdfast::testing
