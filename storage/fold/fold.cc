// The folds of a logged store, and the thread that makes them.

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <utility>

#include "storage/base/log.h"
#include "storage/fold/logged_lane.h"
#include "storage/fold/logged_store.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage {
namespace {

// Folds give way to executors, but are never starved: at this value a thread gets a quarter of a busy core.
constexpr int kFoldNice = 5;

}  // namespace

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
  while (folds_held_) released_.Wait(&fold_mutex_);
  return FoldHeld(large);
}

absl::Status LoggedStore::HoldFolds(absl::FunctionRef<absl::Status(const Folded&, const Release&)> copy) {
  Folded folded;
  {
    MutexLock lock(&fold_mutex_);
    while (folds_held_) released_.Wait(&fold_mutex_);
    if (absl::Status status = FoldHeld(nullptr); !status.ok()) return status;
    for (const auto& [log, mark] : marks_) folded[log] = mark.folded;
    folds_held_ = true;
  }
  std::atomic<bool> held = true;
  const Release release = [&] {
    if (!held.exchange(false)) return;
    MutexLock lock(&fold_mutex_);
    folds_held_ = false;
    released_.WakeAll();
  };
  const absl::Status status = copy(folded, release);
  release();
  return status;
}

LoggedStore::Folded LoggedStore::folded() {
  MutexLock lock(&fold_mutex_);
  Folded folded;
  for (const auto& [log, mark] : marks_) folded[log] = mark.folded;
  return folded;
}

absl::Status LoggedStore::FoldHeld(const LargeBatch* large) {
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
  if (status.ok()) {
    for (const auto& lane : lanes_) lane->log()->Trim(marks_[lane->number()].folded);
  }
  if (status.ok()) DropFamilies(dropped);
  if (!status.ok()) Fail(status);
  return status;
}

void LoggedStore::FoldLoop() {
  pthread_setname_np(pthread_self(), "fold");
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kFoldNice);
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

bool LoggedStore::Stop(const absl::Status& status) {
  MutexLock lock(&mutex_);
  if (!failure_.ok()) return false;
  failure_ = status;
  folded_.WakeAll();
  for (const auto& lane : lanes_) lane->log()->Fail(status);
  return true;
}

void LoggedStore::Fail(const absl::Status& status) {
  if (!Stop(status)) return;
  Log(LogLevel::kError, "fold_failed", {{"status", status.ToString()}});
  if (options_.on_failure != nullptr) options_.on_failure(status);
}

absl::Status LoggedStore::failure() {
  MutexLock lock(&mutex_);
  return failure_;
}

}  // namespace holdfast::storage
