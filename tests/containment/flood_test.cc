// These clients send without pause, and gRPC reads a client for as long as there is something to read.

#include <atomic>
#include <functional>
#include <memory>
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

// None of these sends much by itself; where each had to, another call took 15 s, and memory 4 GB.
TEST_F(FloodTest, ManyWhoSendALittleEachStarveNobody) {
  Start();
  constexpr int kClients = 200;
  constexpr int kCallsAtOnce = 40;
  const auto stub = v1::CounterService::NewStub(server_->NewChannel());
  // A victim whose connection is there; a new one waits behind those of the flood.
  const auto serve = [&stub] {
    v1::IncrementRequest request;
    request.mutable_object()->set_name("victim");
    request.set_amount(1);
    const absl::Time began = absl::Now();
    const auto reply = Invoke(*stub, &v1::CounterService::Stub::Increment, request);
    EXPECT_TRUE(reply.ok()) << reply.status.error_message();
    return absl::Now() - began;
  };
  (void)serve();
  std::atomic<bool> stop = false;
  std::thread flood([&] {
    std::vector<std::unique_ptr<WireClient>> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.push_back(std::make_unique<WireClient>(server_->address()));
      clients.back()->Greet();
    }
    while (!stop) {
      const absl::Time began = absl::Now();
      for (auto& client : clients) {
        for (int i = 0; i < kCallsAtOnce; ++i) client->Reset(client->Open("/holdfast.v1.CounterService/Increment"));
        (void)client->Read(absl::ZeroDuration());
      }
      // The pace of the flood: some 80 KB a second of each.
      absl::SleepFor(absl::Milliseconds(80) - (absl::Now() - began));
    }
  });
  const absl::Time until = absl::Now() + absl::Seconds(8);
  while (absl::Now() < until) EXPECT_LT(serve(), kFloodMax);
  stop = true;
  flood.join();
  EXPECT_LT(ProcessStatus(server_->pid(), "VmHWM") / 1024, 1000);
  EXPECT_LT(serve(), kSoon);
}

}  // namespace
}  // namespace holdfast::testing
