// Calls that both of two nodes answer together, through either of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/unit/service/two_nodes.h"

namespace holdfast::service {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ForwardListsTest : public TwoNodesTest {
 protected:
  std::unique_ptr<v1::AdminService::Stub> Admin(size_t node) { return v1::AdminService::NewStub(channels_[node]); }

  struct List {
    absl::Status status;
    std::vector<std::string> names;
    int pages = 0;
  };
  List ListObjects(size_t node, int page_size, const std::string& prefix = "") {
    List list;
    v1::ListObjectsRequest request;
    request.set_page_size(page_size);
    request.set_name_prefix(prefix);
    do {
      grpc::ClientContext context;
      v1::ListObjectsResponse response;
      list.status = FromGrpc(v1::ObjectService::NewStub(channels_[node])->ListObjects(&context, request, &response));
      if (!list.status.ok()) return list;
      EXPECT_LE(response.objects_size(), page_size);
      for (const auto& object : response.objects()) list.names.push_back(object.object().name());
      request.set_page_token(response.next_page_token());
      // A page goes to another node than the one before it.
      node = 1 - node;
      ++list.pages;
    } while (!request.page_token().empty());
    return list;
  }
};

TEST_F(ForwardListsTest, AListHasTheObjectsOfAllNodesInOrder) {
  Start();
  std::vector<std::string> names;
  for (int i = 0; i < 50; ++i) {
    names.push_back(absl::StrCat("counter-", i));
    ASSERT_TRUE(Increment(static_cast<size_t>(i % 2), names.back()).status.ok());
  }
  std::sort(names.begin(), names.end());
  for (size_t node = 0; node < 2; ++node) {
    for (const int page_size : {1, 7, 50, 1000}) {
      const List list = ListObjects(node, page_size);
      EXPECT_EQ(list.status, absl::OkStatus());
      EXPECT_EQ(list.names, names);
      EXPECT_LE(list.pages, 50 / page_size + 1);
    }
    EXPECT_THAT(ListObjects(node, 10, "other").names, IsEmpty());
    EXPECT_EQ(ListObjects(node, 10, "counter-4").names.size(), 11);
  }
}

TEST_F(ForwardListsTest, AListWaitsForAShardThatIsBetweenNodesAndThenFails) {
  // Nobody has the shard of one object.
  const std::string lost = CounterOf(1);
  const storage::ShardId nobodys = storage::ObjectKey("default", "Counter", lost).shard();
  owns_ = [nobodys](size_t node, storage::ShardId shard) { return shard != nobodys && Has(node)(shard); };
  Start();
  for (size_t node = 0; node < 2; ++node) {
    const absl::Status status = ListObjects(node, 10).status;
    EXPECT_EQ(actors::ReasonOf(status), v1::ERROR_REASON_WRONG_OWNER) << status;
  }
}

TEST_F(ForwardListsTest, ANodeThatIsGoneFailsTheListAndIsInTheStatus) {
  Start();
  ASSERT_TRUE(Increment(0, CounterOf(0)).status.ok());
  {
    grpc::ClientContext context;
    v1::GetStatusResponse status;
    ASSERT_TRUE(Admin(0)->GetStatus(&context, {}, &status).ok());
    ASSERT_EQ(status.other_nodes_size(), 1);
    EXPECT_EQ(status.other_nodes(0).node(), "node-1");
    EXPECT_EQ(status.other_nodes(0).error(), "");
    EXPECT_EQ(status.other_nodes(0).status().executors_size(), 2);
    EXPECT_EQ(status.other_nodes(0).status().other_nodes_size(), 0);
  }
  servers_[1]->Drain();
  servers_[1] = nullptr;
  const List list = ListObjects(0, 10);
  EXPECT_EQ(list.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(list.status.message()), HasSubstr("node-1"));
  grpc::ClientContext context;
  v1::GetStatusResponse status;
  ASSERT_TRUE(Admin(0)->GetStatus(&context, {}, &status).ok());
  ASSERT_EQ(status.other_nodes_size(), 1);
  EXPECT_THAT(status.other_nodes(0).error(), HasSubstr("node-1"));
  EXPECT_FALSE(status.other_nodes(0).has_status());
  EXPECT_EQ(status.executors_size(), 2);
}

TEST_F(ForwardListsTest, TheHottestObjectsAreThoseOfAllNodes) {
  Start();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Increment(0, CounterOf(0)).status.ok());
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(Increment(0, CounterOf(1)).status.ok());
  ASSERT_TRUE(Increment(0, CounterOf(0, 1)).status.ok());
  for (size_t node = 0; node < 2; ++node) {
    grpc::ClientContext context;
    v1::ListHotObjectsRequest request;
    v1::ListHotObjectsResponse response;
    request.set_limit(2);
    ASSERT_TRUE(Admin(node)->ListHotObjects(&context, request, &response).ok());
    ASSERT_EQ(response.objects_size(), 2);
    EXPECT_EQ(response.objects(0).object().name(), CounterOf(1));
    EXPECT_EQ(response.objects(0).requests(), 9);
    EXPECT_EQ(response.objects(1).object().name(), CounterOf(0));
  }
}

TEST_F(ForwardListsTest, ABadRequestIsRefusedByTheNodeThatGetsIt) {
  Start();
  v1::ListObjectsRequest request;
  request.set_page_size(-1);
  for (size_t node = 0; node < 2; ++node) {
    grpc::ClientContext context;
    v1::ListObjectsResponse response;
    EXPECT_EQ(actors::ReasonOf(
                  FromGrpc(v1::ObjectService::NewStub(channels_[node])->ListObjects(&context, request, &response))),
              v1::ERROR_REASON_INVALID_FIELD);
  }
}

}  // namespace
}  // namespace holdfast::service
