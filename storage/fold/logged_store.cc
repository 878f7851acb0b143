#include "storage/fold/logged_store.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/log.h"
#include "storage/fold/batch_codec.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"
#include "storage/store/layered_cursor.h"
#include "storage/store/patch.h"
#include "storage/store/stuck_cursor.h"

namespace holdfast::storage {
namespace {

std::string LogMarkKey(uint32_t log) {
  std::string key(kLogMarkPrefix);
  AppendUint32(&key, log);
  return key;
}

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

// The store of one executor: that of all, but for the log through which it commits.
class LoggedStore::Lane final : public Store {
 public:
  Lane(LoggedStore* whole, uint32_t number, std::unique_ptr<CommitLog> log)
      : whole_(whole), number_(number), log_(std::move(log)) {}

  CommitLog* log() { return log_.get(); }

  ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                 absl::Status* error) override {
    return whole_->Get(location, key, tier, value, error);
  }
  std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) override {
    return whole_->NewCursor(location, std::move(range), tier);
  }
  void Prefetch(const Location& location, const KeyRange& range) override { whole_->Prefetch(location, range); }
  bool DiskFull() override { return whole_->DiskFull(); }
  absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) override { return whole_->CreateFamily(name); }
  absl::Status DropFamily(FamilyId family) override { return whole_->DropFamily(family); }
  std::vector<OwnFamily> ListOwnFamilies() override { return whole_->ListOwnFamilies(); }

  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override;
  void Commit(absl::Span<const KeyspaceWrites> writes, Background* background, CommitDone done) override;

 private:
  // A batch that is durable. `folded`: the store below has it.
  struct Appended {
    BatchNumber number;
    bool folded;
  };

  absl::StatusOr<Appended> Append(absl::Span<const KeyspaceWrites> writes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes the batch visible, and takes the contents of its sets.
  void Add(const Appended& batch, absl::Span<const KeyspaceWrites> writes);

  LoggedStore* const whole_;
  const uint32_t number_;
  // The commits of an executor follow each other; CommitSync may have several callers.
  Mutex mutex_;
  const std::unique_ptr<CommitLog> log_;
  std::string payload_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<LoggedStore::Lane::Appended> LoggedStore::Lane::Append(absl::Span<const KeyspaceWrites> writes) {
  if (absl::Status status = whole_->WaitForRoom(); !status.ok()) return status;
  for (const KeyspaceWrites& part : writes) {
    if (!whole_->IsOpen(part.location->family)) return absl::InternalError("a commit names a dropped family");
  }
  payload_.clear();
  EncodeBatch(
      writes, [this](FamilyId family) { return whole_->NameOf(family); }, &payload_);
  if (payload_.size() > log_->payload_bytes_max()) {
    const LargeBatch large{number_, log_->last() + 1, writes};
    if (absl::Status status = whole_->FoldWith(&large); !status.ok()) return status;
    log_->Pass();
    payload_.shrink_to_fit();
    return Appended{large.number, true};
  }
  const absl::Status status = log_->Append(absl::ToUnixMicros(whole_->options_.now()), payload_);
  if (!status.ok()) return status;
  whole_->CountLogged(InLogBlocks(kLogRecordHeaderBytes + payload_.size()));
  return Appended{log_->last(), false};
}

void LoggedStore::Lane::Add(const Appended& batch, absl::Span<const KeyspaceWrites> writes) {
  whole_->unfolded_.Add(number_, batch.number, batch.folded ? absl::Span<const KeyspaceWrites>() : writes);
}

absl::Status LoggedStore::Lane::CommitSync(absl::Span<const KeyspaceWrites> writes) {
  MutexLock lock(&mutex_);
  const absl::StatusOr<Appended> batch = Append(writes);
  if (!batch.ok()) return batch.status();
  std::vector<WriteSet> copies;
  std::vector<KeyspaceWrites> parts;
  copies.reserve(writes.size());
  for (const KeyspaceWrites& part : writes) parts.push_back({part.location, &copies.emplace_back(*part.writes)});
  Add(*batch, parts);
  return absl::OkStatus();
}

void LoggedStore::Lane::Commit(absl::Span<const KeyspaceWrites> writes, Background* background, CommitDone done) {
  struct Attempt {
    absl::Span<const KeyspaceWrites> writes;
    CommitDone done;
    absl::StatusOr<Appended> batch;
    absl::Duration time;
  };
  auto attempt = std::make_shared<Attempt>();
  attempt->writes = writes;
  attempt->done = std::move(done);
  background->Run(
      [this, attempt] {
        const auto start = std::chrono::steady_clock::now();
        {
          MutexLock lock(&mutex_);
          attempt->batch = Append(attempt->writes);
        }
        attempt->time = absl::FromChrono(std::chrono::steady_clock::now() - start);
      },
      [this, attempt] {
        if (attempt->batch.ok()) Add(*attempt->batch, attempt->writes);
        attempt->done(attempt->batch.status(), attempt->time);
      });
}

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
    marks_[log] = {static_cast<BatchNumber>(folded), in_use != 0};
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
    return ReplayBatchOf(log, batch, payload, families);
  });
  if (!read.ok()) return read.status();
  if (read->last > folded) {
    Log(LogLevel::kInfo, "commit_log_replayed",
        {{"log", logs_->NameOf(log)}, {"batches", absl::StrCat(read->last - folded)}});
  }
  *contents = *std::move(read);
  return absl::OkStatus();
}

