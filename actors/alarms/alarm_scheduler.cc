#include "actors/alarms/alarm_scheduler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "absl/hash/hash.h"
#include "storage/base/log.h"
#include "storage/store/object_id.h"

namespace holdfast::actors {
namespace {

using storage::AlarmEntry;

// Length of a step of the pace; longer where `per_second` is less than one alarm in such a step.
constexpr absl::Duration kPaceStep = absl::Milliseconds(10);
// Alarms that are fired before other work gets a turn.
constexpr int kAtOnceMax = 64;
// After this time the scheduler looks again whether there is room for alarms.
constexpr absl::Duration kBehindStep = absl::Milliseconds(1);
// Waiting alarms that FireWaiting() tries before other work gets a turn.
constexpr size_t kWaitingLookMax = 256;
// Due alarms without a client that FireDue() tries before other work gets a turn.
constexpr int kVainLooksMax = 256;
// Entries of the index that one step of a search looks at, and filters that a search compares them with. With more
// filters the search takes all alarms.
constexpr size_t kSearchStepMax = 4096;
constexpr size_t kSearchFiltersMax = 64;

}  // namespace

AlarmScheduler::AlarmScheduler(Executor* executor, storage::Store* store, storage::Background* reads,
                               const storage::Keyspace* index, const AlarmOptions& options, Fire fire, Owns owns)
    : executor_(executor),
      store_(store),
      reads_(reads),
      index_(index),
      options_(options),
      fire_(std::move(fire)),
      owns_(std::move(owns)),
      horizon_{std::numeric_limits<int64_t>::min(), ""} {}

AlarmScheduler::~AlarmScheduler() { Stop(); }

void AlarmScheduler::Start() {
  started_ = true;
  Refill();
}

AlarmScheduler::Load AlarmScheduler::load() const {
  Load load{.running = running_, .waiting = waiting_.size() + unwatched_.size()};
  if (!near_.empty() && IsDue(*near_.begin())) {
    const absl::Time due = absl::FromUnixMicros(near_.begin()->due_us);
    load.late = std::max(absl::ZeroDuration(), executor_->clock().Wall() - due);
  }
  return load;
}

void AlarmScheduler::Stop() {
  started_ = false;
  if (timer_) executor_->Cancel(*timer_);
  timer_.reset();
}

void AlarmScheduler::OwnershipChanged() {
  for (auto delay = delays_.begin(); delay != delays_.end();) {
    const auto next = std::next(delay);
    if (!owns_(delay->first)) {
      delays_by_time_.erase({delay->second.steady_due, delay->first});
      delays_.erase(delay);
    }
    delay = next;
  }
  if (!started_) return;
  ReadAgain();
  SetTimer();
}

absl::Time AlarmScheduler::HorizonTime() const {
  return horizon_.due_us == std::numeric_limits<int64_t>::min() ? absl::InfinitePast()
                                                                : absl::FromUnixMicros(horizon_.due_us);
}

int AlarmScheduler::PerSecond(bool behind) const {
  return behind ? std::min(options_.per_second, options_.per_second_behind) : options_.per_second;
}

absl::Duration AlarmScheduler::PaceStep(bool behind) const {
  return std::max(kPaceStep, absl::Seconds(1) / PerSecond(behind));
}

int AlarmScheduler::PaceMax(bool behind) const {
  return static_cast<int>(std::lround(PerSecond(behind) * absl::ToDoubleSeconds(PaceStep(behind))));
}

void AlarmScheduler::StepPace() {
  const absl::Time now = executor_->clock().Steady();
  if (now < pace_start_ + PaceStep(/*behind=*/false)) return;
  pace_start_ = now;
  fired_in_pace_ = 0;
}

bool AlarmScheduler::HasRoom() const {
  return running_ < options_.running_max && fired_at_once_ < kAtOnceMax && fired_in_pace_ < PaceMax(IsBehind());
}

void AlarmScheduler::Refill() {
  // The next read begins half a window before the horizon is due, or later, when half of entries_max is free.
  const absl::Time now = executor_->clock().Wall();
  if (!started_ || reading_ || now < refill_at_ || executor_->clock().Steady() < unreadable_until_ ||
      near_.size() > options_.entries_max / 2) {
    return;
  }
  const absl::Time until = now + options_.window;
  reading_ = true;
  changes_while_reading_.clear();

  struct Reading {
    storage::KeyRange range;
    storage::WriteSet pending;
    std::vector<AlarmEntry> entries;
    AlarmEntry new_horizon;
    absl::Status status;
  };
  auto reading = std::make_shared<Reading>();
  reading->new_horizon = {absl::ToUnixMicros(until), ""};
  reading->range = {storage::AlarmIndexKey(horizon_.due_us, horizon_.object),
                    storage::AlarmIndexKey(reading->new_horizon.due_us, "")};
  const std::vector<const storage::WriteSet*> layers = index_->Layers(nullptr);
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    (*layer)->CopyRangeOnto(reading->range, &reading->pending);
  }
  reads_->Run(
      [reading, store = store_, entries_max = options_.entries_max] {
        reading->status = storage::ScanAlarms(store, reading->pending, reading->range, [&](const AlarmEntry& entry) {
          if (reading->entries.size() == entries_max) {
            reading->new_horizon = entry;
            return false;
          }
          reading->entries.push_back(entry);
          return true;
        });
      },
      [this, reading] {
        if (!reading->status.ok()) {
          Log(LogLevel::kError, "alarm_index_unreadable", {{"status", reading->status.ToString()}});
          reading_ = false;
          unreadable_until_ = executor_->clock().Steady() + options_.retry_delay;
          SetTimer();
          return;
        }
        OnRead(std::move(reading->entries), std::move(reading->new_horizon));
      });
}

