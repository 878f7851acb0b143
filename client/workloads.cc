#include "client/workloads.h"

#include "absl/strings/str_cat.h"

namespace holdfast::client {
namespace {

using v1::BatchProcessorService;
using v1::CounterService;
using v1::ObjectService;
using v1::RateLimiterService;

// Calls go round so many keys of a limiter, entries of an object, and rows of a table.
constexpr int64_t kPerObject = 100;
constexpr char kValue[] = "a value of twenty b.";

v1::ObjectId IdOf(const v1::ObjectRef& object) {
  v1::ObjectId id;
  id.set_namespace_(object.namespace_());
  id.set_name(object.name());
  return id;
}

absl::Status Increment(Client& client, const v1::ObjectRef& object, int64_t) {
  v1::IncrementRequest request;
  *request.mutable_object() = object;
  return client.Call(CallKind::kMutation, &CounterService::Stub::Increment, request).status();
}

absl::Status PrepareCounter(Client& client, const v1::ObjectRef& object) { return Increment(client, object, 0); }

absl::Status GetValue(Client& client, const v1::ObjectRef& object, int64_t) {
  v1::GetValueRequest request;
  *request.mutable_object() = object;
  return client.Call(CallKind::kIdempotent, &CounterService::Stub::GetValue, request).status();
}

// A denial is an answer like another one.
absl::Status CheckLimit(Client& client, const v1::ObjectRef& object, int64_t number) {
  v1::CheckLimitRequest request;
  *request.mutable_object() = object;
  request.mutable_check()->set_key(absl::StrCat("key-", number % kPerObject));
  request.mutable_check()->set_limit(100);
  request.mutable_check()->mutable_window()->set_seconds(60);
  return client.Call(CallKind::kMutation, &RateLimiterService::Stub::CheckLimit, request).status();
}

absl::Status AddItem(Client& client, const v1::ObjectRef& object, int64_t) {
  v1::AddItemsRequest request;
  *request.mutable_object() = object;
  request.add_items(kValue);
  return client.Call(CallKind::kMutation, &BatchProcessorService::Stub::AddItems, request).status();
}

absl::Status PutEntry(Client& client, const v1::ObjectRef& object, int64_t number) {
  v1::PutEntriesRequest request;
  *request.mutable_object() = IdOf(object);
  v1::Entry& entry = *request.add_entries();
  entry.set_key(absl::StrCat("key-", number % kPerObject));
  entry.set_value(kValue);
  return client.Call(CallKind::kMutation, &ObjectService::Stub::PutEntries, request).status();
}

absl::Status PrepareEntries(Client& client, const v1::ObjectRef& object) {
  v1::PutEntriesRequest request;
  *request.mutable_object() = IdOf(object);
  for (int64_t i = 0; i < kPerObject; ++i) {
    v1::Entry& entry = *request.add_entries();
    entry.set_key(absl::StrCat("key-", i));
    entry.set_value(kValue);
  }
  return client.Call(CallKind::kMutation, &ObjectService::Stub::PutEntries, request).status();
}

absl::Status GetEntry(Client& client, const v1::ObjectRef& object, int64_t number) {
  v1::GetEntriesRequest request;
  *request.mutable_object() = IdOf(object);
  request.add_keys(absl::StrCat("key-", number % kPerObject));
  return client.Call(CallKind::kIdempotent, &ObjectService::Stub::GetEntries, request).status();
}

absl::Status PrepareTable(Client& client, const v1::ObjectRef& object) {
  v1::ExecuteSqlRequest request;
  *request.mutable_object() = IdOf(object);
  request.add_statements()->set_sql("CREATE TABLE IF NOT EXISTS bench(id INTEGER PRIMARY KEY, value TEXT)");
  request.add_statements()->set_sql(
      absl::StrCat("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ", kPerObject - 1,
                   ") INSERT OR IGNORE INTO bench SELECT i, '", kValue, "' FROM n"));
  return client.Call(CallKind::kMutation, &ObjectService::Stub::ExecuteSql, request).status();
}

absl::Status UpdateRow(Client& client, const v1::ObjectRef& object, int64_t number) {
  v1::ExecuteSqlRequest request;
  *request.mutable_object() = IdOf(object);
  v1::SqlStatement& statement = *request.add_statements();
  statement.set_sql("UPDATE bench SET value = ?1 WHERE id = ?2");
  statement.add_params()->set_text(absl::StrCat("a value of 20 b, ", 100 + number % 900));
  statement.add_params()->set_integer(number % kPerObject);
  return client.Call(CallKind::kMutation, &ObjectService::Stub::ExecuteSql, request).status();
}

absl::Status SelectRow(Client& client, const v1::ObjectRef& object, int64_t number) {
  v1::ExecuteSqlRequest request;
  *request.mutable_object() = IdOf(object);
  request.set_read_only(true);
  v1::SqlStatement& statement = *request.add_statements();
  statement.set_sql("SELECT value FROM bench WHERE id = ?1");
  statement.add_params()->set_integer(number % kPerObject);
  return client.Call(CallKind::kIdempotent, &ObjectService::Stub::ExecuteSql, request).status();
}

}  // namespace

const std::vector<Workload>& Workloads() {
  static const auto* const all = new std::vector<Workload>{
      {"increment", "increments of counters", "Counter", nullptr, Increment},
      {"get", "reads of counters", "Counter", PrepareCounter, GetValue},
      {"limit", "checks of limits, of sliding windows", "RateLimiter", nullptr, CheckLimit},
      {"add", "items for batches", "BatchProcessor", nullptr, AddItem},
      {"put", "writes of an entry", "Object", nullptr, PutEntry},
      {"read", "reads of an entry", "Object", PrepareEntries, GetEntry},
      {"sql-update", "SQL updates of a row by its key", "Object", PrepareTable, UpdateRow},
      {"sql-select", "SQL reads of a row by its key", "Object", PrepareTable, SelectRow},
  };
  return *all;
}

const Workload* FindWorkload(const std::string& name) {
  for (const Workload& workload : Workloads()) {
    if (workload.name == name) return &workload;
  }
  return nullptr;
}

}  // namespace holdfast::client
