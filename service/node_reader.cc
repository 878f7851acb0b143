#include "service/node_reader.h"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace holdfast::service {
namespace {

// The answers of the executors to one reading.
struct Answers {
  explicit Answers(size_t executors) : loads(executors), missing(executors) {}

  Mutex mutex;
  CondVar changed;
  std::vector<std::optional<actors::HostLoad>> loads ABSL_GUARDED_BY(mutex);
  size_t missing ABSL_GUARDED_BY(mutex);
};

}  // namespace

NodeLoad NodeReader::Read() {
  MutexLock lock(&mutex_);
  if (now_() - read_at_ >= kAge) {
    last_ = ReadNow();
    read_at_ = now_();
  }
  return last_;
}

NodeLoad NodeReader::ReadNow() const {
  const auto answers = std::make_shared<Answers>(sources_.executors.size());
  for (size_t i = 0; i < sources_.executors.size(); ++i) {
    sources_.executors[i].executor->Post([answers, i, host = sources_.executors[i].host] {
      MutexLock lock(&answers->mutex);
      answers->loads[i] = host->load();
      if (--answers->missing == 0) answers->changed.WakeOne();
    });
  }
  const CondVar::Deadline until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(time_limit_);

  NodeLoad load;
  load.calls = sources_.gate->calls();
  load.streams = sources_.gate->streams();
  load.call_bytes = sources_.gate->bytes();
  load.connections = sources_.gate->connections()->count();
  load.draining = sources_.gate->draining();
  load.store = sources_.store->Stats();
  load.families = sources_.families->count();
  load.families_max = sources_.families_max;
  load.alarm_watchers = sources_.watchers->count();
  load.request_record_bytes_max = sources_.request_record_bytes_max;
  if (const Traces* const traces = sources_.traces) {
    const SpanExporter::Stats spans = traces->spans();
    load.spans_exported = spans.exported;
    load.spans_dropped_queue_full = spans.dropped_queue_full;
    load.spans_dropped_not_taken = spans.dropped_not_taken;
    load.traces_left_out = traces->left_out();
  }

  MutexLock lock(&answers->mutex);
  while (answers->missing > 0 && answers->changed.WaitUntil(&answers->mutex, until)) {
  }
  for (size_t i = 0; i < sources_.executors.size(); ++i) {
    NodeLoad::Executor& executor = load.executors.emplace_back();
    executor.answered = answers->loads[i].has_value();
    if (executor.answered) executor.load = *answers->loads[i];
    executor.cpu_time = sources_.executors[i].executor->progress().cpu_time;
    executor.sql_waiting = sources_.executors[i].sql->waiting();
  }
  return load;
}

}  // namespace holdfast::service
