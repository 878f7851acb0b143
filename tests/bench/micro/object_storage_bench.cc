// Measures the storage operations of a handler over a store in memory: keys, and records like those of the rate
// limiter.

#include <benchmark/benchmark.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/object/table.h"
#include "storage/store/key_codec.h"
#include "storage/store/memory_store.h"
#include "tests/bench/micro/bench_node.h"
#include "tests/unit/storage/object_harness.h"

namespace holdfast::bench {
namespace {

using storage::KeyRange;
using storage::MemoryStore;
using storage::ObjectHarness;
using storage::v1::RequestRow;

constexpr int kKeys = 1000;
constexpr int64_t kRows = 100;
constexpr int64_t kTurnsPerCommit = 100;

std::string KeyOf(int64_t i) { return absl::StrCat("key", i % kKeys); }

void KeyspacePut(benchmark::State& state) {
  MemoryStore store;
  ObjectHarness object(&store);
  const std::string value(64, 'v');
  int64_t i = 0;
  for (auto _ : state) {
    CheckOk(object.storage().Put(KeyOf(i), value), "Put");
    if (++i % kTurnsPerCommit == 0) {
      object.Settle();
    } else {
      object.EndTurn();
    }
  }
}
BENCHMARK(KeyspacePut);

void KeyspaceGet(benchmark::State& state) {
  MemoryStore store;
  ObjectHarness object(&store);
  for (int64_t i = 0; i < kKeys; ++i) CheckOk(object.storage().Put(KeyOf(i), std::string(64, 'v')), "Put");
  object.Settle();
  int64_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(object.Await(object.storage().Get(KeyOf(i++))));
}
BENCHMARK(KeyspaceGet);

// The log of a sliding window: a row for each request that was allowed.
const storage::TableSpec<RequestRow>& Requests() {
  static const auto* const spec =
      new storage::TableSpec<RequestRow>{.id = 1, .append_primary_key = [](const RequestRow& row, std::string* key) {
                                           storage::AppendText(key, row.key());
                                           storage::AppendInt64(key, row.algorithm());
                                           storage::AppendInt64(key, row.window_us());
                                           storage::AppendInt64(key, row.time_us());
                                           storage::AppendInt64(key, row.sequence());
                                         }};
  return *spec;
}

RequestRow Row(int64_t number) {
  RequestRow row;
  row.set_key("client-1234");
  row.set_algorithm(1);
  row.set_window_us(60'000'000);
  row.set_time_us(1'700'000'000'000'000 + number);
  row.set_cost(1);
  return row;
}

KeyRange RangeOfRows(int64_t first, int64_t end) {
  KeyRange range;
  Requests().append_primary_key(Row(first), &range.start);
  Requests().append_primary_key(Row(end), &range.end);
  return range;
}

void RecordInsert(benchmark::State& state) {
  MemoryStore store;
  ObjectHarness object(&store);
  int64_t i = 0;
  for (auto _ : state) {
    storage::Table<RequestRow> requests(&object.storage(), &Requests());
    CheckOk(object.Await(requests.Insert(Row(i))).status(), "Insert");
    if (++i % kTurnsPerCommit == 0) {
      object.Settle();
    } else {
      object.EndTurn();
    }
  }
}
BENCHMARK(RecordInsert);

void RecordCountOf100(benchmark::State& state) {
  MemoryStore store;
  ObjectHarness object(&store);
  storage::Table<RequestRow> requests(&object.storage(), &Requests());
  for (int64_t i = 0; i < 10 * kRows; ++i) requests.Write(Row(i), nullptr);
  object.Settle();
  for (auto _ : state) {
    const auto count = object.Await(requests.Count(RangeOfRows(kRows, 2 * kRows)));
    if (!count.ok() || *count != kRows) state.SkipWithError("wrong count");
  }
}
BENCHMARK(RecordCountOf100);

void RecordRangeDeleteOf100AndCommit(benchmark::State& state) {
  MemoryStore store;
  ObjectHarness object(&store);
  storage::Table<RequestRow> requests(&object.storage(), &Requests());
  for (auto _ : state) {
    state.PauseTiming();
    for (int64_t i = 0; i < 2 * kRows; ++i) requests.Write(Row(i), nullptr);
    object.Settle();
    state.ResumeTiming();
    const auto removed = object.Await(requests.DeleteRange(RangeOfRows(0, kRows)));
    if (!removed.ok() || *removed != kRows) state.SkipWithError("wrong count");
    object.Settle();
  }
}
BENCHMARK(RecordRangeDeleteOf100AndCommit);

}  // namespace
}  // namespace holdfast::bench
