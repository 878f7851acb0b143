// A request on its way through the node, in the form that the service sends: with its handler, and the record of its
// id.

#ifndef HOLDFAST_TESTS_PROPERTY_CALL_H_
#define HOLDFAST_TESTS_PROPERTY_CALL_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "actors/objects/plain_object.h"
#include "actors/runtime/delivery.h"
#include "actors/wire/errors.h"
#include "service/call/message_record.h"
#include "tests/property/methods.h"
#include "tests/property/sql_model.h"
#include "tests/property/world.h"

namespace holdfast::property {

class Call : public actors::Delivery {
 public:
  // MakeCall makes calls. A call must be destroyed before the node.
  Call(Operation operation, int64_t sent_us) : operation(std::move(operation)), sent_us(sent_us) {}

  bool done() const { return status_.has_value(); }
  // Valid once the call is done.
  Reply reply() const {
    Reply reply{status_->code(), actors::ReasonOf(*status_), "", std::string(status_->message())};
    if (status_->ok()) reply.bytes = ReplyBytes();
    return reply;
  }
  // The token of a page; valid once the call is done.
  virtual std::string page_token() const = 0;

  Operation operation;
  const int64_t sent_us;

  void Done(const absl::Status& status) override { status_ = status; }

 protected:
  virtual std::string ReplyBytes() const = 0;

 private:
  std::optional<absl::Status> status_;
};

template <typename Req>
class TypedCall final : public Call {
 public:
  using Response = typename Method<Req>::Response;

  TypedCall(Operation operation, int64_t sent_us)
      : Call(std::move(operation), sent_us),
        request_(std::get<Req>(this->operation.request)),
        method_(request_.GetTypeName()),
        record_(&method_, &request_, &response_) {}

  actors::Task<absl::Status> Run(actors::Object& object) override {
    return (static_cast<actors::PlainObject&>(object).*Method<Req>::kHandler)(request_, &response_);
  }
  actors::RecordedRequest* recorded() override { return record_.IfAny(); }
  std::string page_token() const override {
    if constexpr (std::is_same_v<Req, v1::ListEntriesRequest>) return response_.next_page_token();
    return "";
  }

 private:
  std::string ReplyBytes() const override {
    if constexpr (std::is_same_v<Req, v1::ListEntriesRequest>) {
      v1::ListEntriesResponse response = response_;
      if (!response.next_page_token().empty()) response.set_next_page_token("more");
      return response.SerializeAsString();
    }
    if constexpr (std::is_same_v<Req, v1::ExecuteSqlRequest>) {
      v1::ExecuteSqlResponse response = response_;
      for (v1::SqlResult& result : *response.mutable_results()) CanonicalSql(&result);
      return response.SerializeAsString();
    }
    if constexpr (std::is_same_v<Req, v1::ApplyBatchRequest>) {
      v1::ApplyBatchResponse response = response_;
      for (v1::SqlResult& result : *response.mutable_sql_results()) CanonicalSql(&result);
      return response.SerializeAsString();
    }
    return response_.SerializeAsString();
  }

  const Req request_;
  Response response_;
  const std::string method_;
  service::MessageRecord<Req, Response> record_;
};

inline std::unique_ptr<Call> MakeCall(Operation operation, int64_t sent_us) {
  return std::visit(
      [&](const auto& request) -> std::unique_ptr<Call> {
        return std::make_unique<TypedCall<std::decay_t<decltype(request)>>>(std::move(operation), sent_us);
      },
      Request(operation.request));
}

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_CALL_H_
