// Loads the objects whose alarms are due together: one read for many of them, off the executor, before any is loaded.
//
// Alarms that fire at the same time, or while a read is under way, are gathered. With few of them each object loads by
// itself, which is sooner done; with more, one job reads the first keys of all (storage/object/preread.h). Each alarm
// is then delivered with what was read for it, so that the load and mostly the alarm's turn need no other read.
//
// A read counts only if no activation of the object was made meanwhile: without one nothing of the object can be
// written. The host tells of each activation that it makes (Touched). An alarm whose object was touched is delivered
// without what was read.
//
// Alarms that were read are delivered a few at a time, so that other work gets a turn in between.
//
// Bounds: AlarmOptions::running_max alarms are gathered or being read at most, and one read is under way. Threading:
// the executor.

#ifndef HOLDFAST_ACTORS_RUNTIME_ALARM_LOADS_H_
#define HOLDFAST_ACTORS_RUNTIME_ALARM_LOADS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/executor/executor.h"
#include "actors/object.h"
#include "storage/base/background.h"
#include "storage/object/preread.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"

namespace holdfast::actors {

class AlarmLoads {
 public:
  struct Alarm {
    storage::ObjectKey key;
    const ObjectClass* object_class;
    std::optional<AlarmWatchers::Claim> claim;  // for a class whose alarms are for watchers
  };
  // Delivers the alarm to its object; `preread` may be null.
  using Deliver = absl::AnyInvocable<void(Alarm alarm, std::unique_ptr<const storage::Preread> preread)>;

  // Alarms that were read together and are delivered before other work gets a turn.
  static constexpr size_t kAtOnceMax = 64;

  // Everything pointed to must outlive this. With fewer alarms than `together_min`, each object loads by itself.
  AlarmLoads(Executor* executor, storage::Store* store, storage::Background* reads, size_t together_min,
             Deliver deliver)
      : executor_(executor), store_(store), reads_(reads), together_min_(together_min), deliver_(std::move(deliver)) {}
  AlarmLoads(const AlarmLoads&) = delete;
  AlarmLoads& operator=(const AlarmLoads&) = delete;

  // Takes the alarm of a packed object that has no activation.
  void Add(Alarm alarm);
  // An activation of the object is being made: nothing that was or is being read of it counts any more.
  void Touched(const storage::ObjectKey& key) {
    if (!untouched_.empty()) untouched_.erase(key);
  }

 private:
  using Orders = std::vector<storage::PrereadOrder>;  // one for each alarm of being_read_
  struct Waiting {
    Alarm alarm;
    uint64_t number;
  };
  struct KeyHash {
    size_t operator()(const storage::ObjectKey& key) const { return key.hash(); }
  };

  void BeginSoon();
  void Begin();
  // Delivers the next alarms that were read, beginning with number `from`.
  void DeliverRead(const std::shared_ptr<Orders>& orders, size_t from);

  Executor* const executor_;
  storage::Store* const store_;
  storage::Background* const reads_;
  const size_t together_min_;
  Deliver deliver_;
  std::vector<Waiting> gathered_;
  std::vector<Waiting> being_read_;  // until all that was read is delivered
  bool begins_soon_ = false;
  uint64_t alarms_ = 0;
  // The waiting objects that have had no activation since their alarm was added, with the number of that alarm. To
  // deliver an alarm makes an activation, so none stays here.
  absl::flat_hash_map<storage::ObjectKey, uint64_t, KeyHash> untouched_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_ALARM_LOADS_H_
