// Object is the base of the object classes; a subclass gives a kind of object its behaviour.
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
// executor, so members need no lock and a turn sees the members as the last one left them. The writes of a handler to
// storage() commit when it returns OK, all of them or none, and the reply waits until they are durable.
//
// An object that stores nothing and has no alarm ceases to exist: at the end of its alarm's turn, or when it leaves
// memory (actors/runtime/activation_leave.cc). A class that must remember something of such an object stores a
// remainder under storage::kRemainderKey. The remainder does not count as stored: Load() finds it when the object is
// used again, and DeleteAll removes it.
//
// Rules for a handler:
//   1. Check the request before the first write or change of a member. An error then keeps the instance; an error after
//      a write drops the writes and the instance with its members, and the next request loads it afresh.
//   2. Change members only together with the writes, so that members and storage agree.
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
#include "actors/alarms/alarm_watchers.h"
#include "actors/executor/clock.h"
#include "actors/executor/task.h"
#include "storage/object/object_storage.h"
#include "storage/store/format.h"
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

namespace holdfast::storage {
struct ObjectImage;
}  // namespace holdfast::storage

namespace holdfast::actors {

struct AlarmDescription;
struct ObjectClass;

// Bounds that the classes put on one object, or on one of its requests. The names are those of the settings.
struct ObjectLimits {
  // The most (algorithm, window) pairs that one key of a RateLimiter may have.
  int64_t rate_limit_windows_max = 1'000;
  // The most requests in the logs that one CheckLimits reads.
  int64_t rate_limit_log_requests_max = 1'000'000;
};

// The services that an activation gives to its instance. The activation makes the instance and outlives it. Call these
// on the executor's thread only.
class ObjectContext {
 public:
  virtual ~ObjectContext() = default;
  virtual storage::ObjectStorage& storage() = 0;
  // Returns the object's clock, in whole microseconds. It is never earlier than any time that the object has stored,
  // also across restarts.
  virtual absl::Time Now() = 0;
  virtual Random& random() = 0;
  virtual const storage::ObjectKey& key() const = 0;
  virtual const ObjectLimits& limits() const = 0;

  virtual AlarmWatchers& alarm_watchers() = 0;
  // Hands over the place that was claimed for the due alarm, if one was. TakesAlarm() may call it, once.
  virtual std::optional<AlarmWatchers::Claim> TakeAlarmClaim() = 0;

  // These implement the methods of Object with the same names.
  virtual void LeaveNoRecord() = 0;
  virtual void AfterCommit(absl::AnyInvocable<void()> function) = 0;
  // These implement Object::Wait and Object::NextTurn (`end_turn`).
  virtual void BeginWait(absl::Duration time, bool end_turn, std::coroutine_handle<> handler) = 0;
  virtual void CancelWait(std::coroutine_handle<> handler) = 0;
};

struct AlarmRun {
  absl::Time scheduled_time;
  // Attempts that failed before this one.
  int32_t retry_count;
};

// The answer of an object whose alarm is due. kNo: the alarm fires again when AlarmWatchers has a watcher for it.
// kLater: the alarm fires again soon without that.
enum class AlarmTaking { kYes, kNo, kLater };

class Object {
 public:
  explicit Object(ObjectContext* context) : context_(context) {}
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  // Reads from storage the state that the instance keeps in memory. It is a critical section: no request begins before
  // it has ended. The waiting requests get its error, and the next request tries again.
  virtual Task<absl::Status> Load();

  // The alarm's handler. It runs at least once for an alarm, and never early. An error is retried after 2, 4, 8, 16,
  // 32, 64 s and from then on every 64 s, each plus up to a quarter, for as many attempts as the class allows. An error
  // drops the handler's writes but keeps its change of the alarm. Within the handler alarm() is absent until the
  // handler sets a new one, which replaces both this alarm and its retries.
  virtual Task<absl::Status> OnAlarm(const AlarmRun& run);

  // Returns whether the due alarm can be taken now. An alarm that is not taken stays due, and no attempt counts.
  virtual AlarmTaking TakesAlarm() { return AlarmTaking::kYes; }

  // Returns an estimate of the instance's memory, for the bound on all instances. It runs after every turn, so it must
  // be quick.
  virtual size_t MemoryBytes() const { return 0; }

