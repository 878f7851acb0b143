// The file of an object, as ExportObject sends it.

#ifndef HOLDFAST_TESTS_INTEGRATION_OBJECT_FILE_H_
#define HOLDFAST_TESTS_INTEGRATION_OBJECT_FILE_H_

#include <grpcpp/client_context.h>

#include <string>
#include <utility>

#include "holdfast/v1/object_service.grpc.pb.h"

namespace holdfast::testing {

inline v1::ObjectId IdOf(const std::string& name, const std::string& object_class) {
  v1::ObjectId id;
  id.set_name(name);
  id.set_object_class(object_class);
  return id;
}

inline std::pair<grpc::Status, std::string> FileOf(v1::ObjectService::Stub& objects, const v1::ObjectId& object) {
  grpc::ClientContext context;
  v1::ExportObjectRequest request;
  *request.mutable_object() = object;
  auto stream = objects.ExportObject(&context, request);
  std::string file;
  v1::ExportObjectResponse part;
  while (stream->Read(&part)) file += part.chunk();
  return {stream->Finish(), file};
}

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_INTEGRATION_OBJECT_FILE_H_
