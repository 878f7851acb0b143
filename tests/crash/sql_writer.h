// One thread's SQL on objects of its own, each call with a request_id, so that every row is known exactly once the last
// call has been sent again.
//
// An object has a table of items with an index, and a table of counts that triggers maintain. Items are inserted,
// updated relative to their stored values (so that a second effect is seen), and deleted, which frees pages. Some calls
// write a key in the same commit. One object has small items; the other's items have bodies of several pages, so that
// it grows over 1 MiB and moves between families.

#ifndef HOLDFAST_TESTS_CRASH_SQL_WRITER_H_
#define HOLDFAST_TESTS_CRASH_SQL_WRITER_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/crash/retried_call.h"

namespace holdfast::testing {

class SqlWriter {
 public:
  SqlWriter(int index, uint64_t seed);

  // Makes one call; returns false if there was no answer.
  bool Write(const Stubs& stubs);
  // Checks that every database is whole, sends the last calls again, and compares every row, every count, the index and
  // the key. Call this in the next life, before anything is written.
  std::vector<std::string> Verify(const Stubs& stubs);

  // Rows that acknowledged calls inserted, updated or deleted, without those of triggers.
  int64_t rows_written() const { return rows_written_; }
  // Rows that Verify has found to be right.
  int64_t rows_compared() const { return rows_compared_; }
  int64_t databases_checked() const { return databases_checked_; }
  int64_t repeated() const { return repeated_; }

 private:
  struct Item {
    int64_t revision = 0;
    std::string tag;
    std::string body;

    bool operator==(const Item&) const = default;
  };
  // An object by the acknowledged calls.
  struct Tested {
    std::string name;
    bool large = false;
    bool migrated = false;
    int64_t next_item = 1;
    int64_t batches = 0;
    std::map<int64_t, Item> items;
  };

  bool Migrate(const Stubs& stubs, Tested* object);
  bool Insert(const Stubs& stubs, Tested* object);
  bool InsertWithKey(const Stubs& stubs, Tested* object);
  bool Update(const Stubs& stubs, Tested* object);
  bool Delete(const Stubs& stubs, Tested* object);
  bool DeleteAll(const Stubs& stubs, Tested* object);
  bool Send(const Stubs& stubs, const v1::ExecuteSqlRequest& request, int64_t rows, std::function<void()> done);

  v1::ExecuteSqlRequest NewRequest(const Tested& object);
  std::string NextId();
  Item NewItem(const Tested& object);
  int64_t AnyItem(const Tested& object);

  void CheckWhole(const Stubs& stubs, const Tested& object);
  void Compare(const Stubs& stubs, const Tested& object);
  void Differ(const Tested& object, const std::string& what);

  const int index_;
  std::mt19937_64 random_;
  RetriedCalls calls_;
  int64_t next_id_ = 0;
  std::array<Tested, 2> objects_;
  int64_t rows_written_ = 0;
  int64_t rows_compared_ = 0;
  int64_t databases_checked_ = 0;
  int64_t repeated_ = 0;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CRASH_SQL_WRITER_H_
