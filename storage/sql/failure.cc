#include "storage/sql/failure.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace holdfast::storage::sql {
namespace {

// Never leaves the process.
constexpr absl::string_view kPayload = "holdfast/sql-failure";

absl::StatusCode CodeOf(FailureKind kind) {
  switch (kind) {
    case FailureKind::kSqlError:
      return absl::StatusCode::kInvalidArgument;
    case FailureKind::kConstraint:
      return absl::StatusCode::kFailedPrecondition;
    case FailureKind::kOther:
      return absl::StatusCode::kInternal;
    default:
      return absl::StatusCode::kResourceExhausted;
  }
}

}  // namespace

absl::Status MakeFailure(const Failure& failure, absl::string_view message) {
  return WithFailure(absl::Status(CodeOf(failure.kind), message), failure);
}

absl::Status WithFailure(absl::Status status, const Failure& failure) {
  status.SetPayload(kPayload, absl::Cord(absl::StrCat(static_cast<int>(failure.kind), " ", failure.sqlite_code)));
  return status;
}

Failure FailureOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload) return {};
  const std::string text(*payload);
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ' ');
  int kind = 0;
  Failure failure;
  if (parts.size() == 2 && absl::SimpleAtoi(parts[0], &kind) && absl::SimpleAtoi(parts[1], &failure.sqlite_code)) {
    failure.kind = static_cast<FailureKind>(kind);
  }
  return failure;
}

}  // namespace holdfast::storage::sql
