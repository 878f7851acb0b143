#include "storage/node/families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "storage/node/catalog.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST(FamilyName, EscapesAllButPlainBytes) {
  EXPECT_EQ(FamilyName({"default", "Counter", "a.b_c-D9"}, 17), "holdfast-object:default/Counter/a.b_c-D9@17");
  EXPECT_EQ(FamilyName({"n", "C", std::string("\0 /@%\n\xff", 7)}, 1), "holdfast-object:n/C/%00%20%2f%40%25%0a%ff@1");
}

TEST(FamilyName, IdComesBack) {
  ForEachSeed(20, [](Random& random) {
    for (int round = 0; round < 300; ++round) {
      const ObjectId id{random.Bytes(6), random.Bytes(6), random.Bytes(40)};
      const uint64_t generation = random.OneIn(10) ? std::numeric_limits<uint64_t>::max() : random.Bits();
      const std::string name = FamilyName(id, generation);
      for (unsigned char c : name) ASSERT_TRUE(absl::ascii_isgraph(c));
      ObjectId parsed;
      uint64_t parsed_generation;
      ASSERT_TRUE(ParseFamilyName(name, &parsed, &parsed_generation)) << name;
      ASSERT_EQ(parsed, id) << name;
      ASSERT_EQ(parsed_generation, generation);
    }
  });
}

TEST(FamilyName, DifferentIdsHaveDifferentNames) {
  EXPECT_NE(FamilyName({"a/b", "c", "d"}, 1), FamilyName({"a", "b/c", "d"}, 1));
  EXPECT_NE(FamilyName({"a", "b", "c@1"}, 1), FamilyName({"a", "b", "c"}, 1));
  EXPECT_NE(FamilyName({"a", "b", "%41"}, 1), FamilyName({"a", "b", "A"}, 1));
}

TEST(FamilyName, OtherNamesAreRefused) {
  ObjectId id;
  uint64_t generation;
  for (const char* name :
       {"", "default", "holdfast-object:", "holdfast-object:a/b/c", "holdfast-object:a/b/c@", "holdfast-object:a/b@1",
        "holdfast-object:a/b/c@x", "holdfast-object:a/b/c@-1", "holdfast-object:a/b/c@18446744073709551616",
        "holdfast-object:a/b/%4@1", "holdfast-object:a/b/%zz@1", "other:a/b/c@1", "Holdfast-object:a/b/c@1"}) {
    EXPECT_FALSE(ParseFamilyName(name, &id, &generation)) << name;
  }
}

class FamiliesTest : public StoreParamTest {
 protected:
  void SetCatalog(const ObjectKey& key, uint64_t generation) {
    SetCatalogBytes(key, CatalogValue(generation, v1::ObjectHeader()));
  }
  void SetCatalogBytes(const ObjectKey& key, const std::string& bytes) {
    WriteSet set;
    set.Put(key.encoded(), bytes);
    ASSERT_THAT(Commit(store(), {{{FamilyId::kCatalog, ""}, set}}), IsOk());
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const OwnFamily& family : store().ListOwnFamilies()) names.push_back(family.name);
    return names;
  }
  FamilyId MakeFamily(const ObjectId& id, uint64_t generation) {
    auto family = store().CreateFamily(FamilyName(id, generation));
    EXPECT_THAT(family, IsOk());
    return *family;
  }

  const ObjectId id_{"default", "Counter", "visits"};
  const ObjectKey key_{id_};
};

TEST_P(FamiliesTest, NewStoreHasNone) {
  Families families(&store(), 10);
  ASSERT_THAT(families.Recover(), IsOk());
  EXPECT_EQ(families.count(), 0);
  EXPECT_EQ(families.Find(key_), std::nullopt);
  EXPECT_TRUE(families.has_room());
}

TEST_P(FamiliesTest, RecoverKeepsWhatTheCatalogNames) {
  const FamilyId family = MakeFamily(id_, 7);
  SetCatalog(key_, 7);
  Families families(&store(), 10);
  ASSERT_THAT(families.Recover(), IsOk());
  ASSERT_TRUE(families.Find(key_).has_value());
  EXPECT_EQ(families.Find(key_)->family, family);
  EXPECT_EQ(families.Find(key_)->generation, 7u);
  EXPECT_EQ(families.count(), 1);
}

