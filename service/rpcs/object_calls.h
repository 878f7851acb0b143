// The calls of ObjectService that are no turns of an object: ListObjects, DescribeObject and PassivateObject.

#ifndef HOLDFAST_SERVICE_RPCS_OBJECT_CALLS_H_
#define HOLDFAST_SERVICE_RPCS_OBJECT_CALLS_H_

#include <vector>

#include "absl/status/status.h"
#include "holdfast/v1/object_service.pb.h"
#include "service/call/direct_call.h"
#include "service/call/endpoint.h"
#include "service/call/gather_call.h"
#include "service/call/request_object.h"
#include "storage/store/shard_set.h"

namespace holdfast::service {

void ListObjects(Endpoint* endpoint, Admission admit, const storage::ShardSet& shards,
                 const v1::ListObjectsRequest& request, v1::ListObjectsResponse* response, DirectDone done);
absl::Status MergeObjects(const Endpoint& endpoint, Admission admit, const v1::ListObjectsRequest& request,
                          std::vector<PeerAnswer<v1::ListObjectsResponse>> others, v1::ListObjectsResponse* response);
void DescribeObject(Endpoint* endpoint, const RequestObject& object, v1::DescribeObjectResponse* response,
                    DirectDone done);
void PassivateObject(Endpoint* endpoint, const RequestObject& object, v1::PassivateObjectResponse* response,
                     DirectDone done);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_OBJECT_CALLS_H_
