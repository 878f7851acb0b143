#include "storage/rocksdb/rocksdb_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/node/families.h"
#include "storage/store/format.h"
#include "tests/unit/storage/files.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/raw_rocksdb.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::Optional;
using testing::Pair;

// Returns all files of a directory, by name, without RocksDB's lock, which every reader makes.
std::map<std::string, std::string> Files(const std::string& dir) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    const std::string name = entry.path().filename();
    if (name != "LOCK") files[name] = ReadFile(entry.path());
  }
  return files;
}

class RocksDbStoreTest : public testing::Test {
 protected:
  const std::string& dir() const { return dir_.path(); }
  // The caller closes the store before it opens it again.
  std::unique_ptr<Store> Open() { return OpenOrDie(SmallOptions(dir())); }
  absl::Status TryOpen() { return OpenRocksDbStore(SmallOptions(dir())).status(); }

 private:
  TempDir dir_;
};

TEST_F(RocksDbStoreTest, OpenedAgainItHasEverything) {
  ForEachSeed(4, [](Random& random) {
    TempDir dir;
    std::map<std::string, Entries> model = {{"", {}}};  // the packed family has no name here
    for (int life = 0; life < 4; ++life) {
      auto store = OpenOrDie(SmallOptions(dir.path()));
      std::map<std::string, FamilyId> ids = {{"", FamilyId::kPacked}};
      for (const OwnFamily& family : store->ListOwnFamilies()) ids[family.name] = family.id;
      ASSERT_EQ(ids.size(), model.size());
      for (const auto& [name, entries] : model) {
        ASSERT_TRUE(ids.count(name)) << name;
        ASSERT_EQ(Dump(*store, ids[name]), entries) << name;
      }
      for (int step = 0; step < 10; ++step) {
        if (random.OneIn(3)) {
          const std::string name = FamilyName({"ns", "Class", random.Bytes(20)}, random.Bits());
          ids[name] = *store->CreateFamily(name);
          model[name] = {};
        }
        if (random.OneIn(5) && model.size() > 1) {
          const std::string name = model.rbegin()->first;
          ASSERT_THAT(store->DropFamily(ids[name]), IsOk());
          model.erase(name);
        }
        std::vector<std::pair<Location, WriteSet>> parts;
        for (auto& [name, entries] : model) {
          const std::string prefix = name.empty() ? "p/" : "";
          parts.emplace_back(Location{ids[name], prefix}, RandomWrites(random, 10));
          Apply(parts.back().second, prefix, &entries);
        }
        ASSERT_THAT(Commit(*store, parts), IsOk());
      }
    }
  });
}

TEST_F(RocksDbStoreTest, RecoveredFamiliesAreThoseOfTheCatalog) {
  const ObjectKey kept("default", "Counter", "kept");
  const ObjectKey left("default", "Counter", "left over");
  {
    auto store = Open();
    Families families(store.get(), 10);
    ASSERT_THAT(families.Recover(), IsOk());
    ASSERT_TRUE(families.Reserve() && families.Reserve());
    const Placement placement = *families.Create(kept);
    ASSERT_THAT(families.Create(left), IsOk());
    v1::CatalogRecord record;
    record.set_family_generation(placement.generation);
    ASSERT_THAT(Commit(*store, {{{FamilyId::kCatalog, ""}, OnePut(kept.encoded(), record.SerializeAsString())},
                                {{placement.family, ""}, OnePut("k", "v")}}),
                IsOk());
  }
  for (int life = 0; life < 2; ++life) {
    auto store = Open();
    Families families(store.get(), 10);
    ASSERT_THAT(families.Recover(), IsOk());
    EXPECT_EQ(families.count(), 1);
    ASSERT_TRUE(families.Find(kept).has_value());
    EXPECT_THAT(Dump(*store, families.Find(kept)->family), ElementsAre(Pair("k", "v")));
    EXPECT_EQ(store->ListOwnFamilies().size(), 1u);
  }
}

TEST_F(RocksDbStoreTest, MissingDirectoriesAreMade) {
  const std::string deep = dir() + "/a/b";
  EXPECT_THAT(OpenRocksDbStore(SmallOptions(deep)), IsOk());
  EXPECT_TRUE(std::filesystem::exists(deep + "/CURRENT"));
}

