// Calls any method of the server by its name, with a request for a given object, so that a test can walk all of them.

#ifndef HOLDFAST_TESTS_SECURITY_ANY_CALL_H_
#define HOLDFAST_TESTS_SECURITY_ANY_CALL_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <memory>
#include <string>

namespace holdfast::testing {

// The thing that a request is for, as the request says it.
enum class TargetKind {
  kServer,     // nothing
  kNamespace,  // a namespace
  kObject,     // an object, of the class of the service
  kClass,      // an object, of a class that the request names
  kItem,       // an object, in an item of a batch or a stream
};

struct AnyRequest {
  std::unique_ptr<google::protobuf::Message> message;
  TargetKind kind;
};

// Makes a request of the method for the object. What the request does not say is left out.
AnyRequest MakeRequest(const google::protobuf::MethodDescriptor& method, const std::string& ns,
                       const std::string& object_class);

struct AnyOutcome {
  grpc::Status status;
  // A reply came; `item_code` is the code of the first error in it, 0 if there is none.
  bool replied = false;
  int item_code = 0;

  // Returns whether access control has refused the call, or its item.
  bool denied() const;
};

// Sends the request and waits for the first reply, or for the outcome. A stream that neither replies nor ends by then
// has DEADLINE_EXCEEDED. `token` is "" for a call without one.
AnyOutcome CallAny(const std::shared_ptr<grpc::Channel>& channel, const google::protobuf::MethodDescriptor& method,
                   const google::protobuf::Message& request, const std::string& token,
                   std::chrono::milliseconds timeout);

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_SECURITY_ANY_CALL_H_
