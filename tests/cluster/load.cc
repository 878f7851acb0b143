#include "tests/cluster/load.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace holdfast::testing {
namespace {

using v1::CounterService;
using v1::RateLimiterService;
using Kind = SeenCall::Kind;

constexpr int kSharedClients = 4;
constexpr int kObjectWriters = 2;
constexpr int kSqlWriters = 2;
// Every node has some of so many.
constexpr uint64_t kCounters = 16;
constexpr uint64_t kLimits = 6;
constexpr Limit kLimit = {.checks = 20, .window_us = 1'000'000};
// Each client waits so long between its calls, so that one that waits for an answer is not lost among many.
constexpr std::chrono::milliseconds kBetweenCalls(2);
// An alarm whose deliveries ended with their lease comes again after pauses that grow.
constexpr absl::Duration kQuietMax = absl::Minutes(3);
constexpr absl::Duration kStep = absl::Milliseconds(20);

std::string CounterName(uint64_t number) { return absl::StrCat("shared", number % kCounters); }

}  // namespace

Load::Load(const Cluster& cluster, uint64_t seed)
    : cluster_(cluster), random_(seed), alarms_(seed, AlarmLoad::Watchers::kSeveral) {
  for (int i = 0; i < kObjectWriters; ++i) writers_.emplace_back(i, random_());
  for (int i = 0; i < kSqlWriters; ++i) sql_writers_.emplace_back(i, random_());
}

Load::~Load() {
  if (!clients_.empty()) End();
}

void Load::Begin() {
  ending_ = false;
  watching_ = true;
  for (int i = 0; i < kSharedClients; ++i) {
    Run([this, i, random = std::mt19937_64(random_())](Route* route) mutable {
      return CallShared(route, i, &random) && ++acknowledged_ > 0;
    });
  }
  for (ObjectWriter& writer : writers_) {
    Run([this, &writer](Route* route) { return writer.Write(route->Any()) && ++acknowledged_ > 0; });
  }
  for (SqlWriter& writer : sql_writers_) {
    Run([this, &writer](Route* route) { return writer.Write(route->Any()) && ++acknowledged_ > 0; });
  }
  // An alarm counts when it was handled.
  Run([this](Route* route) { return alarms_.Set(route->Any()); });
  for (int node = 0; node < cluster_.size(); ++node) watchers_.emplace_back([this, node] { Watch(node); });
}

void Load::Run(std::function<bool(Route*)> call) {
  clients_.emplace_back([this, seed = random_(), call = std::move(call)] {
    Route route(cluster_, seed);
    while (!ending_) {
      if (!call(&route)) return Find({Finding::Kind::kOther, "a call was not answered at all"});
      std::this_thread::sleep_for(kBetweenCalls);  // the load is not to take all of the machine
    }
  });
}

void Load::Watch(int node) {
  Route route(cluster_, static_cast<uint64_t>(node));
  while (watching_) {
    grpc::ClientContext context;
    {
      std::lock_guard lock(mutex_);
      watches_.push_back(&context);
    }
    alarms_.Watch(route.At(node), &context, [this] { ++acknowledged_; });
    {
      std::lock_guard lock(mutex_);
      watches_.erase(std::find(watches_.begin(), watches_.end(), &context));
    }
    std::this_thread::sleep_for(absl::ToChronoMilliseconds(kStep));  // a node that is dead is asked again
  }
}

void Load::End() {
  ending_ = true;
  for (std::thread& client : clients_) client.join();
  clients_.clear();
  Route route(cluster_, random_());
  const auto waiting = [&] {
    int64_t count = alarms_.outstanding();
    for (ObjectWriter& writer : writers_) count += writer.PendingItems(route.Any());
    return count;
  };
  const absl::Time until = absl::Now() + kQuietMax;
  while (waiting() > 0 && absl::Now() < until) absl::SleepFor(kStep);  // alarms come when they are due
  if (const int64_t left = waiting()) {
    Find({Finding::Kind::kLost, absl::StrCat(left, " alarms and items never came:", alarms_.DescribeOutstanding())});
  }
  watching_ = false;
  while (!watchers_.empty()) {
    {
      // A watch that begins at this moment is cancelled at the next.
      std::lock_guard lock(mutex_);
      for (grpc::ClientContext* const watch : watches_) watch->TryCancel();
    }
    watchers_.back().join();
    watchers_.pop_back();
  }
}

