#include "service/rpcs/rights.h"

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "actors/wire/errors.h"
#include "holdfast/v1/object_service.pb.h"
#include "service/call/reply_call.h"
#include "service/call/request_object.h"

namespace holdfast::service {
namespace {

// A class of its own, since the gate tells no handler who calls. In a cluster the node answers that the client is
// connected to: the others do not know the caller.
class RightsCall final : public ReplyCall<v1::GetRightsRequest, v1::GetRightsResponse> {
 public:
  RightsCall(const RawMethod* method, Endpoint* endpoint) : ReplyCall(method, endpoint) {}

 private:
  void PostNext() override { PostGetRights(method_, endpoint_); }

  absl::Status Begin() override {
    if (absl::Status status = CheckNamespace(request().namespace_(), "namespace"); !status.ok()) return status;
    const absl::string_view class_name =
        request().object_class().empty() ? kDefaultClass : absl::string_view(request().object_class());
    if (endpoint_->classes->Find(class_name) == nullptr) {
      return actors::InvalidField("object_class", "is no class of this server");
    }
    if (absl::Status status = AdmitTarget(Target::Server()); !status.ok()) return status;
    const absl::string_view ns = NamespaceOrDefault(request().namespace_());
    const Caller* const caller = lease_.caller();  // null: there is no access control
    const auto may = [&](Verb verb) { return caller == nullptr || caller->rights.OnObject(verb, ns, class_name); };
    response_->set_read(may(Verb::kRead));
    response_->set_write(may(Verb::kWrite));
    response_->set_admin(may(Verb::kAdmin));
    response_->set_admin_of_server(caller == nullptr || caller->rights.OnEverything(Verb::kAdmin));
    Finish(ReserveReply());
    return absl::OkStatus();
  }
};

}  // namespace

void PostGetRights(const RawMethod* method, Endpoint* endpoint) { new RightsCall(method, endpoint); }

}  // namespace holdfast::service
