// Matchers for absl::Status and absl::StatusOr, which this version of Abseil lacks.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_STATUS_MATCHERS_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_STATUS_MATCHERS_H_

#include <gmock/gmock.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace holdfast::storage {

inline const absl::Status& ToStatus(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& ToStatus(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << ToStatus(arg).ToString();
  return ToStatus(arg).ok();
}

// Matches a status with this code and a message that contains `text`.
MATCHER_P2(IsStatus, code, text,
           "is " + absl::StatusCodeToString(code) + " with \"" + testing::PrintToString(text) + "\" in it") {
  *result_listener << ToStatus(arg).ToString();
  return ToStatus(arg).code() == code && std::string(ToStatus(arg).message()).find(text) != std::string::npos;
}

// Matches an OK status with a value that `value` matches.
MATCHER_P(IsOkAnd, value, "is OK and holds what is expected") {
  if (!arg.ok()) {
    *result_listener << arg.status().ToString();
    return false;
  }
  *result_listener << "which holds " << testing::PrintToString(*arg) << " ";
  return testing::ExplainMatchResult(value, *arg, result_listener);
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_STATUS_MATCHERS_H_
