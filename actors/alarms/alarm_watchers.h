// The clients that watch for alarms, and which of them a due alarm goes to.
//
// A watcher takes the alarms of a namespace whose objects' names begin with its prefix, so many at a time. An object
// whose alarm is due claims a place of a watcher, stores the lease, and when that is durable delivers; the place is
// free again when the delivery ends. Of the watchers that match and have a place the one that was served longest ago is
// taken.
//
// A watcher that lets a lease expire may be frozen, so it keeps few alarms waiting: it is slack from then on, and has
// one place until it acknowledges a delivery. The attempt after an expired lease goes to another watcher; to the same
// one only where all others that match are slack and have no place.
//
// Threading: any thread may call any method. Ownership: outlives its claims and the executors that listen.

#ifndef HOLDFAST_ACTORS_ALARMS_ALARM_WATCHERS_H_
#define HOLDFAST_ACTORS_ALARMS_ALARM_WATCHERS_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
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
  // Called on the thread of the object; must not call back.
  using Deliver = absl::AnyInvocable<void(const Delivery&)>;
  // Never 0.
  using WatcherId = uint64_t;

  // A place of a watcher; given back unless it is used.
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
    absl::Duration lease() const { return lease_; }
    // The lease is durable: it goes to the watcher, if that is still there. Once.
    void Deliver(const Delivery& delivery);

   private:
    AlarmWatchers* watchers_;
    WatcherId watcher_;
    absl::Duration lease_;
  };

  // `first_id`: so that no earlier run gave an id that this one gives.
  explicit AlarmWatchers(size_t watchers_max = 1000, WatcherId first_id = 1)
      : watchers_max_(watchers_max), next_id_(first_id) {}

  // `listen` is called, on any thread, when there may be somebody for alarms that were turned away: a new watcher,
  // whose filter `added` is then, or, where that is null, a place that became free. Before there are watchers.
  using Listen = absl::AnyInvocable<void(const Filter* added)>;
  void AddListener(Listen listen);

  // `undelivered` is called, on any thread, with a delivery that no watcher got: it is to be returned to its object.
  void SetUndelivered(absl::AnyInvocable<void(const Delivery&)> undelivered);
  // Tells nobody anything any more: on return they may end.
  void Close();

  // RESOURCE_EXHAUSTED when there are too many.
  absl::StatusOr<WatcherId> Add(Filter filter, Deliver deliver);
  // `deliver` is not called any more on return.
  void Remove(WatcherId watcher);
  // What was given to a watcher, and did not get to its client.
  void Undelivered(const Delivery& delivery);

  enum class Match { kNone, kFull, kFree };
  static bool Matches(const Filter& filter, const storage::ObjectId& object);
  // kFree also for an object that has a delivery out: to end it takes no place, and may be what frees one.
  Match Find(const storage::ObjectId& object);
  enum class Place { kTaken, kNone, kLater };
  // kTaken: `claim` is set. kLater: only `avoided`, the watcher that let the lease of the attempt before expire (0:
  // none did), has a place, and it is not the turn of that one: to be asked again later, nobody is told.
  Place TakePlace(const storage::ObjectId& object, WatcherId avoided, std::optional<Claim>* claim);
  // The watcher that has the object's delivery with this token; 0: none has.
  WatcherId HolderOf(const storage::ObjectKey& object, absl::string_view token);
  enum class End { kAcknowledged, kExpired, kWithdrawn };
  // The object's delivery with this token has ended.
  void Ended(const storage::ObjectKey& object, absl::string_view token, End end);

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

  Match FindLocked(const storage::ObjectId& object);
  Watchers::iterator ById(WatcherId id);
  void GiveBack(WatcherId watcher, End end = End::kWithdrawn);
  void Notify(const Filter* added);

  const size_t watchers_max_;
  std::mutex listen_mutex_;
  std::vector<Listen> listeners_;                          // guarded by listen_mutex_
  absl::AnyInvocable<void(const Delivery&)> undelivered_;  // guarded by listen_mutex_
  // Somebody was turned away since the listeners were told last.
  std::atomic<bool> turned_away_ = false;
  std::mutex mutex_;
  // Everything below is guarded by mutex_.
  Watchers watchers_;                          // served longest ago first
  absl::flat_hash_map<std::string, Out> out_;  // by the encoded id of the object
  WatcherId next_id_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_ALARMS_ALARM_WATCHERS_H_
