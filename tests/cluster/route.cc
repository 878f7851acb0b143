#include "tests/cluster/route.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "tests/integration/rpc.h"

namespace holdfast::testing {
namespace {

// A client that asks another node at once finds the next owner soon, and does not flood the nodes.
constexpr absl::Duration kPause = absl::Milliseconds(20);
constexpr absl::Duration kPauseMax = absl::Milliseconds(200);

}  // namespace

bool MayBeSentAgain(const grpc::Status& failure) {
  switch (failure.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:  // of the attempt
      return true;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return DetailOf<google::rpc::RetryInfo>(failure).has_retry_delay();
    case grpc::StatusCode::INTERNAL:
      // The connection's; those of the server are a fault of it.
      return ReasonOf(failure).empty() && failure.error_message().find("RST_STREAM") != std::string::npos;
    default:
      return false;
  }
}

Route::Route(const Cluster& cluster, uint64_t seed) : random_(seed) {
  for (int node = 0; node < cluster.size(); ++node) {
    Stubs& stubs = nodes_.emplace_back(cluster.NewChannel(node));
    stubs.attempt_max = std::chrono::milliseconds(2 * absl::ToInt64Milliseconds(cluster.options().lease));
    stubs.again = [this](const grpc::Status& failure, absl::Duration since) { return Again(failure, since); };
  }
}

const Stubs* Route::Again(const grpc::Status& failure, absl::Duration since) {
  if (!MayBeSentAgain(failure) || since > kAnswerMax) return nullptr;
  const auto& delay = DetailOf<google::rpc::RetryInfo>(failure).retry_delay();
  const absl::Duration asked = absl::Seconds(delay.seconds()) + absl::Nanoseconds(delay.nanos());
  // As the server has asked a client to wait.
  std::this_thread::sleep_for(absl::ToChronoMicroseconds(std::clamp(asked, kPause, kPauseMax)));
  return &Any();
}

}  // namespace holdfast::testing
