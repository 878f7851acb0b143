// The program of a statement, as EXPLAIN lists it. It includes functions that the authorizer is not asked about, since
// SQLite has read them with the schema (in CHECK, DEFAULT, generated columns and indexes on expressions).
//
// SQLite looks at the time only where a program jumps back, enters a trigger or reads a page. In between it may call a
// function, or turn a text into a number, as often as the program has instructions, each time over a value as large as
// values may be. LIKE and GLOB cannot be replaced by functions that look at the time: SQLite uses an index for its own
// only. The values of such a program are bounded instead, so that between two looks it takes kUncheckedTimeMax at most.

#ifndef HOLDFAST_STORAGE_SQL_PROGRAM_H_
#define HOLDFAST_STORAGE_SQL_PROGRAM_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace holdfast::storage::sql {

// SQL may end this long after its time limit.
inline constexpr absl::Duration kUncheckedTimeMax = absl::Seconds(3);

class Program {
 public:
  // A pattern of LIKE and GLOB may have `like_pattern_bytes_max` bytes.
  explicit Program(int like_pattern_bytes_max = 50);
  // Returns the program of an unknown statement, which may take long, and go over values often.
  static Program Unknown();

  // Adds the next row of EXPLAIN. The programs of triggers and foreign keys come after the statement's own, and each
  // begins at address 0.
  void Add(int64_t address, absl::string_view opcode, absl::string_view p4, int64_t p5);

  // Returns whether no instruction and no function is long.
  bool is_short() const { return is_short_; }
  // Returns the first function that no client may call; empty if there is none.
  const std::string& refused_function() const { return refused_function_; }
  // Returns the most bytes that a value may have.
  int ValueBytesMax() const;

 private:
  int64_t FunctionNsPerByte(absl::string_view name) const;

  int64_t like_ns_per_byte_;
  bool is_short_ = true;
  std::string refused_function_;
  // Nanoseconds that one run takes for each byte of a value: in the program that is being added, and in the longest.
  int64_t ns_per_byte_ = 0;
  int64_t ns_per_byte_max_ = 0;
};

// Returns the text without the blanks, comments and semicolons that it begins with: EXPLAIN cannot stand before a
// semicolon.
absl::string_view WithoutEmptyStatements(absl::string_view sql);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_PROGRAM_H_