bool Load::CallShared(Route* route, int client, std::mt19937_64* random) {
  const Stubs& stubs = route->Any();
  const std::string id = absl::StrCat("client", client, "-", ++next_id_);
  switch ((*random)() % 8) {
    case 0:
    case 1: {
      SeenCall seen = {Kind::kRead, CounterName((*random)())};
      v1::GetValueRequest request;
      request.mutable_object()->set_name(seen.object);
      return CallCounter(stubs, std::move(seen), &CounterService::Stub::GetValue, request,
                         &v1::GetValueResponse::value);
    }
    case 2: {
      SeenCall seen = {Kind::kUniqueNumber, CounterName((*random)())};
      v1::GetUniqueNumberRequest request;
      request.mutable_object()->set_name(seen.object);
      request.set_request_id(id);
      return CallCounter(stubs, std::move(seen), &CounterService::Stub::GetUniqueNumber, request,
                         &v1::GetUniqueNumberResponse::number);
    }
    case 3:
      return CheckLimit(stubs, absl::StrCat("limits", (*random)() % kLimits), id);
    default: {
      SeenCall seen = {Kind::kIncrement, CounterName((*random)())};
      v1::IncrementRequest request;
      request.mutable_object()->set_name(seen.object);
      request.set_request_id(id);
      return CallCounter(stubs, std::move(seen), &CounterService::Stub::Increment, request,
                         &v1::IncrementResponse::value);
    }
  }
}

template <typename Request, typename Response>
bool Load::CallCounter(const Stubs& stubs, SeenCall seen,
                       grpc::Status (CounterService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                       const Request& request, int64_t (Response::*value)() const) {
  seen.sent_us = NowUs();
  const auto reply = Call(stubs, &Stubs::counters, method, request);
  if (reply.ok()) {
    seen.answered_us = NowUs();
    seen.value = (reply.response.*value)();
  }
  history_.Add(seen);
  return Answered(seen.object, reply.status);
}

bool Load::CheckLimit(const Stubs& stubs, const std::string& object, const std::string& id) {
  v1::CheckLimitRequest request;
  request.mutable_object()->set_name(object);
  request.set_request_id(id);
  request.mutable_check()->set_key("key");
  request.mutable_check()->set_limit(kLimit.checks);
  request.mutable_check()->mutable_window()->set_seconds(kLimit.window_us / 1'000'000);
  SeenCall seen = {Kind::kAllowed, object, NowUs()};
  const auto reply = Call(stubs, &Stubs::limits, &RateLimiterService::Stub::CheckLimit, request);
  if (reply.ok() && reply->allowed()) {
    seen.answered_us = NowUs();
    history_.Add(seen);
  }
  return Answered(object, reply.status);
}

bool Load::Answered(const std::string& object, const grpc::Status& status) {
  if (!status.ok()) {
    Find({Finding::Kind::kOther, absl::StrCat("a call on ", object, " failed with ", status.error_code(), " ",
                                              ReasonOf(status), ": ", status.error_message())});
  }
  return status.ok();
}

std::vector<Finding> Load::Verify() {
  Route route(cluster_, random_());
  for (uint64_t i = 0; i < kCounters; ++i) {
    v1::GetValueRequest request;
    request.mutable_object()->set_name(CounterName(i));
    SeenCall seen = {Kind::kRead, CounterName(i)};
    CallCounter(route.Any(), std::move(seen), &CounterService::Stub::GetValue, request, &v1::GetValueResponse::value);
  }
  std::vector<Finding> findings = FindingsOf(history_.calls(), kLimit);
  const auto add = [&findings](std::vector<std::string> differences) {
    for (std::string& what : differences) findings.push_back({Finding::Kind::kOther, std::move(what)});
  };
  for (ObjectWriter& writer : writers_) add(writer.Verify(route.Any()));
  for (SqlWriter& writer : sql_writers_) add(writer.Verify(route.Any()));
  add(alarms_.Verify(route.Any()));
  std::lock_guard lock(mutex_);
  for (Finding& finding : std::exchange(findings_, {})) findings.push_back(std::move(finding));
  return findings;
}

void Load::Find(Finding finding) {
  std::lock_guard lock(mutex_);
  findings_.push_back(std::move(finding));
}

}  // namespace holdfast::testing