TEST_P(FamiliesTest, RecoverDropsWhatTheCatalogDoesNotName) {
  const ObjectId packed{"default", "Counter", "packed"};
  MakeFamily(id_, 3);
  MakeFamily(id_, 4);
  MakeFamily(id_, 5);
  MakeFamily(packed, 6);
  MakeFamily({"default", "Counter", "never committed"}, 7);
  SetCatalog(key_, 4);
  SetCatalog(ObjectKey(packed), 0);
  Families families(&store(), 10);
  ASSERT_THAT(families.Recover(), IsOk());
  EXPECT_THAT(Names(), UnorderedElementsAre(FamilyName(id_, 4)));
  EXPECT_EQ(families.Find(key_)->generation, 4u);
  EXPECT_EQ(families.Find(ObjectKey(packed)), std::nullopt);
  EXPECT_EQ(families.count(), 1);
}

TEST_P(FamiliesTest, RecoverRefusesFamiliesOfOthers) {
  ASSERT_THAT(store().CreateFamily("something else"), IsOk());
  Families families(&store(), 10);
  EXPECT_THAT(families.Recover(), IsStatus(absl::StatusCode::kFailedPrecondition, "something else"));
  EXPECT_THAT(Names(), UnorderedElementsAre("something else"));
}

TEST_P(FamiliesTest, AGarbledRecordIsDataLossOfItsObjectWhichKeepsItsFamilies) {
  const ObjectId other{"default", "Counter", "other"};
  MakeFamily({"default", "Counter", "left over"}, 1);
  MakeFamily(id_, 2);
  MakeFamily(id_, 3);
  MakeFamily(other, 4);
  SetCatalogBytes(key_, "\xff garbled");
  SetCatalog(ObjectKey(other), 4);
  Families families(&store(), 10);
  ASSERT_THAT(families.Recover(), IsOk());
  EXPECT_THAT(families.CheckPlace(key_), IsStatus(absl::StatusCode::kDataLoss, "default/Counter/visits"));
  EXPECT_EQ(families.Find(key_), std::nullopt);
  EXPECT_THAT(Names(), UnorderedElementsAre(FamilyName(id_, 2), FamilyName(id_, 3), FamilyName(other, 4)));
  EXPECT_EQ(families.count(), 3);
  EXPECT_THAT(families.List(), testing::ElementsAre(ObjectKey(other)));
  EXPECT_THAT(families.CheckPlace(ObjectKey(other)), IsOk());
}

TEST_P(FamiliesTest, BoundIsRespected) {
  Families families(&store(), 2);
  ASSERT_THAT(families.Recover(), IsOk());
  EXPECT_TRUE(families.Reserve());
  EXPECT_TRUE(families.has_room());
  EXPECT_TRUE(families.Reserve());
  EXPECT_FALSE(families.has_room());
  EXPECT_FALSE(families.Reserve());
  EXPECT_EQ(families.count(), 2);
  families.CancelReservation();
  EXPECT_TRUE(families.has_room());
  EXPECT_TRUE(families.Reserve());
  EXPECT_FALSE(families.Reserve());
}

TEST_P(FamiliesTest, MoreThanTheBoundAreKept) {
  for (int i = 1; i <= 3; ++i) {
    const ObjectId id{"default", "Counter", absl::StrCat(i)};
    MakeFamily(id, static_cast<uint64_t>(i));
    SetCatalog(ObjectKey(id), static_cast<uint64_t>(i));
  }
  Families families(&store(), 2);
  ASSERT_THAT(families.Recover(), IsOk());
  EXPECT_EQ(families.count(), 3);
  EXPECT_FALSE(families.Reserve());
  ASSERT_THAT(families.Drop(*families.Find(ObjectKey("default", "Counter", "1"))), IsOk());
  EXPECT_FALSE(families.Reserve());
  ASSERT_THAT(families.Drop(*families.Find(ObjectKey("default", "Counter", "2"))), IsOk());
  EXPECT_TRUE(families.Reserve());
}

