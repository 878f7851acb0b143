// What a statement consists of, as EXPLAIN tells it: also what the authorizer is not asked about, since SQLite has read
// it with the schema (functions in CHECK, DEFAULT, generated columns and indexes on expressions).
//
// SQLite looks at the time only where a program jumps back, enters a trigger or reads a page. In between it may call a
// function, or turn a text into a number, as often as the program has instructions, each time over a value as large as
// values may be. LIKE and GLOB cannot be replaced by functions that look at the time: SQLite uses an index for its own
// only. So the values of such a program are bounded instead: what it may take between two looks is kUncheckedTimeMax.

#ifndef HOLDFAST_STORAGE_SQL_PROGRAM_H_
#define HOLDFAST_STORAGE_SQL_PROGRAM_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace holdfast::storage::sql {

// How far behind the time limit SQL may end.
inline constexpr absl::Duration kUncheckedTimeMax = absl::Seconds(3);

class Program {
 public:
  // So many bytes a pattern of LIKE and GLOB may have.
  explicit Program(int like_pattern_bytes_max = 50);
  // Of a statement that nothing is known of: that it may take long, and go over values often.
  static Program Unknown();

  // The next row of EXPLAIN; the programs of triggers and foreign keys come after the statement's own, and each begins
  // at address 0.
  void Add(int64_t address, absl::string_view opcode, absl::string_view p4, int64_t p5);

  // No instruction is long, and no function.
  bool is_short() const { return is_short_; }
  // A function that no client may call; empty: none.
  const std::string& refused_function() const { return refused_function_; }
  // How large values may be.
  int ValueBytesMax() const;

 private:
  int64_t FunctionNsPerByte(absl::string_view name) const;

  int64_t like_ns_per_byte_;
  bool is_short_ = true;
  std::string refused_function_;
  // How long one run through it takes for each byte of a value: of this one, and of the longest.
  int64_t ns_per_byte_ = 0;
  int64_t ns_per_byte_max_ = 0;
};

// Without the blanks, comments and semicolons that it begins with: EXPLAIN takes none of the last.
absl::string_view WithoutEmptyStatements(absl::string_view sql);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_PROGRAM_H_
