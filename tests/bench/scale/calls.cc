#include "tests/bench/scale/calls.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"

namespace holdfast::bench {
namespace {

constexpr absl::Duration kCallMax = absl::Seconds(60);
constexpr int kItemsOfObject = 10;  // keys, users, rows of one object
constexpr int64_t kValueBytes = 100;

class Counting final : public Sink {
 public:
  Counting(Transport* transport, int slots, int64_t count)
      : transport_(transport), count_(count), begun_(static_cast<size_t>(slots)) {
    for (int slot = slots - 1; slot >= 0; --slot) free_.push_back(slot);
  }

  LoadResult Run() {
    const absl::Time begin = absl::Now();
    absl::Time until = absl::InfiniteFuture();
    while (result_.calls + result_.failures < count_ && absl::Now() < until) {
      while (!free_.empty() && number_ < count_) {
        const int slot = free_.back();
        free_.pop_back();
        begun_[static_cast<size_t>(slot)] = absl::Now();
        transport_->Begin(slot, number_++);
      }
      until = absl::Now() + kCallMax;  // the call never ends
      transport_->Poll(until, this);
    }
    result_.failures = count_ - result_.calls;
    result_.seconds = absl::ToDoubleSeconds(absl::Now() - begin);
    result_.p50_us = Quantile(&micros_, 0.5);
    result_.p99_us = Quantile(&micros_, 0.99);
    result_.p999_us = Quantile(&micros_, 0.999);
    return result_;
  }

  void Ended(int slot, bool ok) override {
    free_.push_back(slot);
    ++(ok ? result_.calls : result_.failures);
    if (ok) {
      micros_.push_back(
          static_cast<float>(absl::ToDoubleMicroseconds(absl::Now() - begun_[static_cast<size_t>(slot)])));
    }
  }

