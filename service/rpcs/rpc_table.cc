#include "service/rpcs/rpc_table.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/objects/batch_processor.h"
#include "actors/objects/counter.h"
#include "actors/objects/plain_object.h"
#include "actors/objects/rate_limiter.h"
#include "actors/objects/user_cache.h"
#include "google/protobuf/descriptor.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "service/call/batch_call.h"
#include "service/call/direct_call.h"
#include "service/call/stream_call.h"
#include "service/rpcs/alarm_watch.h"
#include "service/rpcs/health.h"
#include "service/rpcs/object_calls.h"
#include "service/rpcs/reflection.h"
#include "service/rpcs/rpc_row.h"
#include "service/rpcs/sql_files.h"

namespace holdfast::service {
namespace {

using actors::BatchProcessor;
using actors::Counter;
using actors::Object;
using actors::ObjectClass;
using actors::PlainObject;
using actors::RateLimiter;
using actors::UserCache;

constexpr int kIncrementsMax = 1000;
// What the items of a batch and of a stream are, each by itself.
constexpr char kIncrement[] = "holdfast.v1.CounterService.Increment";

// A row for a method that the server itself answers.
template <typename Request, typename Response>
RpcTable::Row Direct(const std::string& method, grpc::Service* service,
                     void (*handle)(Endpoint*, const Request&, Response*, DirectDone)) {
  using Method = DirectMethod<Request, Response>;
  auto row = std::make_shared<Method>(Method{.raw = RawMethod(service, method), .handle = handle});
  return {method, [row](Endpoint* endpoint) { DirectCall<Request, Response>::Post(row.get(), endpoint); }};
}

RpcTable::Row BatchIncrement(const std::string& method, grpc::Service* service) {
  using Call = BatchCall<v1::BatchIncrementRequest, v1::BatchIncrementResponse, v1::IncrementRequest,
                         v1::IncrementResponse, v1::IncrementResult>;
  auto row = std::make_shared<Call::Method>(Call::Method{.raw = RawMethod(service, method),
                                                         .items = &v1::BatchIncrementRequest::increments,
                                                         .items_field = "increments",
                                                         .items_max = kIncrementsMax,
                                                         .add_result = &v1::BatchIncrementResponse::add_results,
                                                         .handle = HandlerTraits<&Counter::Increment>::Handle,
                                                         .item_method = kIncrement,
                                                         .object_class = &Counter::Class()});
  return {method, [row](Endpoint* endpoint) { Call::Post(row.get(), endpoint); }};
}

RpcTable::Row StreamIncrement(const std::string& method, grpc::Service* service) {
  using Call =
      StreamCall<v1::StreamIncrementRequest, v1::StreamIncrementResponse, v1::IncrementRequest, v1::IncrementResponse>;
  auto row = std::make_shared<Call::Method>(Call::Method{.raw = RawMethod(service, method),
                                                         .item = &v1::StreamIncrementRequest::increment,
                                                         .result = &v1::StreamIncrementResponse::mutable_result,
                                                         .handle = HandlerTraits<&Counter::Increment>::Handle,
                                                         .item_method = kIncrement,
                                                         .object_class = &Counter::Class()});
  return {method, [row](Endpoint* endpoint) { Call::Post(row.get(), endpoint); }};
}

}  // namespace

struct RpcTable::Services {
  v1::CounterService::AsyncService counter;
  v1::RateLimiterService::AsyncService limiter;
  v1::BatchProcessorService::AsyncService batch;
  v1::UserCacheService::AsyncService users;
  v1::ObjectService::AsyncService object;
  HealthService health;
  ReflectionService reflection;
};

std::vector<const ObjectClass*> RpcTable::Classes() {
  return {&Counter::Class(), &RateLimiter::Class(), &BatchProcessor::Class(), &UserCache::Class(),
          &PlainObject::Class()};
}

RpcTable::RpcTable() : services_(std::make_unique<Services>()) {
#define UNARY(member, Service, Method, Handler, object_class) \
  rows_.push_back(Unary<&Handler>("holdfast.v1." #Service "." #Method, &services_->member, object_class))

  UNARY(counter, CounterService, Increment, Counter::Increment, &Counter::Class());
  UNARY(counter, CounterService, GetValue, Counter::GetValue, &Counter::Class());
  UNARY(counter, CounterService, GetUniqueNumber, Counter::GetUniqueNumber, &Counter::Class());
  UNARY(counter, CounterService, ResetCounter, Counter::ResetCounter, &Counter::Class());
  rows_.push_back(BatchIncrement("holdfast.v1.CounterService.BatchIncrement", &services_->counter));
  rows_.push_back(StreamIncrement("holdfast.v1.CounterService.StreamIncrement", &services_->counter));

  UNARY(limiter, RateLimiterService, CheckLimit, RateLimiter::CheckLimit, &RateLimiter::Class());
  UNARY(limiter, RateLimiterService, CheckLimits, RateLimiter::CheckLimits, &RateLimiter::Class());
  UNARY(limiter, RateLimiterService, ResetLimit, RateLimiter::ResetLimit, &RateLimiter::Class());

  const ObjectClass* const batch = &BatchProcessor::Class();
  UNARY(batch, BatchProcessorService, AddItems, BatchProcessor::AddItems, batch);
  UNARY(batch, BatchProcessorService, ConfigureBatch, BatchProcessor::ConfigureBatch, batch);
  UNARY(batch, BatchProcessorService, FlushBatch, BatchProcessor::FlushBatch, batch);
  UNARY(batch, BatchProcessorService, ListProcessedItems, BatchProcessor::ListProcessedItems, batch);
  UNARY(batch, BatchProcessorService, TrimProcessedItems, BatchProcessor::TrimProcessedItems, batch);
  UNARY(batch, BatchProcessorService, GetBatchStatus, BatchProcessor::GetBatchStatus, batch);

  UNARY(users, UserCacheService, GetUser, UserCache::GetUser, &UserCache::Class());
  UNARY(users, UserCacheService, UpdateUser, UserCache::UpdateUser, &UserCache::Class());
  UNARY(users, UserCacheService, DeleteUser, UserCache::DeleteUser, &UserCache::Class());
  UNARY(users, UserCacheService, BatchGetUsers, UserCache::BatchGetUsers, &UserCache::Class());
  UNARY(users, UserCacheService, ListUsers, UserCache::ListUsers, &UserCache::Class());

  UNARY(object, ObjectService, GetEntries, Object::GetEntries, nullptr);
  UNARY(object, ObjectService, PutEntries, PlainObject::PutEntries, nullptr);
  UNARY(object, ObjectService, DeleteEntries, PlainObject::DeleteEntries, nullptr);
  UNARY(object, ObjectService, ListEntries, Object::ListEntries, nullptr);
  UNARY(object, ObjectService, ApplyBatch, PlainObject::ApplyBatch, nullptr);
  UNARY(object, ObjectService, ExecuteSql, PlainObject::ExecuteSql, nullptr);
  UNARY(object, ObjectService, MigrateSchema, PlainObject::MigrateSchema, nullptr);
  UNARY(object, ObjectService, SetAlarm, PlainObject::SetAlarm, nullptr);
  UNARY(object, ObjectService, GetAlarm, Object::GetAlarm, nullptr);
  UNARY(object, ObjectService, DeleteAlarm, PlainObject::DeleteAlarm, nullptr);
  UNARY(object, ObjectService, AcknowledgeAlarm, PlainObject::AcknowledgeAlarm, nullptr);
  UNARY(object, ObjectService, ExtendAlarmLease, PlainObject::ExtendAlarmLease, nullptr);
  UNARY(object, ObjectService, DeleteAll, Object::DeleteAll, nullptr);
  UNARY(object, ObjectService, Cleanup, Object::Cleanup, nullptr);
#undef UNARY

  grpc::Service* const objects = &services_->object;
  rows_.push_back(Direct("holdfast.v1.ObjectService.ListObjects", objects, &ListObjects));
  rows_.push_back(Direct("holdfast.v1.ObjectService.DescribeObject", objects, &DescribeObject));
  rows_.push_back(Direct("holdfast.v1.ObjectService.PassivateObject", objects, &PassivateObject));
  // A row for a method whose calls are a class of their own.
  const auto row = [this](const std::string& method, grpc::Service* service,
                          void (*post)(const RawMethod*, Endpoint*)) {
    auto raw = std::make_shared<RawMethod>(service, method);
    rows_.push_back({method, [raw, post](Endpoint* endpoint) { post(raw.get(), endpoint); }});
  };
  row("holdfast.v1.ObjectService.ExportSql", objects, &PostSqlExport);
  row("holdfast.v1.ObjectService.ImportSql", objects, &PostSqlImport);
  row("holdfast.v1.ObjectService.WatchAlarms", objects, &PostAlarmWatch);

  ReflectionService* const reflection = &services_->reflection;
  reflection->names = ServiceNames();
  rows_.push_back({"grpc.reflection.v1.ServerReflection.ServerReflectionInfo",
                   [reflection](Endpoint* endpoint) { PostReflectionV1(reflection, endpoint); }});
  rows_.push_back({"grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo",
                   [reflection](Endpoint* endpoint) { PostReflectionV1Alpha(reflection, endpoint); }});

  HealthService* const health = &services_->health;
  for (std::string& name : ServiceNames()) health->names.insert(std::move(name));
  health->names.insert("");
  rows_.push_back({"grpc.health.v1.Health.Check", [health](Endpoint* endpoint) { PostHealthCheck(health, endpoint); }});
  rows_.push_back({"grpc.health.v1.Health.Watch", [health](Endpoint* endpoint) { PostHealthWatch(health, endpoint); }});
}

RpcTable::~RpcTable() = default;

void RpcTable::Add(std::string name, grpc::Service* service, std::vector<Row> rows) {
  services_->health.names.insert(name);
  services_->reflection.names.push_back(name);
  added_.emplace_back(std::move(name), service);
  std::move(rows.begin(), rows.end(), std::back_inserter(rows_));
}

void RpcTable::Register(grpc::ServerBuilder* builder) {
  builder->RegisterService(&services_->counter);
  builder->RegisterService(&services_->limiter);
  builder->RegisterService(&services_->batch);
  builder->RegisterService(&services_->users);
  builder->RegisterService(&services_->object);
  builder->RegisterService(&services_->health.async);
  builder->RegisterService(&services_->reflection.v1);
  builder->RegisterService(&services_->reflection.v1alpha);
  for (const auto& [name, service] : added_) builder->RegisterService(service);
}

std::vector<std::string> RpcTable::ServiceNames() const {
  std::vector<std::string> names = {v1::CounterService::service_full_name(),
                                    v1::RateLimiterService::service_full_name(),
                                    v1::BatchProcessorService::service_full_name(),
                                    v1::UserCacheService::service_full_name(),
                                    v1::ObjectService::service_full_name(),
                                    grpc::health::v1::Health::service_full_name(),
                                    grpc::reflection::v1::ServerReflection::service_full_name(),
                                    grpc::reflection::v1alpha::ServerReflection::service_full_name()};
  for (const auto& [name, service] : added_) names.push_back(name);
  return names;
}

absl::Status RpcTable::CheckComplete() const {
  for (const std::string& name : ServiceNames()) {
    const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    if (service == nullptr) return absl::InternalError(absl::StrCat("service ", name, " has no descriptor"));
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string& method = service->method(i)->full_name();
      const bool found = std::any_of(rows_.begin(), rows_.end(), [&](const Row& row) { return row.method == method; });
      if (!found) return absl::InternalError(absl::StrCat("method ", method, " has no row in the table of RPCs"));
    }
  }
  return absl::OkStatus();
}

void RpcTable::Post(Endpoint* endpoint) const {
  for (const Row& row : rows_) row.post(endpoint);
}

}  // namespace holdfast::service
