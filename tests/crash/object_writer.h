// One thread's writes to objects of its own, each with a request_id, so that the objects' contents are known exactly
// once the last call has been sent again. The objects are entries written together, an object that grows over 1 MiB and
// is emptied again and so moves between families, a count that shows a second effect, and batches whose alarm processes
// them.

#ifndef HOLDFAST_TESTS_CRASH_OBJECT_WRITER_H_
#define HOLDFAST_TESTS_CRASH_OBJECT_WRITER_H_

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/crash/retried_call.h"

namespace holdfast::testing {

class ObjectWriter {
 public:
  ObjectWriter(int index, uint64_t seed) : index_(index), random_(seed) {}

  // Makes one write; returns false if there was no answer.
  bool Write(const Stubs& stubs);
  // Returns whether the last write created an object.
  bool created() const { return created_; }
  // Sends the last calls again and compares all objects; returns the errors. Call this in the next life, before
  // anything is written.
  std::vector<std::string> Verify(const Stubs& stubs);
  // Returns how many items wait for the batch's alarm.
  int64_t PendingItems(const Stubs& stubs);

  int64_t repeated() const { return repeated_; }
  // The number of changes of place that Verify has seen.
  int64_t moves_seen() const { return moves_seen_; }

 private:
  std::string Name(const std::string& what) const;
  std::string NextId();

  bool PutTogether(const Stubs& stubs);
  bool Grow(const Stubs& stubs);
  bool ComeOrGo(const Stubs& stubs);
  bool Count(const Stubs& stubs);
  bool Increment(const Stubs& stubs);
  bool AddItems(const Stubs& stubs);

  std::map<std::string, std::string> ReadAll(const Stubs& stubs, const std::string& object);
  void VerifyTogether(const Stubs& stubs);
  void VerifyLarge(const Stubs& stubs);
  void VerifyBrief(const Stubs& stubs);
  void VerifyCount(const Stubs& stubs);
  void VerifyItems(const Stubs& stubs);
  void NotePlaces(const Stubs& stubs);

  const int index_;
  std::mt19937_64 random_;
  RetriedCalls calls_;
  int64_t next_id_ = 0;
  // The acknowledged state of each object.
  int64_t revision_ = 0;
  int64_t growth_ = 0;
  int64_t changes_ = 0;
  int64_t count_ = 0;
  int64_t increments_ = 0;
  std::map<std::string, int64_t> items_;  // each with the time before which its alarm must not come
  bool configured_ = false;
  int64_t next_item_ = 0;
  bool created_ = false;

  std::map<std::string, int> places_;
  int64_t repeated_ = 0;
  int64_t moves_seen_ = 0;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CRASH_OBJECT_WRITER_H_
