#include "actors/wire/errors.h"

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "actors/wire/utf8.h"
#include "google/rpc/error_details.pb.h"
#include "storage/base/log.h"
#include "storage/store/store.h"

namespace holdfast::actors {
namespace {

constexpr char kDomain[] = "holdfast";
constexpr char kReasonPrefix[] = "ERROR_REASON_";

// Cuts a text at kErrorMessageBytesMax, but not within a character.
absl::string_view Cut(absl::string_view text) {
  if (text.size() <= kErrorMessageBytesMax) return text;
  size_t end = kErrorMessageBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

template <typename Detail>
std::string TypeUrl() {
  return absl::StrCat("type.googleapis.com/", Detail::descriptor()->full_name());
}

template <typename Detail>
void Attach(absl::Status* status, const Detail& detail) {
  status->SetPayload(TypeUrl<Detail>(), absl::Cord(detail.SerializeAsString()));
}

void AttachQuota(absl::Status* status, absl::string_view subject, absl::string_view message) {
  google::rpc::QuotaFailure quota;
  auto* violation = quota.add_violations();
  violation->set_subject(std::string(subject));
  violation->set_description(std::string(Cut(ValidUtf8(message))));
  Attach(status, quota);
}

using Metadata = std::initializer_list<std::pair<absl::string_view, absl::string_view>>;

absl::Status ErrorWith(absl::StatusCode code, v1::ErrorReason reason, absl::string_view message,
                       const Metadata& metadata) {
  // The message may quote text of a client or of SQLite that is not UTF-8.
  const std::string text = ValidUtf8(message);
  absl::Status status(code, Cut(text));
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(absl::StripPrefix(v1::ErrorReason_Name(reason), kReasonPrefix)));
  info.set_domain(kDomain);
  for (const auto& [key, value] : metadata) (*info.mutable_metadata())[std::string(key)] = ValidUtf8(value);
  Attach(&status, info);
  return status;
}

}  // namespace

absl::Status Error(absl::StatusCode code, v1::ErrorReason reason, absl::string_view message) {
  return ErrorWith(code, reason, message, {});
}

absl::Status SqlError(absl::StatusCode code, v1::ErrorReason reason, int sqlite_code, absl::string_view message) {
  if (sqlite_code == 0) return Error(code, reason, message);
  return ErrorWith(code, reason, message, {{"sqlite_code", absl::StrCat(sqlite_code)}});
}

absl::Status ListDamaged(absl::string_view what, absl::string_view next_page_token) {
  if (next_page_token.empty()) {
    return Error(
        absl::StatusCode::kDataLoss, v1::ERROR_REASON_DATA_CORRUPT,
        absl::StrCat(what, " is damaged from here to its end, so items are missing; the server's log says more"));
  }
  return ErrorWith(
      absl::StatusCode::kDataLoss, v1::ERROR_REASON_DATA_CORRUPT,
      absl::StrCat(what, " is damaged here, so items are missing; the list goes on with the page_token that ",
                   "is in the metadata of the ErrorInfo as next_page_token"),
      {{"next_page_token", next_page_token}});
}

absl::Status InvalidField(absl::string_view field, absl::string_view problem) {
  absl::Status status =
      Error(absl::StatusCode::kInvalidArgument, v1::ERROR_REASON_INVALID_FIELD, absl::StrCat(field, ": ", problem));
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(std::string(field));
  violation->set_description(std::string(Cut(ValidUtf8(problem))));
  Attach(&status, bad_request);
  return status;
}

absl::Status PermissionDenied(absl::string_view principal, absl::string_view verb, absl::string_view ns,
                              absl::string_view object_class) {
  const std::string where = ns.empty() ? "anything"
                            : object_class.empty()
                                ? absl::StrCat("the namespace \"", ns, "\"")
                                : absl::StrCat("objects of the class ", object_class, " in the namespace \"", ns, "\"");
  return ErrorWith(absl::StatusCode::kPermissionDenied, v1::ERROR_REASON_PERMISSION_DENIED,
                   absl::StrCat(principal, " has no right to ", verb, " on ", where),
                   {{"principal", principal}, {"verb", verb}, {"namespace", ns}, {"object_class", object_class}});
}

absl::Status NotFound(absl::string_view message) {
  return Error(absl::StatusCode::kNotFound, v1::ERROR_REASON_NOT_FOUND, message);
}

absl::Status Retryable(absl::StatusCode code, v1::ErrorReason reason, absl::string_view message, absl::Duration after) {
  absl::Status status = Error(code, reason, message);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(absl::ToInt64Seconds(after));
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(after % absl::Seconds(1))));
  Attach(&status, retry);
  return status;
}

