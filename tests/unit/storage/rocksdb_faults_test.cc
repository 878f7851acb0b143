// The traps of RocksDB (each shows the library's real behaviour in the version that we build on), corrupt blocks and
// full disks.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "rocksdb/merge_operator.h"
#include "storage/node/families.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "storage/store/memory_store.h"
#include "storage/store/patch.h"
#include "tests/unit/storage/files.h"
#include "tests/unit/storage/raw_rocksdb.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;

// Waits up to ten seconds.
template <typename Condition>
bool Eventually(Condition condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

class RocksDbFaultsTest : public testing::Test {
 protected:
  const std::string& dir() const { return dir_.path(); }
  std::unique_ptr<Store> Open() { return OpenOrDie(SmallOptions(dir())); }

 private:
  TempDir dir_;
};

// RocksDB refuses such a batch, keeps its other keys all the same, and then fails every write.
TEST_F(RocksDbFaultsTest, BatchThatNamesADroppedFamily) {
  {
    RawRocksDb db(dir());
    rocksdb::ColumnFamilyHandle* dropped = nullptr;
    ASSERT_TRUE(db->CreateColumnFamily({}, "dropped", &dropped).ok());
    ASSERT_TRUE(db->DropColumnFamily(dropped).ok());
    const uint32_t id = dropped->GetID();
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(batch.Put(db.family("default"), "other", "v").ok());
    ASSERT_TRUE(batch.Put(dropped, "k", "v").ok());
    ASSERT_TRUE(db->DestroyColumnFamilyHandle(dropped).ok());
    EXPECT_FALSE(db->Write({}, &batch).ok()) << id;
    EXPECT_FALSE(db->Put({}, "later", "v").ok()) << "RocksDB got better: the rule may go";
  }
  EXPECT_NE(RawGet(dir(), "default", "other"), std::nullopt) << "RocksDB got better: the rule may go";

  TempDir own_dir;
  auto store = OpenOrDie(SmallOptions(own_dir.path()));
  const FamilyId own = *store->CreateFamily("own");
  ASSERT_THAT(store->DropFamily(own), IsOk());
  EXPECT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, OnePut("k", "v")}, {{own, ""}, OnePut("k", "v")}}),
              IsStatus(absl::StatusCode::kInternal, "dropped"));
  EXPECT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, OnePut("l", "v")}}), IsOk());
  store.reset();
  store = OpenOrDie(SmallOptions(own_dir.path()));
  EXPECT_THAT(Dump(*store, FamilyId::kPacked), testing::ElementsAre(testing::Pair("l", "v")));
}

class FailingMerge : public rocksdb::MergeOperator {
 public:
  bool FullMergeV2(const MergeOperationInput&, MergeOperationOutput*) const override { return false; }
  const char* Name() const override { return "failing"; }
};

// A merge that fails while a memtable is flushed ends all writes of all families. The store's own merge never fails.
TEST_F(RocksDbFaultsTest, FailedMergeInAFlushEndsAllWrites) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.merge_operator = std::make_shared<FailingMerge>();
  rocksdb::DB* opened = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, dir(), &opened).ok());
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::ColumnFamilyHandle* other = nullptr;
  ASSERT_TRUE(db->CreateColumnFamily(options, "other", &other).ok());
  ASSERT_TRUE(db->Put({}, "k", "base").ok());
  ASSERT_TRUE(db->Merge({}, "k", "patch").ok());
  std::string value;
  EXPECT_TRUE(db->Get({}, "k", &value).IsCorruption());
  EXPECT_FALSE(db->Flush({}).ok()) << "RocksDB got better: the operator may fail";
  EXPECT_FALSE(db->Put({}, other, "k", "v").ok()) << "RocksDB got better: the operator may fail";
  ASSERT_TRUE(db->DestroyColumnFamilyHandle(other).ok());
}

// One page has a garbled patch, and one has a patch without a base: flushes and compactions harm nothing else.
TEST_F(RocksDbFaultsTest, PatchesThatCannotBeAppliedHarmNothingElse) {
  const std::string base(100, 'a');
  std::string value = base;
  value[50] = 'b';
  const Location packed{FamilyId::kPacked, "p/"};
  FamilyId own;
  {
    auto store = Open();
    own = *store->CreateFamily("own");
    WriteSet set;
    set.Put("garbled", base);
    set.Put("whole", base);
    ASSERT_THAT(Commit(*store, {{packed, set}, {{own, ""}, set}}), IsOk());
    WriteSet changes;
    changes.PutChanged("garbled", value, "\x64\x01z");
    changes.PutChanged("none", value, *MakePatch(base, value));
    changes.PutChanged("whole", value, *MakePatch(base, value));
    ASSERT_THAT(Commit(*store, {{packed, changes}, {{own, ""}, changes}}), IsOk());
  }
  const std::string damaged(kDamagedValue);
  for (const bool compact : {false, true}) {
    if (compact) {
      RawFlush(dir());
      RawRocksDb db(dir());
      rocksdb::CompactRangeOptions all;
      all.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
      for (const auto& [name, handle] : db.families()) {
        ASSERT_TRUE(db->CompactRange(all, handle, nullptr, nullptr).ok());
      }
    }
    auto store = Open();
    own = store->ListOwnFamilies().at(0).id;
    EXPECT_EQ(Dump(*store, FamilyId::kPacked),
              (Entries{{"p/garbled", damaged}, {"p/none", damaged}, {"p/whole", value}}));
    EXPECT_EQ(Dump(*store, own), (Entries{{"garbled", damaged}, {"none", damaged}, {"whole", value}}));
    EXPECT_THAT(Commit(*store, {{packed, OnePut("whole", value)}, {{own, ""}, OnePut("whole", value)}}), IsOk());
  }
}

