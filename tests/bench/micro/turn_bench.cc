// Measures one turn of a counter, from ShardHost::Deliver to the reply, over a store in memory: all the work of the
// node for a request but the wire and the disk.

#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/objects/counter.h"
#include "storage/store/memory_store.h"
#include "tests/bench/micro/bench_node.h"

namespace holdfast::bench {
namespace {

using actors::Counter;
using IncrementCall = HandlerCall<Counter, v1::IncrementRequest, v1::IncrementResponse>;
using GetValueCall = HandlerCall<Counter, v1::GetValueRequest, v1::GetValueResponse>;

void IncrementTurnAndCommit(benchmark::State& state) {
  storage::MemoryStore store;
  BenchNode node(&store, {&Counter::Class()});
  IncrementCall call("counter", &Counter::Increment, {});
  node.Ask(&call);
  for (auto _ : state) node.Ask(&call);
}
BENCHMARK(IncrementTurnAndCommit);

// Measures one commit with many turns, of one counter or of as many counters; the time is that of all turns together.
void IncrementTurnsInOneCommit(benchmark::State& state, bool one_counter) {
  storage::MemoryStore store;
  BenchNode node(&store, {&Counter::Class()});
  std::vector<std::unique_ptr<IncrementCall>> calls;
  for (int64_t i = 0; i < state.range(0); ++i) {
    calls.push_back(std::make_unique<IncrementCall>(absl::StrCat("counter", one_counter ? 0 : i), &Counter::Increment,
                                                    v1::IncrementRequest()));
    node.Ask(calls.back().get());
  }
  for (auto _ : state) {
    for (auto& call : calls) node.Deliver(call.get());
    node.Settle();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK_CAPTURE(IncrementTurnsInOneCommit, one_counter, true)->Arg(100)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(IncrementTurnsInOneCommit, many_counters, false)->Arg(100)->Unit(benchmark::kMicrosecond);

void GetValueTurn(benchmark::State& state) {
  storage::MemoryStore store;
  BenchNode node(&store, {&Counter::Class()});
  IncrementCall increment("counter", &Counter::Increment, {});
  node.Ask(&increment);
  GetValueCall call("counter", &Counter::GetValue, {});
  for (auto _ : state) node.Ask(&call);
}
BENCHMARK(GetValueTurn);

}  // namespace
}  // namespace holdfast::bench
