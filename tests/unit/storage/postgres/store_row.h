// PostgresStore as a row of kStoreRows.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_STORE_ROW_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_STORE_ROW_H_

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/postgres/databases.h"
#include "storage/postgres/divided_store.h"
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

// Two databases, each with commit logs.
class DividedCluster : public WithFamilies {
 public:
  explicit DividedCluster(std::unique_ptr<TestDatabases> databases)
      : WithFamilies(OpenDivided(databases->Init().NewProcess())), databases_(std::move(databases)) {}

  // Opens a store over the databases, as a new process that folds all the time.
  static std::unique_ptr<DividedStore> OpenDivided(const std::vector<PostgresOptions>& process) {
    auto opened = OpenDatabases(process);
    if (!opened.ok()) {
      std::cerr << opened.status() << std::endl;
      std::abort();
    }
    std::vector<std::unique_ptr<Store>> parts;
    for (std::unique_ptr<PostgresStore>& rows : *opened) {
      std::unique_ptr<CommitLogs> logs = rows->NewCommitLogs();
      const uint32_t first_log = rows->first_log();
      parts.push_back(OpenLoggedOrDie(std::move(rows), std::move(logs), first_log));
    }
    return std::make_unique<DividedStore>(std::move(parts));
  }

 private:
  const std::unique_ptr<TestDatabases> databases_;
};

inline std::unique_ptr<Store> OpenDividedCluster(const std::string&) {
  return std::make_unique<DividedCluster>(std::make_unique<TestDatabases>(2));
}

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_STORE_ROW_H_
