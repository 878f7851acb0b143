#include "client/status.h"

#include <algorithm>

#include "google/rpc/status.pb.h"

namespace holdfast::client {
namespace {

constexpr char kDomain[] = "holdfast";

template <class Details>
absl::Status MakeStatus(int code, const std::string& message, const Details& details) {
  absl::Status status(static_cast<absl::StatusCode>(code), message);
  for (const google::protobuf::Any& detail : details) {
    status.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return status;
}

}  // namespace

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) details.Clear();
  return MakeStatus(status.error_code(), status.error_message(), details.details());
}

absl::Status FromItemError(const v1::ItemError& error) {
  return MakeStatus(error.code(), error.message(), error.details());
}

std::string ReasonOf(const absl::Status& status) {
  const auto info = DetailOf<google::rpc::ErrorInfo>(status);
  return info.has_value() && info->domain() == kDomain ? info->reason() : "";
}

absl::Status NotFound(absl::string_view message) {
  google::rpc::ErrorInfo info;
  info.set_domain(kDomain);
  info.set_reason("NOT_FOUND");
  absl::Status status = absl::NotFoundError(message);
  status.SetPayload(absl::StrCat("type.googleapis.com/", info.GetDescriptor()->full_name()),
                    absl::Cord(info.SerializeAsString()));
  return status;
}

std::optional<absl::Duration> RetryDelayOf(const absl::Status& status) {
  const auto info = DetailOf<google::rpc::RetryInfo>(status);
  if (!info.has_value()) return std::nullopt;
  const google::protobuf::Duration& delay = info->retry_delay();
  return std::max(absl::Seconds(delay.seconds()) + absl::Nanoseconds(delay.nanos()), absl::ZeroDuration());
}

bool OutcomeUnknown(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  if (!reason.empty()) return reason == "OUTCOME_UNKNOWN";
  switch (status.code()) {
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:  // gRPC: maybe the reply was over the client's bound
      return true;
    default:
      return false;
  }
}

}  // namespace holdfast::client
