// The opening of a logged store: its marks, the replay of its logs, and the logs that it goes on with.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/log.h"
#include "storage/fold/batch_codec.h"
#include "storage/fold/logged_lane.h"
#include "storage/fold/logged_store.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"
#include "storage/store/patch.h"

namespace holdfast::storage {

absl::Status LoggedStore::Recover() {
  {
    WriterLock lock(&families_mutex_);
    for (OwnFamily& family : below_->ListOwnFamilies()) families_[family.id] = std::move(family.name);
  }
  if (absl::Status status = ReadMarks(); !status.ok()) return status;
  const absl::StatusOr<std::vector<uint32_t>> found = logs_->List();
  if (!found.ok()) return found.status();
  std::map<uint32_t, LogContents> contents;
  {
    MutexLock lock(&fold_mutex_);
    for (const auto& [log, mark] : marks_) {
      if (mark.in_use && !std::binary_search(found->begin(), found->end(), log)) {
        return absl::DataLossError(absl::StrCat("the commit log ", logs_->NameOf(log), " is missing"));
      }
      contents[log] = {};
    }
    for (uint32_t log : *found) {
      marks_[log].in_use = true;
      contents[log] = {};
    }
  }
  for (auto& [log, read] : contents) {
    if (absl::Status status = ReplayLog(log, &read); !status.ok()) return status;
  }
  if (absl::Status status = Fold(); !status.ok()) return status;
  return OpenLogs(contents);
}

absl::Status LoggedStore::ReadMarks() {
  absl::Status status = ReadMarksIn(FamilyId::kNode);
  if (status.code() != absl::StatusCode::kDataLoss) return status;
  Log(LogLevel::kError, "log_marks_damaged", {{"status", status.ToString()}, {"instead", "their copies"}});
  return ReadMarksIn(FamilyId::kRequests);
}

absl::Status LoggedStore::ReadMarksIn(FamilyId family) {
  const KeyRange range = KeyRange::Prefix(kLogMarkPrefix);
  const auto cursor = below_->NewCursor(WholeFamily(family), range, ReadTier::kDisk);
  MutexLock lock(&fold_mutex_);
  marks_.clear();
  for (cursor->SeekToFirst(); cursor->state() == ReadResult::kFound; cursor->Next()) {
    absl::string_view key = cursor->key();
    absl::string_view value = cursor->value();
    key.remove_prefix(kLogMarkPrefix.size());
    uint32_t log;
    int64_t folded;
    uint16_t in_use;
    if (!ConsumeUint32(&key, &log) || !ConsumeInt64(&value, &folded) || !ConsumeUint16(&value, &in_use)) {
      return absl::DataLossError("the store's mark of a commit log is garbled");
    }
    if (logs_->Covers(log)) marks_[log] = {static_cast<BatchNumber>(folded), in_use != 0};
  }
  return cursor->state() == ReadResult::kError ? cursor->error() : absl::OkStatus();
}

absl::Status LoggedStore::ReplayLog(uint32_t log, LogContents* contents) {
  BatchNumber folded;
  {
    MutexLock lock(&fold_mutex_);
    folded = marks_[log].folded;
  }
  std::map<std::string, FamilyId, std::less<>> families;
  for (const OwnFamily& family : ListOwnFamilies()) families[family.name] = family.id;
  auto read = logs_->Read(log, folded, [&](BatchNumber batch, int64_t, absl::string_view payload) {
    return ReplayBatchOf(log, batch, payload, /*make_families=*/false, &families);
  });
  if (!read.ok()) return read.status();
  if (read->last > folded) {
    Log(LogLevel::kInfo, "commit_log_replayed",
        {{"log", logs_->NameOf(log)}, {"batches", absl::StrCat(read->last - folded)}});
  }
  *contents = *std::move(read);
  return absl::OkStatus();
}

absl::Status LoggedStore::ReplayBatchOf(uint32_t log, BatchNumber batch, absl::string_view payload, bool make_families,
                                        std::map<std::string, FamilyId, std::less<>>* families) {
  const absl::StatusOr<std::vector<BatchPart>> parts = DecodeBatch(payload);
  if (!parts.ok()) return parts.status();
  std::vector<Location> locations;
  std::vector<WriteSet> sets;
  std::vector<KeyspaceWrites> writes;
  locations.reserve(parts->size());
  sets.reserve(parts->size());
  for (const BatchPart& part : *parts) {
    Location& location = locations.emplace_back(Location{part.family, std::string(part.prefix)});
    if (part.family == FamilyId::kFirstOwn) {
      auto family = families->find(part.name);
      if (family == families->end() || !IsOpen(family->second)) {
        if (!make_families) return absl::DataLossError(absl::StrCat("the family ", part.name, " is missing"));
        const absl::StatusOr<FamilyId> made = CreateFamily(part.name);
        if (!made.ok()) return made.status();
        family = families->insert_or_assign(std::string(part.name), *made).first;
      }
      location.family = family->second;
    }
    WriteSet& set = sets.emplace_back();
    for (const auto& [start, end] : part.removed) set.DeleteRange({std::string(start), std::string(end)});
    for (const auto& [kind, key, bytes] : part.points) {
      if (kind == PointKind::kRemoved) set.Delete(key);
      if (kind == PointKind::kValue) set.Put(key, std::string(bytes));
      if (kind != PointKind::kPatch) continue;
      std::string value;
      absl::Status error;
      const ReadResult found = Get(location, key, ReadTier::kDisk, &value, &error);
      if (found == ReadResult::kError) return error;
      if (found == ReadResult::kFound && ApplyPatch(bytes, &value)) {
        set.PutChanged(key, std::move(value), std::string(bytes));
      } else {
        set.Put(key, std::string(kDamagedValue));
      }
    }
    writes.push_back({&location, &set});
  }
  unfolded_.Add(log, batch, writes);
  return unfolded_.bytes() < options_.fold_bytes ? absl::OkStatus() : Fold();
}

absl::Status LoggedStore::Replay(uint32_t log, BatchNumber batch, absl::string_view payload) {
  if (replay_families_.empty()) {
    for (const OwnFamily& family : ListOwnFamilies()) replay_families_[family.name] = family.id;
  }
  return ReplayBatchOf(log, batch, payload, /*make_families=*/true, &replay_families_);
}

absl::Status LoggedStore::OpenLogs(const std::map<uint32_t, LogContents>& contents) {
  MutexLock lock(&fold_mutex_);
  const std::map<uint32_t, Mark> before = marks_;
  for (auto& [log, mark] : marks_) mark.in_use = false;
  for (uint32_t log = options_.first_log; log < options_.first_log + options_.logs; ++log) {
    const auto read = contents.find(log);
    auto opened = logs_->Open(log, read == contents.end() ? LogContents() : read->second);
    if (!opened.ok()) return opened.status();
    // A log must not be full before a fold begins.
    options_.fold_bytes = std::min<size_t>(options_.fold_bytes, (*opened)->payload_bytes_max() / 2);
    lanes_.push_back(std::make_unique<Lane>(this, log, *std::move(opened)));
    marks_[log].in_use = true;
  }
  // A mark that says that a log is in use comes after its files, and one that it is not comes before they go.
  if (absl::Status status = CommitBelow({}); !status.ok()) return status;
  for (const auto& [log, mark] : before) {
    if (!mark.in_use || marks_[log].in_use) continue;
    if (absl::Status status = logs_->Remove(log); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace holdfast::storage
