// PostgresStore as a row of kStoreRows.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_STORE_ROW_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_STORE_ROW_H_

#include <memory>
#include <string>
#include <utility>

#include "tests/unit/storage/open_logged.h"
#include "tests/unit/storage/postgres/test_cluster.h"
#include "tests/unit/storage/postgres/with_families.h"

namespace holdfast::storage::postgres {

// A store with a cluster of its own.
class ClusterStore : public WithFamilies {
 public:
  explicit ClusterStore(std::unique_ptr<TestCluster> cluster)
      : WithFamilies(OpenOrDie(cluster->NewProcess())), cluster_(std::move(cluster)) {}
  TestCluster& cluster() { return *cluster_; }
  // The process ends in order, and another one begins.
  void Reopen() {
    SetBelow(nullptr);
    SetBelow(OpenOrDie(cluster_->NewProcess()));
  }

 private:
  const std::unique_ptr<TestCluster> cluster_;
};

inline std::unique_ptr<Store> OpenCluster(const std::string&) {
  return std::make_unique<ClusterStore>(std::make_unique<TestCluster>());
}

// Another process takes over.
inline void TakeOver(Store& store) {
  static_cast<ClusterStore&>(store).cluster().Execute("UPDATE hf_writer SET epoch = epoch + 1, owner = 'another'");
}

// Closes a store that OpenCluster has made, and opens it again.
inline void ReopenCluster(Store& store) { static_cast<ClusterStore&>(store).Reopen(); }

// The same with commit logs. It folds all the time.
inline std::unique_ptr<Store> OpenLoggedCluster(const std::string&) {
  auto cluster = std::make_unique<TestCluster>();
  auto below = std::make_unique<ClusterStore>(std::move(cluster));
  auto* const rows = static_cast<PostgresStore*>(below->below());
  std::unique_ptr<CommitLogs> logs = rows->NewCommitLogs();
  return OpenLoggedOrDie(std::move(below), std::move(logs), rows->first_log());
}

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_STORE_ROW_H_
