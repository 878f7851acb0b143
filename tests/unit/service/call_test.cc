// The life of a call, whatever comes first: the ends of its operations, its own end, a drain, a refusal. No gRPC is
// behind these calls; a test delivers the events that a completion queue would.

#include "service/call/call.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "service/call/call_log.h"
#include "service/call/connections.h"
#include "tests/unit/storage/random.h"

namespace holdfast::service {
namespace {

constexpr int kOperations = 3;

class FakeCall;

// The endpoint of the calls, and what became of them.
struct World {
  World() {
    endpoint.gate = &gate;
    endpoint.log = &log;
  }

  Connections connections{10};
  CallGate gate{{.calls_max = 3, .streams_max = 3, .bytes_max = 1 << 20, .connection_bytes_max = 1 << 20},
                &connections};
  CallLog log{absl::Milliseconds(100), [] { return absl::UnixEpoch(); }};
  Endpoint endpoint{};
  RawMethod method{nullptr, {"Service.Method", Verb::kRead}};

  FakeCall* waiting = nullptr;
  std::vector<FakeCall*> arrived;  // and not deleted
  int made = 0;
  int refused = 0;
  int deleted = 0;
};

// A call that does as the test says.
class FakeCall final : public Call {
 public:
  explicit FakeCall(World* world) : Call(&world->method, CallGate::Shape::kStream, &world->endpoint), world_(world) {
    for (auto& operation : operations_) operation = std::make_unique<Operation>(this, &FakeCall::OnOperation);
    ++world_->made;
    EXPECT_EQ(world_->waiting, nullptr) << "two calls wait";
    world_->waiting = this;
  }
  ~FakeCall() override {
    ++world_->deleted;
    if (!arrived_) {
      world_->waiting = nullptr;
      return;
    }
    EXPECT_TRUE(ended_) << "deleted before its end was sent";
    EXPECT_EQ(Pending(), 0) << "deleted while operations were in progress";
    std::erase(world_->arrived, this);
  }

  void Begin(int operation) { (void)operations_[operation]->Begin(); }
  void EndOperation(int operation, bool ok) { operations_[operation]->OnEvent(ok); }
  bool pending(int operation) const { return operations_[operation]->pending(); }
  int Pending() const {
    return static_cast<int>(
        std::count_if(operations_.begin(), operations_.end(), [](auto& o) { return o->pending(); }));
  }
  void FinishWith(const absl::Status& outcome) {
    if (finishing()) return;
    if (outcome.ok()) EXPECT_TRUE(AdmitTarget(Target::Server()).ok());
    Finish(outcome);
  }
  void FinishUnasked() { Finish(absl::OkStatus()); }
  bool sent() const { return sent_ != nullptr; }
  // gRPC has sent the outcome.
  void EndFinish(bool ok) {
    ended_ = true;
    OnEvent(ok);
  }
  int drains() const { return drains_; }
  bool over() const { return ended_; }

 private:
  void PostNext() override {
    arrived_ = true;
    world_->waiting = nullptr;
    world_->arrived.push_back(this);
    new FakeCall(world_);
  }
  void Arrived(const absl::Status& admitted) override {
    if (admitted.ok()) return;
    ++world_->refused;
    Finish(admitted);
  }
  void Send(const absl::Status&, void* tag) override {
    EXPECT_EQ(sent_, nullptr) << "sent twice";
    EXPECT_NE(tag, nullptr);
    sent_ = tag;
  }
  void Drain() override {
    ++drains_;
    FinishWith(CallGate::Draining());
  }
  void OnOperation(bool) {}

