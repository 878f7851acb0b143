// Foreign keys are off for a part of a transaction.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "storage/sql/connection.h"
#include "tests/unit/storage/sql_harness.h"
#include "tests/unit/storage/status_matchers.h"

namespace holdfast::storage::sql {
namespace {

using absl::StatusCode;

class SqlForeignKeys : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(object.Do("CREATE TABLE p(id INTEGER PRIMARY KEY)").ok());
    ASSERT_TRUE(object.Do("CREATE TABLE c(p REFERENCES p(id) ON DELETE CASCADE)").ok());
    ASSERT_TRUE(object.Do("INSERT INTO p VALUES (1), (2)").ok());
    ASSERT_TRUE(object.Do("INSERT INTO c VALUES (1), (2)").ok());
  }
  absl::Status Run(const std::string& sql) { return object.connection()->Execute(sql, {}).status(); }
  void Begin(Where where = Where::kWorker) {
    object.BeginTurn();
    ASSERT_TRUE(object.connection()->Begin(where).ok());
  }
  int64_t Count(const std::string& table) {
    return std::get<int64_t>(object.Rows("SELECT count(*) FROM " + table)[0][0]);
  }
  void ExpectEnforced() {
    EXPECT_THAT(object.Do("INSERT INTO c VALUES (99)"), IsStatus(StatusCode::kFailedPrecondition, "FOREIGN KEY"));
    ASSERT_TRUE(object.Do("DELETE FROM p WHERE id = 2").ok());
    EXPECT_EQ(Count("c WHERE p = 2"), 0);
  }

  SqlObject object;
};

TEST_F(SqlForeignKeys, AreOffAndOnAgainWithinOneTurn) {
  Begin();
  Connection* const connection = object.connection();
  ASSERT_TRUE(connection->SetForeignKeys(false).ok());
  EXPECT_TRUE(Run("DELETE FROM p WHERE id = 1").ok());
  EXPECT_TRUE(Run("INSERT INTO c VALUES (7)").ok());
  EXPECT_TRUE(Run("UPDATE p SET id = 7 WHERE id = 2").ok());
  EXPECT_TRUE(Run("UPDATE c SET p = 7").ok());
  ASSERT_TRUE(connection->SetForeignKeys(true).ok());
  EXPECT_THAT(Run("INSERT INTO c VALUES (8)"), IsStatus(StatusCode::kFailedPrecondition, "FOREIGN KEY"));
  ASSERT_TRUE(connection->Commit().ok());
  object.EndTurn();
  EXPECT_EQ(Count("p"), 1);
  EXPECT_EQ(Count("c"), 3);
  EXPECT_EQ(object.connection(), connection) << "a connection whose foreign keys are on again is kept";
  ExpectEnforced();
}

TEST_F(SqlForeignKeys, StatementThatIsKeptIsMadeAnewForThem) {
  const std::string text = "DELETE FROM p WHERE id = ?";
  const std::vector<Value> nobody = {int64_t{100}};
  ASSERT_TRUE(object.Do(text, nobody).ok());
  Begin();
  ASSERT_TRUE(object.connection()->SetForeignKeys(false).ok());
  ASSERT_TRUE(object.connection()->Execute(text, {Value(int64_t{1})}).ok());
  ASSERT_TRUE(Run("INSERT INTO p VALUES (1)").ok());
  ASSERT_TRUE(object.connection()->SetForeignKeys(true).ok());
  ASSERT_TRUE(object.connection()->Commit().ok());
  object.EndTurn();
  EXPECT_EQ(Count("c WHERE p = 1"), 1);
  object.set_executor_first(true);
  ASSERT_TRUE(object.Do(text, {int64_t{2}}).ok());
  EXPECT_EQ(Count("c WHERE p = 2"), 0);
}

