#include "service/call/status.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "actors/wire/utf8.h"
#include "google/rpc/status.pb.h"

namespace holdfast::service {
namespace {

// google.rpc.Status and ItemError have the same fields.
template <typename Wire>
void Fill(const absl::Status& status, Wire* wire) {
  wire->set_code(static_cast<int>(status.code()));
  wire->set_message(actors::ValidUtf8(status.message()));
  status.ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
    // Other payloads are for this process only.
    if (!absl::StartsWith(type_url, "type.googleapis.com/")) return;
    auto* detail = wire->add_details();
    detail->set_type_url(std::string(type_url));
    detail->set_value(std::string(payload));
  });
}

template <typename Wire>
absl::Status Read(int code, const std::string& message, const Wire& wire) {
  absl::Status status(static_cast<absl::StatusCode>(code), message);
  for (const auto& detail : wire.details()) status.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  return status;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details;
  Fill(status, &details);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), details.message(), details.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) details.clear_details();
  return Read(static_cast<int>(status.error_code()), status.error_message(), details);
}

void ToItemError(const absl::Status& status, v1::ItemError* error) { Fill(status, error); }

absl::Status FromItemError(const v1::ItemError& error) { return Read(error.code(), error.message(), error); }

}  // namespace holdfast::service
