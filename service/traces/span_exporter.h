// Exports the spans of traces to a collector, on one thread that gives way to all others.
//
// An executor only puts a trace into a bounded queue. When a batch has gathered, or an interval is over, the thread
// makes its spans and sends them. A collector that cannot be reached, or asks for it, gets the batch again a few times,
// later each time; meanwhile the queue fills, and what it has no room for is dropped and counted. So a dead collector
// costs the server the queue and nothing else.
//
// Ownership: the sender belongs to the exporter. Threading: Add and stats on any thread; the destructor once, when
// nobody adds any more. Shutdown: the destructor sends what waits, for kEndMax at most, and drops the rest.

#ifndef HOLDFAST_SERVICE_TRACES_SPAN_EXPORTER_H_
#define HOLDFAST_SERVICE_TRACES_SPAN_EXPORTER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/traces/call_trace.h"
#include "storage/base/mutex.h"

namespace opentelemetry::proto::collector::trace::v1 {
class ExportTraceServiceRequest;
}  // namespace opentelemetry::proto::collector::trace::v1

namespace holdfast::service {

// Sends spans to a collector (otlp_sender.h).
class SpanSender {
 public:
  using Request = opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
  virtual ~SpanSender() = default;
  // Returns OK if the collector has taken the spans. It blocks, for at most `time_limit`.
  virtual absl::Status Send(const Request& request, absl::Duration time_limit) = 0;
  // Ends a Send that is in progress, and each one that follows, with CANCELLED. Any thread.
  virtual void Cancel() = 0;
};

class SpanExporter {
 public:
  static constexpr absl::Duration kEndMax = absl::Seconds(2);
  static constexpr int kAttemptsMax = 4;

  struct Options {
    size_t queue_spans_max;
    size_t batch_spans_max;
    absl::Duration batch_interval;
    absl::Duration export_time_limit;
    absl::Duration first_backoff = absl::Seconds(1);  // doubled for each attempt
    std::string service_name;
    std::string service_version;
  };
  struct Stats {
    uint64_t exported = 0;
    uint64_t dropped_queue_full = 0;
    uint64_t dropped_not_taken = 0;  // by the collector
  };

  // `bits` gives ids to spans (Tracer::Bits).
  SpanExporter(Options options, std::unique_ptr<SpanSender> sender, std::function<uint64_t()> bits);
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;
  ~SpanExporter();

  // Takes the trace of a call that has ended. Its spans are dropped if the queue has no room for them.
  void Add(std::unique_ptr<CallTrace> trace);
  Stats stats() const;

  // Returns whether a collector that answered so may take the same spans later, as the specification of OTLP has it.
  static bool IsRetryable(const absl::Status& status);

 private:
  using Batch = std::vector<std::unique_ptr<CallTrace>>;

  void Run();
  // Waits until there is a batch to export; an empty one means the end.
  Batch NextBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sends the spans, several times if need be. Returns the outcome of the last attempt.
  absl::Status Export(const SpanSender::Request& request);
  void LogFailure(const absl::Status& status, size_t spans);

  const Options options_;
  const std::unique_ptr<SpanSender> sender_;
  const std::function<uint64_t()> bits_;
  absl::Time logged_ = absl::InfinitePast();  // the exporter's thread only

  mutable Mutex mutex_;
  CondVar changed_;
  CondVar ended_changed_;
  std::deque<std::unique_ptr<CallTrace>> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t spans_ ABSL_GUARDED_BY(mutex_) = 0;  // the most that the traces have that wait or are being exported
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  Stats stats_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_TRACES_SPAN_EXPORTER_H_
