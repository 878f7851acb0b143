// A process with the log and the fold, killed before and after each of its steps: an append, a fold's commit, a trim, a
// family that is made or dropped, each step of the recovery and of the end. What it had written and not synced is lost
// as well, like in a power failure. The next process, which is killed in its recovery or soon after, and the one after
// it have every batch that was acknowledged, and of the one behind it all or nothing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/fold/logged_store.h"
#include "storage/log/file_commit_logs.h"
#include "storage/store/patch.h"
#include "tests/simulation/forwarding_store.h"
#include "tests/unit/storage/child.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

// Counts the steps of a process, and kills it at the one with this number.
struct Steps {
  uint64_t kill_at;
  uint64_t passed = 0;

  void Pass() {
    if (++passed == kill_at) raise(SIGKILL);
  }
  // Makes a step, with its own moments before and after.
  template <typename Step>
  auto Make(Step step) {
    Pass();
    auto result = step();
    Pass();
    return result;
  }
};

class SteppedStore : public simulation::ForwardingStore {
 public:
  SteppedStore(std::unique_ptr<Store> store, Steps* steps)
      : ForwardingStore(store.get()), store_(std::move(store)), steps_(steps) {}
  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override {
    return steps_->Make([&] { return ForwardingStore::CommitSync(writes); });
  }
  absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) override {
    return steps_->Make([&] { return ForwardingStore::CreateFamily(name); });
  }
  absl::Status DropFamily(FamilyId family) override {
    return steps_->Make([&] { return ForwardingStore::DropFamily(family); });
  }

 private:
  const std::unique_ptr<Store> store_;
  Steps* const steps_;
};

class SteppedLog : public CommitLog {
 public:
  SteppedLog(std::unique_ptr<CommitLog> log, Steps* steps) : log_(std::move(log)), steps_(steps) {}
  uint64_t payload_bytes_max() const override { return log_->payload_bytes_max(); }
  absl::Status Append(int64_t time_us, absl::string_view payload) override {
    return steps_->Make([&] { return log_->Append(time_us, payload); });
  }
  void Pass() override {
    log_->Pass();
    steps_->Pass();
  }
  BatchNumber last() const override { return log_->last(); }
  void Trim(BatchNumber folded) override {
    log_->Trim(folded);
    steps_->Pass();
  }
  void Fail(const absl::Status& why) override { log_->Fail(why); }
  absl::Status Close() override {
    return steps_->Make([&] { return log_->Close(); });
  }

 private:
  const std::unique_ptr<CommitLog> log_;
  Steps* const steps_;
};

class SteppedLogs : public CommitLogs {
 public:
  SteppedLogs(FileCommitLogOptions options, Steps* steps) : logs_(std::move(options)), steps_(steps) {}
  absl::StatusOr<std::vector<uint32_t>> List() override { return logs_.List(); }
  absl::StatusOr<LogContents> Read(uint32_t log, BatchNumber folded, ReplayBatch replay) override {
    return logs_.Read(log, folded, std::move(replay));
  }
  absl::StatusOr<std::unique_ptr<CommitLog>> Open(uint32_t log, const LogContents& contents) override {
    auto opened = steps_->Make([&] { return logs_.Open(log, contents); });
    if (!opened.ok()) return opened.status();
    return std::make_unique<SteppedLog>(*std::move(opened), steps_);
  }
  absl::Status Remove(uint32_t log) override {
    return steps_->Make([&] { return logs_.Remove(log); });
  }
  std::string NameOf(uint32_t log) const override { return logs_.NameOf(log); }

 private:
  FileCommitLogs logs_;
  Steps* const steps_;
};

absl::StatusOr<std::unique_ptr<LoggedStore>> Open(const std::string& dir, uint32_t logs, uint64_t seed, Steps* steps) {
  RocksDbOptions below = SmallOptions(dir);
  below.log_above = FileCommitLogs::Exist(dir);
  below.lose_unsynced_seed = seed;
  FileCommitLogOptions files = {.directory = dir, .run = seed, .segment_bytes = 64 << 10, .segments_max = 4};
  files.faults.lose_unsynced_seed = seed;
  LoggedStoreOptions options;
  options.logs = logs;
  options.fold_every = absl::InfiniteDuration();
  auto store = OpenRocksDbStore(below);
  if (!store.ok()) return store.status();
  return LoggedStore::Open(std::make_unique<SteppedStore>(*std::move(store), steps),
                           std::make_unique<SteppedLogs>(files, steps), std::move(options));
}

