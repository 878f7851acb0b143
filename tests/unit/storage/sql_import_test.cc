// Imports of a SQL database: steps of another one change nothing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "storage/memory_store.h"
#include "storage/sql/import.h"
#include "storage/sql/import_file.h"
#include "storage/sql/pages.h"
#include "tests/unit/storage/object_harness.h"
#include "tests/unit/storage/sql_harness.h"
#include "tests/unit/storage/temp_dir.h"

namespace holdfast::storage::sql {
namespace {

class SqlImport : public testing::Test {
 protected:
  // A step is a turn.
  template <typename T>
  absl::StatusOr<T> Do(Read<T> step) {
    auto result = object_.Await(std::move(step));
    object_.Settle();
    return result;
  }
  ImportId Begin(uint64_t nonce) {
    const auto begun = Do(BeginImport(&object_.storage(), nonce));
    EXPECT_THAT(begun.status(), IsOk());
    return begun.value_or(ImportId());
  }
  absl::Status Add(ImportId id, uint32_t first, char fill) {
    return Do(AddPages(&object_.storage(), id, first, std::string(kPageBytes, fill))).status();
  }
  absl::Status End(ImportId id, uint32_t count) { return Do(EndImport(&object_.storage(), id, count)).status(); }
  bool Abort(ImportId id) { return Do(AbortImport(&object_.storage(), id)).value_or(false); }

  MemoryStore store_;
  ObjectHarness object_{&store_};
};

TEST_F(SqlImport, OneThatHasTheSameGenerationIsAnother) {
  const ImportId first = Begin(1);
  ASSERT_THAT(Add(first, 1, 'a'), IsOk());
  // As DeleteAll does, or what gives an import up.
  ASSERT_TRUE(Abort(first));
  const ImportId second = Begin(2);
  ASSERT_EQ(second.generation, first.generation);
  ASSERT_THAT(Add(second, 1, 'b'), IsOk());
  EXPECT_THAT(Add(first, 1, 'a'), IsStatus(absl::StatusCode::kAborted, "another import"));
  EXPECT_THAT(End(first, 1), IsStatus(absl::StatusCode::kAborted, "another import"));
  EXPECT_FALSE(Abort(first));
  EXPECT_THAT(Add(second, 2, 'b'), IsOk());
  EXPECT_THAT(End(second, 2), IsOk());
}

class SqlImportFile : public testing::Test {
 protected:
  absl::Status Check(const std::string& file, bool stop = false) {
    ImportFile import(&space_);
    EXPECT_THAT(import.Append(file), IsOk());
    return import.Check(Limits(), absl::Now, [stop] { return stop; });
  }

  TempDir dir_;
  TempSpace space_{dir_.path(), {.bytes_max = 128 << 20}};
};

TEST_F(SqlImportFile, CheckEndsWhenItIsTold) {
  SqlObject object;
  ASSERT_THAT(
      object.Do("CREATE TABLE t (v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) "
                "INSERT INTO t SELECT randomblob(500) FROM n"),
      IsOk());
  EXPECT_THAT(Check(object.File()), IsOk());
  EXPECT_EQ(FailureOf(Check(object.File(), /*stop=*/true)).kind, FailureKind::kTimeLimit);
}

TEST_F(SqlImportFile, WhatIsWrongWithItIsNotTheServers) {
  SqlObject object;
  ASSERT_THAT(object.Do("CREATE TABLE a_table_with_a_name (v CHECK (v > 7))"), IsOk());
  std::string file = object.File();
  const size_t at = file.find("CREATE TABLE");
  ASSERT_NE(at, std::string::npos);
  file.replace(at, 6, "CREATX");
  const absl::Status status = Check(file);
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kInvalidArgument, "the file is not imported: malformed"));
  EXPECT_EQ(FailureOf(status).kind, FailureKind::kSqlError);
}

}  // namespace
}  // namespace holdfast::storage::sql
