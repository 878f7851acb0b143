// Fires the alarms of one executor's objects when they are due.
//
// The index on disk has all alarms, ordered by due time. Memory has only the nearest: those that are due before the
// horizon, at most `entries_max` of them and at most `window` ahead. When they run low the scheduler reads on from the
// horizon, off the executor. A change of an alarm before the horizon changes memory too; one beyond it does not.
//
// Invariants:
//   1. Every alarm in the index before the horizon is in memory, or is being delivered, or waits for another try or for
//      a client, or was forgotten. Then nobody_, searched_, forgotten_ or read_again_at_ records that there is such an
//      alarm to be found in the index again.
//   2. Nothing is fired before its time, nor more than `running_max` at once, nor more than `per_second` in a second.
//
// Alarms make room for requests. At most kAtOnceMax are fired before the executor looks for other work again, and while
// such work has been waiting for longer than `behind_max`, only `per_second_behind` in a second. So alarms go as fast
// as there is room for them, and are never starved.
//
// Firing only asks the object to look at its alarm; it looks again inside its turn. A delivery that could not begin
// (the object did not load, the disk is full) is tried again after `retry_delay`, and counts as no attempt.
//
// Due times are instants of the wall clock. An alarm that comes of a delay has, within a run of the server, also the
// time by the steady clock at which the delay has passed, which then decides; at most `entries_max` of these are
// remembered, others go by their instants.
//
// An alarm that is for clients stays due while no client takes it. If there are clients for it but all are busy, it
// waits in memory until one is free; at most `entries_max` alarms wait so, and the others are read from the index again
// once a client is free. If there is no client for it, the scheduler forgets it.
//
// Of the alarms that it forgot because they had no client, the scheduler remembers hashes: of the objects, at most
// `entries_max`, to tell their number (load()), and of the namespaces, to find them again. A new client with such a
// namespace begins a search: a walk over the due alarms in the index, in steps, off the executor, which takes the
// alarms that match the filters of the new clients and skips the others. There is one search at a time, and clients
// that come meanwhile share the next one, so clients that come and go without end make the server read no faster.
//
// Threading: the executor.

#ifndef HOLDFAST_ACTORS_ALARMS_ALARM_SCHEDULER_H_
#define HOLDFAST_ACTORS_ALARMS_ALARM_SCHEDULER_H_

#include <bitset>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/executor/executor.h"
#include "storage/base/background.h"
#include "storage/node/alarm_index.h"
#include "storage/object/keyspace.h"
#include "storage/store/store.h"

namespace holdfast::actors {

struct AlarmOptions {
  size_t entries_max = 20'000;
  absl::Duration window = absl::Minutes(1);
  size_t running_max = 1'000;
  int per_second = 100'000;
  // While requests have been waiting for longer than `behind_max`, this bound holds, too.
  int per_second_behind = 2'000;
  absl::Duration behind_max = absl::Milliseconds(2);
  // With fewer alarms of unloaded objects due together than this, each object loads by itself.
  size_t together_min = 8;
  absl::Duration retry_delay = absl::Seconds(1);
  // The wall clock is read again at least this often, so a step of the clock delays an alarm by no more than this.
  absl::Duration wall_step = absl::Seconds(1);
};

class AlarmScheduler {
 public:
  // The outcome of firing an alarm. kBegun: a call of Ended follows. The others: no client was there, or all were busy.
  enum class Fired { kBegun, kNobody, kAllBusy };
  using Fire = absl::AnyInvocable<Fired(const std::string& object)>;
  // Returns whether this executor runs the object.
  using Owns = absl::AnyInvocable<bool(const std::string& object) const>;  // on the executor

  // `index` is the executor's keyspace over the alarms' family.
  AlarmScheduler(Executor* executor, storage::Store* store, storage::Background* reads, const storage::Keyspace* index,
                 const AlarmOptions& options, Fire fire, Owns owns);
  ~AlarmScheduler();

  void Start();
  // Fires nothing from now on.
  void Stop();
  // The executor runs other objects than before: forgets the alarms of those that it has lost, and reads those that it
  // has gained.
  void OwnershipChanged();

  // The batch that is being filled adds this entry to the index, or removes it.
  void Added(const storage::AlarmEntry& entry, std::optional<absl::Time> steady_due = std::nullopt);
  void Removed(const storage::AlarmEntry& entry);
  // Returns whether the alarm may be delivered now. An object asks when it looks at its alarm.
  bool IsDue(const storage::AlarmEntry& entry) const;
  // Returns the steady time at which the alarm's delay has passed; nullopt for an alarm that goes by its instant.
  std::optional<absl::Time> SteadyDueOf(const storage::AlarmEntry& entry) const;
  // Keeps an entry that was fired before its time, so that it fires again.
  void Again(const storage::AlarmEntry& entry);
  // The outcome of a delivery that was fired.
  enum class End {
    kSettled,   // the alarm ran, or there was nothing to run
    kNotBegun,  // the delivery could not begin: try again
    kNotTaken,  // no client took the alarm: look for one again at once, then wait for OnClients()
    kLater,     // no client took the alarm, and OnClients() will not be called for it: try again
  };
  void Ended(const std::string& object, End end);
  // A client may be there for alarms that found none: a new one, whose filter `added` is, or, without it, one that is
  // free again.
  void OnClients(const std::optional<AlarmWatchers::Filter>& added);