void AlarmScheduler::OnRead(std::vector<AlarmEntry> entries, AlarmEntry new_horizon) {
  reading_ = false;
  if (read_again_) {
    ReadAgain();
    return;
  }
  for (AlarmEntry& entry : entries) {
    if (owns_(entry.object)) near_.insert(std::move(entry));
  }
  horizon_ = std::move(new_horizon);
  refill_at_ = HorizonTime() - options_.window / 2;
  for (const Change& change : std::exchange(changes_while_reading_, {})) Apply(change);
  Trim();
  FireDue();
}

void AlarmScheduler::Added(const AlarmEntry& entry, std::optional<absl::Time> steady_due) {
  if (steady_due && delays_.size() < options_.entries_max) {
    delays_.insert_or_assign(entry.object, Delay{entry.due_us, *steady_due});
    delays_by_time_.emplace(*steady_due, entry.object);
  }
  Apply({entry, true});
  Trim();
  if (near_.contains(entry) || steady_due) SetTimer();
}

void AlarmScheduler::Removed(const AlarmEntry& entry) {
  if (const auto delay = delays_.find(entry.object); delay != delays_.end()) {
    delays_by_time_.erase({delay->second.steady_due, entry.object});
    delays_.erase(delay);
  }
  unwatched_.erase(absl::HashOf(entry.object));
  Apply({entry, false});
}

const AlarmScheduler::Delay* AlarmScheduler::DelayOf(const AlarmEntry& entry) const {
  const auto delay = delays_.find(entry.object);
  return delay == delays_.end() || delay->second.due_us != entry.due_us ? nullptr : &delay->second;
}

bool AlarmScheduler::IsDue(const AlarmEntry& entry) const {
  if (const Delay* const delay = DelayOf(entry)) return delay->steady_due <= executor_->clock().Steady();
  return absl::FromUnixMicros(entry.due_us) <= executor_->clock().Wall();
}

std::optional<absl::Time> AlarmScheduler::SteadyDueOf(const AlarmEntry& entry) const {
  const Delay* const delay = DelayOf(entry);
  return delay == nullptr ? std::nullopt : std::optional(delay->steady_due);
}

void AlarmScheduler::Again(const AlarmEntry& entry) {
  if (const Delay* const delay = DelayOf(entry)) {
    delays_by_time_.emplace(delay->steady_due, entry.object);
    SetTimer();
    return;
  }
  Added(entry);
}

void AlarmScheduler::Apply(const Change& change) {
  if (change.entry < horizon_) {
    if (change.added) {
      near_.insert(change.entry);
    } else {
      near_.erase(change.entry);
    }
  } else if (reading_) {
    changes_while_reading_.push_back(change);
  }
}

void AlarmScheduler::Trim() {
  // During a read the horizon must stay where the read began.
  while (!reading_ && near_.size() > options_.entries_max) {
    auto last = std::prev(near_.end());
    horizon_ = *last;
    refill_at_ = HorizonTime() - options_.window / 2;
    near_.erase(last);
  }
}

void AlarmScheduler::Ended(const std::string& object, End end) {
  --running_;
  if (end == End::kNotBegun || end == End::kLater) TryAgain(object);
  // Another object took the last place of the client meanwhile: look again whether a client is there.
  if (end == End::kNotTaken && started_) FireOne(object);
  SetTimer();
}

void AlarmScheduler::TryAgain(const std::string& object) {
  const absl::Time at = executor_->clock().Steady() + options_.retry_delay;
  if (again_.size() < options_.entries_max) {
    again_.emplace(at, object);
  } else {
    read_again_at_ = std::min(read_again_at_, at);
  }
}

size_t AlarmScheduler::NamespaceBit(absl::string_view ns) { return absl::HashOf(ns) % decltype(nobody_)().size(); }

