// Measures the disk's part: a synced commit of the writes of many objects, and the load of a packed object.

#include <benchmark/benchmark.h>

#include <chrono>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/objects/counter.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "tests/bench/micro/bench_node.h"
#include "tests/unit/storage/raw_rocksdb.h"
#include "tests/unit/storage/temp_dir.h"

namespace holdfast::bench {
namespace {

using actors::Counter;
using IncrementCall = HandlerCall<Counter, v1::IncrementRequest, v1::IncrementResponse>;
using GetValueCall = HandlerCall<Counter, v1::GetValueRequest, v1::GetValueResponse>;

constexpr int kCounters = 10'000;

std::unique_ptr<storage::Store> OpenStore(const std::string& data_dir) {
  auto store = storage::OpenRocksDbStore({.data_dir = data_dir});
  CheckOk(store.status(), data_dir);
  return *std::move(store);
}

// Measures the commit alone, for which the increments of `counters` counters wait.
void SyncedCommitOfDirtyCounters(benchmark::State& state) {
  const storage::TempDir directory;
  const auto store = OpenStore(directory.path());
  BenchNode node(store.get(), {&Counter::Class()});
  std::vector<std::unique_ptr<IncrementCall>> calls;
  for (int64_t i = 0; i < state.range(0); ++i) {
    calls.push_back(
        std::make_unique<IncrementCall>(absl::StrCat("counter", i), &Counter::Increment, v1::IncrementRequest()));
    node.Ask(calls.back().get());
  }
  for (auto _ : state) {
    for (auto& call : calls) node.Deliver(call.get());
    node.node().executor().RunUntilIdle();
    node.node().executor().EndRound();
    const auto begin = std::chrono::steady_clock::now();
    const bool committed = node.node().commits().RunWork();
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    node.node().commits().RunDone();
    if (!committed || !calls.back()->done()) state.SkipWithError("no single commit");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(SyncedCommitOfDirtyCounters)->Arg(1)->Arg(100)->Arg(1000)->UseManualTime()->Unit(benchmark::kMicrosecond);

// Measures a request to a counter that is not in memory. Its header and its value are read from RocksDB's memtable, or
// from a table file whose blocks are in memory. The threads that read for the server are left out.
void ActivatePackedCounter(benchmark::State& state, bool flushed) {
  const storage::TempDir directory;
  auto store = OpenStore(directory.path());
  {
    BenchNode node(store.get(), {&Counter::Class()});
    for (int i = 0; i < kCounters; ++i) {
      IncrementCall call(absl::StrCat("counter", i), &Counter::Increment, {});
      node.Deliver(&call);
      node.Settle();
    }
  }
  if (flushed) {
    store.reset();
    storage::RawFlush(directory.path());
    store = OpenStore(directory.path());
  }
  BenchNode node(store.get(), {&Counter::Class()});
  std::vector<std::unique_ptr<GetValueCall>> calls;
  for (int i = 0; i < kCounters; ++i) {
    calls.push_back(
        std::make_unique<GetValueCall>(absl::StrCat("counter", i), &Counter::GetValue, v1::GetValueRequest()));
    node.Ask(calls.back().get());
    node.Passivate(calls.back()->key());
  }
  size_t next = 0;
  for (auto _ : state) {
    GetValueCall* const call = calls[next++ * 7919 % kCounters].get();
    const auto begin = std::chrono::steady_clock::now();
    node.Ask(call);
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    node.Passivate(call->key());
  }
}
BENCHMARK_CAPTURE(ActivatePackedCounter, from_memtable, false)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(ActivatePackedCounter, from_table_file, true)->UseManualTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace holdfast::bench