// The option makes RocksDB answer OK and lose the keys of the dropped family. tests/lint/layering.py refuses its name.
TEST_F(RocksDbFaultsTest, IgnoreMissingColumnFamiliesLosesKeys) {
  RawRocksDb db(dir());
  rocksdb::ColumnFamilyHandle* dropped = nullptr;
  ASSERT_TRUE(db->CreateColumnFamily({}, "dropped", &dropped).ok());
  ASSERT_TRUE(db->DropColumnFamily(dropped).ok());
  rocksdb::WriteBatch batch;
  ASSERT_TRUE(batch.Put(dropped, "k", "v").ok());
  ASSERT_TRUE(db->DestroyColumnFamilyHandle(dropped).ok());
  rocksdb::WriteOptions options;
  options.ignore_missing_column_families = true;
  EXPECT_TRUE(db->Write(options, &batch).ok());
}

// RocksDB's default recovery opens with a part of the log after one flipped bit. WalTest tests the store's own
// recovery.
TEST_F(RocksDbFaultsTest, FlippedBitInTheMiddleOfTheLogOpensInRocksDb) {
  {
    RawRocksDb db(dir());
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(db->Put({}, absl::StrCat(i), std::string(100, 'v')).ok());
  }
  std::string log;
  for (const auto& entry : std::filesystem::directory_iterator(dir())) {
    if (entry.path().extension() == ".log" && entry.file_size() > 0) log = entry.path();
  }
  FlipBit(log, ReadFile(log).size() / 2, 0);
  EXPECT_NE(RawGet(dir(), "default", "0"), std::nullopt);
  EXPECT_EQ(RawGet(dir(), "default", "99"), std::nullopt) << "RocksDB got better";
}

// A recycled log would end in records of an older one. RocksDB sets the option to 0 by itself in the store's recovery
// mode, and the store does not set it: its records have the types of logs that are not recycled.
TEST_F(RocksDbFaultsTest, RecycleLogFileNum) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.recycle_log_file_num = 4;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocksdb::DB* opened = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, dir() + "/raw", &opened).ok());
  EXPECT_EQ(opened->GetDBOptions().recycle_log_file_num, 0u);
  delete opened;

  RocksDbOptions small = SmallOptions(dir() + "/store");
  small.memtable_bytes = 128 << 10;
  auto store = OpenOrDie(small);
  for (int i = 0; i < 300; ++i) {
    ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, OnePut(absl::StrCat(i), std::string(5000, 'v'))}}), IsOk());
  }
  store.reset();
  for (const auto& entry : std::filesystem::directory_iterator(small.data_dir)) {
    if (entry.path().extension() != ".log") continue;
    for (const WalRecord& record : WalRecords(ReadFile(entry.path()))) {
      ASSERT_GE(record.type, WalRecord::kFull);
      ASSERT_LE(record.type, WalRecord::kLast);
    }
  }
}

// RocksDB's own log gets the name of a family unescaped: an object's name could write lines into it.
TEST_F(RocksDbFaultsTest, FamilyNamesAreEscaped) {
  const std::string line = "\n2026/01/01 all is well";
  {
    auto store = Open();
    ASSERT_THAT(store->CreateFamily(FamilyName({"default", "Object", absl::StrCat("x", line)}, 1)), IsOk());
    ASSERT_THAT(store->DropFamily(store->ListOwnFamilies().at(0).id), IsOk());
  }
  EXPECT_THAT(ReadFile(dir() + "/LOG"), testing::Not(HasSubstr(line)));
}

// A store whose family "own" has four tables over the keys a and b, enough for a compaction when it is opened, with a
// corrupt block in one.
class CorruptCompactionTest : public RocksDbFaultsTest {
 protected:
  void SetUp() override {
    {
      auto store = Open();
      ASSERT_THAT(store->CreateFamily("own"), IsOk());
    }
    {
      RawRocksDb db(dir());
      for (int i = 0; i < 4; ++i) {
        for (const char* key : {"a", "b"}) ASSERT_TRUE(db->Put({}, db.family("own"), key, absl::StrCat(i)).ok());
        ASSERT_TRUE(db->Flush({}, db.family("own")).ok());
      }
    }
    const std::vector<std::string> files = RawTables(dir(), "own");
    ASSERT_EQ(files.size(), 4u);
    for (const std::string& file : files) FlipBit(file, 5, 0);
  }
};