void AlarmScheduler::OnClients(const std::optional<AlarmWatchers::Filter>& added) {
  if (!started_) return;
  if (added && nobody_[NamespaceBit(added->ns)]) {
    search_next_.push_back({.ns = added->ns, .name_prefix = added->name_prefix});
    // A filter without a namespace matches all alarms.
    if (search_next_.size() > kSearchFiltersMax) search_next_ = {AlarmWatchers::Filter()};
    Search();
  }
  // The alarms in memory may all be for other clients than the one that is free now, so the forgotten ones are read.
  if (forgotten_) read_again_at_ = std::min(read_again_at_, executor_->clock().Steady() + options_.retry_delay);
  looks_left_ = waiting_.size();
  FireWaiting();
  SetTimer();
}

void AlarmScheduler::Search() {
  if (!started_ || search_reads_ || reading_) return;
  if (searched_.empty()) {
    if (search_next_.empty()) return;
    searched_ = std::exchange(search_next_, {});
    search_from_ = {std::numeric_limits<int64_t>::min(), ""};
    for (const AlarmWatchers::Filter& filter : searched_) {
      if (filter.ns.empty()) {
        nobody_.reset();
      } else if (filter.name_prefix.empty()) {
        nobody_.reset(NamespaceBit(filter.ns));
      }
    }
  }
  // The search goes on once the alarms that it has found are fired.
  if (!found_.empty()) return;
  search_reads_ = true;
  struct Searching {
    std::vector<AlarmWatchers::Filter> filters;
    storage::KeyRange range;
    storage::WriteSet pending;
    std::vector<AlarmEntry> found;
    AlarmEntry last;
    size_t seen = 0;
    bool more = false;
    absl::Status status;
  };
  auto searching = std::make_shared<Searching>();
  searching->filters = searched_;
  // The search ends at the horizon: Refill() reads the alarms beyond it.
  const AlarmEntry end = std::min(horizon_, AlarmEntry{absl::ToUnixMicros(executor_->clock().Wall()) + 1, ""});
  searching->range = {storage::AlarmIndexKey(search_from_.due_us, search_from_.object),
                      storage::AlarmIndexKey(end.due_us, end.object)};
  const std::vector<const storage::WriteSet*> layers = index_->Layers(nullptr);
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    (*layer)->CopyRangeOnto(searching->range, &searching->pending);
  }
  reads_->Run(
      [searching, store = store_, found_max = std::max<size_t>(1, options_.entries_max / 2)] {
        const auto visit = [&](const AlarmEntry& entry) {
          searching->last = entry;
          storage::ObjectId id;
          if (storage::ObjectKey::FromEncoded(entry.object).Decode(&id) &&
              std::any_of(searching->filters.begin(), searching->filters.end(), [&](const auto& filter) {
                return filter.ns.empty() || AlarmWatchers::Matches(filter, id);
              })) {
            searching->found.push_back(entry);
          }
          searching->more = ++searching->seen == kSearchStepMax || searching->found.size() == found_max;
          return !searching->more;
        };
        searching->status = storage::ScanAlarms(store, searching->pending, searching->range, visit);
      },
      [this, searching] {
        search_reads_ = false;
        if (!searching->status.ok()) {
          Log(LogLevel::kError, "alarm_index_unreadable", {{"status", searching->status.ToString()}});
          // The search is given up, and nobody_ may have lost its namespaces already, so all alarms are read again.
          searched_.clear();
          read_again_at_ = std::min(read_again_at_, executor_->clock().Steady() + options_.retry_delay);
          SetTimer();
          return;
        }
        if (searched_.empty()) return;  // ReadAgain() has given the search up
        for (AlarmEntry& entry : searching->found) {
          if (entry < horizon_ && !near_.contains(entry) && owns_(entry.object) &&
              !waiting_objects_.contains(entry.object)) {
            found_.push_back(std::move(entry.object));
          }
        }
        if (searching->more) {
          search_from_ = std::move(searching->last);
          search_from_.object.push_back('\0');
        } else {
          searched_.clear();
        }
        FireDue();
      });
}

void AlarmScheduler::ReadAgain() {
  if (reading_) {
    read_again_ = true;
    return;
  }
  // The read may give an alarm that is being delivered; its object then looks at it again, in a turn of its own.
  read_again_ = false;
  nobody_.reset();
  searched_.clear();
  search_next_.clear();
  found_.clear();
  forgotten_ = false;
  read_again_at_ = absl::InfiniteFuture();
  near_.clear();
  again_.clear();
  waiting_.clear();
  waiting_objects_.clear();
  unwatched_.clear();
  looks_left_ = 0;
  horizon_ = {std::numeric_limits<int64_t>::min(), ""};
  refill_at_ = absl::InfinitePast();
  Refill();
}

