#include "tests/crash/workload.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "tests/integration/rpc.h"

namespace holdfast::testing {
namespace {

constexpr int kThreads = 6;
constexpr int kObjectWriters = 3;
constexpr int kSqlWriters = 3;
constexpr std::chrono::milliseconds kBetweenAlarms(5);
constexpr uint64_t kMoveMicrosMax = 5000;
constexpr absl::Duration kFinishMax = absl::Minutes(3);
constexpr int kObjects = 4;
constexpr int64_t kLimit = 100'000;
constexpr int kLimitWindowSeconds = 86'400;

v1::RateLimit LimitOf(const std::string& key) {
  v1::RateLimit check;
  check.set_key(key);
  check.set_limit(kLimit);
  check.mutable_window()->set_seconds(kLimitWindowSeconds);
  return check;
}

}  // namespace

Workload::Workload(uint64_t seed) : random_(seed), alarms_(seed) {
  for (int i = 0; i < kObjectWriters; ++i) writers_.emplace_back(i, random_());
  for (int i = 0; i < kSqlWriters; ++i) sql_writers_.emplace_back(i, random_());
}

int64_t Workload::repeated() const {
  int64_t sum = alarms_.repeated();
  for (const ObjectWriter& writer : writers_) sum += writer.repeated();
  for (const SqlWriter& writer : sql_writers_) sum += writer.repeated();
  return sum;
}

int64_t Workload::moves_seen() const {
  int64_t sum = 0;
  for (const ObjectWriter& writer : writers_) sum += writer.moves_seen();
  return sum;
}

void Workload::RunAndKill(ServerProcess* server, int64_t acknowledged) {
  std::mutex mutex;
  std::condition_variable enough;
  int64_t count = 0;
  int64_t created = 0;
  std::atomic<bool> stop = false;
  const auto on_created = [&] {
    std::lock_guard lock(mutex);
    ++created;
    enough.notify_one();
  };
  const auto on_acknowledged = [&] {
    std::lock_guard lock(mutex);
    if (++count == acknowledged) enough.notify_one();
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i, seed = random_()] { Work(*server, i, seed, on_acknowledged, stop); });
  }
  for (ObjectWriter& writer : writers_) {
    const auto write = [&on_created, writer = &writer](const Stubs& stubs) {
      const bool alive = writer->Write(stubs);
      if (alive && writer->created()) on_created();
      return alive;
    };
    threads.emplace_back([&, write] { WriteObjects(*server, write, on_acknowledged, stop); });
  }
  for (SqlWriter& writer : sql_writers_) {
    const auto write = [writer = &writer](const Stubs& stubs) { return writer->Write(stubs); };
    threads.emplace_back([&, write] { WriteObjects(*server, write, on_acknowledged, stop); });
  }
  threads.emplace_back([&] { SetAlarms(*server, on_acknowledged, stop); });
  grpc::ClientContext watch;
  threads.emplace_back([&] { alarms_.Watch(Stubs(*server), &watch, on_acknowledged); });
  {
    std::unique_lock lock(mutex);
    enough.wait_for(lock, std::chrono::seconds(60), [&] { return count >= acknowledged; });
    if (random_() % 2 == 0) {
      // The kill comes a moment after an object was created, while the server gives it a family.
      const int64_t before = created;
      enough.wait_for(lock, std::chrono::seconds(1), [&] { return created > before; });
      lock.unlock();
      std::this_thread::sleep_for(std::chrono::microseconds(random_() % kMoveMicrosMax));
    }
  }
  server->Kill();
  stop = true;
  watch.TryCancel();
  for (std::thread& thread : threads) thread.join();
}

void Workload::WriteObjects(const ServerProcess& server, const std::function<bool(const Stubs&)>& write,
                            const std::function<void()>& on_acknowledged, const std::atomic<bool>& stop) {
  const Stubs stubs(server);
  bool alive = true;
  while (alive && !stop) {
    alive = write(stubs);
    {
      std::lock_guard lock(mutex_);
      ++(alive ? acknowledged_ : unanswered_);
    }
    if (alive) on_acknowledged();
  }
}

void Workload::SetAlarms(const ServerProcess& server, const std::function<void()>& on_acknowledged,
                         const std::atomic<bool>& stop) {
  const Stubs stubs(server);
  while (!stop && alarms_.Set(stubs)) {
    on_acknowledged();
    std::this_thread::sleep_for(kBetweenAlarms);
  }
}

