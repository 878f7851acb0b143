// Fires the alarms of one executor's objects when they are due.
//
// The index on disk has all alarms, ordered by due time. In memory are only the nearest: all that are due before the
// horizon, at most `entries_max` of them and at most `window` ahead. When they run low the scheduler reads on from the
// horizon, off the executor. A change of an alarm before the horizon changes memory too; one beyond it does not.
//
// Invariants:
//   1. Every alarm in the index before the horizon is in memory, or is being delivered, or waits for another try or for
//      a client, or was forgotten, which forgotten_ or nobody_ says.
//   2. Nothing is fired before its time, nor more than `running_max` at once, nor more than `per_second` in a second.
//
// Firing only asks the object to look at its alarm; it looks again inside its turn. A delivery that could not begin
// (the object did not load, the disk is full) is tried again after `retry_delay`, and counts as no attempt.
//
// An alarm that is for clients, and finds none that could take it, stays due. As long as there are some, but all have
// their hands full, it waits in memory for one to be free; if there is none it is forgotten. What is too much to wait
// in memory is read from the index again when there is somebody for it.
//
// Of what is forgotten for want of a client the namespaces are remembered, by a hash. A new client with such a
// namespace begins a search: a walk over what is due in the index, in steps, off the executor, that takes what the
// filters of the new clients match and leaves the rest where it is. There is one search at a time, and clients that
// come meanwhile share the next one, so that clients that come and go without end have the server read no faster.
//
// Threading: the executor.

#ifndef HOLDFAST_ACTORS_ALARM_SCHEDULER_H_
#define HOLDFAST_ACTORS_ALARM_SCHEDULER_H_

#include <bitset>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/alarm_watchers.h"
#include "actors/executor.h"
#include "storage/alarm_index.h"
#include "storage/background.h"
#include "storage/keyspace.h"
#include "storage/store.h"

namespace holdfast::actors {

struct AlarmOptions {
  size_t entries_max = 20'000;
  absl::Duration window = absl::Minutes(1);
  size_t running_max = 1'000;
  int per_second = 10'000;
  absl::Duration retry_delay = absl::Seconds(1);
};

class AlarmScheduler {
 public:
  // What came of firing: it will end with Ended, unless there was no client for it.
  enum class Fired { kBegun, kNobody, kAllBusy };
  using Fire = absl::AnyInvocable<Fired(const std::string& object)>;
  // Whether this executor runs the object.
  using Owns = absl::AnyInvocable<bool(const std::string& object) const>;

  // `index` is the executor's keyspace over the alarms' family.
  AlarmScheduler(Executor* executor, storage::Store* store, storage::Background* reads, const storage::Keyspace* index,
                 const AlarmOptions& options, Fire fire, Owns owns);
  ~AlarmScheduler();

  void Start();
  // Fires nothing from now on.
  void Stop();

  // The index has, or has no longer, this entry; called along with the write.
  void Added(const storage::AlarmEntry& entry);
  void Removed(const storage::AlarmEntry& entry);
  // How a delivery that was fired has ended.
  enum class End {
    kSettled,   // it ran, or there was nothing to run
    kNotBegun,  // it is to be tried again
    kNotTaken,  // there was no client for it
  };
  void Ended(const std::string& object, End end);
  // There may be a client for alarms that found none: `added`, a new one; or one that is free again.
  void OnClients(const std::optional<AlarmWatchers::Filter>& added);

  // Nothing is being delivered, nor read.
  bool idle() const { return running_ == 0 && !reading_ && !search_reads_; }
  size_t running() const { return running_; }
  // In memory, waiting to be due, for another try, or for a client.
  size_t entries() const { return near_.size() + again_.size() + waiting_.size() + found_.size(); }

 private:
  struct Change {
    storage::AlarmEntry entry;
    bool added;
  };

  void Refill();
  void OnRead(std::vector<storage::AlarmEntry> entries, storage::AlarmEntry new_horizon);
  void Apply(const Change& change);
  void Trim();
  void FireDue();
  // Whether it may begin; otherwise it is kept for later.
  bool FireOne(std::string object);
  void FireWaiting();
  // The next step of the search, or the first of the next one, if there is anything to search for and room.
  void Search();
  static size_t NamespaceBit(absl::string_view ns);
  // Another try, of which there are no more in memory than of others.
  void TryAgain(const std::string& object);
  // Begins to read from the first alarm on.
  void ReadAgain();
  void SetTimer();
  absl::Time HorizonTime() const;
  // The pace: at most so many in a step of so long.
  absl::Duration PaceStep() const;
  int PaceMax() const;

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
  std::multimap<absl::Time, std::string> again_;
  std::deque<std::string> waiting_;                   // for a client to be free
  absl::flat_hash_set<std::string> waiting_objects_;  // the same
  // Of namespaces of which some are due and forgotten, until there is a new client.
  std::bitset<1 << 12> nobody_;
  std::vector<AlarmWatchers::Filter> searched_;     // what is searched for; empty: no search goes on
  std::vector<AlarmWatchers::Filter> search_next_;  // by the next one
  storage::AlarmEntry search_from_;
  std::deque<std::string> found_;  // by the search, and not fired yet
  bool search_reads_ = false;
  bool forgotten_ = false;   // the same, until there is room
  size_t looks_left_ = 0;    // of waiting_, since there was a client to be free
  bool read_again_ = false;  // when the read that is on its way has ended
  absl::Time read_again_at_ = absl::InfiniteFuture();
  storage::AlarmEntry horizon_;  // exclusive
  bool reading_ = false;
  absl::Time refill_at_ = absl::InfinitePast();
  std::vector<Change> changes_while_reading_;  // beyond the horizon
  size_t running_ = 0;
  absl::Time pace_start_ = absl::InfinitePast();
  int fired_in_pace_ = 0;
  int vain_looks_ = 0;  // since others had a turn
  std::optional<Executor::TimerId> timer_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_ALARM_SCHEDULER_H_
