#include "storage/node/namespace_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/store/object_id.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class NamespacePageTest : public testing::Test {
 protected:
  void Add(const std::string& ns, const std::string& name, int64_t size) {
    v1::CatalogRecord record;
    record.set_size_bytes(size);
    WriteSet writes;
    writes.Put(ObjectKey(ns, "Counter", name).encoded(), record.SerializeAsString());
    ASSERT_THAT(Commit(*store_, {{{FamilyId::kCatalog, ""}, writes}}), IsOk());
  }
  // Returns the namespaces of all pages, and how many pages there were.
  std::vector<NamespaceCount> List(size_t count_max, size_t objects_max, int* pages = nullptr) {
    std::vector<NamespaceCount> all;
    std::string after;
    do {
      const auto page = ReadNamespacePage(store_.get(), after, count_max, objects_max);
      EXPECT_THAT(page, IsOk());
      if (!page.ok()) break;
      EXPECT_LE(page->namespaces.size(), count_max);
      all.insert(all.end(), page->namespaces.begin(), page->namespaces.end());
      EXPECT_TRUE(page->next.empty() || page->next != after) << "goes round";
      after = page->next;
      if (pages != nullptr) ++*pages;
    } while (!after.empty());
    return all;
  }

  AnyStore store_{StoreKind::kMemory};
};

TEST_F(NamespacePageTest, AnEmptyCatalogHasNone) { EXPECT_THAT(List(10, 10), IsEmpty()); }

TEST_F(NamespacePageTest, EachNamespaceIsCountedOnce) {
  Add("shop", "a", 10);
  Add("shop", "b", 5);
  Add("default", "a", 1);
  Add("z", "a", 0);
  EXPECT_THAT(List(10, 100),
              ElementsAre(NamespaceCount{"default", 1, 1}, NamespaceCount{"shop", 2, 15}, NamespaceCount{"z", 1, 0}));
}

TEST_F(NamespacePageTest, APageThatEndsInANamespaceGoesOnWithWhatItCounted) {
  for (int i = 0; i < 10; ++i) Add("big", absl::StrCat(i), 7);
  Add("next", "a", 1);
  int pages = 0;
  EXPECT_THAT(List(10, 3, &pages), ElementsAre(NamespaceCount{"big", 10, 70}, NamespaceCount{"next", 1, 1}));
  EXPECT_GE(pages, 4);
}

TEST_F(NamespacePageTest, AnyBoundsGiveTheSameList) {
  ForEachSeed(10, [this](Random& random) {
    const std::string run = absl::StrCat("run", random.Bits(), "-");
    std::map<std::string, NamespaceCount> model;
    for (int i = 0; i < 60; ++i) {
      const std::string ns = absl::StrCat(run, random.Below(8));
      const auto size = static_cast<int64_t>(random.Below(100));
      Add(ns, absl::StrCat(i), size);
      NamespaceCount& count = model[ns];
      count.ns = ns;
      ++count.objects;
      count.size_bytes += size;
    }
    std::vector<NamespaceCount> found;
    for (const NamespaceCount& count : List(1 + random.Below(4), 1 + random.Below(20))) {
      if (count.ns.substr(0, run.size()) == run) found.push_back(count);
    }
    std::vector<NamespaceCount> wanted;
    for (const auto& [ns, count] : model) wanted.push_back(count);
    EXPECT_EQ(found, wanted);
  });
}

TEST_F(NamespacePageTest, APlaceThatIsNoneIsRefused) {
  EXPECT_EQ(ReadNamespacePage(store_.get(), "x", 1, 1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadNamespacePage(store_.get(), std::string(16, '\1') + "no key", 1, 1).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace holdfast::storage
