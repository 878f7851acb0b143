// Asks the other nodes of the cluster, once a second, what they have of the namespaces with quotas of objects and bytes
// (storage/node/namespace_usage.h).
//
// A round asks one node after the other. It is whole if all have answered that have shards: then this node begins to
// give its part of the room anew. A node that does not answer counts with what it has told last, and until it answers,
// or has no shards any more, this node gives no more than the part that it has begun.
//
// Bounds: a node has kAnswerTimeMax for each part of its answer, and an answer has at most as many parts as there are
// shards.
//
// Threading: Round is called by one thread at a time: that of Start, or a test's.

#ifndef HOLDFAST_SERVICE_CLUSTER_NAMESPACE_ROUNDS_H_
#define HOLDFAST_SERVICE_CLUSTER_NAMESPACE_ROUNDS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "holdfast/v1/admin_service.pb.h"
#include "service/call/placement.h"
#include "storage/base/mutex.h"
#include "storage/node/namespace_usage.h"

namespace holdfast::service {

class NamespaceRounds {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(1);
  static constexpr absl::Duration kAnswerTimeMax = absl::Seconds(1);

  // Returns the other nodes that have shards.
  using Owners = std::function<std::vector<std::shared_ptr<Peer>>()>;
  // Asks a node, and waits for its answer.
  using Ask = std::function<absl::StatusOr<v1::ListNamespaceChangesResponse>(
      const std::shared_ptr<Peer>& peer, const v1::ListNamespaceChangesRequest& request)>;
  static absl::StatusOr<v1::ListNamespaceChangesResponse> AskPeer(const std::shared_ptr<Peer>& peer,
                                                                  const v1::ListNamespaceChangesRequest& request);

  // `usage` outlives this.
  NamespaceRounds(storage::NamespaceUsage* usage, Owners owners, Ask ask = AskPeer);
  ~NamespaceRounds() { Stop(); }
  NamespaceRounds(const NamespaceRounds&) = delete;
  NamespaceRounds& operator=(const NamespaceRounds&) = delete;

  // Begins the first round, and then one every kInterval.
  void Start();
  // Ends the thread, after the answer that it waits for.
  void Stop();
  void Round();

 private:
  struct Known {
    uint64_t run = 0;
    uint64_t version = 0;
    bool answers = true;
  };

  // Brings what has changed at a node.
  absl::Status Hear(const std::shared_ptr<Peer>& peer, Known* known);
  void Work();
  bool ending();

  storage::NamespaceUsage* const usage_;
  const Owners owners_;
  const Ask ask_;
  std::map<std::shared_ptr<Peer>, Known> known_;  // of those that have shards

  Mutex mutex_;
  CondVar changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CLUSTER_NAMESPACE_ROUNDS_H_