// A crash came before the header, after some of the families, or in the middle of RocksDB's first file.
TEST_F(RocksDbStoreTest, StoreThatWasHalfMadeIsMade) {
  const std::vector<std::string> names = {"catalog", "alarms", "packed"};
  for (size_t made = 0; made <= names.size(); ++made) {
    TempDir half;
    RawFlush(half.path());
    for (size_t i = 0; i < made; ++i) RawCreateFamily(half.path(), names[i]);
    EXPECT_THAT(OpenRocksDbStore(SmallOptions(half.path())), IsOk()) << made << " families";
    EXPECT_NE(RawGet(half.path(), "default", std::string(kStoreHeaderKey)), std::nullopt);
  }
  for (const char* bytes : {"", "\x01\x02"}) {
    TempDir half;
    for (const char* name : {"LOCK", "IDENTITY", "MANIFEST-000001", "000001.dbtmp"}) {
      WriteFile(half.path() + "/" + name, bytes);
    }
    EXPECT_THAT(OpenRocksDbStore(SmallOptions(half.path())), IsOk());
  }
}

TEST_F(RocksDbStoreTest, AtTheEndLongLogsAreFlushedSoThatTheNextStartHasLittleToRead) {
  const auto log_bytes = [&] {
    uintmax_t bytes = 0;
    for (const auto& [name, contents] : Files(dir())) {
      if (absl::EndsWith(name, ".log")) bytes += contents.size();
    }
    return bytes;
  };
  const std::string value(100'000, 'v');
  for (const bool flushed : {false, true}) {
    RocksDbOptions options = SmallOptions(dir());
    options.wal_bytes_kept = flushed ? 150'000 : 1'000'000;
    options.log_above = true;
    auto store = OpenOrDie(options);
    const auto own = store->CreateFamily(absl::StrCat("own", flushed));
    ASSERT_THAT(own, IsOk());
    ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, OnePut("k", value)}, {{*own, ""}, OnePut("o", "w")}}),
                IsOk());
    store = nullptr;
    if (flushed) {
      EXPECT_LT(log_bytes(), 1'000u);
    } else {
      EXPECT_GT(log_bytes(), 100'000u);
    }
    store = OpenOrDie(options);
    EXPECT_EQ(Find(*store, FamilyId::kPacked, "k"), value);
    for (const OwnFamily& family : store->ListOwnFamilies()) EXPECT_EQ(Find(*store, family.id, "o"), "w");
  }
}

TEST_F(RocksDbStoreTest, OpenTwiceIsUnavailable) {
  auto store = Open();
  const absl::Status second = TryOpen();
  EXPECT_THAT(second, IsStatus(absl::StatusCode::kUnavailable, dir()));
  EXPECT_THAT(second, IsStatus(absl::StatusCode::kUnavailable, "in use"));
  EXPECT_THAT(Commit(*store, {{{FamilyId::kNode, ""}, OnePut("k", "v")}}), IsOk());
  store.reset();
  EXPECT_THAT(TryOpen(), IsOk());
}

TEST_F(RocksDbStoreTest, FileInPlaceOfTheDirectoryIsNamed) {
  const std::string file = dir() + "/file";
  WriteFile(file, "not a directory");
  for (const std::string& path : {file, file + "/below"}) {
    const auto store = OpenRocksDbStore(SmallOptions(path));
    EXPECT_FALSE(store.ok());
    EXPECT_THAT(std::string(store.status().message()), testing::HasSubstr(path));
  }
  EXPECT_EQ(ReadFile(file), "not a directory");
}

TEST_F(RocksDbStoreTest, OtherFormatVersionIsRefused) {
  ASSERT_THAT(TryOpen(), IsOk());
  v1::StoreHeader header;
  header.set_format_version(kFormatVersion + 76);
  header.set_shard_count(kShardCount);
  RawPut(dir(), "default", std::string(kStoreHeaderKey), header.SerializeAsString());
  const auto files = Files(dir());
  const absl::Status refused = TryOpen();
  EXPECT_TRUE(Files(dir()) == files) << "changed what it refused";
  for (const std::string& text :
       {dir(), absl::StrCat("version ", kFormatVersion + 76), absl::StrCat("to ", kFormatVersion)}) {
    EXPECT_THAT(refused, IsStatus(absl::StatusCode::kFailedPrecondition, text));
  }
}

TEST_F(RocksDbStoreTest, OtherNumberOfShardsIsRefused) {
  ASSERT_THAT(TryOpen(), IsOk());
  v1::StoreHeader header;
  header.set_format_version(kFormatVersion);
  header.set_shard_count(77);
  RawPut(dir(), "default", std::string(kStoreHeaderKey), header.SerializeAsString());
  const auto files = Files(dir());
  const absl::Status refused = TryOpen();
  EXPECT_TRUE(Files(dir()) == files) << "changed what it refused";
  for (const std::string& text : {dir(), std::string("77 shards"), absl::StrCat(kShardCount)}) {
    EXPECT_THAT(refused, IsStatus(absl::StatusCode::kFailedPrecondition, text));
  }
}

TEST_F(RocksDbStoreTest, GarbledHeaderIsDataLoss) {
  ASSERT_THAT(TryOpen(), IsOk());
  RawPut(dir(), "default", std::string(kStoreHeaderKey), "\xff garbled");
  EXPECT_THAT(TryOpen(), IsStatus(absl::StatusCode::kDataLoss, dir()));
}