TEST_P(FamiliesTest, NoRoomAtAllIsABoundToo) {
  Families families(&store(), 0);
  ASSERT_THAT(families.Recover(), IsOk());
  EXPECT_FALSE(families.has_room());
  EXPECT_FALSE(families.Reserve());
}

TEST_P(FamiliesTest, CreatedFamilyIsFoundOnceAdopted) {
  Families families(&store(), 10);
  ASSERT_THAT(families.Recover(), IsOk());
  ASSERT_TRUE(families.Reserve());
  auto placement = families.Create(key_);
  ASSERT_THAT(placement, IsOk());
  EXPECT_THAT(Names(), UnorderedElementsAre(FamilyName(id_, placement->generation)));
  EXPECT_THAT(Dump(store(), placement->family), IsEmpty());
  EXPECT_EQ(families.Find(key_), std::nullopt);
  families.Adopt(key_, *placement);
  EXPECT_EQ(families.Find(key_)->family, placement->family);
  families.Abandon(key_);
  EXPECT_EQ(families.Find(key_), std::nullopt);
  EXPECT_EQ(families.count(), 1);
  EXPECT_THAT(families.Drop(*placement), IsOk());
  EXPECT_EQ(families.count(), 0);
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_P(FamiliesTest, GenerationsAreUniqueAfterRecover) {
  std::set<uint64_t> seen = {3, 1000};
  MakeFamily(id_, 3);
  SetCatalog(key_, 3);
  MakeFamily({"default", "Counter", "left over"}, 1000);
  Families families(&store(), 100);
  ASSERT_THAT(families.Recover(), IsOk());
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(families.Reserve());
    auto placement = families.Create(ObjectKey("default", "Counter", absl::StrCat(i)));
    ASSERT_THAT(placement, IsOk());
    EXPECT_TRUE(seen.insert(placement->generation).second) << placement->generation;
  }
}

// A crash comes after each step of making and of dropping a family: the next Recover finds the family or removes it.
TEST_P(FamiliesTest, CrashLeavesNoFamilyBehind) {
  {
    Families families(&store(), 10);
    ASSERT_THAT(families.Recover(), IsOk());
    ASSERT_TRUE(families.Reserve());
    ASSERT_THAT(families.Create(key_), IsOk());
  }
  Placement placement;
  {
    Families families(&store(), 10);
    ASSERT_THAT(families.Recover(), IsOk());
    EXPECT_THAT(Names(), IsEmpty()) << "made, but no commit named it";
    ASSERT_TRUE(families.Reserve());
    placement = *families.Create(key_);
    SetCatalog(key_, placement.generation);
  }
  {
    Families families(&store(), 10);
    ASSERT_THAT(families.Recover(), IsOk());
    ASSERT_TRUE(families.Find(key_).has_value()) << "a commit named it";
    EXPECT_EQ(families.Find(key_)->generation, placement.generation);
    SetCatalog(key_, 0);
  }
  Families families(&store(), 10);
  ASSERT_THAT(families.Recover(), IsOk());
  EXPECT_THAT(Names(), IsEmpty()) << "a commit no longer names it";
  EXPECT_EQ(families.count(), 0);
}

INSTANTIATE_TEST_SUITE_P(Stores, FamiliesTest, AllStores(), StoreName);

TEST(Families, FailedCreationGivesTheRoomBack) {
  MemoryStore store;
  Families families(&store, 1);
  ASSERT_THAT(families.Recover(), IsOk());
  store.set_create_error(absl::ResourceExhaustedError("disk full"));
  ASSERT_TRUE(families.Reserve());
  const ObjectKey key("default", "Counter", "visits");
  EXPECT_THAT(families.Create(key), IsStatus(absl::StatusCode::kResourceExhausted, "disk full"));
  EXPECT_TRUE(families.has_room());
  store.set_create_error(absl::OkStatus());
  ASSERT_TRUE(families.Reserve());
  EXPECT_THAT(families.Create(key), IsOk());
}

}  // namespace
}  // namespace holdfast::storage