void Workload::Work(const ServerProcess& server, int thread, uint64_t seed,
                    const std::function<void()>& on_acknowledged, const std::atomic<bool>& stop) {
  const auto channel = server.NewChannel();
  auto counters = v1::CounterService::NewStub(channel);
  auto limits = v1::RateLimiterService::NewStub(channel);
  auto batches = v1::BatchProcessorService::NewStub(channel);
  auto users = v1::UserCacheService::NewStub(channel);
  std::mt19937_64 random(seed);
  // Notes the outcome of a write. A write that the kill interrupts gets no answer, and is the thread's last.
  bool alive = true;
  const auto note = [&](const grpc::Status& status, const std::function<void(bool acknowledged)>& record) {
    std::lock_guard lock(mutex_);
    alive = status.ok();
    record(status.ok());
    ++(status.ok() ? acknowledged_ : unanswered_);
    if (status.ok()) on_acknowledged();
  };
  while (alive && !stop) {
    const std::string object = absl::StrCat("o", random() % kObjects);
    switch (random() % 6) {
      case 0:
      case 1: {
        v1::IncrementRequest request;
        request.mutable_object()->set_name(object);
        const auto reply = Invoke(*counters, &v1::CounterService::Stub::Increment, request);
        note(reply.status, [&](bool ok) { ++(ok ? counters_[object].acknowledged : counters_[object].unanswered); });
        break;
      }
      case 2: {
        v1::GetUniqueNumberRequest request;
        request.mutable_object()->set_name(object);
        const auto reply = Invoke(*counters, &v1::CounterService::Stub::GetUniqueNumber, request);
        note(reply.status, [&](bool ok) {
          if (ok && !unique_numbers_[object].insert(reply->number()).second) {
            differences_.push_back(absl::StrCat("unique number ", reply->number(), " of ", object, " came twice"));
          }
        });
        break;
      }
      case 3: {
        v1::AddItemsRequest request;
        request.mutable_object()->set_name(object);
        {
          std::lock_guard lock(mutex_);
          for (int i = 0; i < 3; ++i) request.add_items(absl::StrCat("item", next_item_++));
        }
        const auto reply = Invoke(*batches, &v1::BatchProcessorService::Stub::AddItems, request);
        note(reply.status, [&](bool ok) {
          for (const std::string& item : request.items()) items_[object][item] = ok;
        });
        break;
      }
      case 4: {
        // Each thread has users of its own, so that the order of their updates is known.
        const std::string id = absl::StrCat("u", thread, "-", random() % 4);
        v1::UpdateUserRequest request;
        request.mutable_object()->set_name("users");
        request.set_allow_missing(true);
        request.mutable_user()->set_id(id);
        int64_t revision;
        {
          std::lock_guard lock(mutex_);
          revision = ++users_[id].sent;
        }
        request.mutable_user()->set_name(absl::StrCat("revision ", revision));
        const auto reply = Invoke(*users, &v1::UserCacheService::Stub::UpdateUser, request);
        note(reply.status, [&](bool ok) {
          if (ok) users_[id].acknowledged = revision;
        });
        break;
      }
      default: {
        const std::string key = absl::StrCat("key", random() % 3);
        v1::CheckLimitRequest request;
        request.mutable_object()->set_name("limits");
        *request.mutable_check() = LimitOf(key);
        const auto reply = Invoke(*limits, &v1::RateLimiterService::Stub::CheckLimit, request);
        note(reply.status, [&](bool ok) { ++(ok ? limits_[key].acknowledged : limits_[key].unanswered); });
        break;
      }
    }
  }
}

