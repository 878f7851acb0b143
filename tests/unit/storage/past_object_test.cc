// One object out of the backups: as a backup has it, and as the archive has it at any moment after that.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/storage/v1/storage.pb.h"
#include "storage/node/families.h"
#include "storage/store/format.h"
#include "storage/store/patch.h"
#include "tests/unit/storage/backup_life.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;
using Keys = std::map<std::string, std::string>;

const ObjectId kId{"shop", "Object", "cart/1"};
const Location kCatalog = WholeFamily(FamilyId::kCatalog);

class PastObjectTest : public testing::Test {
 protected:
  PastObjectTest() {
    options_.data_dir = temp_.path() + "/data";
    options_.directory = temp_.path() + "/backups";
  }

  void Open() {
    life_ = nullptr;
    auto life = Life::Open(options_, &time_);
    ASSERT_THAT(life.status(), IsOk());
    life_ = *std::move(life);
  }
  // Commits as the object's executor does, at a time of its own, which is returned.
  absl::Time Write(std::vector<std::pair<Location, WriteSet>> parts) {
    const absl::Time time = time_.Advance();
    EXPECT_THAT(Commit(*life_->store->ForExecutor(0), std::move(parts)), IsOk());
    time_.Advance();
    return time;
  }
  static WriteSet Catalog(uint64_t generation) {
    v1::CatalogRecord record;
    record.set_family_generation(generation);
    return OnePut(key_.encoded(), record.SerializeAsString());
  }
  static WriteSet NotInCatalog() {
    WriteSet set;
    set.Delete(key_.encoded());
    return set;
  }
  static WriteSet RemoveAll() {
    WriteSet set;
    set.DeleteRange(KeyRange::All());
    return set;
  }
  Location MakeFamily(uint64_t generation) {
    const auto family = life_->store->CreateFamily(FamilyName(kId, generation));
    EXPECT_THAT(family.status(), IsOk());
    return WholeFamily(*family);
  }
  absl::StatusOr<Backups::Found> Read(std::optional<absl::Time> at = std::nullopt) {
    return life_->backups->ReadObject({.key = key_, .at = at});
  }
  Keys KeysAt(std::optional<absl::Time> at) {
    const auto found = Read(at);
    EXPECT_THAT(found.status(), IsOk());
    if (!found.ok()) return {};
    if (at) EXPECT_EQ(found->moment, *at);
    return Keys(found->object.image.keys.begin(), found->object.image.keys.end());
  }

  static std::vector<std::string> FilesIn(const std::string& directory) {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) files.push_back(entry.path().string());
    std::sort(files.begin(), files.end());
    return files;
  }

  static inline const ObjectKey key_{kId};
  static inline const Location packed_ = PackedLocation(key_);
  TempDir temp_;
  TestTime time_;
  LifeOptions options_;
  std::unique_ptr<Life> life_;
};

TEST_F(PastObjectTest, AsTheBackupHasItAndAsTheArchiveHasItAtEachMoment) {
  Open();
  Write({{packed_, OnePut("k", "1")}, {kCatalog, Catalog(0)}});
  const auto backup = life_->BackUp();
  ASSERT_THAT(backup.status(), IsOk());
  const absl::Time second = Write({{packed_, OnePut("k", "2")}});
  const absl::Time third =
      Write({{packed_, OnePut("l", "3")}, {PackedLocation(ObjectKey("a", "b", "c")), RemoveAll()}});
  const absl::Time gone = Write({{packed_, RemoveAll()}, {kCatalog, NotInCatalog()}});

  const auto newest = Read();
  ASSERT_THAT(newest.status(), IsOk());
  EXPECT_EQ(newest->moment, backup->time);
  EXPECT_EQ(newest->object.backup.id, backup->id);
  EXPECT_EQ(KeysAt(backup->time), (Keys{{"k", "1"}}));
  EXPECT_EQ(KeysAt(second - absl::Microseconds(1)), (Keys{{"k", "1"}}));
  EXPECT_EQ(KeysAt(second), (Keys{{"k", "2"}}));
  EXPECT_EQ(KeysAt(third), (Keys{{"k", "2"}, {"l", "3"}}));
  EXPECT_THAT(Read(gone).status(), IsStatus(absl::StatusCode::kNotFound, "shop/Object/cart/1 was not there"));
  // Nobody knows yet what comes.
  Write({{packed_, OnePut("k", "4")}, {kCatalog, Catalog(0)}});
  const auto later = Read(time_.now() + absl::Hours(1));
  ASSERT_THAT(later.status(), IsOk());
  EXPECT_EQ(later->moment, time_.now());
}