TEST_F(CorruptCompactionTest, WritesGoOnAndReadsOfTheBlockAreDataLoss) {
  auto store = Open();
  const FamilyId own = store->ListOwnFamilies().at(0).id;
  int commits = 0;
  const auto commit = [&] {
    return Commit(*store, {{{FamilyId::kPacked, "p"}, OnePut("k", absl::StrCat(++commits))}});
  };
  ASSERT_TRUE(Eventually([&] {
    EXPECT_THAT(commit(), IsOk());
    return absl::StrContains(ReadFile(dir() + "/LOG"), "Compaction error");
  }));
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(commit(), IsOk());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_THAT(Find(*store, FamilyId::kPacked, "pk"), Optional(absl::StrCat(commits)));
  EXPECT_THAT(store->CreateFamily("another"), IsOk());

  std::string value;
  absl::Status error;
  EXPECT_EQ(store->Get(WholeFamily(own), "a", ReadTier::kDisk, &value, &error), ReadResult::kError);
  EXPECT_THAT(error, IsStatus(absl::StatusCode::kDataLoss, ""));
  EXPECT_THAT(Commit(*store, {{{own, ""}, OnePut("c", "new")}}), IsOk());
  EXPECT_THAT(Find(*store, own, "c"), Optional(std::string("new")));
}

// RocksDB would try the compaction again each second, for ever.
TEST_F(CorruptCompactionTest, FamilyIsCompactedNoMore) {
  const auto failures = [&] {
    const std::string log = ReadFile(dir() + "/LOG");
    int count = 0;
    for (size_t at = 0; (at = log.find("Compaction error", at)) != log.npos; ++at) ++count;
    return count;
  };
  auto store = Open();
  ASSERT_TRUE(Eventually([&] { return failures() > 0; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  EXPECT_LE(failures(), 2);
}

class DiskFullTest : public RocksDbFaultsTest {
 protected:
  absl::StatusOr<std::unique_ptr<Store>> TryOpen(uint64_t reserve_bytes = 100 << 20) {
    RocksDbOptions options = SmallOptions(dir());
    options.disk_reserve_bytes = reserve_bytes;
    options.free_bytes = [this] { return free_.load(); };
    return OpenRocksDbStore(options);
  }

  std::atomic<uint64_t> free_ = 1000 << 20;
};

TEST_F(DiskFullTest, OnlyTheReserveIsLeft) {
  auto store = *TryOpen();
  EXPECT_FALSE(store->DiskFull());
  for (int round = 0; round < 2; ++round) {
    free_ = (100 << 20) - 1;
    ASSERT_TRUE(Eventually([&] { return store->DiskFull(); }));
    // Work under way is still committed, and all data can be read; no new family is made.
    ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, OnePut("k", "v")}}), IsOk());
    EXPECT_THAT(Find(*store, FamilyId::kPacked, "k"), Optional(std::string("v")));
    EXPECT_THAT(store->CreateFamily("own"), IsStatus(absl::StatusCode::kResourceExhausted, "full"));

    free_ = 100 << 20;
    ASSERT_TRUE(Eventually([&] { return !store->DiskFull(); }));
    EXPECT_THAT(store->CreateFamily(absl::StrCat("own ", round)), IsOk());
  }
}

TEST_F(DiskFullTest, StoreWithLessThanTheReserveOpensFull) {
  free_ = 50 << 20;
  auto store = TryOpen();
  ASSERT_THAT(store, IsOk());
  EXPECT_TRUE((*store)->DiskFull());
}

TEST_F(DiskFullTest, StartOnAFullDiskIsRefused) {
  for (const uint64_t free : {0, 1 << 20}) {
    free_ = free;
    const auto refused = TryOpen();
    EXPECT_THAT(refused, IsStatus(absl::StatusCode::kResourceExhausted, dir()));
    EXPECT_THAT(refused, IsStatus(absl::StatusCode::kResourceExhausted, "the disk is full"));
    EXPECT_THAT(ReadFile(dir() + "/CURRENT"), IsEmpty());
  }
  free_ = 1000 << 20;
  EXPECT_THAT(TryOpen(), IsOk());
}

TEST_F(DiskFullTest, WithoutAReserveItIsNeverFull) {
  auto store = *TryOpen(0);
  free_ = 0;
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(store->DiskFull());
}

TEST(MemoryStoreDiskFull, IsSaid) {
  MemoryStore store;
  EXPECT_FALSE(store.DiskFull());
  store.set_disk_full(true);
  EXPECT_TRUE(store.DiskFull());
  EXPECT_THAT(store.CreateFamily("own"), IsStatus(absl::StatusCode::kResourceExhausted, "full"));
}

}  // namespace
}  // namespace holdfast::storage
