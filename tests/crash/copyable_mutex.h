// A mutex of an object that tests copy: the copy has one of its own. Nobody may hold it meanwhile.

#ifndef HOLDFAST_TESTS_CRASH_COPYABLE_MUTEX_H_
#define HOLDFAST_TESTS_CRASH_COPYABLE_MUTEX_H_

#include <mutex>

namespace holdfast::testing {

class CopyableMutex : public std::mutex {
 public:
  CopyableMutex() = default;
  CopyableMutex(const CopyableMutex&) {}
  CopyableMutex& operator=(const CopyableMutex&) { return *this; }
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CRASH_COPYABLE_MUTEX_H_