std::vector<std::string> Workload::Verify(const ServerProcess& server) {
  std::vector<std::string> differences = std::exchange(differences_, {});
  const auto channel = server.NewChannel();
  auto counters = v1::CounterService::NewStub(channel);
  auto limits = v1::RateLimiterService::NewStub(channel);
  auto users = v1::UserCacheService::NewStub(channel);
  const auto between = [&](absl::string_view what, int64_t value, const Counted& counted) {
    if (value < counted.acknowledged || value > counted.acknowledged + counted.unanswered) {
      differences.push_back(absl::StrCat(what, " has ", value, "; ", counted.acknowledged, " were acknowledged and ",
                                         counted.unanswered, " got no answer"));
    }
  };
  for (auto& [object, counted] : counters_) {
    v1::GetValueRequest request;
    request.mutable_object()->set_name(object);
    const auto reply = Invoke(*counters, &v1::CounterService::Stub::GetValue, request);
    if (!reply.ok()) differences.push_back(absl::StrCat(object, ": ", reply.status.error_message()));
    between(absl::StrCat("counter ", object), reply->value(), counted);
    // The value found now is the base of the next round.
    counted = {reply->value(), 0};
  }
  for (auto& [key, counted] : limits_) {
    v1::CheckLimitRequest request;
    request.mutable_object()->set_name("limits");
    *request.mutable_check() = LimitOf(key);
    request.set_peek(true);
    const auto reply = Invoke(*limits, &v1::RateLimiterService::Stub::CheckLimit, request);
    if (!reply.ok()) differences.push_back(absl::StrCat(key, ": ", reply.status.error_message()));
    const int64_t used = kLimit - reply->remaining() - 1;
    between(absl::StrCat("limit ", key), used, counted);
    counted = {used, 0};
  }
  for (auto& [id, user] : users_) {
    v1::GetUserRequest request;
    request.mutable_object()->set_name("users");
    request.set_id(id);
    const auto reply = Invoke(*users, &v1::UserCacheService::Stub::GetUser, request);
    int64_t revision = 0;
    if (reply.ok()) {
      const std::vector<std::string> words = absl::StrSplit(reply->user().name(), ' ');
      if (words.size() != 2 || !absl::SimpleAtoi(words[1], &revision)) revision = -1;
    }
    if (revision < user.acknowledged || revision > user.sent) {
      differences.push_back(absl::StrCat("user ", id, " is at revision ", revision, "; acknowledged was ",
                                         user.acknowledged, ", sent ", user.sent));
    }
    user.acknowledged = std::max(user.acknowledged, revision);
  }
  for (const auto& [object, items] : items_) {
    for (std::string& difference : VerifyItems(server, object)) differences.push_back(std::move(difference));
  }
  const Stubs stubs(server);
  for (ObjectWriter& writer : writers_) {
    for (std::string& difference : writer.Verify(stubs)) differences.push_back(std::move(difference));
  }
  for (SqlWriter& writer : sql_writers_) {
    for (std::string& difference : writer.Verify(stubs)) differences.push_back(std::move(difference));
  }
  for (std::string& difference : alarms_.Verify(stubs)) differences.push_back(std::move(difference));
  return differences;
}

std::vector<std::string> Workload::Finish(const ServerProcess& server) {
  std::vector<std::string> differences = Verify(server);
  const Stubs stubs(server);
  grpc::ClientContext context;
  std::thread watch([&] { alarms_.Watch(stubs, &context, [] {}); });
  const auto waiting = [&] {
    int64_t count = alarms_.outstanding();
    for (ObjectWriter& writer : writers_) count += writer.PendingItems(stubs);
    return count;
  };
  const absl::Time until = absl::Now() + kFinishMax;
  while (waiting() > 0 && absl::Now() < until) absl::SleepFor(absl::Milliseconds(20));
  if (const int64_t left = waiting()) differences.push_back(absl::StrCat(left, " alarms and items never came"));
  context.TryCancel();
  watch.join();
  for (std::string& difference : Verify(server)) differences.push_back(std::move(difference));
  return differences;
}

std::vector<std::string> Workload::VerifyItems(const ServerProcess& server, const std::string& object) {
  std::vector<std::string> differences;
  auto batches = v1::BatchProcessorService::NewStub(server.NewChannel());
  v1::FlushBatchRequest flush;
  flush.mutable_object()->set_name(object);
  const auto flushed = Invoke(*batches, &v1::BatchProcessorService::Stub::FlushBatch, flush);
  if (!flushed.ok()) differences.push_back(absl::StrCat(object, ": ", flushed.status.error_message()));

  std::set<std::string> seen;
  int64_t sequence = 0;
  v1::ListProcessedItemsRequest list;
  list.mutable_object()->set_name(object);
  list.set_page_size(1000);
  do {
    const auto page = Invoke(*batches, &v1::BatchProcessorService::Stub::ListProcessedItems, list);
    if (!page.ok()) {
      differences.push_back(absl::StrCat(object, ": ", page.status.error_message()));
      break;
    }
    for (const v1::ProcessedItem& item : page->items()) {
      if (!seen.insert(item.item()).second) differences.push_back(absl::StrCat(item.item(), " was processed twice"));
      if (item.sequence() <= sequence) differences.push_back(absl::StrCat(item.item(), " is out of order"));
      sequence = item.sequence();
    }
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());

  std::map<std::string, bool>& expected = items_[object];
  for (auto it = expected.begin(); it != expected.end();) {
    const bool there = seen.contains(it->first);
    if (it->second && !there) differences.push_back(absl::StrCat(it->first, " of ", object, " was lost"));
    // A write that has not happened by now must never happen.
    if (!there) {
      it = expected.erase(it);
    } else {
      it->second = true;
      ++it;
    }
  }
  for (const std::string& item : seen) {
    if (!expected.contains(item)) differences.push_back(absl::StrCat(item, " of ", object, " came from nowhere"));
  }
  return differences;
}

}  // namespace holdfast::testing
