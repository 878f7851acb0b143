// Records of requests with an id are bounded by namespace: a namespace that uses up its bytes leaves the others theirs.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/containment/containment.h"

namespace holdfast::testing {
namespace {

class RecordsTest : public ContainmentTest {
 protected:
  grpc::Status Increment(const std::string& ns, const std::string& request_id) {
    v1::IncrementRequest request;
    request.mutable_object()->set_namespace_(ns);
    request.mutable_object()->set_name("counter");
    request.set_request_id(request_id);
    return Invoke(*stub_, &v1::CounterService::Stub::Increment, request).status;
  }
  void Connect() { stub_ = v1::CounterService::NewStub(server_->NewChannel()); }

  std::unique_ptr<v1::CounterService::Stub> stub_;
};

TEST_F(RecordsTest, ANamespaceAtItsBoundOfRecordsRefusesNoOther) {
  const std::string config =
      "storage { request_record_bytes_max: 65536 request_record_bytes_per_namespace_max: 16384 }"
      "actors { executors: 1 }";
  Start(config);
  Connect();
  int taken = 0;
  grpc::Status status;
  while (taken < 1000 && (status = Increment("greedy", absl::StrCat("id-", taken))).ok()) ++taken;
  EXPECT_GT(taken, 30);
  ASSERT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), "SERVER_OVERLOADED");
  EXPECT_GT(DetailOf<google::rpc::RetryInfo>(status).retry_delay().seconds(), 0);
  EXPECT_NE(status.error_message().find("storage.request_record_bytes_per_namespace_max"), std::string::npos);
  EXPECT_NE(status.error_message().find("\"greedy\""), std::string::npos) << status.error_message();
  for (bool restarted : {false, true}) {
    if (restarted) {
      ASSERT_EQ(server_->Terminate(), 0);
      Start(config);
      Connect();
      // The bytes of records are counted beside everything else.
      for (int i = 0; i < 100 && (status = Increment("greedy", absl::StrCat("late-", i))).ok(); ++i) {
      }
      EXPECT_EQ(ReasonOf(status), "SERVER_OVERLOADED") << "not counted at the start";
    }
    EXPECT_TRUE(Increment("greedy", "id-0").ok()) << "a retry";
    for (int i = 0; i < 20; ++i) {
      EXPECT_TRUE(Increment("modest", absl::StrCat(restarted ? "second-" : "first-", i)).ok());
    }
  }
  ServeVictim();
}

}  // namespace
}  // namespace holdfast::testing
