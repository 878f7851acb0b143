#include "service/traces/tracer.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/node.h"

namespace holdfast::service {
namespace {

constexpr char kMethod[] = "holdfast.v1.CounterService.Increment";
constexpr char kSampled[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
constexpr char kNotSampled[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

class TracerTest : public ::testing::Test {
 protected:
  void Make(int sampling_per_mille, int calls_per_second_max = 1'000'000) {
    tracer_ = std::make_unique<Tracer>(
        Tracer::Options{sampling_per_mille, calls_per_second_max}, &clock_,
        [this] {
          if (bits_.empty()) return ++next_;
          const uint64_t bits = bits_.front();
          bits_.pop_front();
          return bits;
        },
        [this](std::unique_ptr<CallTrace> trace) { ended_.push_back(std::move(trace)); });
  }
  std::unique_ptr<CallTrace> Begin(absl::string_view traceparent = "", const std::string& tracestate = "") {
    return tracer_->Begin({traceparent, tracestate}, kMethod, /*by_ratio=*/true, /*log_all=*/false);
  }

  simulation::VirtualClock clock_;
  std::deque<uint64_t> bits_;  // the next random bits; without any, 1000, 1001, ...
  uint64_t next_ = 999;
  std::vector<std::unique_ptr<CallTrace>> ended_;
  std::unique_ptr<Tracer> tracer_;
};

TEST_F(TracerTest, TheCallersFlagDecides) {
  for (const int ratio : {0, 1000}) {
    Make(ratio);
    const auto trace = Begin(kSampled, "vendor=1");
    ASSERT_NE(trace, nullptr);
    EXPECT_TRUE(trace->recorded());
    EXPECT_EQ(trace->trace_id().ToHex(), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(trace->span().parent.ToHex(), "b7ad6b7169203331");
    EXPECT_EQ(trace->span().tracestate, "vendor=1");
    EXPECT_NE(trace->span().span_id, trace->span().parent);
    EXPECT_EQ(Begin(kNotSampled), nullptr);
  }
}

TEST_F(TracerTest, WithoutATraceOfTheCallerTheRatioDecides) {
  Make(250);
  int traced = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    bits_ = {i, 7, 8, 9};
    if (Begin() != nullptr) ++traced;
  }
  EXPECT_EQ(traced, 250);
  bits_ = {249, 7, 8, 9};
  const auto trace = Begin();
  ASSERT_NE(trace, nullptr);
  EXPECT_EQ(trace->span().span_id, SpanId{7});
  EXPECT_EQ(trace->trace_id(), (TraceId{8, 9}));
  EXPECT_EQ(trace->span().parent, SpanId{0}) << "it is the first of its trace";
  Make(0);
  bits_ = {0};
  EXPECT_EQ(Begin(), nullptr);
  Make(1000);
  bits_ = {999, 1, 2, 3};
  EXPECT_NE(Begin(), nullptr);
}

TEST_F(TracerTest, AMalformedTraceIsAsNone) {
  Make(0);
  EXPECT_EQ(Begin("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"), nullptr);
  Make(1000);
  const auto trace = Begin("00-00000000000000000000000000000000-b7ad6b7169203331-01", "vendor=1");
  ASSERT_NE(trace, nullptr);
  EXPECT_EQ(trace->span().parent, SpanId{0});
  EXPECT_EQ(trace->span().tracestate, "") << "it belongs to the trace of the caller";
}

TEST_F(TracerTest, IdsAreNeverZero) {
  Make(1000);
  bits_ = {0, 0, 0, 5, 0, 0, 6};
  const auto trace = Begin();
  ASSERT_NE(trace, nullptr);
  EXPECT_EQ(trace->span().span_id, SpanId{5});
  EXPECT_EQ(trace->trace_id(), (TraceId{0, 6}));
}

TEST_F(TracerTest, ATracestateIsPassedOnUpToItsBound) {
  Make(0);
  const std::string most(kTracestateBytesMax, 'a');
  EXPECT_EQ(Begin(kSampled, most)->span().tracestate, most);
  EXPECT_EQ(Begin(kSampled, most + "a")->span().tracestate, "");
  EXPECT_EQ(Begin(kSampled, "a=\xff\xfe")->span().tracestate, "");
  EXPECT_EQ(Begin(kSampled, "a=1\nb=2")->span().tracestate, "");
  EXPECT_EQ(Begin(kSampled, "a=1, b=~")->span().tracestate, "a=1, b=~");
}

TEST_F(TracerTest, TooManyInOneSecondAreLeftOutWhateverTheirCallersSay) {
  Make(0, /*calls_per_second_max=*/3);
  for (int i = 0; i < 3; ++i) EXPECT_NE(Begin(kSampled), nullptr) << i;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Begin(kSampled), nullptr) << i;
  EXPECT_EQ(Begin(kNotSampled), nullptr);
  EXPECT_EQ(tracer_->left_out(), 5u);
  clock_.Advance(absl::Seconds(1));
  EXPECT_NE(Begin(kSampled), nullptr);
  EXPECT_EQ(tracer_->left_out(), 5u);
}

TEST_F(TracerTest, WithoutTheRatioOnlyTheCallerDecides) {
  Make(1000);
  EXPECT_EQ(tracer_->Begin({}, kMethod, /*by_ratio=*/false, /*log_all=*/true), nullptr);
  EXPECT_NE(tracer_->Begin({kSampled, ""}, kMethod, /*by_ratio=*/false, /*log_all=*/true), nullptr);
}

TEST_F(TracerTest, ForTheLogATraceThatIsNotRecordedHasItsIdAlone) {
  Make(0);
  const auto trace = tracer_->Begin({kNotSampled, ""}, kMethod, /*by_ratio=*/true, /*log_all=*/true);
  ASSERT_NE(trace, nullptr);
  EXPECT_FALSE(trace->recorded());
  EXPECT_EQ(trace->trace_id().ToHex(), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(trace->AddDelivery(/*item=*/true), nullptr);
  EXPECT_EQ(tracer_->Begin({}, kMethod, /*by_ratio=*/true, /*log_all=*/true), nullptr);
  EXPECT_NE(Tracer::ForLog({kNotSampled, ""}), nullptr);
  EXPECT_EQ(Tracer::ForLog({"nonsense", ""}), nullptr);
}

TEST_F(TracerTest, ATraceEndsWithItsOutcome) {
  Make(0);
  auto trace = Begin(kSampled);
  clock_.Advance(absl::Milliseconds(5));
  tracer_->End(std::move(trace), absl::UnavailableError("gone"));
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0]->ended() - ended_[0]->began(), absl::Milliseconds(5));
  EXPECT_EQ(ended_[0]->code(), absl::StatusCode::kUnavailable);
}

TEST(RandomTraceBits, AreNotTheSameTwice) { EXPECT_NE(RandomTraceBits(), RandomTraceBits()); }

}  // namespace
}  // namespace holdfast::service
