// An object in memory: its instance, its mailbox, its gates, and the turn that runs.
//
// A delivery comes into the mailbox; when the input gate is open it becomes a turn, a coroutine that may suspend; when
// that ends, its writes join the commit pipeline as one, and its outcome passes the output gate. This class is that
// path and nothing else: what is shared by the objects of an executor (memory, timers, alarms) is ShardHost's.
//
// Ownership: its shard's. It stays as long as it has an instance, something in the mailbox, or writes that are not
// durable, which a later load reads through. Threading: its executor. Errors: DESIGN.md under Failure, in short: an
// error before any write keeps the instance, any later one drops the writes and the instance.

#ifndef HOLDFAST_ACTORS_RUNTIME_ACTIVATION_H_
#define HOLDFAST_ACTORS_RUNTIME_ACTIVATION_H_

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "actors/runtime/delivery.h"
#include "actors/runtime/input_gate.h"
#include "actors/runtime/object_place.h"
#include "actors/runtime/object_record.h"
#include "actors/runtime/output_gate.h"
#include "actors/runtime/request_queue.h"
#include "actors/runtime/residency.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/commit/commit_pipeline.h"
#include "storage/node/families.h"
#include "storage/object/keyspace.h"
#include "storage/object/keyspace_reader.h"
#include "storage/object/object_storage.h"
#include "storage/store/object_id.h"

namespace holdfast::actors {

struct Lane;

class Activation : public ObjectContext {
 public:
  enum class State {
    kInactive,     // no instance; begins here. Next: kLoading, or the activation is removed
    kLoading,      // migrations and Load() run. Next: kActive, kBroken
    kActive,       // takes turns. Next: kPassivating, kBroken
    kPassivating,  // no instance; the last writes are not durable yet. Next: kLoading, or the activation is removed
    kBroken,       // the instance failed and is being discarded. Next: kLoading if requests wait, or kPassivating
  };

  Activation(const storage::ObjectKey& key, const ObjectClass* object_class, Lane* lane);
  ~Activation() override;

  // Takes the delivery, or tells it at once that the mailbox is full.
  void Deliver(Delivery* request);
  // The alarm's index says that it is due. The turn looks again.
  void DeliverAlarm();
  // Moves the object into this family, which is empty, and is dropped if it comes to nothing; nothing: packs it, if it
  // is small. The object goes on meanwhile, step by step with the move.
  void BeginMove(std::optional<storage::Placement> to);
  // A family is being made for the object, which stays in memory until that has ended: BeginMove or FamilyRefused.
  void AwaitFamily() { place_.AwaitFamily(); }
  // The family could not be made; the object stays packed, and asks for one again later.
  void FamilyRefused();

  // Discards the instance if nothing runs or waits. False otherwise.
  bool Passivate();
  // Discards the instance as soon as no turn is under way; what waits then meets a new one.
  void PassivateSoon();
  // Has no instance, nothing waiting and nothing on its way to disk: can be removed.
  bool removable() const;

  // Persists a header that lags behind.
  void SettleHeader();

  State state() const { return state_; }
  // Returns whether a turn runs or a delivery waits.
  bool busy() const;
  size_t mailbox_depth() const { return queue_.depth(); }
  absl::Time last_used() const { return seat_.last_used(); }
  Residency::Seat& seat() { return seat_; }
  const Residency::Seat& seat() const { return seat_; }
  // An estimate of what the activation holds. It has an instance.
  size_t MemoryBytes() const;
  const storage::Keyspace& keyspace() const { return place_.keyspace(); }
  // The last batch with writes of the object.
  storage::BatchNumber last_batch() const { return place_.last_batch(); }
  // Of what the object stores, as far as is known.
  int64_t size_bytes() const { return record_.size_bytes(); }
  // Of turns, since the object came into memory.
  int commits() const { return record_.commits(); }
  bool packed() const { return place_.packed(); }
  // Packed, and nothing speaks against a family.
  bool WantsFamily() const { return place_.WantsFamily(); }

  // Aborts if an invariant does not hold. For tests and simulation.
  void CheckInvariants() const;

  // The most that is known of the object without reading: nothing if it was not loaded, or does not exist.
  const std::optional<storage::v1::ObjectHeader>& header() const { return record_.header(); }

  // ObjectContext.
  storage::ObjectStorage& storage() override { return storage_; }
  absl::Time Now() override;
  Random& random() override;
  const storage::ObjectKey& key() const override { return key_; }
  const ObjectLimits& limits() const override;
  void BeginWait(absl::Duration time, bool end_turn, std::coroutine_handle<> handler) override;
  void CancelWait(std::coroutine_handle<> handler) override;
  AlarmWatchers& alarm_watchers() override;
  void LeaveNoRecord() override;
  void AfterCommit(absl::AnyInvocable<void()> function) override;

