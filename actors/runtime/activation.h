// An object in memory: its instance, its mailbox, its gates, and the turn that runs.
//
// A delivery waits in the mailbox until the input gate is open; then it becomes a turn, a coroutine that may suspend.
// When the turn ends, its writes join the commit pipeline together, and its outcome passes the output gate. This class
// is that path and nothing else: Lane has the parts that the objects of an executor share (memory, timers, alarms).
//
// Ownership: the shard owns it, and keeps it while it has an instance, something in the mailbox, or writes that are not
// durable yet: a later load reads through them. Threading: the object's executor.
//
// Errors: an error before the first write keeps the instance. A later error, or a turn over its time limit, drops the
// turn's writes and discards the instance with its SQL connection; the other turns in progress end with it, and the
// next request loads a new instance.

#ifndef HOLDFAST_ACTORS_RUNTIME_ACTIVATION_H_
#define HOLDFAST_ACTORS_RUNTIME_ACTIVATION_H_

#include <cstdint>
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
#include "actors/runtime/turn_waits.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/commit/commit_pipeline.h"
#include "storage/node/families.h"
#include "storage/object/keyspace.h"
#include "storage/object/object_storage.h"
#include "storage/object/preread.h"
#include "storage/store/object_id.h"

namespace holdfast::actors {

struct Lane;

class Activation : public ObjectContext, private storage::Resumer {
 public:
  enum class State : uint8_t {
    kInactive,     // no instance; begins here. Next: kLoading, or the activation is removed
    kLoading,      // migrations and Load() run. Next: kActive, kBroken
    kActive,       // takes turns. Next: kPassivating, kBroken
    kPassivating,  // no instance; the last writes are not durable yet. Next: kLoading, or the activation is removed
    kBroken,       // the instance failed and is being discarded. Next: kLoading if requests wait, or kPassivating
  };

  Activation(const storage::ObjectKey& key, const ObjectClass* object_class, Lane* lane);
  ~Activation() override;

  // Puts the delivery into the mailbox, or ends it at once with MAILBOX_FULL.
  void Deliver(Delivery* request);
  // Does the same, but the delivery does not begin before RunGathered(): deliveries that come together begin together,
  // each in a turn of its own. If the mailbox is full, those that have gathered begin first. Returns whether the caller
  // is to call RunGathered(), which it must in the same step; the activation stays until then.
  bool Gather(Delivery* request);
  void RunGathered();
  // Starts the alarm's turn: the alarm index says that the alarm is due. The turn checks that again. `claim` is the
  // place of a watcher, for an alarm that needs one and found one. `preread` may be null; otherwise this activation has
  // just been made.
  void DeliverAlarm(std::optional<AlarmWatchers::Claim> claim, std::unique_ptr<const storage::Preread> preread);
  // Moves the object into the family `to`, which is empty; with no `to`, packs it if it is small. The object's other
  // turns run between the steps of the move. A failed move drops the family.
  void BeginMove(std::optional<storage::Placement> to);
  // Keeps the object in memory while a family is made for it; ends with BeginMove or FamilyRefused.
  void AwaitFamily() { place_.AwaitFamily(); }
  // The family could not be created; the object stays packed and retries later.
  void FamilyRefused();

  // Discards the instance and returns true if nothing runs or waits; otherwise returns false. Also returns false for an
  // object that stores nothing: that ends in a turn of its own first.
  bool Passivate();
  // Discards the instance as soon as no turn is in progress. The requests that wait then get a new instance.
  void PassivateSoon();
  // The object's shard is being given away: ends the requests that wait with WRONG_OWNER, and discards the instance as
  // soon as no turn is in progress. EvictNow ends the turns in progress too, with OBJECT_RESET.
  void Evict();
  void EvictNow();
  // Returns whether the activation has no instance, nothing that waits, and no write that is not durable.
  bool removable() const;

  // Puts a header that lags behind into the batch that is being filled.
  void SettleHeader();

  State state() const { return state_; }
  // Returns whether a turn runs or a delivery waits.
  bool busy() const;
  size_t mailbox_depth() const { return queue_.depth(); }
  Residency::Seat& seat() { return seat_; }
  const Residency::Seat& seat() const { return seat_; }
  // Returns an estimate of the activation's memory. Call it only while there is an instance.
  size_t MemoryBytes() const;
  const storage::Keyspace& keyspace() const { return place_.keyspace(); }
  // Returns the number of the last batch with writes of the object.
  storage::BatchNumber last_batch() const { return place_.last_batch(); }
  // Returns the size of the object's storage; 0 if the object was not loaded or does not exist.
  int64_t size_bytes() const { return record_.size_bytes(); }
  // Returns the number of turns that have committed since the object came into memory.
  int commits() const { return record_.commits(); }
  bool packed() const { return place_.packed(); }
  // Returns whether the object is packed and may get a family now.
  bool WantsFamily() const { return place_.WantsFamily(); }

  // Aborts if an invariant does not hold. Tests and the simulation call it.
  void CheckInvariants() const;

  // Returns the header in memory; absent if the object was not loaded or does not exist.
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
  std::optional<AlarmWatchers::Claim> TakeAlarmClaim() override;
  void LeaveNoRecord() override;
  void AfterCommit(absl::AnyInvocable<void()> function) override;

 private:
  class LoadTurn;
  class AlarmTurn;
  class MoveTurn;
  class LeaveTurn;

