// These clients send without pause, and gRPC reads a client for as long as there is something to read.

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/containment/containment.h"
#include "tests/containment/wire_client.h"

namespace holdfast::testing {
namespace {

class FloodTest : public ContainmentTest {
 protected:
  // Runs `flood` on three connections, and on new ones where the server closes them, while a victim calls.
  void Run(const std::function<void(WireClient&)>& flood) {
    std::atomic<bool> stop = false;
    std::vector<std::thread> floods;
    for (int i = 0; i < 3; ++i) {
      floods.emplace_back([&] {
        while (!stop) {
          WireClient client(server_->address());
          client.Greet();
          while (!stop && !client.closed()) {
            flood(client);
            (void)client.Read(absl::ZeroDuration());
          }
        }
      });
    }
    const absl::Time until = absl::Now() + absl::Seconds(5);
    while (absl::Now() < until) EXPECT_LT(ServeVictim(), kFloodMax);
    stop = true;
    for (std::thread& thread : floods) thread.join();
    // Without a bound, 5 s of calls that are reset took 3 GB.
    EXPECT_LT(MemoryMiB(server_->pid()), 700);
    EXPECT_LT(ServeVictim(), kSoon);
  }

  // A new connection waits while others are being closed.
  static constexpr absl::Duration kFloodMax = absl::Seconds(4);
};

TEST_F(FloodTest, FramesOfNoUseStarveNobody) {
  Start();
  constexpr int kUnknownType = 0xbe;
  Run([](WireClient& client) { client.SendFrames(kUnknownType, "", 2000); });
}

TEST_F(FloodTest, SettingsStarveNobody) {
  Start();
  Run([](WireClient& client) { client.SendFrames(WireClient::kSettings, "", 2000); });
}

// This attack is CVE-2023-44487.
TEST_F(FloodTest, CallsThatAreResetAtOnceStarveNobodyAndTakeNoMemory) {
  Start();
  v1::IncrementRequest request;
  request.mutable_object()->set_name("reset");
  Run([&request](WireClient& client) {
    for (int i = 0; i < 100; ++i) {
      const uint32_t stream = client.Open("/holdfast.v1.CounterService/Increment");
      client.Send(stream, request);
      client.Reset(stream);
    }
  });
}

}  // namespace
}  // namespace holdfast::testing