void AlarmScheduler::FireWaiting() {
  looks_left_ = std::min(looks_left_, waiting_.size());
  StepPace();
  for (size_t i = 0; i < kWaitingLookMax && looks_left_ > 0 && HasRoom(); ++i) {
    --looks_left_;
    std::string object = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_objects_.erase(object);
    FireOne(std::move(object));
  }
  if (forgotten_ && waiting_.empty()) ReadAgain();
}

bool AlarmScheduler::FireOne(std::string object) {
  unwatched_.erase(absl::HashOf(object));
  ++running_;
  const Fired fired = fire_(object);
  if (fired == Fired::kBegun) {
    ++fired_in_pace_;
    ++fired_at_once_;
    return true;
  }
  --running_;
  if (fired == Fired::kNobody) {
    storage::ObjectId id;
    (void)storage::ObjectKey::FromEncoded(object).Decode(&id);
    nobody_.set(NamespaceBit(id.ns));
    if (unwatched_.size() < options_.entries_max) unwatched_.insert(absl::HashOf(object));
  } else if (waiting_.size() < options_.entries_max) {
    if (waiting_objects_.insert(object).second) waiting_.push_back(std::move(object));
  } else {
    forgotten_ = true;
  }
  return false;
}

void AlarmScheduler::FireDue() {
  if (!started_ || firing_) return;
  firing_ = true;
  const absl::Time now = executor_->clock().Steady();
  const absl::Time wall = executor_->clock().Wall();
  if (now >= read_again_at_) ReadAgain();
  fired_at_once_ = 0;
  StepPace();
  if (looks_left_ > 0) FireWaiting();
  vain_looks_ = 0;
  while (HasRoom() && vain_looks_ < kVainLooksMax) {
    std::string object;
    if (!delays_by_time_.empty() && delays_by_time_.begin()->first <= now) {
      // The delay stays known until the alarm is removed, since the object asks in its turn whether it is due.
      object = delays_by_time_.begin()->second;
      delays_by_time_.erase(delays_by_time_.begin());
      near_.erase({delays_.at(object).due_us, object});
    } else if (!near_.empty() && absl::FromUnixMicros(near_.begin()->due_us) <= wall) {
      const AlarmEntry entry = std::move(near_.extract(near_.begin()).value());
      // The wall clock has stepped forward: the alarm's delay has not passed yet, and fires it when it has.
      if (const Delay* const delay = DelayOf(entry); delay != nullptr && delay->steady_due > now) continue;
      object = entry.object;
    } else if (!again_.empty() && again_.begin()->first <= now) {
      object = std::move(again_.begin()->second);
      again_.erase(again_.begin());
    } else if (!found_.empty()) {
      object = std::move(found_.front());
      found_.pop_front();
    } else {
      break;
    }
    if (!FireOne(std::move(object))) ++vain_looks_;
  }
  firing_ = false;
  Refill();
  Search();
  SetTimer();
}

absl::Time AlarmScheduler::SteadyTimeOf(absl::Time wall) const {
  const absl::Duration left = wall - executor_->clock().Wall();
  return executor_->clock().Steady() + std::clamp(left, absl::ZeroDuration(), options_.wall_step);
}

void AlarmScheduler::SetTimer() {
  if (!started_ || firing_) return;
  const absl::Time now = executor_->clock().Steady();
  absl::Time next = absl::InfiniteFuture();
  if (running_ < options_.running_max) {
    if (!near_.empty()) next = SteadyTimeOf(absl::FromUnixMicros(near_.begin()->due_us));
    if (!delays_by_time_.empty()) next = std::min(next, delays_by_time_.begin()->first);
    if (!again_.empty()) next = std::min(next, again_.begin()->first);
    if (!found_.empty()) next = std::min(next, now);
    next = std::min(next, read_again_at_);
    if (looks_left_ > 0) next = std::min(next, fired_at_once_ < kAtOnceMax ? now + kPaceStep : now);
    if (const absl::Time step_end = pace_start_ + PaceStep(/*behind=*/false); now < step_end) {
      if (fired_in_pace_ >= PaceMax(/*behind=*/false)) {
        next = std::max(next, step_end);
      } else if (fired_in_pace_ >= PaceMax(/*behind=*/true) && IsBehind()) {
        next = std::max(next, std::min(step_end, now + kBehindStep));
      }
    }
  }
  if (!reading_ && near_.size() <= options_.entries_max / 2) {
    next = std::min(next, std::max(SteadyTimeOf(refill_at_), unreadable_until_));
  }
  if (timer_) {
    if (timer_->first == next) return;
    executor_->Cancel(*timer_);
  }
  timer_ = executor_->At(next, [this] {
    timer_.reset();
    FireDue();
  });
}

}  // namespace holdfast::actors