  struct Load {
    size_t running = 0;  // alarms that are being delivered
    // Due alarms that no client has taken, because all that match are busy or none does; at most `entries_max` of each.
    size_t waiting = 0;
    // How late the next alarm is that nothing but the pace holds back.
    absl::Duration late = absl::ZeroDuration();
  };
  Load load() const;

  // Returns whether nothing is being delivered or read.
  bool idle() const { return running_ == 0 && !reading_ && !search_reads_; }

 private:
  struct Change {
    storage::AlarmEntry entry;
    bool added;
  };

  // The time at which the delay of an alarm in the index has passed.
  struct Delay {
    int64_t due_us;  // names the alarm, with its object
    absl::Time steady_due;
  };

  // Returns null if the alarm goes by its instant.
  const Delay* DelayOf(const storage::AlarmEntry& entry) const;
  // Returns the steady time at which to check whether the wall time has come, at most wall_step from now.
  absl::Time SteadyTimeOf(absl::Time wall) const;
  void Refill();
  void OnRead(std::vector<storage::AlarmEntry> entries, storage::AlarmEntry new_horizon);
  void Apply(const Change& change);
  void Trim();
  void FireDue();
  // Returns whether the delivery has begun; otherwise the alarm is kept for later.
  bool FireOne(std::string object);
  void FireWaiting();
  // Takes the next step of the search, or the first step of the next search, unless a read is in progress, there is
  // nothing to search for, or found_ is not empty yet.
  void Search();
  static size_t NamespaceBit(absl::string_view ns);
  // Fires the object's alarm again after `retry_delay`. At most `entries_max` alarms wait this way in memory; with
  // more, all alarms are read again instead.
  void TryAgain(const std::string& object);
  // Empties the memory and begins to read from the first alarm on.
  void ReadAgain();
  void SetTimer();
  absl::Time HorizonTime() const;
  bool IsBehind() const { return executor_->behind() > options_.behind_max; }
  // The pace is at most PaceMax() alarms in each step of PaceStep().
  int PerSecond(bool behind) const;
  absl::Duration PaceStep(bool behind) const;
  int PaceMax(bool behind) const;
  // Begins the next step of the pace if the current one is over.
  void StepPace();
  // Returns whether one more alarm may be fired now.
  bool HasRoom() const;

  Executor* const executor_;
  storage::Store* const store_;
  storage::Background* const reads_;
  const storage::Keyspace* const index_;
  const AlarmOptions options_;
  Fire fire_;
  Owns owns_;

  bool started_ = false;
  bool firing_ = false;
  std::set<storage::AlarmEntry> near_;
  absl::flat_hash_map<std::string, Delay> delays_;               // by object
  std::set<std::pair<absl::Time, std::string>> delays_by_time_;  // those of delays_ that were not fired yet
  std::multimap<absl::Time, std::string> again_;
  std::deque<std::string> waiting_;                   // due alarms that wait for a client to be free
  absl::flat_hash_set<std::string> waiting_objects_;  // the objects in waiting_
  // Hashes of the objects whose due alarms were forgotten because no client was there. For their number alone.
  absl::flat_hash_set<size_t> unwatched_;
  // Hashes of namespaces that have due alarms which were forgotten because no client was there.
  std::bitset<1 << 12> nobody_;
  std::vector<AlarmWatchers::Filter> searched_;     // the filters of the current search; empty: there is none
  std::vector<AlarmWatchers::Filter> search_next_;  // the filters of the next search
  storage::AlarmEntry search_from_;
  std::deque<std::string> found_;  // the search has found them; they are not fired yet
  bool search_reads_ = false;
  bool forgotten_ = false;   // waiting_ was full, so due alarms were forgotten
  size_t looks_left_ = 0;    // the number of alarms in waiting_ to try since a client became free
  bool read_again_ = false;  // calls ReadAgain() when the current read has ended
  absl::Time read_again_at_ = absl::InfiniteFuture();
  storage::AlarmEntry horizon_;  // exclusive
  bool reading_ = false;
  absl::Time refill_at_ = absl::InfinitePast();  // by the wall clock
  absl::Time unreadable_until_ = absl::InfinitePast();
  std::vector<Change> changes_while_reading_;  // changes beyond the horizon
  size_t running_ = 0;
  absl::Time pace_start_ = absl::InfinitePast();
  int fired_in_pace_ = 0;
  int fired_at_once_ = 0;  // since the executor last looked for other work
  int vain_looks_ = 0;     // alarms without a client in the current FireDue()
  std::optional<Executor::TimerId> timer_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_ALARMS_ALARM_SCHEDULER_H_