  // --- Handlers that every class has (actors/object.cc). The instance is discarded after a handler that deletes.
  Task<absl::Status> GetEntries(const v1::GetEntriesRequest& request, v1::GetEntriesResponse* response);
  Task<absl::Status> ListEntries(const v1::ListEntriesRequest& request, v1::ListEntriesResponse* response);
  Task<absl::Status> GetAlarm(const v1::GetAlarmRequest& request, v1::GetAlarmResponse* response);
  virtual Task<absl::Status> DeleteAll(const v1::DeleteAllRequest& request, v1::DeleteAllResponse* response);
  Task<absl::Status> Cleanup(const v1::CleanupRequest& request, v1::CleanupResponse* response);
  // These two move a whole object (actors/object_files.cc). An export has all that the object stores, in at most
  // `bytes_max` bytes. An import makes the object what the image says; over an object that is there only with
  // `replace`. The instance is discarded after an import.
  Task<absl::Status> Export(const ObjectClass& object_class, size_t bytes_max, storage::ObjectImage* image);
  Task<absl::Status> Import(const ObjectClass& object_class, storage::ObjectImage image, bool replace);

 protected:
  storage::ObjectStorage& storage() { return context_->storage(); }
  absl::Time Now() { return context_->Now(); }
  Random& random() { return context_->random(); }
  ObjectContext& context() { return *context_; }
  // Returns the alarm's time as clients see it.
  virtual std::optional<absl::Time> VisibleAlarm() { return storage().alarm(); }

  // Keeps no record of this turn's reply, even if its request has a request_id. It is for a denial: a retry is then
  // decided anew.
  void LeaveNoRecord() { context_->LeaveNoRecord(); }
  // Runs `function` on the executor when the turn's writes are durable, or never if the turn fails. The instance may be
  // gone by then.
  void AfterCommit(absl::AnyInvocable<void()> function) { context_->AfterCommit(std::move(function)); }

  // `co_await Wait(d)` suspends the handler for the time `d`. If the turn has written nothing yet, the input gate opens
  // and other requests run meanwhile, so check again afterwards. Otherwise the gate stays closed.
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

  // `co_await NextTurn()` commits the writes so far, which no later error drops, and goes on in a new turn after the
  // others that wait. Use it for work that is too much for one turn, and keep each part well below turn_bytes_max.
  Waiting NextTurn() { return Waiting(context_, absl::ZeroDuration(), true); }

 private:
  ObjectContext* const context_;
};

// A step that takes an object's storage from the schema before to `version`. The due migrations run before Load and
// commit atomically with the new version, so a crash leaves the old schema whole. An object that has stored nothing
// begins at the newest version without them. turn_bytes_max and load_timeout bound them all together.
struct Migration {
  int64_t version;
  Task<absl::Status> (*run)(storage::ObjectStorage& storage, absl::Time now);
};

struct ObjectClass {
  std::string name;
  std::unique_ptr<Object> (*make)(ObjectContext* context);
  // The migrations are in ascending order of version.
  std::vector<Migration> migrations = {};
  // The alarm is dropped after this many failed attempts; 0: never.
  int32_t alarm_attempts_max = 0;
  // Clients may write the objects of this class through ObjectService.
  bool for_clients = false;

  // --- Hooks of the runtime.
  // Objects of the class may have a SQL database. Only the usage in the header knows its size, and counts all bytes of
  // the object exactly; therefore the header of such an object is stored with every turn that changes the usage.
  bool has_sql = false;
  // A due alarm wakes its object only when AlarmWatchers has a watcher for it.
  bool alarms_for_watchers = false;
  // The last key that the load of an object and the turn of its alarm mostly need; "": as far as rows go. Where many
  // alarms are due, the keys up to it are read beforehand.
  std::string alarm_reads_to = storage::kAlarmKey;
  // Reads from the durable storage of an object the alarm that it shows to clients. Null: the alarm of the runtime.
  absl::Status (*describe_alarm)(storage::View& view, absl::Time now, AlarmDescription* alarm) = nullptr;

  int64_t schema_version() const { return migrations.empty() ? 0 : migrations.back().version; }
};

// The object classes of a server, by name. The registry is immutable.
class ClassRegistry {
 public:
  // Each class must outlive the registry.
  explicit ClassRegistry(std::vector<const ObjectClass*> classes) : classes_(std::move(classes)) {}
  // Returns null if no class has this name.
  const ObjectClass* Find(absl::string_view name) const;
  const std::vector<const ObjectClass*>& all() const { return classes_; }

 private:
  const std::vector<const ObjectClass*> classes_;
};

template <typename T>
std::unique_ptr<Object> Make(ObjectContext* context) {
  return std::make_unique<T>(context);
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECT_H_