 private:
  Transport* const transport_;
  const int64_t count_;
  std::vector<absl::Time> begun_;
  std::vector<int> free_;
  int64_t number_ = 0;
  LoadResult result_;
  std::vector<float> micros_;
};

template <typename Request>
std::function<void(int64_t, Request*)> Filled(Kind kind, const ChangeOptions& options,
                                              std::function<void(int64_t, Request*)> fill) {
  return [kind, options, fill = std::move(fill)](int64_t number, Request* request) {
    request->mutable_object()->set_name(ObjectName(kind, options.object(number)));
    if (options.request_ids) request->set_request_id(absl::StrCat("request-", number));
    fill(number, request);
  };
}

std::string TextOf(int64_t number) {
  std::string text = absl::StrCat("a value that is as long as others ", number, " ");
  while (text.size() < kValueBytes) absl::StrAppend(&text, number * 7919);
  text.resize(kValueBytes);
  return text;
}

}  // namespace

LoadResult RunCalls(Transport* transport, int slots, int64_t count) { return Counting(transport, slots, count).Run(); }

LoadResult MustRunCalls(const std::string& what, Transport* transport, int slots, int64_t count) {
  const LoadResult result = RunCalls(transport, slots, count);
  if (result.failures > 0) {
    std::fprintf(stderr, "%s: %lld of %lld calls failed\n", what.c_str(), static_cast<long long>(result.failures),
                 static_cast<long long>(count));
    std::exit(1);
  }
  return result;
}

void Watched::Begin(int slot, int64_t number) {
  begun_[static_cast<size_t>(slot)] = absl::Now();
  transport_->Begin(slot, number);
}

void Watched::Poll(absl::Time until, Sink* sink) {
  class Watching final : public Sink {
   public:
    Watching(Watched* watched, Sink* sink) : watched_(watched), sink_(sink) {}
    void Ended(int slot, bool ok) override {
      const absl::Time now = absl::Now();
      if (ok) {
        watched_->longest_call_ = std::max(watched_->longest_call_, now - watched_->begun_[static_cast<size_t>(slot)]);
        if (watched_->last_success_ != absl::InfinitePast()) {
          watched_->longest_gap_ = std::max(watched_->longest_gap_, now - watched_->last_success_);
        }
        watched_->last_success_ = now;
      }
      sink_->Ended(slot, ok);
    }

   private:
    Watched* const watched_;
    Sink* const sink_;
  };
  Watching watching(this, sink);
  transport_->Poll(until, &watching);
}

const char* NameOf(Kind kind) {
  switch (kind) {
    case Kind::kCounter:
      return "Counter";
    case Kind::kRateLimiter:
      return "RateLimiter";
    case Kind::kUserCache:
      return "UserCache";
    case Kind::kBatchProcessor:
      return "BatchProcessor";
    case Kind::kEntries:
      return "Object (keys)";
    case Kind::kSql:
      return "Object (SQL)";
  }
  return "";
}

std::string ObjectName(Kind kind, int64_t object) {
  return absl::StrCat(kind == Kind::kSql ? "sql-" : "object-", object);
}

std::unique_ptr<Transport> Changes(Kind kind, const Line& line, ChangeOptions options) {
  switch (kind) {
    case Kind::kCounter:
      return Calls<v1::CounterService>(
          line, &v1::CounterService::Stub::PrepareAsyncIncrement,
          Filled<v1::IncrementRequest>(kind, options, [](int64_t, v1::IncrementRequest*) {}));
    case Kind::kRateLimiter:
      return Calls<v1::RateLimiterService>(
          line, &v1::RateLimiterService::Stub::PrepareAsyncCheckLimit,
          Filled<v1::CheckLimitRequest>(kind, options,
                                        [window = options.limit_window](int64_t, v1::CheckLimitRequest* request) {
                                          v1::RateLimit* const check = request->mutable_check();
                                          check->set_key("client-0");
                                          check->set_limit(1000);
                                          check->mutable_window()->set_seconds(absl::ToInt64Seconds(window));
                                        }));
    case Kind::kUserCache:
      return Calls<v1::UserCacheService>(
          line, &v1::UserCacheService::Stub::PrepareAsyncUpdateUser,
          Filled<v1::UpdateUserRequest>(kind, options, [](int64_t number, v1::UpdateUserRequest* request) {
            v1::User* const user = request->mutable_user();
            user->set_id(absl::StrCat("user-", number % kItemsOfObject));
            user->set_name(TextOf(number).substr(0, kValueBytes / 2));
            user->set_email(TextOf(number).substr(kValueBytes / 2));
            request->set_allow_missing(true);
          }));
    case Kind::kBatchProcessor:
      return Calls<v1::BatchProcessorService>(
          line, &v1::BatchProcessorService::Stub::PrepareAsyncAddItems,
          Filled<v1::AddItemsRequest>(kind, options, [](int64_t number, v1::AddItemsRequest* request) {
            request->clear_items();
            request->add_items(TextOf(number));
          }));
    case Kind::kEntries:
      return Calls<v1::ObjectService>(
          line, &v1::ObjectService::Stub::PrepareAsyncPutEntries,
          Filled<v1::PutEntriesRequest>(kind, options, [](int64_t number, v1::PutEntriesRequest* request) {
            request->clear_entries();
            v1::Entry* const entry = request->add_entries();
            entry->set_key(absl::StrCat("key-", number % kItemsOfObject));
            entry->set_value(TextOf(number));
          }));
    case Kind::kSql:
      return Calls<v1::ObjectService>(
          line, &v1::ObjectService::Stub::PrepareAsyncExecuteSql,
          Filled<v1::ExecuteSqlRequest>(kind, options, [](int64_t number, v1::ExecuteSqlRequest* request) {
            request->clear_statements();
            request->add_statements()->set_sql("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, text TEXT)");
            v1::SqlStatement* const insert = request->add_statements();
            insert->set_sql("INSERT OR REPLACE INTO t VALUES (?, ?)");
            insert->add_params()->set_integer(number % kItemsOfObject);
            insert->add_params()->set_text(TextOf(number));
          }));
  }
  return nullptr;
}

int64_t LogicalBytesOf(Kind kind) {
  switch (kind) {
    case Kind::kCounter:
      return 8;  // the value of the counter
    case Kind::kRateLimiter:
      return 8 + 8;  // the key and a time
    case Kind::kUserCache:
      return 6 + kValueBytes;
    case Kind::kBatchProcessor:
      return kValueBytes;
    case Kind::kEntries:
      return 5 + kValueBytes;
    case Kind::kSql:
      return 8 + kValueBytes;
  }
  return 0;
}

}  // namespace holdfast::bench
