#include "storage/node/catalog_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class CatalogPageTest : public testing::TestWithParam<StoreKind> {
 protected:
  // (namespace, class, name), in the order of the catalog.
  using Id = std::tuple<std::string, std::string, std::string>;

  void Add(const Id& id) {
    const auto& [ns, object_class, name] = id;
    v1::CatalogRecord record;
    record.set_size_bytes(static_cast<int64_t>(name.size()));
    WriteSet writes;
    writes.Put(ObjectKey(ns, object_class, name).encoded(), record.SerializeAsString());
    ASSERT_THAT(Commit(*store_, {{{FamilyId::kCatalog, ""}, writes}}), IsOk());
  }
  // Returns the items of all pages, and the number of items of each page.
  std::vector<Id> List(CatalogPage::Query query, std::vector<size_t>* sizes = nullptr) {
    std::vector<Id> found;
    do {
      auto page = ReadCatalogPage(store_.get(), query);
      EXPECT_THAT(page, IsOk());
      if (!page.ok()) break;
      for (const CatalogPage::Item& item : page->items) {
        found.emplace_back(item.id.ns, item.id.object_class, item.id.name);
        EXPECT_EQ(item.record.size_bytes(), static_cast<int64_t>(item.id.name.size()));
      }
      EXPECT_LE(page->items.size(), query.count_max);
      EXPECT_TRUE(page->next.empty() || !page->items.empty()) << "goes round";
      if (sizes != nullptr) sizes->push_back(page->items.size());
      query.after = page->next;
    } while (!query.after.empty());
    return found;
  }
  static CatalogPage::Query All(const std::string& ns = "default") {
    return {.ns = ns, .object_class = "", .name_prefix = "", .after = "", .count_max = 100, .bytes_max = 1 << 20};
  }

  AnyStore store_{GetParam()};
};

TEST_P(CatalogPageTest, AnEmptyCatalogHasOneEmptyPage) {
  auto page = ReadCatalogPage(store_.get(), All());
  ASSERT_THAT(page, IsOk());
  EXPECT_THAT(page->items, IsEmpty());
  EXPECT_EQ(page->next, "");
}

TEST_P(CatalogPageTest, ListsTheObjectsOfSomeShards) {
  std::vector<Id> wanted;
  CatalogPage::Query query = All();
  query.shards.reset();
  for (int i = 10; i < 60; ++i) {
    const Id id{"default", "Object", std::to_string(i)};
    Add(id);
    if (i % 5 != 0) continue;
    query.shards.set(static_cast<size_t>(ObjectKey("default", "Object", std::get<2>(id)).shard()));
  }
  for (int i = 10; i < 60; ++i) {
    if (Has(query.shards, ObjectKey("default", "Object", std::to_string(i)).shard())) {
      wanted.emplace_back("default", "Object", std::to_string(i));
    }
  }
  for (const size_t count_max : {1, 3, 100}) {
    query.count_max = count_max;
    query.after = "";
    EXPECT_EQ(List(query), wanted);
  }
}

TEST_P(CatalogPageTest, ListsOneNamespaceInTheOrderOfClassAndName) {
  for (const Id& id : std::vector<Id>{{"default", "Object", "b"},
                                      {"default", "Object", std::string("a\0z", 3)},
                                      {"default", "Counter", "z"},
                                      {"default", "Object", "a"},
                                      {"default2", "Object", "a"},
                                      {"defaul", "Object", "a"},
                                      {"default", "Objects", "a"}}) {
    Add(id);
  }
  EXPECT_THAT(List(All()), ElementsAre(Id("default", "Counter", "z"), Id("default", "Object", "a"),
                                       Id("default", "Object", std::string("a\0z", 3)), Id("default", "Object", "b"),
                                       Id("default", "Objects", "a")));
  CatalogPage::Query query = All();
  query.object_class = "Object";
  query.name_prefix = "a";
  EXPECT_THAT(List(query), ElementsAre(Id("default", "Object", "a"), Id("default", "Object", std::string("a\0z", 3))));
  query.name_prefix = std::string("a\0", 2);
  EXPECT_THAT(List(query), ElementsAre(Id("default", "Object", std::string("a\0z", 3))));
  query.object_class = "";
  query.name_prefix = "a";
  EXPECT_THAT(List(query), ElementsAre(Id("default", "Object", "a"), Id("default", "Object", std::string("a\0z", 3)),
                                       Id("default", "Objects", "a")));
  EXPECT_THAT(List(All("missing")), IsEmpty());
}

TEST_P(CatalogPageTest, APageThatIsJustFullIsTheLastWhereNothingFollows) {
  for (int i = 0; i < 4; ++i) {
    Add({"default", "Counter", absl::StrCat(i)});
    Add({"default", "Object", absl::StrCat(i)});
  }
  for (const std::string prefix : {"", "1"}) {
    CatalogPage::Query query = All();
    query.name_prefix = prefix;
    const size_t count = prefix.empty() ? 8 : 2;
    for (size_t count_max = 1; count_max <= count; ++count_max) {
      query.count_max = count_max;
      std::vector<size_t> sizes;
      EXPECT_EQ(List(query, &sizes).size(), count);
      EXPECT_EQ(sizes.size(), (count + count_max - 1) / count_max) << count_max;
    }
  }
}

