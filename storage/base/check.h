// HOLDFAST_CHECK(condition, subject) ends the process where an invariant is broken. The log gets one line:
//
//   event=invariant_broken at=activation.cc:454 expression="waits_.size() <= turns_.size()"
//       object=default/Counter/a
//
// The subject is what the invariant is about: text, or an object with a DebugString(), such as an ObjectKey. It is
// evaluated only for a condition that does not hold. Checks stand in all builds. They are for faults of this program;
// what a client, the disk or another process can cause is an error with a status.

#ifndef HOLDFAST_STORAGE_BASE_CHECK_H_
#define HOLDFAST_STORAGE_BASE_CHECK_H_

#include <string>

#include "absl/strings/string_view.h"

namespace holdfast {

[[noreturn]] void EndBroken(const char* file, int line, const char* expression, const std::string& object);

inline std::string NameInCheck(absl::string_view text) { return std::string(text); }
template <typename T>
  requires requires(const T& subject) { subject.DebugString(); }
std::string NameInCheck(const T& subject) {
  return subject.DebugString();
}

}  // namespace holdfast

#define HOLDFAST_CHECK(condition, subject)                                                     \
  do {                                                                                         \
    if (!(condition)) [[unlikely]] {                                                           \
      ::holdfast::EndBroken(__FILE__, __LINE__, #condition, ::holdfast::NameInCheck(subject)); \
    }                                                                                          \
  } while (false)

#endif  // HOLDFAST_STORAGE_BASE_CHECK_H_
