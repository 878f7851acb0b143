// A fixture with a real server, whose configuration the test chooses, and a well-behaved client that must be served
// whatever happens.

#ifndef HOLDFAST_TESTS_CONTAINMENT_CONTAINMENT_H_
#define HOLDFAST_TESTS_CONTAINMENT_CONTAINMENT_H_

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/containment/process_state.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {

class ContainmentTest : public ::testing::Test {
 protected:
  void Start(const std::string& config = "", const ServerProgram& program = Holdfastd()) {
    server_ = std::make_unique<ServerProcess>(directory_.path() + "/data", config, "", program);
  }

  // A new client increments a counter over a connection of its own. Returns how long the call took, or an infinite time
  // if it failed.
  absl::Duration ServeVictim() {
    const auto stub = v1::CounterService::NewStub(server_->NewChannel());
    v1::IncrementRequest request;
    request.mutable_object()->set_name("victim");
    request.set_amount(1);
    const absl::Time began = absl::Now();
    const auto reply = Invoke(*stub, &v1::CounterService::Stub::Increment, request);
    EXPECT_TRUE(reply.ok()) << reply.status.error_message();
    return reply.ok() ? absl::Now() - began : absl::InfiniteDuration();
  }

  // A bound on a victim's wait, far above the wait on a busy machine, and far below that under the faults.
  static constexpr absl::Duration kSoon = absl::Seconds(2);

  TemporaryDirectory directory_;
  std::unique_ptr<ServerProcess> server_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CONTAINMENT_CONTAINMENT_H_