TEST_F(PastObjectTest, AnObjectThatMovesAndChangesByPatches) {
  Open();
  std::string page(4096, 'a');
  Write({{packed_, OnePut("page", page)}, {kCatalog, Catalog(0)}});
  ASSERT_THAT(life_->BackUp().status(), IsOk());
  const Location own = MakeFamily(1);
  const absl::Time moving = Write({{own, OnePut("page", page)}});
  const absl::Time moved = Write({{packed_, RemoveAll()}, {kCatalog, Catalog(1)}});
  const std::string before = page;
  page.replace(100, 3, "xyz");
  WriteSet patched;
  patched.PutChanged("page", page, *MakePatch(before, page));
  const absl::Time changed = Write({{own, std::move(patched)}});
  const absl::Time packed = Write({{packed_, OnePut("page", page + "!")}, {kCatalog, Catalog(0)}});
  // Another object with the name of the first as a part of its own.
  const auto other = life_->store->CreateFamily(FamilyName({"shop", "Object", "cart"}, 2));
  ASSERT_THAT(other.status(), IsOk());
  Write({{WholeFamily(*other), OnePut("page", "of another")}});

  for (absl::Time time : {moving, moved}) EXPECT_EQ(KeysAt(time), (Keys{{"page", before}}));
  EXPECT_EQ(KeysAt(changed), (Keys{{"page", page}}));
  EXPECT_EQ(KeysAt(packed), (Keys{{"page", page + "!"}}));
  EXPECT_EQ(KeysAt(time_.now()), (Keys{{"page", page + "!"}}));

  // A backup that has the family.
  const absl::Time again = Write({{own, OnePut("page", page)}, {kCatalog, Catalog(1)}});
  ASSERT_THAT(life_->BackUp().status(), IsOk());
  EXPECT_EQ(KeysAt(std::nullopt), (Keys{{"page", page}}));
  EXPECT_EQ(KeysAt(again), (Keys{{"page", page}}));
}

TEST_F(PastObjectTest, ALaterRunMayUseTheNameOfAFamilyAgain) {
  Open();
  Location own = MakeFamily(7);
  Write({{own, OnePut("old", "1")}, {kCatalog, Catalog(7)}});
  ASSERT_THAT(life_->BackUp().status(), IsOk());
  Write({{own, OnePut("older", "1")}});
  Write({{kCatalog, NotInCatalog()}});
  ASSERT_THAT(life_->store->DropFamily(own.family), IsOk());
  ASSERT_THAT(life_->store->Fold(), IsOk());
  Open();
  own = MakeFamily(7);
  const absl::Time made = Write({{own, OnePut("new", "2")}, {kCatalog, Catalog(7)}});
  EXPECT_EQ(KeysAt(made), (Keys{{"new", "2"}}));

  // The same for a restore of everything.
  const std::string data_dir = temp_.path() + "/restored";
  ASSERT_THAT(RestoreTo(options_.directory, data_dir, made).status(), IsOk());
  RocksDbOptions rocks = SmallOptions(data_dir);
  rocks.log_above = true;
  const auto restored = OpenOrDie(rocks);
  const std::vector<OwnFamily> families = restored->ListOwnFamilies();
  ASSERT_EQ(families.size(), 1u);
  const auto cursor = restored->NewCursor(WholeFamily(families[0].id), KeyRange::All(), ReadTier::kDisk);
  const auto entries = Walk(*cursor, /*reverse=*/false);
  EXPECT_EQ(Keys(entries.begin(), entries.end()), (Keys{{"new", "2"}}));
}

