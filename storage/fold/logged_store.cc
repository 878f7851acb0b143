#include "storage/fold/logged_store.h"

#include <algorithm>
#include <utility>

#include "storage/base/log.h"
#include "storage/fold/logged_lane.h"
#include "storage/store/layered_cursor.h"
#include "storage/store/stuck_cursor.h"

namespace holdfast::storage {
namespace {

// Walks over a snapshot and the store below it.
class SnapshotCursor final : public LayeredCursor {
 public:
  SnapshotCursor(Unfolded::Snapshot snapshot, KeyRange range, std::unique_ptr<Cursor> base)
      : LayeredCursor(snapshot.Layers(), std::move(range), std::move(base)), snapshot_(std::move(snapshot)) {}

 private:
  const Unfolded::Snapshot snapshot_;
};

// A fold begins when so many families wait to be dropped.
constexpr size_t kToDropMax = 32;

absl::Status ReadOfDropped() { return absl::InternalError("read of a dropped family"); }

}  // namespace

// --- Opening and closing

LoggedStore::LoggedStore(std::unique_ptr<Store> below, std::unique_ptr<CommitLogs> logs, LoggedStoreOptions options)
    : below_(std::move(below)), logs_(std::move(logs)), options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<LoggedStore>> LoggedStore::Open(std::unique_ptr<Store> below,
                                                               std::unique_ptr<CommitLogs> logs,
                                                               LoggedStoreOptions options) {
  std::unique_ptr<LoggedStore> store(new LoggedStore(std::move(below), std::move(logs), std::move(options)));
  if (absl::Status status = store->Recover(); !status.ok()) return status;
  if (store->options_.fold_every < absl::InfiniteDuration()) {
    store->folder_ = std::thread([whole = store.get()] { whole->FoldLoop(); });
  }
  return store;
}

LoggedStore::~LoggedStore() {
  if (folder_.joinable()) {
    {
      MutexLock lock(&mutex_);
      closing_ = true;
    }
    wake_.WakeOne();
    folder_.join();
  }
  // A store that was not opened has no lanes.
  if (lanes_.empty() || !Fold().ok()) return;
  for (const auto& lane : lanes_) {
    if (absl::Status status = lane->log()->Close(); !status.ok()) {
      Log(LogLevel::kError, "commit_log_not_closed", {{"status", status.ToString()}});
    }
  }
}

Store* LoggedStore::ForExecutor(int number) { return lanes_[static_cast<size_t>(number)].get(); }

// --- Reads and commits

ReadResult LoggedStore::Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                            absl::Status* error) {
  if (!IsOpen(location.family)) {
    *error = ReadOfDropped();
    return ReadResult::kError;
  }
  switch (unfolded_.Find(location, key, value)) {
    case WriteSet::Verdict::kPresent:
      return ReadResult::kFound;
    case WriteSet::Verdict::kRemoved:
      return ReadResult::kAbsent;
    case WriteSet::Verdict::kUnknown:
      break;
  }
  return below_->Get(location, key, tier, value, error);
}

std::unique_ptr<Cursor> LoggedStore::NewCursor(const Location& location, KeyRange range, ReadTier tier) {
  if (!IsOpen(location.family)) return std::make_unique<StuckCursor>(ReadResult::kError, ReadOfDropped());
  while (true) {
    const uint64_t fold_steps = unfolded_.fold_steps();
    Unfolded::Snapshot snapshot = unfolded_.Take(location);
    std::unique_ptr<Cursor> base = below_->NewCursor(location, range, tier);
    // A fold in between may have written newer values than the snapshot has.
    if (unfolded_.fold_steps() != fold_steps) continue;
    if (snapshot.empty()) return base;
    return std::make_unique<SnapshotCursor>(std::move(snapshot), std::move(range), std::move(base));
  }
}

absl::Status LoggedStore::CommitSync(absl::Span<const KeyspaceWrites> writes) {
  return lanes_.front()->CommitSync(writes);
}

StoreStats LoggedStore::Stats() {
  StoreStats stats = below_->Stats();
  stats.unfolded_bytes = unfolded_.bytes();
  stats.unfolded_bytes_max = options_.unfolded_bytes_max;
  return stats;
}

absl::Status LoggedStore::WaitForRoom() {
  // Without a thread that folds, the commit does it.
  if (!folder_.joinable() && (IsEnoughToFold() || unfolded_.bytes() >= options_.unfolded_bytes_max)) return Fold();
  MutexLock lock(&mutex_);
  while (failure_.ok() && unfolded_.bytes() >= options_.unfolded_bytes_max) {
    fold_now_ = true;
    wake_.WakeOne();
    folded_.Wait(&mutex_);
  }
  return failure_;
}

bool LoggedStore::IsEnoughToFold() const {
  return std::max(logged_bytes_.load(std::memory_order_relaxed), unfolded_.bytes()) >= options_.fold_bytes;
}

void LoggedStore::FoldSoon() {
  MutexLock lock(&mutex_);
  if (fold_now_) return;
  fold_now_ = true;
  wake_.WakeOne();
}

// --- Families

bool LoggedStore::IsOpen(FamilyId family) {
  if (family < FamilyId::kFirstOwn) return true;
  ReaderLock lock(&families_mutex_);
  return families_.contains(family);
}

std::string LoggedStore::NameOf(FamilyId family) {
  ReaderLock lock(&families_mutex_);
  const auto found = families_.find(family);
  return found == families_.end() ? "" : found->second;
}

absl::StatusOr<FamilyId> LoggedStore::CreateFamily(absl::string_view name) {
  bool dropping = false;
  {
    ReaderLock lock(&families_mutex_);
    for (const auto& [family, dropped] : to_drop_) dropping |= dropped == name;
  }
  if (dropping) {
    if (absl::Status status = Fold(); !status.ok()) return status;
  }
  const absl::StatusOr<FamilyId> family = below_->CreateFamily(name);
  if (!family.ok()) return family;
  WriterLock lock(&families_mutex_);
  families_[*family] = std::string(name);
  return family;
}

absl::Status LoggedStore::DropFamily(FamilyId family) {
  WriterLock lock(&families_mutex_);
  const auto found = families_.find(family);
  if (found == families_.end()) return absl::InternalError("drop of a dropped family");
  to_drop_.insert(families_.extract(found));
  if (to_drop_.size() >= kToDropMax) FoldSoon();
  return absl::OkStatus();
}

std::vector<OwnFamily> LoggedStore::ListOwnFamilies() {
  ReaderLock lock(&families_mutex_);
  std::vector<OwnFamily> list;
  list.reserve(families_.size());
  for (const auto& [family, name] : families_) list.push_back({family, name});
  return list;
}

void LoggedStore::DropFamilies(const std::set<FamilyId>& dropped) {
  for (FamilyId family : dropped) {
    const absl::Status status = below_->DropFamily(family);
    if (!status.ok()) Log(LogLevel::kError, "family_not_dropped", {{"status", status.ToString()}});
    WriterLock lock(&families_mutex_);
    to_drop_.erase(family);
  }
}

}  // namespace holdfast::storage
