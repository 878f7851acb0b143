// Stores whose process is killed, and their state after that. With lose_unsynced a killed process loses everything that
// it did not sync, like in a power failure; with a bound on the size of files its writes fail in their middle.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "storage/store/patch.h"
#include "tests/unit/storage/child.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

constexpr absl::string_view kOwnName = "own";
constexpr absl::string_view kPackedPrefix = "p/";

// The commits of a run are numbered from 1, and each writes to three families.
struct Numbered {
  WriteSet catalog;
  WriteSet packed;
  WriteSet own;
};

// The key that each commit patches.
constexpr absl::string_view kChangedKey = "changed";

std::string ChangedValue(uint64_t number) { return absl::StrCat(std::string(200, 'c'), 1'000'000'000 + number); }

Numbered NumberedCommit(uint64_t seed, uint64_t number) {
  Random random(seed * 1'000'003 + number);
  Numbered commit;
  for (WriteSet* set : {&commit.packed, &commit.own}) {
    *set = RandomWrites(random, 3);
    set->Put(RandomKey(random), std::string(random.OneIn(4) ? random.Below(5000) : random.Below(100), 'v'));
    if (number == 1) {
      set->Put(kChangedKey, ChangedValue(number));
    } else {
      set->PutChanged(kChangedKey, ChangedValue(number), *MakePatch(ChangedValue(number - 1), ChangedValue(number)));
    }
  }
  for (WriteSet* set : {&commit.catalog, &commit.packed, &commit.own}) set->Put("number", absl::StrCat(number));
  return commit;
}

FamilyId OwnFamilyOf(Store& store) {
  for (const OwnFamily& family : store.ListOwnFamilies()) {
    if (family.name == kOwnName) return family.id;
  }
  auto made = store.CreateFamily(kOwnName);
  if (!made.ok()) {
    ChildSays(absl::StrCat("failed ", made.status().ToString()));
    _exit(1);
  }
  return *made;
}

uint64_t LastNumber(Store& store) {
  uint64_t number = 0;
  const auto found = Find(store, FamilyId::kCatalog, "number");
  EXPECT_TRUE(!found || absl::SimpleAtoi(*found, &number));
  return number;
}

// Continues from the store's state up to commit number `last`, and reports the number of each durable commit.
void CommitUpTo(Store& store, uint64_t seed, uint64_t last) {
  const FamilyId own = OwnFamilyOf(store);
  for (uint64_t number = LastNumber(store) + 1; number <= last; ++number) {
    const Numbered commit = NumberedCommit(seed, number);
    const auto once = [&] {
      return Commit(store, {{{FamilyId::kCatalog, ""}, commit.catalog},
                            {{FamilyId::kPacked, std::string(kPackedPrefix)}, commit.packed},
                            {{own, ""}, commit.own}});
    };
    if (!once().ok()) {
      ChildSays(once().ok() ? "a commit after a failed one succeeded" : "failed");
      return;
    }
    ChildSays(absl::StrCat(number));
  }
  ChildSays("done");
  ChildWaits();
}

uint64_t Number(const std::string& text) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) _exit(1);
  return number;
}

// Opens the store, or reports the error and ends the process.
std::unique_ptr<Store> OpenInChild(const RocksDbOptions& options) {
  auto store = OpenRocksDbStore(options);
  ChildSays(store.ok() ? "open" : store.status().ToString());
  if (!store.ok()) _exit(1);
  return *std::move(store);
}

// Arguments: data directory, seed, last commit, whether to sync, bytes of memtables, seed of the losses.
const ChildProgram kCommit("commit", [](const std::vector<std::string>& arguments) {
  RocksDbOptions options = SmallOptions(arguments[0]);
  options.memtable_bytes = Number(arguments[4]);
  options.lose_unsynced_seed = Number(arguments[5]);
  options.sync = arguments[3] == "sync";
  CommitUpTo(*OpenInChild(options), Number(arguments[1]), Number(arguments[2]));
});

// Arguments: data directory, seed, maximum size of a file.
const ChildProgram kCommitToFullDisk("commit to full disk", [](const std::vector<std::string>& arguments) {
  auto store = OpenInChild(SmallOptions(arguments[0]));
  signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {Number(arguments[2]), RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &limit);
  CommitUpTo(*store, Number(arguments[1]), UINT64_MAX);
  _exit(0);
});

const ChildProgram kHold("hold", [](const std::vector<std::string>& arguments) {
  auto store = OpenInChild(SmallOptions(arguments[0]));
  ChildWaits();
});

void ExpectSame(const char* family, const Entries& found, const Entries& expected) {
  EXPECT_EQ(found.size(), expected.size()) << family;
  for (const auto& [key, value] : expected) {
    const auto it = found.find(key);
    ASSERT_TRUE(it != found.end()) << family << " has lost " << testing::PrintToString(key);
    ASSERT_TRUE(it->second == value) << family << " has another value for " << testing::PrintToString(key);
  }
}

// Checks that the store has the first commits, whole, and nothing else. Returns how many.
uint64_t CheckIsPrefix(Store& store, uint64_t seed) {
  const uint64_t number = LastNumber(store);
  Entries catalog;
  Entries packed;
  Entries own;
  for (uint64_t n = 1; n <= number; ++n) {
    const Numbered commit = NumberedCommit(seed, n);
    Apply(commit.catalog, "", &catalog);
    Apply(commit.packed, std::string(kPackedPrefix), &packed);
    Apply(commit.own, "", &own);
  }
  ExpectSame("catalog", Dump(store, FamilyId::kCatalog), catalog);
  ExpectSame("packed", Dump(store, FamilyId::kPacked), packed);
  const std::vector<OwnFamily> families = store.ListOwnFamilies();
  EXPECT_LE(families.size(), 1u);
  EXPECT_TRUE(number == 0 || families.size() == 1);
  if (!families.empty()) ExpectSame("own", Dump(store, families[0].id), own);
  return number;
}