TEST_F(SqlForeignKeys, RollbackUndoesAllOfTheTurn) {
  for (const bool on_again : {false, true}) {
    SCOPED_TRACE(on_again);
    Begin();
    ASSERT_TRUE(Run("INSERT INTO p VALUES (50)").ok());
    ASSERT_TRUE(object.connection()->SetForeignKeys(false).ok());
    ASSERT_TRUE(Run("DELETE FROM p").ok());
    ASSERT_TRUE(Run("DELETE FROM c").ok());
    if (on_again) ASSERT_TRUE(object.connection()->SetForeignKeys(true).ok());
    ASSERT_TRUE(Run("SELECT 1").ok());
    object.connection()->Rollback();
    EXPECT_FALSE(object.connection()->usable()) << "its cache has pages that never were";
    object.DropTurn();
    EXPECT_EQ(Count("p"), 2);
    EXPECT_EQ(Count("c"), 2);
  }
  ExpectEnforced();
}

TEST_F(SqlForeignKeys, RollbackOfATurnThatOnlyReadWithThemOff) {
  Begin();
  ASSERT_TRUE(object.connection()->SetForeignKeys(false).ok());
  ASSERT_TRUE(Run("SELECT * FROM c").ok());
  object.connection()->Rollback();
  object.DropTurn();
  ExpectEnforced();
}

TEST_F(SqlForeignKeys, CommitWithThemOffIsRefused) {
  Begin();
  ASSERT_TRUE(object.connection()->SetForeignKeys(false).ok());
  ASSERT_TRUE(Run("DELETE FROM p").ok());
  EXPECT_THAT(object.connection()->Commit(), IsStatus(StatusCode::kInternal, "foreign keys off"));
  object.DropTurn();
  EXPECT_EQ(Count("p"), 2);
  ExpectEnforced();
}

TEST_F(SqlForeignKeys, WhatIsDeferredMustHoldBeforeTheyAreOff) {
  Begin();
  ASSERT_TRUE(Run("PRAGMA defer_foreign_keys = ON").ok());
  ASSERT_TRUE(Run("INSERT INTO c VALUES (99)").ok());
  EXPECT_THAT(object.connection()->SetForeignKeys(false), IsStatus(StatusCode::kFailedPrecondition, "FOREIGN KEY"));
  EXPECT_FALSE(object.connection()->usable());
  object.DropTurn();
  EXPECT_EQ(Count("c"), 2);
  ExpectEnforced();
}

TEST_F(SqlForeignKeys, AreSwitchedOnAWorkerOnly) {
  Begin(Where::kExecutor);
  EXPECT_TRUE(IsNeedsWorker(object.connection()->SetForeignKeys(false)));
  EXPECT_TRUE(IsNeedsWorker(Run("SELECT 1")));
  object.connection()->Rollback();
  EXPECT_TRUE(object.connection()->usable());
  object.DropTurn();
  ExpectEnforced();
}

TEST_F(SqlForeignKeys, FailedWriteWithThemOffLeavesTheOldDatabase) {
  for (int n = 1; n < 30; ++n) {
    Begin();
    object.faults().FailWrite(n);
    absl::Status status = object.connection()->SetForeignKeys(false);
    for (const char* sql : {"CREATE TABLE n(id INTEGER PRIMARY KEY, v)", "INSERT INTO n(id) SELECT id FROM p",
                            "DROP TABLE p", "ALTER TABLE n RENAME TO p"}) {
      if (status.ok()) status = Run(sql);
    }
    if (status.ok()) status = object.connection()->SetForeignKeys(true);
    if (status.ok()) status = object.connection()->Commit();
    object.faults().FailWrite(0);
    if (status.ok()) {
      EXPECT_GT(n, 2);
      object.EndTurn();
      EXPECT_EQ(Count("c"), 2);
      ExpectEnforced();
      return;
    }
    object.connection()->Rollback();
    object.DropTurn();
    EXPECT_EQ(Count("p"), 2) << n;
    EXPECT_EQ(Count("c"), 2) << n;
    EXPECT_EQ(Count("pragma_table_info('p')"), 1) << n;
  }
  ADD_FAILURE() << "every write has failed";
}

}  // namespace
}  // namespace holdfast::storage::sql
