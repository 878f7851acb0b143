// Keeps the clients that watch for alarms, and decides which of them gets a due alarm.
//
// A watcher takes the alarms of the objects in a namespace whose names begin with its prefix. It has `outstanding_max`
// places, one for each delivery that is out. An object whose alarm is due claims a place, stores the lease, and
// delivers when that is durable; the place is free again when the delivery ends. Among the matching watchers with a
// free place, the one that was served longest ago is taken.
//
// A watcher that lets a lease expire may be frozen, so it becomes slack: it has one place until it acknowledges a
// delivery. The attempt after an expired lease goes to another watcher that matches and has a place. If none has, it
// goes to the same watcher only when that is no longer slack, or when all others are slack.
//
// Threading: any thread may call any method. Ownership: outlives its claims and the executors that listen.

#ifndef HOLDFAST_ACTORS_ALARMS_ALARM_WATCHERS_H_
#define HOLDFAST_ACTORS_ALARMS_ALARM_WATCHERS_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/base/mutex.h"
#include "storage/store/object_id.h"

namespace holdfast::actors {

class AlarmWatchers {
 public:
  struct Filter {
    std::string ns;
    std::string name_prefix;
    int outstanding_max = 16;
    absl::Duration lease = absl::Seconds(30);
  };
  struct Delivery {
    storage::ObjectId object;
    std::string token;
    int64_t scheduled_time_us = 0;
    int32_t retry_count = 0;
    int64_t lease_expire_time_us = 0;
  };
  // Called on the thread of the object, with the lock held: it must not call AlarmWatchers.
  using Deliver = absl::AnyInvocable<void(const Delivery&)>;
  // An id of a watcher is never 0.
  using WatcherId = uint64_t;

  // A claimed place of a watcher. The destructor gives the place back unless Deliver() was called.
  class Claim {
   public:
    Claim(AlarmWatchers* watchers, WatcherId watcher, absl::Duration lease)
        : watchers_(watchers), watcher_(watcher), lease_(lease) {}
    Claim(Claim&& other) noexcept
        : watchers_(std::exchange(other.watchers_, nullptr)), watcher_(other.watcher_), lease_(other.lease_) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim() {
      if (watchers_ != nullptr) watchers_->GiveBack(watcher_);
    }
    WatcherId watcher() const { return watcher_; }
    absl::Duration lease() const { return lease_; }
    // Sends the delivery to the watcher, if that is still there. Call it once, when the lease is durable.
    void Deliver(const Delivery& delivery);

   private:
    AlarmWatchers* watchers_;
    WatcherId watcher_;
    absl::Duration lease_;
  };

  // `first_id`, the first id, must make the ids differ from those of earlier runs; the server draws it at random.
  explicit AlarmWatchers(size_t watchers_max = 1000, WatcherId first_id = 1)
      : watchers_max_(watchers_max), next_id_(first_id) {}

  // Adds a listener, before there are watchers. `listen` is called, on any thread, when there may be a place for alarms
  // that were turned away: a new watcher with the filter `added`, or, if that is null, a place that became free.
  using Listen = absl::AnyInvocable<void(const Filter* added)>;
  void AddListener(Listen listen);

  // `undelivered` is called, on any thread, with a delivery that no watcher got; it must return it to its object.
  void SetUndelivered(absl::AnyInvocable<void(const Delivery&)> undelivered);
  // From now on no listener is called; on return the listeners may be destroyed.
  void Close();

  // Adds a watcher. RESOURCE_EXHAUSTED when there are `watchers_max`.
  absl::StatusOr<WatcherId> Add(Filter filter, Deliver deliver);
  size_t count() const {
    MutexLock lock(&mutex_);
    return watchers_.size();
  }
  // Removes a watcher; on return its `deliver` is not called any more.
  void Remove(WatcherId watcher);
  // Passes on a delivery that was given to a watcher and did not reach its client.
  void Undelivered(const Delivery& delivery);

  enum class Match { kNone, kFull, kFree };
  static bool Matches(const Filter& filter, const storage::ObjectId& object);
  // Returns whether a watcher matches the object and has a free place. Where all are full, it is also kFree for an
  // object that has a delivery out: ending that delivery takes no place and may free one.
  Match Find(const storage::ObjectId& object);
  enum class Place { kTaken, kNone, kLater };
  // Claims a place for the object's alarm. `avoided` is the watcher that let the lease of the previous attempt expire;
  // 0: none did. kTaken: `claim` is set. kLater: only `avoided` has a place, it is slack, and another watcher that is
  // not slack comes first. No listener is called for this, so ask again later.
  Place TakePlace(const storage::ObjectId& object, WatcherId avoided, std::optional<Claim>* claim);
  // Returns the watcher that has the object's delivery with this token; 0 if none has it.
  WatcherId HolderOf(const storage::ObjectKey& object, absl::string_view token);
  enum class End { kAcknowledged, kExpired, kWithdrawn };
  // The object's delivery with this token has ended.
  void Ended(const storage::ObjectKey& object, absl::string_view token, End end);
  // The shard has gone to another node, which ends the deliveries of its objects. Their places are free.
  void Left(storage::ShardId shard);

 private:
  struct Watcher {
    WatcherId id;
    Filter filter;
    Deliver deliver;
    int outstanding = 0;
    bool slack = false;

    bool HasPlace() const { return outstanding < (slack ? 1 : filter.outstanding_max); }
  };
  using Watchers = std::list<Watcher>;
  struct Out {
    std::string token;
    WatcherId watcher;
  };

  Match FindLocked(const storage::ObjectId& object) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Watchers::iterator ById(WatcherId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveBack(WatcherId watcher, End end = End::kWithdrawn);
  void Notify(const Filter* added);

  const size_t watchers_max_;
  // An alarm was turned away since the listeners were last called.
  std::atomic<bool> turned_away_ = false;

  Mutex listen_mutex_;
  std::vector<Listen> listeners_ ABSL_GUARDED_BY(listen_mutex_);
  absl::AnyInvocable<void(const Delivery&)> undelivered_ ABSL_GUARDED_BY(listen_mutex_);

  mutable Mutex mutex_;
  Watchers watchers_ ABSL_GUARDED_BY(mutex_);                          // the one served longest ago comes first
  absl::flat_hash_map<std::string, Out> out_ ABSL_GUARDED_BY(mutex_);  // by the encoded id of the object
  WatcherId next_id_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_ALARMS_ALARM_WATCHERS_H_
