#include "service/call/node_reader.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>

namespace holdfast::service {
namespace {

// The answers of the executors to one question. An executor that answers late writes here, too.
template <typename Answer>
struct Answers {
  explicit Answers(size_t executors) : answers(executors), missing(executors) {}

  Mutex mutex;
  CondVar changed;
  std::vector<std::optional<Answer>> answers ABSL_GUARDED_BY(mutex);
  size_t missing ABSL_GUARDED_BY(mutex);
};

}  // namespace

template <typename Answer>
std::vector<std::optional<Answer>> NodeReader::Ask(std::function<Answer(const Executor&)> question,
                                                   absl::FunctionRef<void()> meanwhile) const {
  const size_t count = sources_.executors.size();
  const auto all = std::make_shared<Answers<Answer>>(count);
  for (size_t i = 0; i < count; ++i) {
    const Executor& executor = sources_.executors[i];
    executor.executor->Post([all, i, &executor, question] {
      std::optional<Answer> answer = question(executor);
      MutexLock lock(&all->mutex);
      all->answers[i] = std::move(answer);
      if (--all->missing == 0) all->changed.WakeOne();
    });
  }
  const CondVar::Deadline until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(time_limit_);
  meanwhile();
  MutexLock lock(&all->mutex);
  while (all->missing > 0 && all->changed.WaitUntil(&all->mutex, until)) {
  }
  return all->answers;
}

NodeLoad NodeReader::Read() {
  MutexLock lock(&mutex_);
  if (now_() - read_at_ >= kAge) {
    last_ = ReadNow();
    read_at_ = now_();
  }
  return last_;
}

NodeLoad NodeReader::ReadNow() const {
  NodeLoad load;
  const auto answers = Ask<actors::HostLoad>([](const Executor& executor) { return executor.host->load(); },
                                             [&] {
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
                                             });
  if (sources_.http != nullptr) load.http = sources_.http();
  if (sources_.cluster != nullptr) load.cluster = sources_.cluster();
  if (sources_.rate_limits != nullptr) load.rate_limits = sources_.rate_limits();
  if (const Traces* const traces = sources_.traces) {
    const SpanExporter::Stats spans = traces->spans();
    load.spans_exported = spans.exported;
    load.spans_dropped_queue_full = spans.dropped_queue_full;
    load.spans_dropped_not_taken = spans.dropped_not_taken;
    load.traces_left_out = traces->left_out();
  }
  for (size_t i = 0; i < answers.size(); ++i) {
    NodeLoad::Executor& executor = load.executors.emplace_back();
    executor.answered = answers[i].has_value();
    if (executor.answered) executor.load = *answers[i];
    executor.cpu_time = sources_.executors[i].executor->progress().cpu_time;
    executor.sql_waiting = sources_.executors[i].sql->waiting();
  }
  return load;
}

NodeReader::Hot NodeReader::ReadHot(actors::HotOrder order, size_t limit) const {
  auto answers = Ask<Hot>(
      [order, limit](const Executor& executor) {
        const absl::Time now = executor.executor->clock().Steady();
        actors::HotObjects& hot = executor.host->hot();
        return Hot{hot.Top(order, limit, now), hot.Window(now)};
      },
      [] {});
  Hot all;
  for (std::optional<Hot>& answer : answers) {
    if (!answer) continue;
    all.window = std::max(all.window, answer->window);
    std::move(answer->objects.begin(), answer->objects.end(), std::back_inserter(all.objects));
  }
  std::stable_sort(all.objects.begin(), all.objects.end(), [](const auto& a, const auto& b) { return a.sum > b.sum; });
  if (all.objects.size() > limit) all.objects.resize(limit);
  return all;
}

}  // namespace holdfast::service
