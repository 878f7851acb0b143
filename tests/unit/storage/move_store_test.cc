// The objects of a store are copied into another one, whole; what is not whole is no store.

#include "storage/node/move_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/node/alarm_index.h"
#include "storage/node/families.h"
#include "storage/node/run_clocks.h"
#include "storage/store/format.h"
#include "tests/unit/storage/moved_objects.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::Optional;

class MoveStoreTest : public testing::Test {
 protected:
  std::string MarkOf(Store& store) {
    std::string mark;
    absl::Status error;
    store.Get(WholeFamily(FamilyId::kNode), "move", ReadTier::kDisk, &mark, &error);
    return mark;
  }

  MemoryStore from_;
  MemoryStore to_;
};

TEST_F(MoveStoreTest, EverythingOfTheObjectsIsThere) {
  MakeObjects(&from_);
  int commits = 0;
  const absl::StatusOr<Moved> moved =
      MoveStore(&from_, &to_, {.batch_bytes_max = 1000, .progress = [&](const Moved&) { ++commits; }});
  ASSERT_THAT(moved.status(), IsOk());
  EXPECT_EQ(moved->objects, kObjects);
  EXPECT_EQ(moved->alarms, kObjects);
  EXPECT_EQ(moved->request_records, kObjects);
  EXPECT_GT(commits, 10) << "a commit is bounded";
  ExpectObjects(to_);
  EXPECT_THAT(CheckMoved(&to_), IsOk());
  // An object that has left something behind, and is in no catalog.
  EXPECT_THAT(FindAt(to_, PackedLocation(Gone()), kRemainderKey), Optional(std::string("next: 7")));
}

TEST_F(MoveStoreTest, HeadersThatLagAreSettled) {
  MakeObjects(&from_);
  WriteSet header;
  v1::ObjectHeader lagging;
  lagging.set_clock_us(5);
  lagging.set_run(3);
  header.Put(kObjectHeaderKey, lagging.SerializeAsString());
  // The usage counts them by table: a map, which is written in any order.
  for (uint16_t table = 1; table <= 20; ++table) {
    std::string row(1, kRowKind);
    AppendUint16(&row, table);
    header.Put(row + "row", "row");
  }
  WriteSet clocks;
  clocks.Put(RunClockKey(3), RunClockValue(12345));
  ASSERT_THAT(Commit(from_, {{PackedLocation(Object(1)), header}, {WholeFamily(FamilyId::kNode), clocks}}), IsOk());
  ASSERT_THAT(MoveStore(&from_, &to_).status(), IsOk());
  v1::ObjectHeader settled;
  ASSERT_TRUE(settled.ParseFromString(FindAt(to_, PackedLocation(Object(1)), kObjectHeaderKey).value_or("")));
  EXPECT_EQ(settled.run(), 0u);
  EXPECT_EQ(settled.clock_us(), 12345);
  EXPECT_EQ(settled.usage().row_counts().size(), 20u);
  EXPECT_EQ(Find(to_, FamilyId::kNode, RunClockKey(3)), std::nullopt);
}

TEST_F(MoveStoreTest, StoreWithObjectsIsRefusedAndLeftAlone) {
  MakeObjects(&from_);
  ASSERT_THAT(Commit(to_, {{WholeFamily(FamilyId::kCatalog), OnePut(Object(5).encoded(), "")}}), IsOk());
  EXPECT_THAT(MoveStore(&from_, &to_).status(), IsStatus(absl::StatusCode::kFailedPrecondition, "objects already"));
  EXPECT_THAT(CheckMoved(&to_), IsOk());
}

TEST_F(MoveStoreTest, CopyThatWasCutOffIsNoStoreAndIsBegunAgain) {
  MakeObjects(&from_);
  const auto cut_off = [&](const Moved& so_far) {
    if (so_far.entries > 20) to_.set_commit_error(absl::UnavailableError("the copy is cut off"));
  };
  EXPECT_THAT(MoveStore(&from_, &to_, {.batch_bytes_max = 500, .progress = cut_off}).status(),
              IsStatus(absl::StatusCode::kUnavailable, "cut off"));
  EXPECT_THAT(CheckMoved(&to_), IsStatus(absl::StatusCode::kFailedPrecondition, "unfinished copy"));
  MemoryStore third;
  EXPECT_THAT(MoveStore(&to_, &third).status(), IsStatus(absl::StatusCode::kFailedPrecondition, "unfinished copy"));
  to_.set_commit_error(absl::OkStatus());
  ASSERT_THAT(MoveStore(&from_, &to_).status(), IsOk());
  ExpectObjects(to_);
  EXPECT_THAT(CheckMoved(&to_), IsOk());
}

TEST_F(MoveStoreTest, SourceThatWasUsedMeanwhileIsRefused) {
  MakeObjects(&from_);
  to_.set_commit_error(absl::OkStatus());
  const auto cut_off = [&](const Moved&) { to_.set_commit_error(absl::UnavailableError("the copy is cut off")); };
  ASSERT_FALSE(MoveStore(&from_, &to_, {.batch_bytes_max = 500, .progress = cut_off}).ok());
  to_.set_commit_error(absl::OkStatus());
  // A mark of a commit log: batch 2 of log 0.
  std::string key(kLogMarkPrefix);
  AppendUint32(&key, 0);
  std::string mark;
  AppendInt64(&mark, 2);
  AppendUint16(&mark, 1);
  ASSERT_THAT(Commit(from_, {{WholeFamily(FamilyId::kNode), OnePut(key, mark)}}), IsOk());
  EXPECT_THAT(MoveStore(&from_, &to_).status(), IsStatus(absl::StatusCode::kFailedPrecondition, "was used since"));
  EXPECT_FALSE(CheckMoved(&to_).ok());
}

// Commits that are acknowledged, and lose one entry.
class LossyStore : public MemoryStore {
 public:
  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override {
    for (const KeyspaceWrites& part : writes) {
      if (*part.location == PackedLocation(Object(7))) part.writes->Delete(EntryKey(3));
    }
    return MemoryStore::CommitSync(writes);
  }
};

TEST_F(MoveStoreTest, CopyThatDiffersIsNoStore) {
  MakeObjects(&from_);
  LossyStore lossy;
  EXPECT_THAT(MoveStore(&from_, &lossy).status(), IsStatus(absl::StatusCode::kDataLoss, "differs"));
  EXPECT_FALSE(CheckMoved(&lossy).ok());
}

TEST_F(MoveStoreTest, GarbledRecordsEndIt) {
  MakeObjects(&from_);
  ASSERT_THAT(Commit(from_, {{WholeFamily(FamilyId::kCatalog), OnePut(Object(5).encoded(), "\xff")}}), IsOk());
  EXPECT_THAT(MoveStore(&from_, &to_).status(), IsStatus(absl::StatusCode::kDataLoss, "garbled"));
}

}  // namespace
}  // namespace holdfast::storage