 private:
  class LoadTurn;
  class AlarmTurn;
  class MoveTurn;
  class LeaveTurn;
  struct ActiveWait {
    std::coroutine_handle<> handler;
    Delivery* turn;
    Executor::TimerId timer;
  };

  // Runs what can run: turns that are ready to go on, a load, requests.
  void Pump();
  // The next that may begin; null if there is none.
  Delivery* NextRequest();
  absl::Status MailboxFull() const;
  // Ends a request that has not begun.
  void Refuse(Delivery* request, const absl::Status& why);
  // Returns whether the turn is none of a request.
  bool OfRuntime(const Delivery* turn) const;
  // Tells the observer, if there is one, that the turn of a request has ended.
  void TellEnded(Delivery* turn, const absl::Status& outcome);
  // Discards the instance, which was loaded.
  void Discard();
  void Unload();
  void Begin(Delivery* turn, Task<absl::Status> task, absl::Duration limit);
  absl::Duration LimitOf(const Delivery* turn) const;
  // Lets a suspended coroutine of `turn`, which holds the gate, go on.
  void Continue(Delivery* turn, std::coroutine_handle<> handler);
  void EndTurn(Delivery* turn);
  void EndLoad(const absl::Status& status);
  void TimeOut(Delivery* turn);
  // Ends a turn that is suspended, and with it the instance; `why` is what those are told whose turns end.
  void GiveUp(Delivery* turn, const absl::Status& why);
  // What the runtime has against a turn that ended well. Makes the record of its reply.
  absl::Status CheckTurn(Delivery* turn);
  void DropTurn();
  // Gives up the instance and the turns that run; `why` is what they are told.
  void Reset(const absl::Status& why);
  void FailWaiting(const absl::Status& status);
  // Takes a turn that has ended, or is given up, off the books.
  void Retire(Delivery* turn);

  Task<absl::Status> Load();
  Task<absl::Status> RunAlarm(AlarmTurn* turn);
  Task<absl::Status> RunRecorded(Delivery* request);
  Task<absl::Status> ReadPart(MoveTurn* turn);

  // --- activation_leave.cc: the end of an object that stores nothing any more.
  // Whether nothing speaks against it, as far as memory tells.
  bool MayLeave();
  // Deletes the object in this turn if it may leave and its storage is empty.
  Task<absl::Status> Leave();
  // Begins a turn that does so, before the instance is discarded.
  void BeginLeaving();

  // --- activation_commit.cc: what a turn leaves.
  // What a turn wrote joins the pipeline, with what belongs to it: header, catalog, alarm, record.
  void CommitTurn();
  void CommitWrites();
  void CommitDeletion();
  void NextMoveStep();
  void CommitMoveStep();
  void AbortMove();
  // Gives the turn's writes, those to the node's own families, and the header if it changed, to the pipeline.
  void Join(storage::WriteSet* catalog, storage::WriteSet* alarms);
  // Commits what a failed alarm handler leaves: its own change of the alarm, or the next attempt.
  void CommitAlarmFailure(const std::optional<storage::ObjectStorage::AlarmChange>& change);

  const storage::ObjectKey key_;
  const ObjectClass* const class_;
  Lane* const lane_;
  storage::ObjectStorage storage_;
  storage::KeyspaceReader records_;
  OutputGate output_gate_;
  ObjectRecord record_;
  ObjectPlace place_;

  State state_ = State::kInactive;
  std::unique_ptr<Object> object_;
  RequestQueue queue_;
  InputGate input_gate_;
  std::vector<Delivery*> turns_;  // begun and not ended
  std::list<ActiveWait> waits_;
  bool pumping_ = false;

  // Of the turn, like storage_.writes().
  storage::WriteSet record_writes_;
  std::vector<absl::AnyInvocable<void()>> after_commit_;

  std::unique_ptr<LoadTurn> load_turn_;
  // Waiting, running or, a move, on its way to disk; they own themselves and end with Done.
  AlarmTurn* alarm_turn_ = nullptr;
  MoveTurn* move_turn_ = nullptr;
  bool alarm_fired_again_ = false;  // while the alarm's turn ran
  bool passivate_soon_ = false;
  bool leaving_tried_ = false;  // since it was loaded

  Residency::Seat seat_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_ACTIVATION_H_