// The reports of a child.
struct Heard {
  bool opened = false;
  bool done = false;
  uint64_t acknowledged = 0;
  std::string other;

  void Hear(const std::string& line) {
    uint64_t number;
    if (line == "open") {
      opened = true;
    } else if (line == "done") {
      done = true;
    } else if (absl::SimpleAtoi(line, &number)) {
      acknowledged = number;
    } else {
      other = line;
    }
  }
};

TEST(RocksDbCrashTest, KillLosesNothingThatWasAcknowledged) {
  ForEachSeed(4, [](Random& random) {
    const uint64_t seed = random.Bits() >> 16;
    // With small memtables, flushes and switches of the log come every few commits.
    const std::string memtable_bytes = absl::StrCat(random.OneIn(2) ? 128 << 10 : 8 << 20);
    TempDir dir;
    uint64_t acknowledged = 0;
    for (int life = 0; life < 5; ++life) {
      SCOPED_TRACE(absl::StrCat("life ", life));
      const uint64_t lose_seed = random.Bits() | 1;
      SCOPED_TRACE(absl::StrCat("what is lost follows from ", lose_seed));
      Child child("commit",
                  {dir.path(), absl::StrCat(seed), "1000000", "sync", memtable_bytes, absl::StrCat(lose_seed)});
      Heard heard;
      for (uint64_t lines = random.OneIn(3) ? random.Below(4) : random.Below(80); lines > 0; --lines) {
        const auto line = child.ReadLine();
        ASSERT_TRUE(line.has_value()) << heard.other;
        heard.Hear(*line);
      }
      child.Kill();
      while (const auto line = child.ReadLine()) heard.Hear(*line);
      ASSERT_EQ(heard.other, "");
      acknowledged = std::max(acknowledged, heard.acknowledged);
      // Now and then the next child, which may lose more, recovers the store.
      if (random.OneIn(3)) continue;
      auto store = OpenRocksDbStore(SmallOptions(dir.path()));
      ASSERT_THAT(store, IsOk());
      const uint64_t found = CheckIsPrefix(**store, seed);
      ASSERT_GE(found, acknowledged);
      ASSERT_LE(found, acknowledged + 1) << "more than the one that was not acknowledged yet";
      acknowledged = found;
    }
  });
}

// The same commits are all acknowledged when the process is killed. Without the sync some are lost, which shows that
// the test above can fail.
TEST(RocksDbCrashTest, KillLosesWhatWasNotSynced) {
  constexpr uint64_t kCommits = 20;
  int rounds_that_lost = 0;
  for (const bool sync : {true, false}) {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      SCOPED_TRACE(absl::StrCat("seed ", seed, sync ? ", synced" : ", not synced"));
      TempDir dir;
      // The store itself and its families are synced.
      ASSERT_THAT(OpenOrDie(SmallOptions(dir.path()))->CreateFamily(kOwnName), IsOk());
      Child child("commit", {dir.path(), absl::StrCat(seed), absl::StrCat(kCommits), sync ? "sync" : "no sync",
                             absl::StrCat(8 << 20), absl::StrCat(seed)});
      Heard heard;
      while (!heard.done) {
        const auto line = child.ReadLine();
        ASSERT_TRUE(line.has_value()) << heard.other;
        heard.Hear(*line);
      }
      child.Kill();
      ASSERT_EQ(heard.acknowledged, kCommits);
      auto store = OpenRocksDbStore(SmallOptions(dir.path()));
      ASSERT_THAT(store, IsOk());
      const uint64_t found = CheckIsPrefix(**store, seed);
      if (sync) {
        EXPECT_EQ(found, kCommits);
      } else if (found < kCommits) {
        ++rounds_that_lost;
      }
    }
  }
  EXPECT_GT(rounds_that_lost, 0);
}

// The log is full in the middle of a commit: that commit fails, and so does every later one; the next process finds the
// commits before it.
TEST(RocksDbCrashTest, CommitThatFailsInItsMiddleIsTheLast) {
  ForEachSeed(5, [](Random& random) {
    const uint64_t seed = random.Bits() >> 16;
    // The bound is above the size of RocksDB's own log by then: Debian's RocksDB aborts where that log is full.
    const uint64_t file_bytes_max = (64 << 10) + random.Below(16 << 10);
    TempDir dir;
    Child child("commit to full disk", {dir.path(), absl::StrCat(seed), absl::StrCat(file_bytes_max)});
    Heard heard;
    while (const auto line = child.ReadLine()) heard.Hear(*line);
    ASSERT_EQ(heard.other, "failed");
    ASSERT_GT(heard.acknowledged, 0u);
    auto store = OpenRocksDbStore(SmallOptions(dir.path()));
    ASSERT_THAT(store, IsOk());
    const uint64_t found = CheckIsPrefix(**store, seed);
    ASSERT_GE(found, heard.acknowledged);
    ASSERT_LE(found, heard.acknowledged + 1);
  });
}

TEST(RocksDbCrashTest, OtherProcessHasItUntilItIsKilled) {
  TempDir dir;
  Child child("hold", {dir.path()});
  ASSERT_EQ(child.ReadLine(), "open");
  EXPECT_THAT(OpenRocksDbStore(SmallOptions(dir.path())), IsStatus(absl::StatusCode::kUnavailable, dir.path()));
  child.Kill();
  EXPECT_THAT(OpenRocksDbStore(SmallOptions(dir.path())), IsOk());
}

}  // namespace
}  // namespace holdfast::storage
