// Measures SQL of one object through its own VFS: one statement in a turn, over pages in memory.

#include <benchmark/benchmark.h>

#include <string>

#include "tests/bench/micro/bench_node.h"
#include "tests/unit/storage/sql_harness.h"

namespace holdfast::bench {
namespace {

using storage::sql::SqlObject;

constexpr int64_t kRows = 20'000;

void Fill(SqlObject* object) {
  CheckOk(object->Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, text TEXT)"), "CREATE");
  CheckOk(object->Do("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) "
                     "INSERT INTO t SELECT i, 0, 'some text that each row has' FROM n",
                     {kRows}),
          "INSERT");
  object->Settle();
  object->set_executor_first(true);
}

void SqlUpdateOfARowAndCommit(benchmark::State& state) {
  SqlObject object;
  Fill(&object);
  int64_t i = 0;
  for (auto _ : state) {
    CheckOk(object.Do("UPDATE t SET v = v + 1 WHERE id = ?", {i++ * 7919 % kRows + 1}), "UPDATE");
    object.Settle();
  }
}
BENCHMARK(SqlUpdateOfARowAndCommit);

void SqlSelectOfARow(benchmark::State& state) {
  SqlObject object;
  Fill(&object);
  int64_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(object.Turn({{"SELECT v, text FROM t WHERE id = ?", {i++ * 7919 % kRows + 1}}}));
  }
}
BENCHMARK(SqlSelectOfARow);

void SqlReopenAndSelectOfARow(benchmark::State& state) {
  SqlObject object;
  Fill(&object);
  for (auto _ : state) {
    object.Reopen();
    benchmark::DoNotOptimize(object.Turn({{"SELECT v, text FROM t WHERE id = ?", {int64_t{1}}}}));
  }
}
BENCHMARK(SqlReopenAndSelectOfARow);

}  // namespace
}  // namespace holdfast::bench
