// A server for all tests of the process, and clusters in it: each in a schema of its own.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_TEST_CLUSTER_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_TEST_CLUSTER_H_

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/postgres/connection.h"
#include "storage/postgres/databases.h"
#include "storage/postgres/postgres_store.h"
#include "tests/shared/postgres_server.h"

namespace holdfast::storage::postgres {

inline testing_server::PostgresServer& SharedServer() {
  static testing_server::PostgresServer server;
  return server;
}

inline Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(60); }

// Carries out one statement; ends the process if that is not possible.
inline TripResult Execute(const std::string& conninfo, const std::string& text) {
  auto connection = Connection::Open(conninfo);
  if (!connection.ok()) {
    std::cerr << connection.status() << std::endl;
    std::abort();
  }
  (*connection)->Add({"statement", text});
  TripResult result = (*connection)->Run(Soon());
  if (!result.ok()) {
    std::cerr << text << ": " << result.message << std::endl;
    std::abort();
  }
  return result;
}

// An empty cluster.
class TestCluster {
 public:
  explicit TestCluster(testing_server::PostgresServer* server = &SharedServer()) {
    static int made = 0;
    schema_ = absl::StrCat("test", made++);
    postgres::Execute(server->conninfo(), "CREATE SCHEMA " + schema_);
    options_.conninfo = server->conninfo(schema_);
    options_.address = "127.0.0.1:1";
    options_.row_cache_bytes = 32 << 20;
    options_.outage_max = absl::Seconds(30);
    const absl::Status made_tables = InitDatabases({options_});
    EXPECT_TRUE(made_tables.ok()) << made_tables;
  }

  // The options of another process each time.
  PostgresOptions NewProcess() {
    PostgresOptions options = options_;
    options.owner = absl::StrCat("process", ++processes_);
    return options;
  }
  const std::string& conninfo() const { return options_.conninfo; }
  const std::string& schema() const { return schema_; }
  TripResult Execute(const std::string& text) { return postgres::Execute(options_.conninfo, text); }

 private:
  std::string schema_;
  PostgresOptions options_;
  int processes_ = 0;
};

// A cluster in several databases: schemas of one server, unless `servers` has one for each.
class TestDatabases {
 public:
  explicit TestDatabases(uint32_t databases, std::vector<testing_server::PostgresServer*> servers = {}) {
    static int made = 0;
    for (uint32_t i = 0; i < databases; ++i) {
      testing_server::PostgresServer& server = servers.empty() ? SharedServer() : *servers[i];
      const std::string schema = absl::StrCat("part", made, "_", i);
      postgres::Execute(server.conninfo(), "CREATE SCHEMA " + schema);
      PostgresOptions& options = options_.emplace_back();
      options.conninfo = server.conninfo(schema);
      options.part = {i, databases};
      options.address = "127.0.0.1:1";
      options.row_cache_bytes = 16 << 20;
      options.outage_max = absl::Seconds(30);
    }
    ++made;
  }
  // Makes the tables.
  TestDatabases& Init() {
    const absl::Status made = InitDatabases(options_);
    EXPECT_TRUE(made.ok()) << made;
    return *this;
  }

  // The options of another process each time.
  std::vector<PostgresOptions> NewProcess() {
    const std::string owner = absl::StrCat("process", ++processes_);
    for (PostgresOptions& options : options_) options.owner = owner;
    return options_;
  }
  const std::vector<PostgresOptions>& options() const { return options_; }
  TripResult Execute(size_t database, const std::string& text) {
    return postgres::Execute(options_[database].conninfo, text);
  }
  // Returns the number of rows.
  int64_t Count(size_t database, const std::string& what) {
    return Execute(database, "SELECT count(*) FROM " + what).rows[0].Int(0, 0);
  }

 private:
  std::vector<PostgresOptions> options_;
  int processes_ = 0;
};

inline std::unique_ptr<PostgresStore> OpenOrDie(const PostgresOptions& options) {
  auto store = OpenPostgresStore(options);
  if (!store.ok()) {
    std::cerr << store.status() << std::endl;
    std::abort();
  }
  return *std::move(store);
}

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_TEST_CLUSTER_H_
