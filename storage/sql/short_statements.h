// Tells which statements are short. Each step of SQLite's virtual machine that a short statement takes is short, so a
// budget of steps bounds how long it runs. Only short statements run on an object's executor.
//
// A step is one opcode, and most take as long as a search in a tree does; some go over a whole table or the whole
// database at once (Clear, Count, IntegrityCk), or run the code of a virtual table. EXPLAIN lists the opcodes of a
// statement, and those of its triggers and foreign keys. The opcode does not tell which function is called, so short
// functions have a list of their own: their time grows at most with the size of their arguments.

#ifndef HOLDFAST_STORAGE_SQL_SHORT_STATEMENTS_H_
#define HOLDFAST_STORAGE_SQL_SHORT_STATEMENTS_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"

namespace holdfast::storage::sql {

// Steps of all statements of one transaction on the executor: some 200 keyed reads or writes. At worst, with values of
// the sizes below, they take some 25 ms (texts of digits, each turned into a number); a keyed read takes 2 us.
inline constexpr int kShortSteps = 3000;
// Pages that these statements read or write, beyond those that the page cache has.
inline constexpr int kShortPages = 512;
// Allocations of SQLite, and bytes beyond those that it has already. They bound the preparation of a statement, which
// is no step.
inline constexpr int kShortAllocations = 10'000;
inline constexpr size_t kShortHeapBytes = 4 << 20;
// Bytes of a statement's text: the time to prepare a statement grows faster than its text.
inline constexpr size_t kShortStatementBytes = 4096;
// Bytes of a value or a row, and of a statement's parameters together.
inline constexpr int kShortValueBytes = 8 << 10;
inline constexpr size_t kShortParamsBytes = 32 << 10;
// Opcodes of a statement.
inline constexpr int kShortOpcodes = 1000;

// Returns whether the opcode, as EXPLAIN spells it, takes no longer than a search in a tree; false for an unknown
// opcode.
bool IsShortOpcode(absl::string_view opcode);
// Returns whether the time of the function grows at most with the size of its arguments. The name may have any case.
bool IsShortFunction(absl::string_view name);

// Statements that have turned out to be long. A connection is often given up after such a statement, so this outlives
// it. A long statement may become short when the database or the parameters change: call Forget() when a worker finds
// out. One thread at a time.
class LongStatements {
 public:
  static constexpr size_t kStatementsMax = 64;

  bool Contains(absl::string_view sql) const;
  void Remember(absl::string_view sql);
  void Forget(absl::string_view sql);

 private:
  // Hashes of the texts. A statement that is taken for another one runs on a worker, where any statement may.
  absl::flat_hash_set<size_t> hashes_;
  std::deque<size_t> oldest_first_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_SHORT_STATEMENTS_H_
