// An object class: what one writes to give a kind of object its behaviour.
//
//   class Counter : public Object {
//    public:
//     using Object::Object;
//     static const ObjectClass& Class();
//     Task<absl::Status> Load() override;                       // runs before the first request
//     Task<absl::Status> Increment(const v1::IncrementRequest& request, v1::IncrementResponse* response);
//   };
//
// An instance lives while its object is active. Handlers are its methods; they run one turn at a time on the object's
// executor, so members need no lock and a turn sees the members as the last one left them. What a handler writes to
// storage() commits when it returns OK, with everything else of the turn or not at all, and the reply waits until that
// is durable.
//
// An object that stores nothing and has no alarm ceases to exist: at the end of its alarm's turn, or when it leaves
// memory (actors/runtime/activation_leave.cc). What must be remembered of it even then it puts under
// storage::kRemainderKey, which is not counted; Load() finds it there when the object is used again, and DeleteAll
// removes it.
//
// What a handler must keep to:
//   1. Check the request before the first write or change of a member. An error then keeps the instance; an error after
//      a write drops the writes and the instance with its members, and the next request loads it afresh.
//   2. Change members only along with what is written, so that members and storage say the same.
//   3. Take time from Now() and randomness from random().

#ifndef HOLDFAST_ACTORS_OBJECT_H_
#define HOLDFAST_ACTORS_OBJECT_H_

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/executor/clock.h"
#include "actors/executor/task.h"
#include "storage/object/object_storage.h"
#include "storage/store/object_id.h"

namespace holdfast::v1 {
class CleanupRequest;
class CleanupResponse;
class DeleteAllRequest;
class DeleteAllResponse;
class GetAlarmRequest;
class GetAlarmResponse;
class GetEntriesRequest;
class GetEntriesResponse;
class ListEntriesRequest;
class ListEntriesResponse;
}  // namespace holdfast::v1

namespace holdfast::actors {

class AlarmWatchers;

// Bounds of the classes on what one object, or one of its requests, holds. The names are those of the settings.
struct ObjectLimits {
  // (algorithm, window) pairs of one key of a RateLimiter.
  int64_t rate_limit_windows_max = 1'000;
  // Requests in the logs that one CheckLimits looks at.
  int64_t rate_limit_log_requests_max = 1'000'000;
};

// What an instance has of its activation, which makes it and outlives it. Executor's thread only.
class ObjectContext {
 public:
  virtual ~ObjectContext() = default;
  virtual storage::ObjectStorage& storage() = 0;
  // Never earlier than any time that the object has stored, also across restarts. Microseconds.
  virtual absl::Time Now() = 0;
  virtual Random& random() = 0;
  virtual const storage::ObjectKey& key() const = 0;
  virtual const ObjectLimits& limits() const = 0;

  virtual AlarmWatchers& alarm_watchers() = 0;

  // What the methods of Object with the same name do.
  virtual void LeaveNoRecord() = 0;
  virtual void AfterCommit(absl::AnyInvocable<void()> function) = 0;
  // What Object::Wait and Object::NextTurn do.
  virtual void BeginWait(absl::Duration time, bool end_turn, std::coroutine_handle<> handler) = 0;
  virtual void CancelWait(std::coroutine_handle<> handler) = 0;
};

struct AlarmRun {
  absl::Time scheduled_time;
  // Attempts that failed before this one.
  int32_t retry_count;
};

// kNo: it comes again when AlarmWatchers says that there is somebody for it. kLater: it comes again soon by itself.
enum class AlarmTaking { kYes, kNo, kLater };

class Object {
 public:
  explicit Object(ObjectContext* context) : context_(context) {}
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  // Brings what the instance keeps in memory up from storage, as a critical section: no request is begun before it has
  // ended. An error goes to the requests that wait, and the next request tries again.
  virtual Task<absl::Status> Load();

  // The alarm's handler. At least once, never early. An error is retried after 2, 4, 8, 16, 32, 64 s and from then on
  // every 64 s, each plus up to a quarter, as often as the class says; the writes are then dropped, but what it said of
  // the alarm is kept. Within the handler alarm() is absent until it sets a new one, which then takes the place of both
  // this one and its retries.
  virtual Task<absl::Status> OnAlarm(const AlarmRun& run);

  // Whether the alarm, which is due, can be taken now. If not it stays due, and no attempt counts.
  virtual AlarmTaking TakesAlarm() { return AlarmTaking::kYes; }

