// Beyond the bound on families, idle small objects are packed, so that large and busy ones get families; and moves may
// fail.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/relocation_fixture.h"

namespace holdfast::actors {
namespace {

class FoldingTest : public RelocationTest {
 protected:
  // Makes one family, which a small object has, and a large object that is packed.
  void Prepare(Tracked* small, Tracked* large) {
    families_max = 0;
    Start();
    Fill(large, 6);
    families_max = 1;
    Start();
    small->Put("k", 's', 10);
    small->SetAlarm(clock.Now() + absl::Hours(1));
    node->Settle();
    ASSERT_TRUE(HasOwnFamily(small->name()));
    ASSERT_FALSE(HasOwnFamily(large->name()));
    node->Advance(options.idle_timeout * 2);
  }
  // Makes two large objects, the first of which has the one family.
  void FillBothAndGiveTheFirstAFamily(Tracked* first, Tracked* second) {
    families_max = 0;
    Start();
    Fill(first, 5);
    Fill(second, 5);
    families_max = 1;
    Start();
    first->Put("k", 'f', 10);
    node->Settle();
    ASSERT_TRUE(HasOwnFamily("first"));
  }
};

TEST_F(FoldingTest, ALargeObjectGetsTheFamilyOfASmallOneThatIsIdle) {
  Tracked small(this, "small");
  Tracked large(this, "large");
  Prepare(&small, &large);
  large.Put("k", 'l', 10);
  node->Settle();
  EXPECT_FALSE(HasOwnFamily("small"));
  EXPECT_TRUE(HasOwnFamily("large")) << "the room is kept for it";
  ExpectFamiliesConsistent();
  ExpectAlarmIndexConsistent(scripted, {"small", "large"});
  small.CheckAll();
  large.CheckAll();
  Start();
  small.CheckAll();
  large.CheckAll();
}

TEST_F(FoldingTest, ABusyObjectGetsOneToo) {
  families_max = 1;
  Start();
  Put("idle", "k", "v");
  node->Advance(options.idle_timeout * 2);
  for (int i = 0; i < 990; ++i) SendIncrement("busy");
  node->Settle();
  EXPECT_TRUE(HasOwnFamily("idle"));
  for (int i = 0; i < 20; ++i) SendIncrement("busy");
  node->Settle();
  SendIncrement("busy");
  node->Settle();
  EXPECT_TRUE(HasOwnFamily("busy"));
  EXPECT_EQ(Get("idle", "k"), "v");
  EXPECT_EQ(Get("busy", "n"), "1011");
  ExpectFamiliesConsistent();
}

TEST_F(FoldingTest, OneThatIsInUseKeepsItsFamily) {
  Tracked small(this, "small");
  Tracked large(this, "large");
  Prepare(&small, &large);
  small.Read();
  node->Settle();
  for (int i = 0; i < 5; ++i) {
    large.Put("k", 'l', 10);
    node->Advance(absl::Milliseconds(100));
  }
  EXPECT_TRUE(HasOwnFamily("small"));
  // The object becomes idle again.
  node->Advance(options.idle_timeout * 2);
  for (int i = 0; i < 2; ++i) {
    large.Put("k", 'l', 10);
    node->Advance(absl::Milliseconds(100));
  }
  EXPECT_TRUE(HasOwnFamily("large"));
  small.CheckAll();
}

TEST_F(FoldingTest, ALargeObjectIsNeverPacked) {
  Tracked first(this, "first");
  Tracked second(this, "second");
  FillBothAndGiveTheFirstAFamily(&first, &second);
  for (bool restart : {false, true}) {
    if (restart) Start();
    node->Advance(options.idle_timeout * 2);
    for (int i = 0; i < 5; ++i) {
      second.Put("k", 's', 10);
      node->Advance(absl::Seconds(1));
    }
    EXPECT_TRUE(HasOwnFamily("first"));
    EXPECT_FALSE(HasOwnFamily("second"));
    node->Advance(options.idle_timeout * 2);
    EXPECT_EQ(Find("first"), nullptr) << "stays in memory";
    ExpectFamiliesConsistent();
  }
  first.CheckAll();
  second.CheckAll();
}

TEST_F(FoldingTest, WhatWasDeletedAndMadeAgainManyTimesIsStillFound) {
  Tracked small(this, "small");
  Tracked large(this, "large");
  Prepare(&small, &large);
  for (int i = 0; i < 200; ++i) {
    small.DeleteAll();
    node->Settle();
    small.Put("k", 'n', 10);
    node->Settle();
  }
  ASSERT_TRUE(HasOwnFamily("small"));
  node->Advance(options.idle_timeout * 2);
  for (int i = 0; i < 2; ++i) {
    large.Put("k", 'l', 10);
    node->Advance(absl::Milliseconds(100));
  }
  EXPECT_TRUE(HasOwnFamily("large"));
  small.CheckAll();
}

TEST_F(FoldingTest, ACrashAtAnyStepLosesNothingOfEither) {
  bool packed_alone = false;
  bool ended = false;
  for (int crash_after = 0; !ended; ++crash_after) {
    SCOPED_TRACE(absl::StrCat("crash after ", crash_after, " steps"));
    Wipe();
    Tracked small(this, "small");
    Tracked large(this, "large");
    Prepare(&small, &large);
    large.Put("k", 'l', 10);
    for (int step = 0; step < crash_after && !ended; ++step) {
      ended = !node->Step(0);
      if (step == 3) small.Put("l", 't', 10);
      if (step == 5) small.Delete("k");
      if (step == 6) small.SetAlarm(std::nullopt);
      if (step == 8) large.Put("m", 'l', 10);
      if (step == 12) large.Delete("00");
      if (step <= 12) ended = false;
    }
    Start();
    ExpectFamiliesConsistent();
    packed_alone |= !HasOwnFamily("small") && !HasOwnFamily("large");
    small.CheckAfterCrash();
    large.CheckAfterCrash();
    ExpectAlarmIndexConsistent(scripted, {"small", "large"});
    small.Put("z", 'z', 10);
    large.Put("z", 'z', 10);
    node->Settle();
    small.CheckAll();
    large.CheckAll();
    ExpectFamiliesConsistent();
    if (HasFailure()) return;
  }
  EXPECT_TRUE(packed_alone);
}

// --- Moves that fail

// Makes reads from the disk fail in the families that a test names.
class FailingReads : public storage::Store {
 public:
  explicit FailingReads(storage::Store* store) : store_(store) {}
  storage::ReadResult Get(const storage::Location& location, absl::string_view key, storage::ReadTier tier,
                          std::string* value, absl::Status* error) override {
    return store_->Get(location, key, tier, value, error);
  }
  std::unique_ptr<storage::Cursor> NewCursor(const storage::Location& location, storage::KeyRange range,
                                             storage::ReadTier tier) override {
    if (scans_fail) return std::make_unique<Failed>();
    return store_->NewCursor(location, std::move(range), tier);
  }
  absl::Status CommitSync(absl::Span<const storage::KeyspaceWrites> writes) override {
    return store_->CommitSync(writes);
  }
  absl::StatusOr<storage::FamilyId> CreateFamily(absl::string_view name) override { return store_->CreateFamily(name); }
  absl::Status DropFamily(storage::FamilyId family) override { return store_->DropFamily(family); }
  std::vector<storage::OwnFamily> ListOwnFamilies() override { return store_->ListOwnFamilies(); }