absl::Status LoggedStore::ReplayBatchOf(uint32_t log, BatchNumber batch, absl::string_view payload,
                                        const std::map<std::string, FamilyId, std::less<>>& families) {
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
      const auto family = families.find(part.name);
      if (family == families.end()) return absl::DataLossError(absl::StrCat("the family ", part.name, " is missing"));
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

absl::Status LoggedStore::OpenLogs(const std::map<uint32_t, LogContents>& contents) {
  MutexLock lock(&fold_mutex_);
  const std::map<uint32_t, Mark> before = marks_;
  for (auto& [log, mark] : marks_) mark.in_use = false;
  for (uint32_t log = 0; log < options_.logs; ++log) {
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
    const uint64_t folds = unfolded_.folds();
    Unfolded::Snapshot snapshot = unfolded_.Take(location);
    std::unique_ptr<Cursor> base = below_->NewCursor(location, range, tier);
    // A fold in between may have written what is newer than the snapshot.
    if (unfolded_.folds() != folds) continue;
    if (snapshot.empty()) return base;
    return std::make_unique<SnapshotCursor>(std::move(snapshot), std::move(range), std::move(base));
  }
}

absl::Status LoggedStore::CommitSync(absl::Span<const KeyspaceWrites> writes) {
  return lanes_.front()->CommitSync(writes);
}

absl::Status LoggedStore::WaitForRoom() {
  // Without a thread that folds, the commit does it.
  if (!folder_.joinable() && unfolded_.bytes() >= options_.unfolded_bytes_max) return Fold();
  MutexLock lock(&mutex_);
  while (failure_.ok() && unfolded_.bytes() >= options_.unfolded_bytes_max) {
    fold_now_ = true;
    wake_.WakeOne();
    folded_.Wait(&mutex_);
  }
  return failure_;
}

void LoggedStore::CountLogged(size_t bytes) {
  const size_t logged = logged_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (std::max(logged, unfolded_.bytes()) >= options_.fold_bytes) FoldSoon();
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

absl::Status LoggedStore::DropFamilies(const std::set<FamilyId>& dropped) {
  for (FamilyId family : dropped) {
    if (absl::Status status = below_->DropFamily(family); !status.ok()) return status;
    WriterLock lock(&families_mutex_);
    to_drop_.erase(family);
  }
  return absl::OkStatus();
}

// --- The fold

absl::Status LoggedStore::CommitBelow(std::vector<KeyspaceWrites> writes) {
  WriteSet marks;
  for (const auto& [log, mark] : marks_) {
    std::string value;
    AppendInt64(&value, static_cast<int64_t>(mark.folded));
    AppendUint16(&value, mark.in_use ? 1 : 0);
    marks.Put(LogMarkKey(log), std::move(value));
  }
  const Location locations[] = {WholeFamily(FamilyId::kNode), WholeFamily(FamilyId::kRequests)};
  WriteSet with_marks[std::size(locations)];
  for (size_t i = 0; i < std::size(locations); ++i) {
    const auto part = std::find_if(writes.begin(), writes.end(),
                                   [&](const KeyspaceWrites& other) { return *other.location == locations[i]; });
    if (part == writes.end()) {
      with_marks[i] = marks;
      writes.push_back({&locations[i], &with_marks[i]});
    } else {
      with_marks[i] = *part->writes;
      with_marks[i].Merge(WriteSet(marks));
      part->writes = &with_marks[i];
    }
  }
  return below_->CommitSync(writes);
}

absl::Status LoggedStore::FoldWith(const LargeBatch* large) {
  MutexLock lock(&fold_mutex_);
  if (absl::Status failed = failure(); !failed.ok()) return failed;
  std::set<FamilyId> dropped;
  {
    // The batches that name these families were added before.
    ReaderLock families(&families_mutex_);
    for (const auto& [family, name] : to_drop_) dropped.insert(family);
  }
  const auto start = std::chrono::steady_clock::now();
  logged_bytes_ = 0;
  Unfolded::Fold fold = unfolded_.BeginFold();
  bool changed = !fold.writes.empty();
  for (const auto& [log, last] : fold.last) {
    BatchNumber& folded = marks_[log].folded;
    changed |= last > folded;
    folded = std::max(folded, last);
  }
  absl::Status status;
  const size_t keyspaces = fold.writes.size();
  if (changed) status = CommitBelow(std::move(fold.writes));
  if (status.ok()) {
    unfolded_.EndFold();
    if (large != nullptr) {
      marks_[large->log].folded = large->number;
      status = CommitBelow({large->writes.begin(), large->writes.end()});
    }
  }
  if (options_.observer != nullptr && (changed || !status.ok())) {
    options_.observer->FoldEnded(
        {fold.bytes, keyspaces, absl::FromChrono(std::chrono::steady_clock::now() - start), status.ok()});
  }
  for (uint32_t log = 0; status.ok() && log < lanes_.size(); ++log) lanes_[log]->log()->Trim(marks_[log].folded);
  if (status.ok()) status = DropFamilies(dropped);
  if (!status.ok()) Fail(status);
  return status;
}

void LoggedStore::FoldLoop() {
  MutexLock lock(&mutex_);
  while (true) {
    const CondVar::Deadline next = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options_.fold_every);
    while (!closing_ && !fold_now_ && wake_.WaitUntil(&mutex_, next)) {
    }
    if (closing_) return;
    fold_now_ = false;
    lock.Unlock();
    const absl::Status status = Fold();
    lock.Lock();
    folded_.WakeAll();
    if (!status.ok()) return;
  }
}

void LoggedStore::Fail(const absl::Status& status) {
  {
    MutexLock lock(&mutex_);
    if (!failure_.ok()) return;
    failure_ = status;
    folded_.WakeAll();
  }
  Log(LogLevel::kError, "fold_failed", {{"status", status.ToString()}});
  if (options_.on_failure != nullptr) options_.on_failure(status);
}

absl::Status LoggedStore::failure() {
  MutexLock lock(&mutex_);
  return failure_;
}

}  // namespace holdfast::storage
