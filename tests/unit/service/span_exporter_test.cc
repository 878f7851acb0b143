#include "service/traces/span_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"
#include "service/traces/otlp_sender.h"
#include "service/traces/tracer.h"
#include "tests/shared/certificates.h"
#include "tests/shared/otlp_collector.h"
#include "tests/simulation/node.h"
#include "tests/unit/storage/files.h"

namespace holdfast::service {
namespace {

using ::testing::HasSubstr;
using testing::OtlpCollector;

// A sender whose answers the test gives, one for each Send.
struct Desk {
  absl::Status Take(size_t spans) {
    MutexLock lock(&mutex);
    asked.push_back(spans);
    changed.WakeAll();
    while (answers.empty() && !cancelled) changed.Wait(&mutex);
    if (cancelled) return absl::CancelledError("");
    const absl::Status answer = answers.front();
    answers.erase(answers.begin());
    return answer;
  }
  void Answer(absl::Status status) {
    MutexLock lock(&mutex);
    answers.push_back(std::move(status));
    changed.WakeAll();
  }
  // Waits until spans were sent so often.
  std::vector<size_t> WaitAsked(size_t times) {
    MutexLock lock(&mutex);
    while (asked.size() < times) changed.Wait(&mutex);
    return asked;
  }

  Mutex mutex;
  CondVar changed;
  std::vector<size_t> asked ABSL_GUARDED_BY(mutex);
  std::vector<absl::Status> answers ABSL_GUARDED_BY(mutex);
  bool cancelled ABSL_GUARDED_BY(mutex) = false;
};

class DeskSender final : public SpanSender {
 public:
  explicit DeskSender(Desk* desk) : desk_(desk) {}
  absl::Status Send(const Request& request, absl::Duration) override {
    return desk_->Take(static_cast<size_t>(request.resource_spans(0).scope_spans(0).spans_size()));
  }
  void Cancel() override {
    MutexLock lock(&desk_->mutex);
    desk_->cancelled = true;
    desk_->changed.WakeAll();
  }

 private:
  Desk* const desk_;
};

class SpanExporterTest : public ::testing::Test {
 protected:
  std::unique_ptr<SpanExporter> Make(std::unique_ptr<SpanSender> sender, size_t queue = 100, size_t batch = 10) {
    return std::make_unique<SpanExporter>(SpanExporter::Options{.queue_spans_max = queue,
                                                                .batch_spans_max = batch,
                                                                .batch_interval = absl::Milliseconds(20),
                                                                .export_time_limit = absl::Seconds(10),
                                                                .first_backoff = absl::Milliseconds(1),
                                                                .service_name = "test",
                                                                .service_version = "1.2.3"},
                                          std::move(sender), RandomTraceBits);
  }
  // Returns the path of a file for this test.
  static std::string File() { return absl::StrCat(::testing::TempDir(), "holdfast-ca-", getpid()); }
  ~SpanExporterTest() override { std::filesystem::remove(File()); }

  // A trace of one span.
  std::unique_ptr<CallTrace> Trace() {
    auto trace = std::make_unique<CallTrace>(CallTrace::Span{.trace_id = {1, ++traces_}, .parent = {}, .span_id = {9}},
                                             "a.Service.Method", &clock_);
    trace->End(absl::OkStatus());
    return trace;
  }