TEST_P(CatalogPageTest, APageEndsAtItsBytes) {
  for (int i = 0; i < 10; ++i) Add({"default", "Object", absl::StrCat(i, std::string(500, 'n'))});
  CatalogPage::Query query = All();
  query.bytes_max = 1200;
  std::vector<size_t> sizes;
  EXPECT_EQ(List(query, &sizes).size(), 10u);
  EXPECT_THAT(sizes, ElementsAre(3u, 3u, 3u, 1u));
  query.bytes_max = 1;
  EXPECT_EQ(List(query).size(), 10u) << "one at least";
}

TEST_P(CatalogPageTest, WhatIsAddedOrRemovedBetweenPagesDisturbsNoOther) {
  for (int i = 0; i < 9; ++i) Add({"default", i < 5 ? "Counter" : "Object", absl::StrCat("name", i)});
  CatalogPage::Query query = All();
  query.name_prefix = "name";
  query.count_max = 2;
  std::set<std::string> names;
  do {
    auto page = ReadCatalogPage(store_.get(), query);
    ASSERT_THAT(page, IsOk());
    for (const CatalogPage::Item& item : page->items) EXPECT_TRUE(names.insert(item.id.name).second) << item.id.name;
    // The last object of the page is deleted, and a new one comes before it.
    const ObjectId last = page->items.back().id;
    WriteSet removal;
    removal.Delete(ObjectKey(last).encoded());
    ASSERT_THAT(Commit(*store_, {{{FamilyId::kCatalog, ""}, removal}}), IsOk());
    Add({"default", "Aaa", absl::StrCat("name", last.name)});
    query.after = page->next;
  } while (!query.after.empty());
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(names.contains(absl::StrCat("name", i))) << i;
}

TEST_P(CatalogPageTest, AGarbledRecordIsDataLossAndTheListGoesOnBehindIt) {
  for (const char* name : {"a", "c"}) Add({"default", "Object", name});
  Add({"default", "Counter", "a"});
  WriteSet writes;
  writes.Put(ObjectKey("default", "Object", "b").encoded(), "\xff");
  ASSERT_THAT(Commit(*store_, {{{FamilyId::kCatalog, ""}, writes}}), IsOk());
  CatalogPage::Query query = All();
  const auto before = ReadCatalogPage(store_.get(), query);
  ASSERT_THAT(before, IsOk());
  EXPECT_EQ(before->items.size(), 2u);
  EXPECT_THAT(before->damage, IsOk());
  query.after = before->next;
  const auto garbled = ReadCatalogPage(store_.get(), query);
  ASSERT_THAT(garbled, IsOk());
  EXPECT_THAT(garbled->damage, IsStatus(absl::StatusCode::kDataLoss, "catalog"));
  EXPECT_THAT(garbled->items, IsEmpty());
  query.after = garbled->next;
  const auto behind = ReadCatalogPage(store_.get(), query);
  ASSERT_THAT(behind, IsOk());
  ASSERT_EQ(behind->items.size(), 1u);
  EXPECT_EQ(behind->items[0].id.name, "c");
  EXPECT_EQ(behind->next, "");
  query.after = "";
  query.name_prefix = "b";
  EXPECT_THAT(ReadCatalogPage(store_.get(), query)->damage, IsStatus(absl::StatusCode::kDataLoss, "catalog"));
  query.name_prefix = "a";
  EXPECT_EQ(List(query).size(), 2u) << "where it is not looked at, it does no harm";
}

TEST_P(CatalogPageTest, RandomQueriesAreThoseOfASet) {
  ForEachSeed(15, [](Random& random) {
    AnyStore store(GetParam());
    std::set<Id> model;
    const auto random_name = [&random] { return random.Text(3, absl::string_view("\x00\x61\xff", 3)); };
    const auto pick = [&random](std::vector<std::string> from) { return random.Pick(from); };
    WriteSet writes;
    for (int i = 0; i < 80; ++i) {
      const Id id(pick({"a", "b", "ab"}), pick({"C", "CC", "D"}), random_name());
      if (std::get<2>(id).empty()) continue;
      model.insert(id);
      writes.Put(ObjectKey(std::get<0>(id), std::get<1>(id), std::get<2>(id)).encoded(),
                 v1::CatalogRecord().SerializeAsString());
    }
    ASSERT_THAT(Commit(*store, {{{FamilyId::kCatalog, ""}, writes}}), IsOk());
    for (int i = 0; i < 40; ++i) {
      CatalogPage::Query query{.ns = pick({"a", "b", "ab", "c"}),
                               .object_class = random.OneIn(2) ? "" : pick({"C", "CC", "D", "E"}),
                               .name_prefix = random.OneIn(3) ? "" : random_name(),
                               .after = "",
                               .count_max = 1 + random.Below(6),
                               .bytes_max = random.OneIn(3) ? 1 + random.Below(60) : 1 << 20};
      std::vector<Id> expected;
      for (const Id& id : model) {
        const auto& [ns, object_class, name] = id;
        if (ns != query.ns || (!query.object_class.empty() && object_class != query.object_class)) continue;
        if (absl::StartsWith(name, query.name_prefix)) expected.push_back(id);
      }
      std::vector<Id> found;
      do {
        auto page = ReadCatalogPage(store.get(), query);
        ASSERT_THAT(page, IsOk());
        ASSERT_TRUE(!page->items.empty() || page->next.empty());
        for (const auto& item : page->items) found.emplace_back(item.id.ns, item.id.object_class, item.id.name);
        query.after = page->next;
      } while (!query.after.empty());
      ASSERT_EQ(found, expected);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Stores, CatalogPageTest, AllStores(), StoreName);

}  // namespace
}  // namespace holdfast::storage