// A RocksDB of another program stays unchanged, whatever its contents.
class ForeignRocksDbTest : public RocksDbStoreTest {
 protected:
  void ExpectRefused() {
    const auto files = Files(dir());
    EXPECT_THAT(TryOpen(), IsStatus(absl::StatusCode::kFailedPrecondition, dir()));
    EXPECT_TRUE(Files(dir()) == files) << "changed what it refused";
  }
};

TEST_F(ForeignRocksDbTest, WithKeysIsRefused) {
  RawPut(dir(), "default", "key", "of something else");
  ExpectRefused();
}

TEST_F(ForeignRocksDbTest, WithAnotherFamilyIsRefused) {
  RawPut(dir(), "default", "key", "of something else");
  RawCreateFamily(dir(), "data");
  ExpectRefused();
}

TEST_F(ForeignRocksDbTest, WithAllItsDataInAnotherFamilyIsRefused) {
  RawFlush(dir());
  RawCreateFamily(dir(), "data");
  RawPut(dir(), "data", "key", "of something else");
  ExpectRefused();
}

TEST_F(ForeignRocksDbTest, WithAnotherOrderIsRefused) {
  RawCreateReversed(dir());
  ExpectRefused();
}

TEST_F(RocksDbStoreTest, NoOptionsFilesAreWritten) {
  for (int life = 0; life < 2; ++life) {
    auto store = Open();
    const FamilyId own = *store->CreateFamily(absl::StrCat("own ", life));
    ASSERT_THAT(Commit(*store, {{{own, ""}, OnePut("k", "v")}}), IsOk());
    ASSERT_THAT(store->CreateFamily(absl::StrCat("other ", life)), IsOk());
    ASSERT_THAT(store->DropFamily(own), IsOk());
    for (const auto& entry : std::filesystem::directory_iterator(dir())) {
      EXPECT_FALSE(absl::StartsWith(entry.path().filename().string(), "OPTIONS")) << entry.path();
    }
  }
}

TEST_F(RocksDbStoreTest, DamagedBlockIsDataLossForItsKeysAndNoOthers) {
  {
    auto store = Open();
    ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, OnePut("k", "packed")},
                                {{FamilyId::kCatalog, ""}, OnePut("k", "catalog")}}),
                IsOk());
  }
  RawFlush(dir());
  const std::vector<std::string> files = RawTables(dir(), "packed");
  ASSERT_EQ(files.size(), 1u);
  FlipBit(files[0], 5, 0);

  auto store = Open();
  std::string value;
  absl::Status error;
  EXPECT_EQ(store->Get(WholeFamily(FamilyId::kPacked), "k", ReadTier::kDisk, &value, &error), ReadResult::kError);
  EXPECT_THAT(error, IsStatus(absl::StatusCode::kDataLoss, ""));
  for (const bool reverse : {false, true}) {
    auto cursor = store->NewCursor(WholeFamily(FamilyId::kPacked), KeyRange::All(), ReadTier::kDisk);
    reverse ? cursor->SeekToLast() : cursor->SeekToFirst();
    EXPECT_EQ(cursor->state(), ReadResult::kError);
    EXPECT_THAT(cursor->error(), IsStatus(absl::StatusCode::kDataLoss, ""));
  }
  EXPECT_THAT(Find(*store, FamilyId::kCatalog, "k"), Optional(std::string("catalog")));
  EXPECT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, OnePut("l", "new")}}), IsOk());
  EXPECT_THAT(Find(*store, FamilyId::kPacked, "l"), Optional(std::string("new")));
}

TEST_F(RocksDbStoreTest, DamageIsNotTakenForAnotherProcess) {
  for (const bool removed : {false, true}) {
    SCOPED_TRACE(removed ? "a table is missing" : "a table is garbled");
    const std::string path = dir() + (removed ? "/LOCK 1" : "/block lock LOCK 2");
    ASSERT_THAT(OpenRocksDbStore(SmallOptions(path)), IsOk());
    RawFlush(path);
    for (const std::string& file : RawTables(path, "default")) {
      removed ? (void)std::filesystem::remove(file) : WriteFile(file, std::string(2000, 'x'));
    }
    EXPECT_THAT(OpenRocksDbStore(SmallOptions(path)), IsStatus(absl::StatusCode::kDataLoss, path));
  }
}

TEST_F(RocksDbStoreTest, LockThatCannotBeTakenIsNotTakenForAnotherProcess) {
  std::filesystem::create_directory(dir() + "/LOCK");
  const absl::Status refused = TryOpen();
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.code(), absl::StatusCode::kUnavailable) << refused;
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr(dir()));
}

}  // namespace
}  // namespace holdfast::storage