  // The effects of a turn beside the writes of its object; an error drops them too. Few turns have any.
  struct Beside {
    storage::WriteSet record;  // of the request
    std::vector<absl::AnyInvocable<void()>> after_commit;
  };

  // storage::Resumer.
  void Resume(std::coroutine_handle<> handler) override { Continue(input_gate_.holder(), handler); }

  // Runs turns while the input gate is open: those that are ready to go on first, then a load, then deliveries.
  void Pump();
  // Returns the next delivery that may begin; null if there is none. A request waits while a turn has its request_id.
  Delivery* NextRequest();
  // Puts the request into the mailbox. Returns false, and does not take it, if the mailbox is full.
  bool Enqueue(Delivery* request);
  absl::Status MailboxFull() const;
  // Ends a request that has not begun, with the error `why`.
  void Refuse(Delivery* request, const absl::Status& why);
  // Returns whether the turn is the alarm's or the move's, so it has no request.
  bool OfRuntime(const Delivery* turn) const;
  // Reports the end of a request's turn to its trace and to the observer, if there are such, and to the list of hot
  // objects.
  void TellEnded(Delivery* turn, const absl::Status& outcome, size_t bytes_written);
  // Discards the instance, which was loaded.
  void Discard();
  void Unload();
  void Begin(Delivery* turn, Task<absl::Status> task, absl::Duration limit);
  // Makes a turn of the runtime, which this owns until the turn's Done calls Drop.
  template <typename Turn>
  Turn* Make();
  void Drop(const Delivery* turn);
  void QueueAlarmTurn(std::optional<AlarmWatchers::Claim> claim = std::nullopt);
  absl::Duration LimitOf(const Delivery* turn) const;
  // Resumes a suspended coroutine of `turn`, which holds the gate.
  void Continue(Delivery* turn, std::coroutine_handle<> handler);
  void EndTurn(Delivery* turn);
  void EndLoad(const absl::Status& status);
  void TimeOut(Delivery* turn);
  // Ends a suspended turn, the other turns in progress and the instance. Their deliveries get the error `why`.
  void GiveUp(Delivery* turn, const absl::Status& why);
  // Runtime checks after a successful handler; stages the request record.
  absl::Status CheckTurn(Delivery* turn);
  void DropTurn();
  // Discards the instance and ends the turns in progress with the error `why`.
  void Reset(const absl::Status& why);
  void FailWaiting(const absl::Status& status);
  // Removes a turn that has ended or is given up: its coroutine, its timer, its place in turns_, its hold on the gate.
  void Retire(Delivery* turn);

  // --- activation_turns.cc: the coroutines of the runtime itself.
  Task<absl::Status> Load();
  Task<absl::Status> RunAlarm(AlarmTurn* turn);
  Task<absl::Status> RunRecorded(Delivery* request);
  Task<absl::Status> ReadPart(MoveTurn* turn);

  // --- activation_leave.cc: the end of an object that stores nothing any more.
  // Returns whether, as far as memory tells, the object stores nothing and may cease to exist.
  bool MayLeave();
  // Deletes the object in this turn if it may leave and its storage is empty.
  Task<absl::Status> Leave();
  // Begins a turn that calls Leave(), before the instance is discarded.
  void BeginLeaving();

  // --- activation_commit.cc: the commits of turns.
  // Gives the turn's writes to the pipeline, with its changes of the header, catalog, alarm and request record.
  void CommitTurn();
  void CommitWrites();
  void CommitDeletion();
  void NextMoveStep();
  void CommitMoveStep();
  void AbortMove();
  // Gives the turn's writes, the header if it changed, and the writes to the node's own families to the pipeline.
  void Join(storage::WriteSet* catalog, storage::WriteSet* alarms);
  // Returns whether the turn leaves a record of its request.
  bool HasRecord() const { return beside_ != nullptr && !beside_->record.empty(); }
  // Commits the alarm after its handler failed: the handler's own change of it, or else the next attempt.
  void CommitAlarmFailure(const std::optional<storage::ObjectStorage::AlarmChange>& change);

  const storage::ObjectKey key_;
  const ObjectClass* const class_;
  Lane* const lane_;
  storage::ObjectStorage storage_;
  OutputGate output_gate_;
  ObjectRecord record_;
  ObjectPlace place_;

  State state_ = State::kInactive;
  bool pumping_ = false;
  bool gathering_ = false;          // RunGathered() will be called
  bool alarm_fired_again_ = false;  // an alarm fired while the alarm's turn ran
  bool passivate_soon_ = false;
  bool leaving_tried_ = false;  // since it was loaded
  std::unique_ptr<Object> object_;
  RequestQueue queue_;
  InputGate input_gate_;
  std::vector<Delivery*> turns_;  // begun and not ended
  TurnWaits waits_;
  std::unique_ptr<Beside> beside_;  // of the current turn; null: nothing
  std::unique_ptr<LoadTurn> load_turn_;
  AlarmTurn* alarm_turn_ = nullptr;  // waits or runs
  MoveTurn* move_turn_ = nullptr;    // waits, runs, or is on its way to disk

  Residency::Seat seat_;

  // The turns of the runtime that have not been told their outcome, but for load_turn_. The last member: a turn that
  // is destroyed in the middle refers to the others.
  std::vector<std::unique_ptr<Delivery>> own_turns_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_ACTIVATION_H_