TEST_F(PastObjectTest, TheImageHasTheSchemaAndTheAlarm) {
  Open();
  v1::ObjectHeader header;
  header.set_schema_version(3);
  v1::AlarmRecord alarm;
  alarm.set_scheduled_time_us(12'345);
  WriteSet writes = OnePut("k", "1");
  writes.Put(kObjectHeaderKey, header.SerializeAsString());
  writes.Put(kAlarmKey, alarm.SerializeAsString());
  writes.Put(kSqlImportKey, "an import that has not ended");
  Write({{packed_, std::move(writes)}, {kCatalog, Catalog(0)}});
  ASSERT_THAT(life_->BackUp().status(), IsOk());
  const auto found = Read();
  ASSERT_THAT(found.status(), IsOk());
  EXPECT_EQ(found->object.image,
            (ObjectImage{.object_class = "Object", .schema_version = 3, .alarm_us = 12'345, .keys = {{"k", "1"}}}));
}

TEST_F(PastObjectTest, WithoutAnArchiveTheMomentIsThatOfTheBackup) {
  options_.archive = false;
  Open();
  EXPECT_THAT(Read().status(), IsStatus(absl::StatusCode::kNotFound, "there is no backup yet"));
  Write({{packed_, OnePut("k", "1")}, {kCatalog, Catalog(0)}});
  const auto backup = life_->BackUp();
  ASSERT_THAT(backup.status(), IsOk());
  const absl::Time second = Write({{packed_, OnePut("k", "2")}});
  const auto found = Read(second);
  ASSERT_THAT(found.status(), IsOk());
  EXPECT_EQ(found->moment, backup->time);
  EXPECT_EQ(found->object.image.keys[0].second, "1");
  EXPECT_THAT(Read(backup->time - absl::Seconds(1)).status(),
              IsStatus(absl::StatusCode::kInvalidArgument, "the oldest is of " + TimeText(backup->time)));
}

TEST_F(PastObjectTest, WhereTheLineOfTheArchiveEndsTheMomentIsItsLastBatch) {
  Open();
  Write({{packed_, OnePut("k", "1")}, {kCatalog, Catalog(0)}});
  ASSERT_THAT(life_->BackUp().status(), IsOk());
  const absl::Time second = Write({{packed_, OnePut("k", "2")}});
  options_.archive = false;
  Open();
  const absl::Time unknown = Write({{packed_, OnePut("k", "3")}});
  const auto found = Read(unknown);
  ASSERT_THAT(found.status(), IsOk());
  EXPECT_EQ(found->moment, second);
  EXPECT_EQ(found->object.image.keys[0].second, "2");
}

TEST_F(PastObjectTest, WhatIsTooLargeIsDamagedOrIsStoppedSaysSo) {
  Open();
  Write({{packed_, OnePut("k", std::string(1000, '1'))}, {kCatalog, Catalog(0)}});
  const auto backup = life_->BackUp();
  ASSERT_THAT(backup.status(), IsOk());
  EXPECT_EQ(life_->backups->ReadObject({.key = key_, .bytes_max = 999}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(life_->backups->ReadObject({.key = key_, .bytes_max = 1001}).status(), IsOk());
  EXPECT_EQ(life_->backups->ReadObject({.key = key_, .goes_on = [] { return false; }}).status().code(),
            absl::StatusCode::kCancelled);
  Write({{packed_, OnePut("k", "2")}});
  Open();
  Write({{packed_, OnePut("k", "3")}});
  ASSERT_THAT(Read(time_.now()).status(), IsOk());
  // The archive of the first run goes.
  std::vector<std::string> files = FilesIn(options_.directory + "/archive");
  std::erase_if(files, [](const std::string& file) { return fs::path(file).extension() != ".log"; });
  ASSERT_GT(files.size(), 1u);
  fs::remove(files[files.size() - 2]);
  EXPECT_THAT(Read(time_.now()).status(), IsStatus(absl::StatusCode::kDataLoss, "the archive has a gap"));
  EXPECT_THAT(Read().status(), IsOk()) << "the backup is whole";
  for (const auto& entry : fs::recursive_directory_iterator(CopiesPath(options_.directory))) {
    if (entry.path().extension() == ".log") fs::resize_file(entry.path(), fs::file_size(entry.path()) - 1);
  }
  EXPECT_FALSE(Read().ok());
}

TEST_F(PastObjectTest, NoBackupIsRemovedWhileItIsRead) {
  options_.keep = 1;
  Open();
  Write({{packed_, OnePut("k", "1")}, {kCatalog, Catalog(0)}});
  const auto first = life_->BackUp();
  ASSERT_THAT(first.status(), IsOk());
  int looks = 0;
  const auto look = [&] {
    if (++looks > 1) return true;
    const uint64_t number = life_->backups->Request();
    Backups::Progress progress = life_->backups->progress();
    while (progress.number < number || progress.step != Backups::Step::kPruning) {
      progress = life_->backups->WaitForProgress(progress, std::chrono::steady_clock::now() + std::chrono::seconds(60));
    }
    EXPECT_FALSE(Read().ok()) << "one at a time";
    const auto copies = OpenRocksDbCopies({.directory = CopiesPath(options_.directory)});
    EXPECT_EQ((*copies)->List().size(), 2u);
    return true;
  };
  const auto found = life_->backups->ReadObject({.key = key_, .at = first->time, .goes_on = look});
  EXPECT_THAT(found.status(), IsOk());
  EXPECT_GE(looks, 1);
  ASSERT_THAT(life_->BackUp().status(), IsOk());
  EXPECT_EQ(life_->backups->List().size(), 1u);
}

TEST_F(PastObjectTest, AReadLeavesNothingInTheDirectory) {
  Open();
  Write({{packed_, OnePut("k", "1")}, {kCatalog, Catalog(0)}});
  ASSERT_THAT(life_->BackUp().status(), IsOk());
  const std::vector<std::string> before = FilesIn(CopiesPath(options_.directory));
  ASSERT_THAT(Read().status(), IsOk());
  EXPECT_EQ(FilesIn(CopiesPath(options_.directory)), before);
}

}  // namespace
}  // namespace holdfast::storage
