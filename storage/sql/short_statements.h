// Which statements are short: each step of SQLite's virtual machine that they take is, so a budget of steps bounds how
// long they run. Only those run on an object's executor.
//
// A step is one opcode, and most take as long as a search in a tree does; some go over a whole table or the whole
// database at once (Clear, Count, IntegrityCk), or run what a virtual table does. What a statement consists of SQLite
// tells by EXPLAIN, the programs of triggers and foreign keys too. Functions are one opcode, whichever: they are
// allowed by a list of their own, of those that take at most as long as their arguments are.

#ifndef HOLDFAST_STORAGE_SQL_SHORT_STATEMENTS_H_
#define HOLDFAST_STORAGE_SQL_SHORT_STATEMENTS_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"

namespace holdfast::storage::sql {

// Steps of all statements of one transaction on the executor: some 200 keyed reads or writes. The worst that they take
// with values as large as below is some 25 ms (texts of digits, each turned into a number); a keyed read takes 2 us.
inline constexpr int kShortSteps = 3000;
// Pages that they read or write: more than the page cache gives them.
inline constexpr int kShortPages = 512;
// Allocations of SQLite, and bytes beyond those that it has already: preparing a statement is no step.
inline constexpr int kShortAllocations = 10'000;
inline constexpr size_t kShortHeapBytes = 4 << 20;
// Of a statement's text: how long it takes to prepare grows faster than that.
inline constexpr size_t kShortStatementBytes = 4096;
// Of a value or a row, and of a statement's parameters together.
inline constexpr int kShortValueBytes = 8 << 10;
inline constexpr size_t kShortParamsBytes = 32 << 10;
// Opcodes of a statement.
inline constexpr int kShortOpcodes = 1000;

// Whether the opcode, as EXPLAIN spells it, takes no longer than a search in a tree. No opcode that is not known does.
bool IsShortOpcode(absl::string_view opcode);
// Whether the function, whatever its case, takes no longer than its arguments are.
bool IsShortFunction(absl::string_view name);

// Statements that have turned out to be long. A connection that such a one was run on is often given up, so this
// outlives it. What is long may become short when the database changes or the parameters do: Forget() where a worker
// finds out. One thread at a time.
class LongStatements {
 public:
  static constexpr size_t kStatementsMax = 64;

  bool Contains(absl::string_view sql) const;
  void Remember(absl::string_view sql);
  void Forget(absl::string_view sql);

 private:
  // Hashes of the texts: a statement taken for another one runs on a worker, where it may.
  absl::flat_hash_set<size_t> hashes_;
  std::deque<size_t> oldest_first_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_SHORT_STATEMENTS_H_