absl::Status QuotaExceeded(absl::string_view subject, absl::string_view message) {
  absl::Status status = Error(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA, message);
  AttachQuota(&status, subject, message);
  return status;
}

absl::Status NamespaceQuota(absl::string_view ns, absl::string_view setting, absl::Duration after) {
  const std::string message =
      absl::StrCat("the namespace \"", ns, "\" has reached its quota (namespace.", setting, ")");
  absl::Status status =
      Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_NAMESPACE_QUOTA, message, after);
  AttachQuota(&status, absl::StrCat("namespace:", ns), message);
  return status;
}

absl::Status ObjectReset(absl::string_view why) {
  return Retryable(absl::StatusCode::kUnavailable, v1::ERROR_REASON_OBJECT_RESET, why, absl::Milliseconds(100));
}

absl::Status DeadlinePassed() {
  return Error(absl::StatusCode::kDeadlineExceeded, v1::ERROR_REASON_DEADLINE_PASSED,
               "the deadline passed while the request waited for its turn; nothing was done");
}

absl::Status WrongOwner() {
  return Retryable(absl::StatusCode::kUnavailable, v1::ERROR_REASON_WRONG_OWNER,
                   "the object's shard is moving; nothing of the request happened", absl::Milliseconds(100));
}

absl::Status LeaseEnded() {
  return Retryable(absl::StatusCode::kUnavailable, v1::ERROR_REASON_WRONG_OWNER,
                   "the server has lost touch with its database, and another one may own the object by now; nothing of "
                   "the request happened",
                   absl::Milliseconds(100));
}

absl::Status CommitFailed(const absl::Status& status) {
  if (storage::IsNotOwner(status)) return ObjectReset("this server does not own the object any more; nothing was done");
  return Error(absl::StatusCode::kUnavailable, v1::ERROR_REASON_OUTCOME_UNKNOWN,
               "the write could not be made durable; it may or may not have happened");
}

absl::Status FromStorage(const absl::Status& status) {
  if (status.ok() || ReasonOf(status) != v1::ERROR_REASON_UNSPECIFIED) return status;
  if (storage::IsNotOwner(status)) return WrongOwner();
  switch (status.code()) {
    case absl::StatusCode::kDataLoss:
      Log(LogLevel::kError, "data_loss", {{"status", status.ToString()}});
      return Error(status.code(), v1::ERROR_REASON_DATA_CORRUPT,
                   "stored data of the object is damaged; the server's log says what is wrong");
    case absl::StatusCode::kInternal:
      Log(LogLevel::kError, "internal_error", {{"status", status.ToString()}});
      return absl::InternalError("an error inside the server; its log says which");
    default:
      return status;
  }
}

v1::ErrorReason ReasonOf(const absl::Status& status) {
  static const std::string* const url = new std::string(TypeUrl<google::rpc::ErrorInfo>());
  const std::optional<absl::Cord> payload = [&]() -> std::optional<absl::Cord> {
    auto found = status.GetPayload(*url);
    if (!found) return std::nullopt;
    return *found;
  }();
  google::rpc::ErrorInfo info;
  v1::ErrorReason reason = v1::ERROR_REASON_UNSPECIFIED;
  if (payload && info.ParseFromString(std::string(*payload))) {
    v1::ErrorReason_Parse(absl::StrCat(kReasonPrefix, info.reason()), &reason);
  }
  return reason;
}

}  // namespace holdfast::actors
