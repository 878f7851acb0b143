#include "service/traces/span_exporter.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/executor/clock.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"
#include "service/traces/otlp_spans.h"
#include "storage/base/log.h"
#include "storage/base/low_priority.h"

namespace holdfast::service {
namespace {

constexpr int kNice = 10;
// A collector that takes no spans has a line of the log this often.
constexpr absl::Duration kLogEvery = absl::Minutes(1);

CondVar::Deadline After(absl::Duration time) {
  return std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(time);
}

void SetResource(const char* key, const std::string& value, SpanSender::Request* request) {
  auto* const attribute = request->mutable_resource_spans(0)->mutable_resource()->add_attributes();
  attribute->set_key(key);
  attribute->mutable_value()->set_string_value(value);
}

}  // namespace

SpanExporter::SpanExporter(Options options, std::unique_ptr<SpanSender> sender, std::function<uint64_t()> bits)
    : options_(std::move(options)), sender_(std::move(sender)), bits_(std::move(bits)), thread_([this] { Run(); }) {}

SpanExporter::~SpanExporter() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.WakeAll();
    const CondVar::Deadline until = After(kEndMax);
    while (!ended_ && ended_changed_.WaitUntil(&mutex_, until)) {
    }
  }
  sender_->Cancel();
  thread_.join();
}

void SpanExporter::Add(std::unique_ptr<CallTrace> trace) {
  const size_t spans = trace->SpansMax();
  MutexLock lock(&mutex_);
  if (ending_ || spans_ + spans > options_.queue_spans_max) {
    stats_.dropped_queue_full += spans;
    return;
  }
  const bool gathered = spans_ >= options_.batch_spans_max;
  spans_ += spans;
  waiting_.push_back(std::move(trace));
  // The thread looks by itself at the end of the interval.
  if (!gathered && spans_ >= options_.batch_spans_max) changed_.WakeOne();
}

SpanExporter::Stats SpanExporter::stats() const {
  MutexLock lock(&mutex_);
  return stats_;
}

bool SpanExporter::IsRetryable(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

SpanExporter::Batch SpanExporter::NextBatch() {
  Batch batch;
  do {
    const CondVar::Deadline until = After(options_.batch_interval);
    while (!ending_ && spans_ < options_.batch_spans_max && changed_.WaitUntil(&mutex_, until)) {
    }
  } while (waiting_.empty() && !ending_);
  size_t spans = 0;
  while (!waiting_.empty() && spans < options_.batch_spans_max) {
    spans += waiting_.front()->SpansMax();
    batch.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return batch;
}

void SpanExporter::Run() {
  storage::GiveWay("traces", kNice);
  SpanSender::Request request;
  MutexLock lock(&mutex_);
  while (true) {
    Batch batch = NextBatch();
    if (batch.empty()) break;
    lock.Unlock();
    request.Clear();
    auto* const resource_spans = request.add_resource_spans();
    SetResource("service.name", options_.service_name, &request);
    SetResource("service.version", options_.service_version, &request);
    auto* const scope_spans = resource_spans->add_scope_spans();
    scope_spans->mutable_scope()->set_name("holdfast");
    scope_spans->mutable_scope()->set_version(options_.service_version);
    size_t held = 0;
    for (const auto& trace : batch) {
      held += trace->SpansMax();
      AddSpans(*trace, bits_, scope_spans);
    }
    batch.clear();
    const auto spans = static_cast<size_t>(scope_spans->spans_size());
    const absl::Status status = Export(request);
    if (!status.ok()) LogFailure(status, spans);
    lock.Lock();
    spans_ -= held;
    (status.ok() ? stats_.exported : stats_.dropped_not_taken) += spans;
  }
  ended_ = true;
  ended_changed_.WakeAll();
}

absl::Status SpanExporter::Export(const SpanSender::Request& request) {
  absl::Duration backoff = options_.first_backoff;
  for (int attempt = 1;; ++attempt) {
    absl::Status status = sender_->Send(request, options_.export_time_limit);
    if (status.ok() || !IsRetryable(status) || attempt == kAttemptsMax) return status;
    MutexLock lock(&mutex_);
    const CondVar::Deadline until = After(backoff);
    while (!ending_ && changed_.WaitUntil(&mutex_, until)) {
    }
    if (ending_) return status;
    backoff *= 2;
  }
}

void SpanExporter::LogFailure(const absl::Status& status, size_t spans) {
  const absl::Time now = actors::SteadyNow();
  if (now - logged_ < kLogEvery) return;
  logged_ = now;
  Log(LogLevel::kWarning, "spans_dropped",
      {{"count", absl::StrCat(spans)}, {"why", status.ToString()}, {"what", "the collector has not taken them"}});
}

}  // namespace holdfast::service
