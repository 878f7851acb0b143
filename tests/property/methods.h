// The methods of ObjectService that the property test calls: the reply type of each request, and its handler.

#ifndef HOLDFAST_TESTS_PROPERTY_METHODS_H_
#define HOLDFAST_TESTS_PROPERTY_METHODS_H_

#include <variant>

#include "actors/objects/plain_object.h"
#include "holdfast/v1/object_service.pb.h"

namespace holdfast::property {

using Request = std::variant<v1::GetEntriesRequest, v1::PutEntriesRequest, v1::DeleteEntriesRequest,
                             v1::ListEntriesRequest, v1::ApplyBatchRequest, v1::SetAlarmRequest, v1::GetAlarmRequest,
                             v1::DeleteAlarmRequest, v1::AcknowledgeAlarmRequest, v1::ExtendAlarmLeaseRequest,
                             v1::DeleteAllRequest, v1::CleanupRequest, v1::ExecuteSqlRequest, v1::MigrateSchemaRequest>;

template <typename Response_, auto kHandler_>
struct MethodOf {
  using Response = Response_;
  static constexpr auto kHandler = kHandler_;
};

template <typename Request>
struct Method;
template <>
struct Method<v1::GetEntriesRequest> : MethodOf<v1::GetEntriesResponse, &actors::PlainObject::GetEntries> {};
template <>
struct Method<v1::PutEntriesRequest> : MethodOf<v1::PutEntriesResponse, &actors::PlainObject::PutEntries> {};
template <>
struct Method<v1::DeleteEntriesRequest> : MethodOf<v1::DeleteEntriesResponse, &actors::PlainObject::DeleteEntries> {};
template <>
struct Method<v1::ListEntriesRequest> : MethodOf<v1::ListEntriesResponse, &actors::PlainObject::ListEntries> {};
template <>
struct Method<v1::ApplyBatchRequest> : MethodOf<v1::ApplyBatchResponse, &actors::PlainObject::ApplyBatch> {};
template <>
struct Method<v1::SetAlarmRequest> : MethodOf<v1::SetAlarmResponse, &actors::PlainObject::SetAlarm> {};
template <>
struct Method<v1::GetAlarmRequest> : MethodOf<v1::GetAlarmResponse, &actors::PlainObject::GetAlarm> {};
template <>
struct Method<v1::DeleteAlarmRequest> : MethodOf<v1::DeleteAlarmResponse, &actors::PlainObject::DeleteAlarm> {};
template <>
struct Method<v1::AcknowledgeAlarmRequest>
    : MethodOf<v1::AcknowledgeAlarmResponse, &actors::PlainObject::AcknowledgeAlarm> {};
template <>
struct Method<v1::ExtendAlarmLeaseRequest>
    : MethodOf<v1::ExtendAlarmLeaseResponse, &actors::PlainObject::ExtendAlarmLease> {};
template <>
struct Method<v1::DeleteAllRequest> : MethodOf<v1::DeleteAllResponse, &actors::PlainObject::DeleteAll> {};
template <>
struct Method<v1::CleanupRequest> : MethodOf<v1::CleanupResponse, &actors::PlainObject::Cleanup> {};
template <>
struct Method<v1::ExecuteSqlRequest> : MethodOf<v1::ExecuteSqlResponse, &actors::PlainObject::ExecuteSql> {};
template <>
struct Method<v1::MigrateSchemaRequest> : MethodOf<v1::MigrateSchemaResponse, &actors::PlainObject::MigrateSchema> {};

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_METHODS_H_
