// Reads the load of the whole node (service/metrics/node_load.h) for a scrape or a call of administration: from atomics
// where there are any, and from each executor by a function that it runs between its other work.
//
// An executor that does not answer within the time limit is reported as one that has not answered; it answers into
// memory that lives until then. Readings that follow each other within kAge share one, so that scrapes without end cost
// the executors no more than ten small functions a second.
//
// Threading: Read on any thread but an executor's, since it waits. Ownership: everything pointed to outlives the
// reader, and no Read is in progress when the executors have ended.

#ifndef HOLDFAST_SERVICE_CALL_NODE_READER_H_
#define HOLDFAST_SERVICE_CALL_NODE_READER_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/runtime/hot_objects.h"
#include "actors/runtime/shard_host.h"
#include "service/call/call_gate.h"
#include "service/call/completion_queue_executor.h"
#include "service/metrics/node_load.h"
#include "service/traces/traces.h"
#include "storage/base/mutex.h"
#include "storage/node/families.h"
#include "storage/sql/workers.h"
#include "storage/store/store.h"

namespace holdfast::service {

class NodeReader {
 public:
  static constexpr absl::Duration kAge = absl::Milliseconds(100);

  struct Executor {
    CompletionQueueExecutor* executor;
    actors::ShardHost* host;
    const storage::sql::Workers* sql;
  };
  struct Sources {
    std::vector<Executor> executors;
    CallGate* gate;
    storage::Store* store;
    const storage::Families* families;
    const actors::AlarmWatchers* watchers;
    int64_t families_max;
    int64_t request_record_bytes_max;
    const Traces* traces = nullptr;                        // null: nothing is traced
    std::function<ClusterLoad()> cluster = nullptr;        // null: the server is in no cluster
    std::function<RateLimitLoad()> rate_limits = nullptr;  // null: the server has no rate limit service
    std::function<HttpLoad()> http = nullptr;              // null: there is no HTTP port
  };

  // `now` is a clock that never goes back.
  NodeReader(Sources sources, absl::Duration time_limit, std::function<absl::Time()> now)
      : sources_(std::move(sources)), time_limit_(time_limit), now_(std::move(now)) {}
  NodeReader(const NodeReader&) = delete;
  NodeReader& operator=(const NodeReader&) = delete;

  NodeLoad Read();

  // The busiest objects of all executors that answer in time, busiest first.
  struct Hot {
    std::vector<actors::HotObject> objects;
    absl::Duration window = absl::ZeroDuration();
  };
  Hot ReadHot(actors::HotOrder order, size_t limit) const;

 private:
  NodeLoad ReadNow() const;
  // Asks each executor, and returns the answers of those that answer in time. `meanwhile` is called before the wait.
  template <typename Answer>
  std::vector<std::optional<Answer>> Ask(std::function<Answer(const Executor&)> question,
                                         absl::FunctionRef<void()> meanwhile) const;

  const Sources sources_;
  const absl::Duration time_limit_;
  const std::function<absl::Time()> now_;

  Mutex mutex_;  // held while one thread reads, so that others share its reading
  absl::Time read_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  NodeLoad last_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_NODE_READER_H_
