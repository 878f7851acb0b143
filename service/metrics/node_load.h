// The load of the server at the moment of a scrape: the metrics that nobody counts as they happen.

#ifndef HOLDFAST_SERVICE_METRICS_NODE_LOAD_H_
#define HOLDFAST_SERVICE_METRICS_NODE_LOAD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "actors/runtime/host_load.h"
#include "storage/store/store.h"

namespace holdfast::service {

// A node as a member of its cluster.
struct ClusterLoad {
  size_t nodes = 0;   // that take shards, as this node has last seen
  size_t shards = 0;  // of this node
  absl::Duration lease_age;
  uint64_t shards_gained = 0;
  uint64_t shards_given = 0;
  uint64_t recoveries = 0;  // dead nodes that this one has taken over
  uint64_t forwarded = 0;   // requests, and items, sent on to other nodes
  int64_t commits_resolved = 0;
};

// How Envoy's rate limit service has answered a descriptor. The labels are in collector.cc.
enum class DescriptorOutcome : size_t {
  kOk,
  kOver,
  kOverInShadow,  // OK, but for the shadow mode of its rule
  kUnlimited,
  kWithoutRule,
  kCount,
};
using DescriptorCounts = std::array<uint64_t, static_cast<size_t>(DescriptorOutcome::kCount)>;

// Envoy's rate limit service.
struct RateLimitLoad {
  DescriptorCounts descriptors = {};
  uint64_t rule_changes = 0;   // since the start
  bool rules_refused = false;  // the files are not valid, and the rules of before stay
};

// The HTTP port.
struct HttpLoad {
  // The classes of the answers: none, since the client was gone; and 1xx to 5xx.
  static constexpr size_t kAnswers = 6;
  int64_t connections = 0;
  std::array<uint64_t, kAnswers> answers = {};
  uint64_t received_bytes = 0;
  uint64_t sent_bytes = 0;
};

struct NodeLoad {
  struct Executor {
    bool answered = false;  // in time; `load` is empty otherwise
    actors::HostLoad load;
    absl::Duration cpu_time;
    int sql_waiting = 0;
  };

  int64_t calls = 0;
  int64_t streams = 0;
  int64_t call_bytes = 0;
  int64_t connections = 0;
  bool draining = false;
  std::vector<Executor> executors;
  storage::StoreStats store;
  int64_t families = 0;
  int64_t families_max = 0;
  size_t alarm_watchers = 0;
  int64_t request_record_bytes_max = 0;
  HttpLoad http;              // all 0 without the port
  ClusterLoad cluster;        // all 0 for a server whose objects are in its data directory
  RateLimitLoad rate_limits;  // all 0 for a server without the service
  // Spans that the collector has taken, and those that were dropped; calls that were too many to be traced.
  uint64_t spans_exported = 0;
  uint64_t spans_dropped_queue_full = 0;
  uint64_t spans_dropped_not_taken = 0;
  uint64_t traces_left_out = 0;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_METRICS_NODE_LOAD_H_