  World* const world_;
  std::array<std::unique_ptr<Operation>, kOperations> operations_;
  void* sent_ = nullptr;
  bool arrived_ = false;
  bool ended_ = false;
  int drains_ = 0;
};

// Ends everything that is under way, and expects that nothing is left.
void WindDown(World* world) {
  while (!world->arrived.empty()) {
    FakeCall* const call = world->arrived.back();
    call->FinishWith(absl::OkStatus());
    for (int i = 0; i < kOperations; ++i) {
      if (call->pending(i)) call->EndOperation(i, false);
    }
    call->EndFinish(true);
  }
  if (world->waiting != nullptr) world->waiting->OnEvent(false);
  EXPECT_EQ(world->deleted, world->made);
  EXPECT_EQ(world->endpoint.calls, nullptr);
  EXPECT_EQ(world->gate.calls(), 0);
  EXPECT_EQ(world->gate.bytes(), 0);
  EXPECT_EQ(world->connections.count(), 0);
}

// Three operations end, and so does the call, in each of the 24 orders.
TEST(Call, EndsAfterItsLastEventInEveryOrder) {
  std::array<int, kOperations + 1> order = {0, 1, 2, 3};
  do {
    World world;
    new FakeCall(&world);
    world.waiting->OnEvent(true);
    FakeCall* const call = world.arrived[0];
    for (int i = 0; i < kOperations; ++i) call->Begin(i);
    call->FinishWith(absl::OkStatus());
    for (size_t i = 0; i < order.size(); ++i) {
      EXPECT_EQ(world.deleted, 0) << i;
      if (order[i] == kOperations) {
        call->EndFinish(true);
      } else {
        call->EndOperation(order[i], i % 2 == 0);
      }
    }
    EXPECT_EQ(world.deleted, 1);
    WindDown(&world);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Call, AnArrivalMakesTheSuccessorAndAShutdownDoesNot) {
  World world;
  new FakeCall(&world);
  world.waiting->OnEvent(true);
  EXPECT_EQ(world.made, 2);
  world.waiting->OnEvent(false);
  EXPECT_EQ(world.made, 2);
  EXPECT_EQ(world.waiting, nullptr);
  WindDown(&world);
}

TEST(Call, IsInTheListOfTheEndpointFromItsArrivalToItsEnd) {
  World world;
  new FakeCall(&world);
  DrainCalls(&world.endpoint);
  EXPECT_EQ(world.waiting->drains(), 0);
  world.waiting->OnEvent(true);
  FakeCall* const call = world.arrived[0];
  call->Begin(0);
  DrainCalls(&world.endpoint);
  EXPECT_EQ(call->drains(), 1);
  call->EndFinish(true);
  DrainCalls(&world.endpoint);
  EXPECT_EQ(call->drains(), 2) << "its operation is still in progress";
  call->EndOperation(0, true);
  EXPECT_EQ(world.deleted, 1);
  WindDown(&world);
}

using CallDeathTest = testing::Test;

TEST(CallDeathTest, NoCallEndsWithOkThatHasNotPassedTheGate) {
  EXPECT_DEATH(
      {
        World world;
        new FakeCall(&world);
        world.waiting->OnEvent(true);
        world.arrived[0]->FinishUnasked();
      },
      "invariant_broken.*has_target.*object=Service.Method");
}

TEST(Call, RandomOrdersOfEventsLeaveNothing) {
  storage::ForEachSeed(2000, [](storage::Random& random) {
    World world;
    new FakeCall(&world);
    for (uint64_t step = random.Below(60); step > 0; --step) {
      if (world.arrived.empty() || random.OneIn(5)) {
        world.waiting->OnEvent(true);
        continue;
      }
      FakeCall* const call = random.Pick(world.arrived);
      const int operation = static_cast<int>(random.Below(kOperations));
      switch (random.Below(6)) {
        case 0:
          if (!call->sent() && !call->pending(operation)) call->Begin(operation);
          break;
        case 1:
        case 2:
          if (call->pending(operation)) call->EndOperation(operation, !random.OneIn(3));
          break;
        case 3:
          call->FinishWith(random.OneIn(2) ? absl::OkStatus() : absl::CancelledError("gone"));
          break;
        case 4:
          if (call->sent() && !call->over()) call->EndFinish(!random.OneIn(3));
          break;
        default:
          if (random.OneIn(4)) {
            if (random.OneIn(2)) world.gate.Drain();
            DrainCalls(&world.endpoint);
          }
      }
      ASSERT_EQ(world.gate.calls(), static_cast<int64_t>(world.arrived.size()));
    }
    // Calls whose outcome gRPC has sent already wait for their operations only.
    for (FakeCall* call : std::vector<FakeCall*>(world.arrived)) {
      if (!call->over()) continue;
      for (int i = 0; i < kOperations; ++i) {
        if (call->pending(i)) {
          const bool last = call->Pending() == 1;
          call->EndOperation(i, true);
          if (last) break;
        }
      }
    }
    WindDown(&world);
  });
}

}  // namespace
}  // namespace holdfast::service