  bool scans_fail = false;

 private:
  class Failed : public storage::Cursor {
   public:
    void SeekToFirst() override {}
    void SeekToLast() override {}
    void Seek(absl::string_view) override {}
    void Next() override {}
    void Prev() override {}
    storage::ReadResult state() const override { return storage::ReadResult::kError; }
    absl::Status error() const override { return absl::DataLossError("a block is corrupt"); }
    absl::string_view key() const override { return {}; }
    absl::string_view value() const override { return {}; }
  };

  storage::Store* const store_;
};

class FailedMoveTest : public FoldingTest {
 protected:
  void StartFailing() {
    Crash();
    node = std::make_unique<simulation::Node>(&failing, &clock, classes, options, families_max, seed);
  }
  FailingReads failing{&recording};
};

TEST_F(FailedMoveTest, WhereItCannotBeReadTheObjectGoesOnWhereItIs) {
  for (int parts = 0; parts < 3; ++parts) {
    SCOPED_TRACE(parts);
    Wipe();
    Tracked object(this, "large");
    families_max = 0;
    Start();
    Fill(&object, 14);
    families_max = 1;
    StartFailing();
    const int commits = recording.commits;
    object.Put("k", 'v', 10);
    while (recording.commits < commits + parts && node->Step(0)) {
    }
    failing.scans_fail = true;
    object.Put("l", 'v', 10);
    node->Settle();
    EXPECT_FALSE(HasOwnFamily("large"));
    EXPECT_EQ(recording.ListOwnFamilies().size(), 0u) << "the family that nobody uses";
    EXPECT_TRUE(node->families().has_room());
    failing.scans_fail = false;
    object.Put("m", 'v', 10);
    object.Delete("00");
    node->Settle();
    object.CheckAll();
    ExpectFamiliesConsistent();
    // The move begins again when the object is loaded again.
    node->Advance(options.idle_timeout * 2);
    object.Put("n", 'v', 10);
    node->Settle();
    EXPECT_TRUE(HasOwnFamily("large"));
    object.CheckAll();
  }
}

TEST_F(FailedMoveTest, OneThatCannotBePackedKeepsItsFamily) {
  Tracked small(this, "small");
  Tracked large(this, "large");
  Prepare(&small, &large);
  StartFailing();
  failing.scans_fail = true;
  large.Put("k", 'l', 10);
  node->Settle();
  EXPECT_TRUE(HasOwnFamily("small"));
  failing.scans_fail = false;
  small.Put("l", 't', 10);
  node->Settle();
  small.CheckAll();
  large.CheckAll();
  ExpectFamiliesConsistent();
}

TEST_F(FailedMoveTest, OneWhosePackingFailedIsTriedAgain) {
  Tracked small(this, "small");
  Tracked large(this, "large");
  Prepare(&small, &large);
  StartFailing();
  failing.scans_fail = true;
  large.Put("k", 'l', 10);
  node->Settle();
  failing.scans_fail = false;
  // The move waits, so that a block that cannot be read is not read in every turn.
  node->Advance(absl::Seconds(50));
  large.Put("k", 'l', 10);
  node->Settle();
  EXPECT_TRUE(HasOwnFamily("small"));
  node->Advance(absl::Seconds(20));
  large.Put("k", 'l', 10);
  node->Settle();
  EXPECT_FALSE(HasOwnFamily("small"));
  EXPECT_TRUE(HasOwnFamily("large"));
  small.CheckAll();
  large.CheckAll();
  ExpectFamiliesConsistent();
}

TEST_F(FoldingTest, OneThatWasTooLargeToBePackedIsTriedAgainMuchLater) {
  Tracked first(this, "first");
  Tracked second(this, "second");
  FillBothAndGiveTheFirstAFamily(&first, &second);
  node->Advance(options.idle_timeout * 2);
  second.Put("k", 's', 10);
  node->Settle();
  // The object is small from now on.
  for (int i = 0; i < 5; ++i) first.Delete(absl::StrCat("0", 2 * i));
  node->Settle();
  node->Advance(absl::Minutes(2));
  second.Put("k", 's', 10);
  node->Settle();
  EXPECT_TRUE(HasOwnFamily("first"));
  node->Advance(absl::Minutes(10));
  second.Put("k", 's', 10);
  node->Settle();
  EXPECT_FALSE(HasOwnFamily("first"));
  EXPECT_TRUE(HasOwnFamily("second"));
  first.CheckAll();
  second.CheckAll();
}

TEST_F(FailedMoveTest, WhereNoFamilyCanBeMadeALargeObjectStaysPacked) {
  Tracked small(this, "small");
  Tracked large(this, "large");
  Prepare(&small, &large);
  store.set_create_error(absl::InternalError("no more files"));
  for (int i = 0; i < 3; ++i) {
    large.Put("k", 'l', 10);
    node->Settle();
  }
  EXPECT_EQ(recording.ListOwnFamilies().size(), 0u);
  EXPECT_TRUE(node->families().has_room());
  small.CheckAll();
  large.CheckAll();
  ExpectFamiliesConsistent();
}

TEST_F(FailedMoveTest, AStopWhileOneIsPackedLeavesBothWhole) {
  for (int steps = 0; steps < 12; ++steps) {
    SCOPED_TRACE(steps);
    Wipe();
    Tracked small(this, "small");
    Tracked large(this, "large");
    Prepare(&small, &large);
    large.Put("k", 'l', 10);
    for (int step = 0; step < steps; ++step) node->Step(0);
    node->host().Stop();
    node->Settle();
    EXPECT_TRUE(node->host().idle());
    ExpectFamiliesConsistent();
    Start();
    small.CheckAll();
    large.CheckAll();
  }
}

}  // namespace
}  // namespace holdfast::actors