// --- The batches of an object, numbered from 1. An object commits through one log in each life. Before each batch
// another object commits the same number, through another log if there is one.

constexpr uint64_t kBatches = 22;
constexpr uint64_t kLarge = 6;    // does not fit into a log
constexpr uint64_t kMoves = 9;    // takes what is packed into a family of its own, in one step
constexpr uint64_t kLeaves = 15;  // packs it again; the family is dropped
constexpr uint64_t kFoldEvery = 4;
constexpr size_t kValueBytes = 9000;
constexpr absl::string_view kOwnName = "own";
const Location kPacked = {FamilyId::kPacked, "p/"};
const Location kOther = {FamilyId::kPacked, "q/"};

std::string ValueOf(uint64_t number) { return absl::StrCat(std::string(kValueBytes, 'v'), 1000 + number); }

// What the object has after this batch.
Entries After(uint64_t number) {
  Entries entries;
  if (number == 0) return entries;
  entries["changed"] = ValueOf(number);
  entries["number"] = absl::StrCat(number);
  for (uint64_t i = 1; i <= number; ++i) {
    if (i == kLarge) entries["large"] = std::string(250'000, 'l');
    if (i % 3 == 0) entries.erase(absl::StrCat("came ", i - 1));
    if (i % 3 != 0) entries[absl::StrCat("came ", i)] = "came";
  }
  return entries;
}

WriteSet WritesOf(uint64_t number) {
  WriteSet writes;
  if (number == 1) {
    writes.Put("changed", ValueOf(number));
  } else {
    writes.PutChanged("changed", ValueOf(number), *MakePatch(ValueOf(number - 1), ValueOf(number)));
  }
  writes.Put("number", absl::StrCat(number));
  if (number == kLarge) writes.Put("large", std::string(250'000, 'l'));
  if (number % 3 == 0) {
    writes.DeleteRange(KeyRange::Single(absl::StrCat("came ", number - 1)));
  } else {
    writes.Put(absl::StrCat("came ", number), "came");
  }
  return writes;
}

WriteSet All(const Entries& entries) {
  WriteSet writes;
  for (const auto& [key, value] : entries) writes.Put(key, value);
  return writes;
}

std::optional<FamilyId> OwnFamilyOf(Store& store) {
  for (const OwnFamily& family : store.ListOwnFamilies()) {
    if (family.name == kOwnName) return family.id;
  }
  return std::nullopt;
}

// The object is in its family, or packed.
Entries EntriesOf(Store& store) {
  Entries entries;
  std::vector<Location> locations = {kPacked};
  if (const auto own = OwnFamilyOf(store)) locations.push_back(WholeFamily(*own));
  for (const Location& location : locations) {
    const auto cursor = store.NewCursor(location, KeyRange::All(), ReadTier::kDisk);
    for (auto& [key, value] : Walk(*cursor, false)) {
      EXPECT_TRUE(entries.emplace(key, value).second) << key << " is at both places";
    }
  }
  return entries;
}

uint64_t NumberIn(const std::string& text) {
  uint64_t number = 0;
  EXPECT_TRUE(absl::SimpleAtoi(text, &number)) << text;
  return number;
}

// The last batch that the entries have.
uint64_t NumberOf(const Entries& entries) { return entries.empty() ? 0 : NumberIn(entries.at("number")); }

absl::Status CommitBatch(LoggedStore& store, uint32_t logs, uint64_t number) {
  Store& lane = *store.ForExecutor(static_cast<int>(logs - 1));
  Store& other = *store.ForExecutor(0);
  if (absl::Status status = Commit(other, {{kOther, OnePut("number", absl::StrCat(number))}}); !status.ok()) {
    return status;
  }
  if (number == kMoves) {
    absl::StatusOr<FamilyId> own = FamilyId::kFirstOwn;
    if (const auto left = OwnFamilyOf(store)) {
      own = *left;
    } else {
      own = store.CreateFamily(kOwnName);
    }
    if (!own.ok()) return own.status();
    return Commit(lane, {{kPacked, Removes(KeyRange::All())}, {WholeFamily(*own), All(After(number))}});
  }
  const std::optional<FamilyId> own = OwnFamilyOf(store);
  if (number == kLeaves) {
    const absl::Status status =
        Commit(lane, {{kPacked, All(After(number))}, {WholeFamily(*own), Removes(KeyRange::All())}});
    return status.ok() ? store.DropFamily(*own) : status;
  }
  return Commit(lane, {{number < kMoves || number > kLeaves ? kPacked : WholeFamily(*own), WritesOf(number)}});
}

// Arguments: data directory, number of logs, seed of the losses, step to be killed at.
const ChildProgram kLive("live", [](const std::vector<std::string>& arguments) {
  Steps steps{.kill_at = NumberIn(arguments[3])};
  const auto logs = static_cast<uint32_t>(NumberIn(arguments[1]));
  {
    auto store = Open(arguments[0], logs, NumberIn(arguments[2]), &steps);
    if (!store.ok()) {
      ChildSays(store.status().ToString());
      return;
    }
    uint64_t number = NumberOf(EntriesOf(**store));
    ChildSays(absl::StrCat(number));
    while (++number <= kBatches) {
      absl::Status status = CommitBatch(**store, logs, number);
      if (status.ok()) ChildSays(absl::StrCat(number));
      if (status.ok() && number % kFoldEvery == 0) status = (*store)->Fold();
      if (!status.ok()) ChildSays(status.ToString());
    }
  }
  ChildSays("ended");
});

// Runs a life on the directory; returns whether it came to its end. `acknowledged` is the last batch that anybody has
// seen: it was found at a start, or acknowledged.
bool Live(const std::string& dir, uint32_t logs, uint64_t kill_at, uint64_t* acknowledged) {
  Child child("live", {dir, absl::StrCat(logs), absl::StrCat(kill_at + 1), absl::StrCat(kill_at)});
  while (const auto line = child.ReadLine()) {
    if (*line == "ended") return true;
    uint64_t number = 0;
    EXPECT_TRUE(absl::SimpleAtoi(*line, &number)) << *line;
    EXPECT_GE(number, *acknowledged) << "an acknowledged batch was lost";
    EXPECT_LE(number, *acknowledged + 1);
    *acknowledged = number;
  }
  return false;
}

TEST(FoldKills, AfterAKillAtEachStepEverythingAcknowledgedIsThere) {
  uint64_t kills = 0;
  for (bool ended = false; !ended && !testing::Test::HasFailure();) {
    SCOPED_TRACE(absl::StrCat("killed at step ", ++kills));
    ASSERT_LT(kills, 1000u);
    TempDir temporary;
    const std::string dir = temporary.path() + "/store";
    uint64_t acknowledged = 0;
    ended = Live(dir, 1 + kills % 2, kills, &acknowledged);
    // The second life has another number of logs, and dies in its recovery or soon after.
    Live(dir, 2 - kills % 2, 1 + kills % 13, &acknowledged);
    Steps steps{.kill_at = 0};
    const auto store = Open(dir, 1 + kills % 3, kills, &steps);
    ASSERT_THAT(store, IsOk());
    const Entries found = EntriesOf(**store);
    const uint64_t number = NumberOf(found);
    EXPECT_GE(number, acknowledged);
    EXPECT_LE(number, acknowledged + 1);
    EXPECT_EQ(found, After(number));
    std::string other;
    absl::Status error;
    if ((*store)->Get(kOther, "number", ReadTier::kDisk, &other, &error) != ReadResult::kFound) other = "0";
    EXPECT_GE(NumberIn(other), number);
    EXPECT_LE(NumberIn(other), number + 1);
  }
  EXPECT_GT(kills, 80u);
}

}  // namespace
}  // namespace holdfast::storage