  // An estimate of what the instance keeps in memory, for the bound on all of them. Called after every turn: quick.
  virtual size_t MemoryBytes() const { return 0; }

  // --- Handlers that every class has (actors/object.cc). After those that delete the instance is discarded.
  Task<absl::Status> GetEntries(const v1::GetEntriesRequest& request, v1::GetEntriesResponse* response);
  Task<absl::Status> ListEntries(const v1::ListEntriesRequest& request, v1::ListEntriesResponse* response);
  Task<absl::Status> GetAlarm(const v1::GetAlarmRequest& request, v1::GetAlarmResponse* response);
  virtual Task<absl::Status> DeleteAll(const v1::DeleteAllRequest& request, v1::DeleteAllResponse* response);
  Task<absl::Status> Cleanup(const v1::CleanupRequest& request, v1::CleanupResponse* response);

 protected:
  storage::ObjectStorage& storage() { return context_->storage(); }
  absl::Time Now() { return context_->Now(); }
  Random& random() { return context_->random(); }
  ObjectContext& context() { return *context_; }
  // What a client sees of the alarm.
  virtual std::optional<absl::Time> VisibleAlarm() { return storage().alarm(); }

  // No record is kept of the reply that this turn gives, if its request has a request_id: a denial, which a retry may
  // find otherwise.
  void LeaveNoRecord() { context_->LeaveNoRecord(); }
  // Runs `function`, on the executor, when what the turn has written is durable; never, if the turn fails. The instance
  // may be gone by then.
  void AfterCommit(absl::AnyInvocable<void()> function) { context_->AfterCommit(std::move(function)); }

  // `co_await Wait(d)` suspends the handler for so long. If the turn has written nothing yet, the input gate opens and
  // other requests run meanwhile; so check again what you knew before. Otherwise the gate stays closed.
  class Waiting {
   public:
    Waiting(ObjectContext* context, absl::Duration time, bool end_turn)
        : context_(context), time_(time), end_turn_(end_turn) {}
    Waiting(const Waiting&) = delete;
    ~Waiting() {
      if (handler_) context_->CancelWait(handler_);
    }
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handler) {
      handler_ = handler;
      context_->BeginWait(time_, end_turn_, handler);
    }
    void await_resume() { handler_ = nullptr; }

   private:
    ObjectContext* const context_;
    const absl::Duration time_;
    const bool end_turn_;
    std::coroutine_handle<> handler_ = nullptr;
  };
  Waiting Wait(absl::Duration time) { return Waiting(context_, time, false); }

  // `co_await NextTurn()` ends the turn here, so that what it has written commits as one and is never dropped by a
  // later error, and goes on in a turn of its own after the others that wait. For work that is too much for one turn;
  // each part keeps well below turn_bytes_max by itself.
  Waiting NextTurn() { return Waiting(context_, absl::ZeroDuration(), true); }

 private:
  ObjectContext* const context_;
};

// A step from the schema before to `version`, over what the class has stored. Migrations run before Load, all that are
// due in one atomic commit with the new version, so a crash leaves the old one whole. They are not run for an object
// that has stored nothing: it begins at the newest version. Bounded as a turn is: turn_bytes_max, load_timeout.
struct Migration {
  int64_t version;
  Task<absl::Status> (*run)(storage::ObjectStorage& storage, absl::Time now);
};

struct ObjectClass {
  std::string name;
  std::unique_ptr<Object> (*make)(ObjectContext* context);
  // In ascending order of version.
  std::vector<Migration> migrations = {};
  // Failed attempts after which the alarm is dropped; 0: never.
  int32_t alarm_attempts_max = 0;
  // Its objects are their clients', who may write them through ObjectService and watch their alarms.
  bool for_clients = false;

  int64_t schema_version() const { return migrations.empty() ? 0 : migrations.back().version; }
};

// The classes of a server, by name. Immutable once it serves.
class ClassRegistry {
 public:
  // Each must outlive the registry.
  explicit ClassRegistry(std::vector<const ObjectClass*> classes) : classes_(std::move(classes)) {}
  // Null if there is none.
  const ObjectClass* Find(absl::string_view name) const;

 private:
  const std::vector<const ObjectClass*> classes_;
};

template <typename T>
std::unique_ptr<Object> Make(ObjectContext* context) {
  return std::make_unique<T>(context);
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECT_H_
