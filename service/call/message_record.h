// A request and its reply, as the record of a request_id keeps them.

#ifndef HOLDFAST_SERVICE_CALL_MESSAGE_RECORD_H_
#define HOLDFAST_SERVICE_CALL_MESSAGE_RECORD_H_

#include <xxhash.h>

#include <string>

#include "absl/strings/string_view.h"
#include "actors/runtime/recorded_request.h"
#include "actors/wire/deterministic.h"
#include "service/call/canonical_hash.h"

namespace holdfast::service {

template <typename Request>
concept HasRequestId = requires(const Request& request) { request.request_id(); };

template <typename Request, typename Response>
class MessageRecord final : public actors::RecordedRequest {
 public:
  // The pointers must outlive this.
  MessageRecord(const std::string* method, const Request* request, Response* response)
      : method_(method), request_(request), response_(response) {}

  // Returns the value for Delivery::recorded(): null if the request has no request_id.
  actors::RecordedRequest* IfAny() { return request_id().empty() ? nullptr : this; }

  absl::string_view request_id() const override {
    if constexpr (HasRequestId<Request>) return request_->request_id();
    return "";
  }
  absl::string_view method() const override { return *method_; }
  std::string Hash() const override {
    const std::string bytes = actors::SerializeDeterministically(*request_);
    return CanonicalBytes(XXH3_128bits(bytes.data(), bytes.size()));
  }
  std::string SerializeReply() const override { return actors::SerializeDeterministically(*response_); }
  bool ParseReply(absl::string_view bytes) override {
    replayed_ = response_->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return replayed_;
  }
  // Returns whether the reply is that of an earlier request with the same id.
  bool replayed() const { return replayed_; }

 private:
  const std::string* const method_;
  const Request* const request_;
  Response* const response_;
  bool replayed_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_MESSAGE_RECORD_H_