  simulation::VirtualClock clock_;
  uint64_t traces_ = 0;
  Desk desk_;
};

TEST_F(SpanExporterTest, SpansReachACollectorWithTheNameOfTheService) {
  OtlpCollector collector;
  auto sender = MakeOtlpSender(collector.endpoint(), "");
  ASSERT_TRUE(sender.ok()) << sender.status();
  const auto exporter = Make(*std::move(sender));
  for (int i = 0; i < 25; ++i) exporter->Add(Trace());
  const auto spans = collector.WaitFor(25);
  ASSERT_EQ(spans.size(), 25u);
  EXPECT_EQ(spans[0].name(), "a.Service/Method");
  EXPECT_EQ(collector.resource().attributes(0).key(), "service.name");
  EXPECT_EQ(collector.resource().attributes(0).value().string_value(), "test");
  EXPECT_EQ(collector.resource().attributes(1).value().string_value(), "1.2.3");
}

TEST_F(SpanExporterTest, ABatchHasABound) {
  const auto exporter = Make(std::make_unique<DeskSender>(&desk_), /*queue=*/100, /*batch=*/10);
  for (int i = 0; i < 10; ++i) exporter->Add(Trace());
  EXPECT_EQ(desk_.WaitAsked(1).size(), 1u);
  for (int i = 0; i < 25; ++i) exporter->Add(Trace());
  for (int i = 0; i < 10; ++i) desk_.Answer(absl::OkStatus());
  size_t sent = 0;
  for (size_t sends = 1; sent < 35; ++sends) {
    sent = 0;
    for (const size_t spans : desk_.WaitAsked(sends)) {
      EXPECT_LE(spans, 10u);
      sent += spans;
    }
  }
  EXPECT_EQ(sent, 35u);
}

TEST_F(SpanExporterTest, WithACollectorThatDoesNotAnswerTheQueueFillsAndTheRestIsDropped) {
  auto exporter = Make(std::make_unique<DeskSender>(&desk_), /*queue=*/30, /*batch=*/10);
  for (int i = 0; i < 10; ++i) exporter->Add(Trace());
  (void)desk_.WaitAsked(1);
  // The ten that are being exported count, too.
  for (int i = 0; i < 50; ++i) exporter->Add(Trace());
  EXPECT_EQ(exporter->stats().dropped_queue_full, 30u);
  EXPECT_EQ(exporter->stats().exported, 0u);
  for (int i = 0; i < 10; ++i) desk_.Answer(absl::OkStatus());
  (void)desk_.WaitAsked(3);
  exporter.reset();  // sends what waits
}

TEST_F(SpanExporterTest, ACollectorThatIsAwayGetsTheSameSpansAgainAndThenTheyAreDropped) {
  const auto exporter = Make(std::make_unique<DeskSender>(&desk_));
  exporter->Add(Trace());
  desk_.Answer(absl::UnavailableError("away"));
  desk_.Answer(absl::UnavailableError("away"));
  desk_.Answer(absl::OkStatus());
  EXPECT_EQ(desk_.WaitAsked(3), (std::vector<size_t>{1, 1, 1}));
  for (int i = 0; i < SpanExporter::kAttemptsMax; ++i) desk_.Answer(absl::UnavailableError("away"));
  exporter->Add(Trace());
  (void)desk_.WaitAsked(3 + SpanExporter::kAttemptsMax);
  // The next spans go out for the first time.
  exporter->Add(Trace());
  exporter->Add(Trace());
  (void)desk_.WaitAsked(4 + SpanExporter::kAttemptsMax);
  const SpanExporter::Stats stats = exporter->stats();
  EXPECT_EQ(stats.exported, 1u);
  EXPECT_EQ(stats.dropped_not_taken, 1u);
  for (int i = 0; i < 2; ++i) desk_.Answer(absl::OkStatus());
}

TEST_F(SpanExporterTest, SpansThatTheCollectorRefusesAreNotSentAgain) {
  const auto exporter = Make(std::make_unique<DeskSender>(&desk_));
  desk_.Answer(absl::InvalidArgumentError("no"));
  exporter->Add(Trace());
  (void)desk_.WaitAsked(1);
  exporter->Add(Trace());
  (void)desk_.WaitAsked(2);
  EXPECT_EQ(exporter->stats().dropped_not_taken, 1u);
  desk_.Answer(absl::OkStatus());
}

TEST_F(SpanExporterTest, TheCodesThatAreTriedAgainAreThoseOfOtlp) {
  EXPECT_TRUE(SpanExporter::IsRetryable(absl::UnavailableError("")));
  EXPECT_TRUE(SpanExporter::IsRetryable(absl::DeadlineExceededError("")));
  EXPECT_TRUE(SpanExporter::IsRetryable(absl::AbortedError("")));
  for (const auto code :
       {absl::StatusCode::kInvalidArgument, absl::StatusCode::kUnimplemented, absl::StatusCode::kPermissionDenied,
        absl::StatusCode::kUnauthenticated, absl::StatusCode::kInternal, absl::StatusCode::kCancelled}) {
    EXPECT_FALSE(SpanExporter::IsRetryable(absl::Status(code, ""))) << static_cast<int>(code);
  }
}

TEST_F(SpanExporterTest, TheEndSendsWhatWaits) {
  OtlpCollector collector;
  auto sender = MakeOtlpSender(collector.endpoint(), "");
  ASSERT_TRUE(sender.ok());
  auto exporter = Make(*std::move(sender), /*queue=*/1000, /*batch=*/500);
  for (int i = 0; i < 300; ++i) exporter->Add(Trace());
  exporter.reset();
  EXPECT_EQ(collector.spans().size(), 300u);
}

TEST_F(SpanExporterTest, ACollectorThatDoesNotAnswerHoldsTheEndUpForItsBoundAndNoLonger) {
  auto exporter = Make(std::make_unique<DeskSender>(&desk_), /*queue=*/100, /*batch=*/1);
  for (int i = 0; i < 5; ++i) exporter->Add(Trace());
  (void)desk_.WaitAsked(1);
  const absl::Time before = absl::Now();
  exporter.reset();
  EXPECT_LT(absl::Now() - before, SpanExporter::kEndMax + absl::Seconds(5));
}

TEST_F(SpanExporterTest, ACollectorWithTlsIsCheckedAgainstTheAuthorities) {
  const testing::CertificateAuthority authority;
  const testing::CertificateAuthority stranger("stranger");
  const testing::Certificate certificate = authority.Issue();
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({certificate.key, certificate.certificate});
  OtlpCollector collector(grpc::SslServerCredentials(options));
  const std::string file = File();
  storage::WriteFile(file, authority.pem());
  auto sender = MakeOtlpSender(absl::StrCat("localhost:", collector.port()), file);
  ASSERT_TRUE(sender.ok()) << sender.status();
  auto exporter = Make(*std::move(sender));
  exporter->Add(Trace());
  EXPECT_EQ(collector.WaitFor(1).size(), 1u);
  exporter.reset();

  storage::WriteFile(file, stranger.pem());
  sender = MakeOtlpSender(absl::StrCat("localhost:", collector.port()), file);
  ASSERT_TRUE(sender.ok()) << sender.status();
  exporter = Make(*std::move(sender));
  exporter->Add(Trace());
  exporter.reset();
  EXPECT_EQ(collector.spans().size(), 1u);
}

TEST_F(SpanExporterTest, AFileWithoutAuthoritiesIsNamed) {
  const std::string file = File();
  EXPECT_THAT(std::string(MakeOtlpSender("localhost:1", file).status().message()),
              HasSubstr(absl::StrCat("traces.ca_file: cannot read ", file)));
  storage::WriteFile(file, "nothing");
  EXPECT_THAT(std::string(MakeOtlpSender("localhost:1", file).status().message()), HasSubstr("no certificate"));
}

}  // namespace
}  // namespace holdfast::service
