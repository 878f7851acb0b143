// The SQL database of one object over a MemoryStore. The test runs turns, each of which ends well or is dropped.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_SQL_HARNESS_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_SQL_HARNESS_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/object/keyspace.h"
#include "storage/sql/connection.h"
#include "storage/sql/pages.h"
#include "storage/store/memory_store.h"
#include "tests/unit/storage/object_harness.h"

namespace holdfast::storage::sql {

// A page source one of whose writes fails.
class FaultyPages : public PageSource {
 public:
  explicit FaultyPages(PageSource* pages) : pages_(pages) {}

  // Makes the n-th write from now on fail, counted from 1; 0: none.
  void FailWrite(int n) {
    writes_ = 0;
    fail_at_ = n;
  }
  int writes() const { return writes_; }

  absl::StatusOr<uint32_t> PageCount() override { return pages_->PageCount(); }
  absl::Status ReadPage(uint32_t number, char* page) override { return pages_->ReadPage(number, page); }
  absl::Status WritePage(uint32_t number, absl::string_view page) override {
    if (++writes_ == fail_at_) return absl::ResourceExhaustedError("injected");
    return pages_->WritePage(number, page);
  }
  absl::Status Truncate(uint32_t page_count) override { return pages_->Truncate(page_count); }

 private:
  PageSource* const pages_;
  int writes_ = 0;
  int fail_at_ = 0;
};

struct Statement {
  std::string sql;
  std::vector<Value> params = {};
};

class SqlObject {
 public:
  explicit SqlObject(Limits limits = {}, size_t turn_bytes_max = 64 << 20) : limits_(limits), pages_(turn_bytes_max) {
    BeginTurn();
  }

  MemoryStore& store() { return store_; }
  ObjectHarness& object() { return object_; }
  Pages& pages() { return pages_; }
  FaultyPages& faults() { return faults_; }
  const v1::Usage& usage() const { return usage_; }
  // Null while the connection is not open.
  Connection* connection() { return connection_.get(); }
  void set_tier(ReadTier tier) { tier_ = tier; }
  void set_now(absl::Time now) { now_ = now; }
  void set_stop(bool stop) { stop_ = stop; }
  // Call this before the first turn.
  void set_heap_total(HeapTotal* total) { heap_total_ = total; }
  // With true, turns run on the executor first, and again on a worker if they get NeedsWorker().
  void set_executor_first(bool executor_first) { executor_first_ = executor_first; }
  int ran_on_executor() const { return ran_on_executor_; }

  // Waits until everything is in the store.
  void Settle() {
    object_.Settle();
    BeginTurn();
  }
  // Closes the connection and drops the writes that have not joined, as a load after a passivation or a crash does.
  void Reopen() {
    connection_ = nullptr;
    DropTurn();
  }

  // --- A turn in steps.
  void BeginTurn() {
    view_.emplace(&store_, &object_.keyspace().location(), object_.keyspace().Layers(&object_.storage().writes()),
                  tier_);
    pages_.set_view(&*view_);
  }
  void JoinTurn() {
    View view(&store_, &object_.keyspace().location(), object_.keyspace().Layers(&object_.storage().writes()),
              ReadTier::kMemory);
    pages_.JoinTurn(&view, &object_.storage().writes(), &object_.storage().usage());
  }
  void EndTurn() {
    JoinTurn();
    object_.storage().usage().ApplyTo(&usage_);
    object_.EndTurn();
    BeginTurn();
  }
  void DropTurn() {
    if (connection_ != nullptr && !connection_->usable()) connection_ = nullptr;
    pages_.DropTurn();
    object_.storage().DropTurn();
    BeginTurn();
  }

  // Runs all statements in one turn, or none.
  absl::StatusOr<std::vector<Result>> Turn(const std::vector<Statement>& statements) {
    if (executor_first_) {
      auto results = TurnOn(Where::kExecutor, statements);
      if (results.ok()) ++ran_on_executor_;
      if (!IsNeedsWorker(results.status())) return results;
    }
    return TurnOn(Where::kWorker, statements);
  }
  absl::Status Do(const std::string& sql, std::vector<Value> params = {}) {
    return Turn({{sql, std::move(params)}}).status();
  }
  std::vector<Row> Rows(const std::string& sql, std::vector<Value> params = {}) {
    auto results = Turn({{sql, std::move(params)}});
    EXPECT_TRUE(results.ok()) << sql << ": " << results.status();
    return results.ok() ? std::move(results->front().rows) : std::vector<Row>();
  }

  uint32_t PageCount() {
    const auto count = pages_.PageCount();
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(0);
  }
  // Returns the database file: its pages in their order.
  std::string File() {
    std::string file;
    for (uint32_t number = 1; number <= PageCount(); ++number) {
      char page[kPageBytes];
      const absl::Status status = pages_.ReadPage(number, page);
      EXPECT_TRUE(status.ok()) << status;
      file.append(page, kPageBytes);
    }
    return file;
  }

 private:
  absl::StatusOr<std::vector<Result>> TurnOn(Where where, const std::vector<Statement>& statements) {
    BeginTurn();
    auto results = Run(where, statements);
    if (results.ok()) {
      EndTurn();
    } else {
      if (connection_ != nullptr) connection_->Rollback();
      DropTurn();
    }
    return results;
  }
  absl::StatusOr<std::vector<Result>> Run(Where where, const std::vector<Statement>& statements) {
    if (connection_ == nullptr) {
      auto opened = Connection::Open(&faults_, {.limits = limits_,
                                                .now = [this] { return now_; },
                                                .stop = [this] { return stop_; },
                                                .heap_total = heap_total_,
                                                .where = where,
                                                .long_statements = &long_statements_});
      if (!opened.ok()) return opened.status();
      connection_ = *std::move(opened);
    }
    if (absl::Status status = connection_->Begin(where); !status.ok()) return status;
    std::vector<Result> results;
    for (const auto& [sql, params] : statements) {
      auto result = connection_->Execute(sql, params);
      if (!result.ok()) return result.status();
      results.push_back(*std::move(result));
    }
    if (absl::Status status = connection_->Commit(); !status.ok()) return status;
    return results;
  }

  const Limits limits_;
  MemoryStore store_;
  ObjectHarness object_{&store_};
  ReadTier tier_ = ReadTier::kDisk;
  absl::Time now_ = absl::UnixEpoch();
  bool stop_ = false;
  HeapTotal* heap_total_ = nullptr;
  bool executor_first_ = false;
  int ran_on_executor_ = 0;
  LongStatements long_statements_;
  v1::Usage usage_;
  Pages pages_;
  FaultyPages faults_{&pages_};
  std::optional<View> view_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_SQL_HARNESS_H_
