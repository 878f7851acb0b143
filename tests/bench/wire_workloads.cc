#include "tests/bench/wire_workloads.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "tests/bench/grpc_transport.h"

namespace holdfast::bench {
namespace {

constexpr int64_t kObjects = 1000;
// Where each object is to leave memory before its next turn.
constexpr int64_t kColdObjects = 50'000;
constexpr int64_t kBatchObjects = 100;
constexpr int64_t kKeysPerObject = 100;
constexpr int64_t kRows = 100;
constexpr int kBatchSize = 64;
constexpr char kValue[] = "a value of twenty b.";

// The `number`th element of a walk over all, which never visits two neighbours in a row.
int64_t Pick(int64_t number, int64_t count) { return number * 7919 % count; }

void Name(int64_t number, int64_t count, v1::ObjectRef* object) {
  object->set_name(absl::StrCat("bench-", Pick(number, count)));
}

void FillIncrement(int64_t number, int64_t count, v1::IncrementRequest* request) {
  Name(number, count, request->mutable_object());
}

template <typename Service, typename Request, typename Response>
WireWorkload Unary(const std::string& name, typename UnaryTransport<Service, Request, Response>::Prepare prepare_call,
                   std::function<void(int64_t, Request*)> fill, std::function<bool(const Response&)> accept = {}) {
  return {.name = name,
          .connect = [prepare_call, fill = std::move(fill), accept = std::move(accept)](
                         const std::string& address, int channels, int slots) -> std::unique_ptr<Transport> {
            return std::make_unique<UnaryTransport<Service, Request, Response>>(address, channels, slots, prepare_call,
                                                                                fill, accept);
          }};
}

WireWorkload Increments(const std::string& name, int64_t counters) {
  return Unary<v1::CounterService, v1::IncrementRequest, v1::IncrementResponse>(
      name, &v1::CounterService::Stub::PrepareAsyncIncrement,
      [counters](int64_t number, v1::IncrementRequest* request) { FillIncrement(number, counters, request); });
}

WireWorkload BatchIncrements(const std::string& name, int64_t counters) {
  WireWorkload workload = Unary<v1::CounterService, v1::BatchIncrementRequest, v1::BatchIncrementResponse>(
      name, &v1::CounterService::Stub::PrepareAsyncBatchIncrement,
      [counters](int64_t number, v1::BatchIncrementRequest* request) {
        for (int i = 0; i < kBatchSize; ++i) {
          FillIncrement(number * kBatchSize + i, counters,
                        i < request->increments_size() ? request->mutable_increments(i) : request->add_increments());
        }
      },
      [](const v1::BatchIncrementResponse& response) {
        for (const auto& result : response.results()) {
          if (!result.has_response()) return false;
        }
        return response.results_size() == kBatchSize;
      });
  workload.units_per_call = kBatchSize;
  return workload;
}

WireWorkload StreamIncrements() {
  using Streams = StreamTransport<v1::CounterService, v1::StreamIncrementRequest, v1::StreamIncrementResponse>;
  return {.name = "stream-increment",
          .connect = [](const std::string& address, int channels, int) -> std::unique_ptr<Transport> {
            return std::make_unique<Streams>(
                address, channels, &v1::CounterService::Stub::PrepareAsyncStreamIncrement,
                [](int64_t number, v1::StreamIncrementRequest* request) {
                  FillIncrement(number, kObjects, request->mutable_increment());
                },
                [](const v1::StreamIncrementResponse& response) { return response.result().has_response(); });
          }};
}

WireWorkload CheckLimits() {
  return Unary<v1::RateLimiterService, v1::CheckLimitRequest, v1::CheckLimitResponse>(
      "check-limit", &v1::RateLimiterService::Stub::PrepareAsyncCheckLimit,
      [](int64_t number, v1::CheckLimitRequest* request) {
        Name(number, kObjects, request->mutable_object());
        v1::RateLimit* const check = request->mutable_check();
        check->set_key(absl::StrCat("key-", number / kObjects % kKeysPerObject));
        check->set_limit(100);
        check->mutable_window()->set_seconds(60);
      });
}

WireWorkload UpdateUsers() {
  return Unary<v1::UserCacheService, v1::UpdateUserRequest, v1::UpdateUserResponse>(
      "update-user", &v1::UserCacheService::Stub::PrepareAsyncUpdateUser,
      [](int64_t number, v1::UpdateUserRequest* request) {
        Name(number, kObjects, request->mutable_object());
        v1::User* const user = request->mutable_user();
        user->set_id(absl::StrCat("user-", number / kObjects % kKeysPerObject));
        user->set_name("A name of some twenty b.");
        user->set_email(absl::StrCat("mail", number % 100, "@example.com"));
        request->set_allow_missing(true);
      });
}

WireWorkload AddItems() {
  return Unary<v1::BatchProcessorService, v1::AddItemsRequest, v1::AddItemsResponse>(
      "add-item", &v1::BatchProcessorService::Stub::PrepareAsyncAddItems,
      [](int64_t number, v1::AddItemsRequest* request) {
        Name(number, kBatchObjects, request->mutable_object());
        if (request->items_size() == 0) request->add_items("an item of some twenty b");
      });
}

void ExecuteSql(v1::ObjectService::Stub* stub, const v1::ExecuteSqlRequest& request) {
  grpc::ClientContext context;
  v1::ExecuteSqlResponse response;
  const grpc::Status status = stub->ExecuteSql(&context, request, &response);
  if (status.ok()) return;
  std::fprintf(stderr, "ExecuteSql: %s\n", status.error_message().c_str());
  std::exit(1);
}

void PrepareTables(const std::string& address) {
  const auto stub = v1::ObjectService::NewStub(Connect(address, 1).front());
  for (int64_t object = 0; object < kObjects; ++object) {
    v1::ExecuteSqlRequest request;
    request.mutable_object()->set_name(absl::StrCat("bench-", object));
    request.add_statements()->set_sql("CREATE TABLE IF NOT EXISTS entries(id INTEGER PRIMARY KEY, value TEXT)");
    request.add_statements()->set_sql(
        absl::StrCat("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ", kRows - 1,
                     ") INSERT OR IGNORE INTO entries SELECT i, '", kValue, "' FROM n"));
    ExecuteSql(stub.get(), request);
  }
}

WireWorkload Sql(const std::string& name, bool update) {
  WireWorkload workload = Unary<v1::ObjectService, v1::ExecuteSqlRequest, v1::ExecuteSqlResponse>(
      name, &v1::ObjectService::Stub::PrepareAsyncExecuteSql,
      [update](int64_t number, v1::ExecuteSqlRequest* request) {
        request->mutable_object()->set_name(absl::StrCat("bench-", Pick(number, kObjects)));
        v1::SqlStatement* const statement =
            request->statements_size() > 0 ? request->mutable_statements(0) : request->add_statements();
        statement->clear_params();
        if (update) {
          statement->set_sql("UPDATE entries SET value = ?1 WHERE id = ?2");
          statement->add_params()->set_text(absl::StrCat("a value of 20 b, ", 100 + number % 900));
        } else {
          statement->set_sql("SELECT value FROM entries WHERE id = ?1");
        }
        statement->add_params()->set_integer(number / kObjects % kRows);
      },
      [update](const v1::ExecuteSqlResponse& response) {
        const v1::SqlResult& result = response.results(0);
        return update ? result.rows_written() == 1 : result.rows_size() == 1;
      });
  workload.prepare = PrepareTables;
  return workload;
}

WireWorkload GetValues() {
  return Unary<v1::CounterService, v1::GetValueRequest, v1::GetValueResponse>(
      "get-value", &v1::CounterService::Stub::PrepareAsyncGetValue,
      [](int64_t number, v1::GetValueRequest* request) { Name(number, kObjects, request->mutable_object()); });
}

}  // namespace

const WireWorkload& WireWorkloadNamed(const std::string& name) {
  static const auto* const all = new std::vector<WireWorkload>{Increments("increment", kObjects),
                                                               Increments("increment-hot", 1),
                                                               Increments("increment-cold", kColdObjects),
                                                               GetValues(),
                                                               CheckLimits(),
                                                               UpdateUsers(),
                                                               AddItems(),
                                                               Sql("sql-update", true),
                                                               Sql("sql-select", false),
                                                               StreamIncrements(),
                                                               BatchIncrements("batch-increment-64", kObjects),
                                                               BatchIncrements("batch-increment-hot", 1)};
  for (const WireWorkload& workload : *all) {
    if (workload.name == name) return workload;
  }
  std::fprintf(stderr, "no workload '%s'\n", name.c_str());
  std::exit(2);
}

}  // namespace holdfast::bench
