#include "storage/store/memory_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/store/patch.h"
#include "storage/store/stuck_cursor.h"

namespace holdfast::storage {
namespace {

class MemoryCursor : public Cursor {
 public:
  using Entries = std::map<std::string, std::string, std::less<>>;

  // `mutex` is the store's. It orders the reads of this cursor before the writes that follow its destruction.
  MemoryCursor(Mutex* mutex, std::shared_ptr<const Entries> entries, const Location& location, const KeyRange& range)
      : mutex_(mutex),
        entries_(std::move(entries)),
        prefix_(location.prefix),
        range_(location.Under(range)),
        at_(entries_->end()) {}
  ~MemoryCursor() override {
    MutexLock lock(mutex_);
    entries_ = nullptr;
  }

  void SeekToFirst() override { Settle(entries_->lower_bound(range_.start)); }
  void SeekToLast() override {
    at_ = range_.end.empty() ? entries_->end() : entries_->lower_bound(range_.end);
    Prev();
  }
  void Seek(absl::string_view key) override {
    Settle(entries_->lower_bound(std::max(absl::StrCat(prefix_, key), range_.start)));
  }
  void Next() override { Settle(std::next(at_)); }
  void Prev() override { Settle(at_ == entries_->begin() ? entries_->end() : std::prev(at_)); }
  ReadResult state() const override { return at_ == entries_->end() ? ReadResult::kAbsent : ReadResult::kFound; }
  absl::Status error() const override { return absl::OkStatus(); }
  absl::string_view key() const override { return absl::string_view(at_->first).substr(prefix_.size()); }
  absl::string_view value() const override { return at_->second; }

 private:
  void Settle(Entries::const_iterator at) {
    at_ = at != entries_->end() && range_.Contains(at->first) ? at : entries_->end();
  }

  Mutex* const mutex_;
  std::shared_ptr<const Entries> entries_;
  const std::string prefix_;
  const KeyRange range_;  // of keys with the prefix
  Entries::const_iterator at_;
};

}  // namespace

MemoryStore::MemoryStore() {
  for (FamilyId id : {FamilyId::kNode, FamilyId::kCatalog, FamilyId::kAlarms, FamilyId::kPacked, FamilyId::kRequests}) {
    families_[id] = {};
  }
}

ReadResult MemoryStore::Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                            absl::Status* error) {
  if (tier == ReadTier::kMemory && cold_) return ReadResult::kNeedsDisk;
  MutexLock lock(&mutex_);
  auto it = families_.find(location.family);
  if (it == families_.end()) {
    *error = absl::InternalError("read of a dropped family");
    return ReadResult::kError;
  }
  const Entries& entries = *it->second.entries;
  auto entry = entries.find(absl::StrCat(location.prefix, key));
  if (entry == entries.end()) return ReadResult::kAbsent;
  *value = entry->second;
  return ReadResult::kFound;
}

std::unique_ptr<Cursor> MemoryStore::NewCursor(const Location& location, KeyRange range, ReadTier tier) {
  if (tier == ReadTier::kMemory && cold_) return std::make_unique<StuckCursor>(StuckCursor::NeedsDisk());
  MutexLock lock(&mutex_);
  auto it = families_.find(location.family);
  if (it == families_.end()) {
    return std::make_unique<StuckCursor>(ReadResult::kError, absl::InternalError("read of a dropped family"));
  }
  return std::make_unique<MemoryCursor>(&mutex_, it->second.entries, location, range);
}

MemoryStore::Entries* MemoryStore::Writable(Family* family) {
  if (family->entries.use_count() > 1) family->entries = std::make_shared<Entries>(*family->entries);
  return family->entries.get();
}

absl::Status MemoryStore::CommitSync(absl::Span<const KeyspaceWrites> writes) {
  MutexLock lock(&mutex_);
  if (!commit_error_.ok()) return commit_error_;
  for (const KeyspaceWrites& part : writes) {
    if (!families_.contains(part.location->family)) {
      return absl::InternalError("a commit names a dropped family");
    }
  }
  for (const KeyspaceWrites& part : writes) {
    Entries* entries = Writable(&families_.at(part.location->family));
    const std::string& prefix = part.location->prefix;
    for (const KeyRange& range : part.writes->removed()) {
      const std::string end = range.end.empty() ? PrefixEnd(prefix) : prefix + range.end;
      entries->erase(entries->lower_bound(prefix + range.start),
                     end.empty() ? entries->end() : entries->lower_bound(end));
    }
    const WriteSet::Patches& patches = part.writes->patches();
    for (const auto& [key, value] : part.writes->points()) {
      if (const auto patch = patches.find(key); patch != patches.end()) {
        std::string& stored = (*entries)[prefix + key];
        if (stored.empty() || !ApplyPatch(patch->second, &stored)) stored = std::string(kDamagedValue);
      } else if (value) {
        (*entries)[prefix + key] = *value;
      } else {
        entries->erase(prefix + key);
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<FamilyId> MemoryStore::CreateFamily(absl::string_view name) {
  MutexLock lock(&mutex_);
  if (disk_full_) return absl::ResourceExhaustedError("the disk is full");
  if (!create_error_.ok()) return create_error_;
  for (const auto& [id, family] : families_) {
    if (family.name == name) return absl::AlreadyExistsError(absl::StrCat("family ", name, " exists"));
  }
  const FamilyId id{next_family_++};
  families_[id].name = std::string(name);
  return id;
}

absl::Status MemoryStore::DropFamily(FamilyId family) {
  MutexLock lock(&mutex_);
  if (families_.erase(family) == 0) return absl::InternalError("drop of a dropped family");
  return absl::OkStatus();
}

std::vector<OwnFamily> MemoryStore::ListOwnFamilies() {
  MutexLock lock(&mutex_);
  std::vector<OwnFamily> list;
  for (const auto& [id, family] : families_) {
    if (id >= FamilyId::kFirstOwn) list.push_back({id, family.name});
  }
  return list;
}

void MemoryStore::set_commit_error(absl::Status error) {
  MutexLock lock(&mutex_);
  commit_error_ = std::move(error);
}

void MemoryStore::set_create_error(absl::Status error) {
  MutexLock lock(&mutex_);
  create_error_ = std::move(error);
}

}  // namespace holdfast::storage
