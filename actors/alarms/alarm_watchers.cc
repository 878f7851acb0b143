#include "actors/alarms/alarm_watchers.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"

namespace holdfast::actors {

void AlarmWatchers::Claim::Deliver(const Delivery& delivery) {
  AlarmWatchers* const watchers = std::exchange(watchers_, nullptr);
  {
    MutexLock lock(&watchers->mutex_);
    const auto watcher = watchers->ById(watcher_);
    if (watcher != watchers->watchers_.end()) {
      watchers->out_[storage::ObjectKey(delivery.object).encoded()] = {delivery.token, watcher_};
      watcher->deliver(delivery);
      return;
    }
  }
  watchers->Undelivered(delivery);
}

void AlarmWatchers::Undelivered(const Delivery& delivery) {
  MutexLock lock(&listen_mutex_);
  if (undelivered_) undelivered_(delivery);
}

void AlarmWatchers::SetUndelivered(absl::AnyInvocable<void(const Delivery&)> undelivered) {
  MutexLock lock(&listen_mutex_);
  undelivered_ = std::move(undelivered);
}

absl::StatusOr<AlarmWatchers::WatcherId> AlarmWatchers::Add(Filter filter, Deliver deliver) {
  WatcherId id;
  const Filter added = filter;
  {
    MutexLock lock(&mutex_);
    if (watchers_.size() >= watchers_max_) {
      return Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED,
                       absl::StrCat("there are ", watchers_max_, " watchers already"), absl::Seconds(1));
    }
    id = next_id_++;
    watchers_.push_front({id, std::move(filter), std::move(deliver)});
  }
  Notify(&added);
  return id;
}

void AlarmWatchers::Remove(WatcherId watcher) {
  MutexLock lock(&mutex_);
  const auto at = ById(watcher);
  if (at == watchers_.end()) return;
  const bool has_out = at->outstanding > 0;
  watchers_.erase(at);
  // This walks over all deliveries that are out, so it is skipped for a watcher that has none.
  if (has_out) absl::erase_if(out_, [watcher](const auto& entry) { return entry.second.watcher == watcher; });
}

bool AlarmWatchers::Matches(const Filter& filter, const storage::ObjectId& object) {
  return filter.ns == object.ns && absl::StartsWith(object.name, filter.name_prefix);
}

AlarmWatchers::Watchers::iterator AlarmWatchers::ById(WatcherId id) {
  return std::find_if(watchers_.begin(), watchers_.end(), [id](const Watcher& watcher) { return watcher.id == id; });
}

AlarmWatchers::Match AlarmWatchers::FindLocked(const storage::ObjectId& object) {
  Match match = Match::kNone;
  for (const Watcher& watcher : watchers_) {
    if (!Matches(watcher.filter, object)) continue;
    if (watcher.HasPlace()) return Match::kFree;
    match = Match::kFull;
  }
  turned_away_ = true;
  return match;
}

AlarmWatchers::Match AlarmWatchers::Find(const storage::ObjectId& object) {
  MutexLock lock(&mutex_);
  const Match match = FindLocked(object);
  return match == Match::kFull && out_.contains(storage::ObjectKey(object).encoded()) ? Match::kFree : match;
}

AlarmWatchers::Place AlarmWatchers::TakePlace(const storage::ObjectId& object, WatcherId avoided,
                                              std::optional<Claim>* claim) {
  MutexLock lock(&mutex_);
  auto found = watchers_.end();
  bool another = false;  // a watcher that is not slack would come before the avoided one, once it has a place
  for (auto it = watchers_.begin(); it != watchers_.end(); ++it) {
    if (!Matches(it->filter, object)) continue;
    if (it->HasPlace()) found = it;
    if (it->id == avoided) continue;
    if (it->HasPlace()) break;
    another = another || !it->slack;
  }
  if (found == watchers_.end()) {
    turned_away_ = true;
    return Place::kNone;
  }
  if (found->id == avoided && found->slack && another) return Place::kLater;
  ++found->outstanding;
  watchers_.splice(watchers_.end(), watchers_, found);
  claim->emplace(this, found->id, found->filter.lease);
  return Place::kTaken;
}

AlarmWatchers::WatcherId AlarmWatchers::HolderOf(const storage::ObjectKey& object, absl::string_view token) {
  MutexLock lock(&mutex_);
  const auto it = out_.find(object.encoded());
  return it == out_.end() || it->second.token != token ? 0 : it->second.watcher;
}

void AlarmWatchers::Ended(const storage::ObjectKey& object, absl::string_view token, End end) {
  WatcherId watcher;
  {
    MutexLock lock(&mutex_);
    const auto it = out_.find(object.encoded());
    if (it == out_.end() || it->second.token != token) return;
    watcher = it->second.watcher;
    out_.erase(it);
  }
  GiveBack(watcher, end);
}

void AlarmWatchers::Left(storage::ShardId shard) {
  std::vector<WatcherId> holders;
  {
    MutexLock lock(&mutex_);
    absl::erase_if(out_, [&](const auto& entry) {
      if (storage::ObjectKey::FromEncoded(entry.first).shard() != shard) return false;
      holders.push_back(entry.second.watcher);
      return true;
    });
  }
  for (const WatcherId holder : holders) GiveBack(holder);
}

void AlarmWatchers::GiveBack(WatcherId watcher, End end) {
  {
    MutexLock lock(&mutex_);
    const auto at = ById(watcher);
    if (at == watchers_.end()) return;
    --at->outstanding;
    if (end != End::kWithdrawn) at->slack = end == End::kExpired;
  }
  Notify(nullptr);
}

void AlarmWatchers::Notify(const Filter* added) {
  if (!turned_away_.exchange(false) && added == nullptr) return;
  MutexLock lock(&listen_mutex_);
  for (auto& listen : listeners_) listen(added);
}

void AlarmWatchers::AddListener(Listen listen) {
  MutexLock lock(&listen_mutex_);
  listeners_.push_back(std::move(listen));
}

void AlarmWatchers::Close() {
  MutexLock lock(&listen_mutex_);
  listeners_.clear();
  undelivered_ = nullptr;
}

}  // namespace holdfast::actors
