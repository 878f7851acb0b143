// Lists of entries over the wire: order and pages.

#include "absl/strings/str_format.h"
#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kLastCharacter[] = "\xF4\x8F\xBF\xBF";  // U+10FFFF, which is also the last in byte order

class Lists : public Behaviour {
 protected:
  using Strings = std::vector<std::string>;

  void Write(const Strings& keys) {
    Pairs entries;
    for (const std::string& key : keys) entries.emplace_back(key, "value of " + key);
    ASSERT_TRUE(IsOk(Put("o", entries)));
  }
  // Returns the keys of a page.
  static Strings KeysOf(const Reply<v1::ListEntriesResponse>& page) {
    Strings keys;
    for (const auto& entry : page->entries()) keys.push_back(entry.key());
    return keys;
  }
  Strings List(const v1::ListEntriesRequest& request) {
    const auto page = Call(&ObjectStub::ListEntries, request);
    EXPECT_TRUE(IsOk(page));
    EXPECT_EQ(page->next_page_token(), "");
    return KeysOf(page);
  }
  Strings Pages(v1::ListEntriesRequest request, int* pages = nullptr) {
    Strings keys;
    do {
      const auto page = Call(&ObjectStub::ListEntries, request);
      EXPECT_TRUE(IsOk(page));
      for (std::string& key : KeysOf(page)) keys.push_back(std::move(key));
      request.set_page_token(page->next_page_token());
      if (pages != nullptr) ++*pages;
    } while (!request.page_token().empty());
    return keys;
  }
  grpc::Status Refused(const v1::ListEntriesRequest& request) { return Call(&ObjectStub::ListEntries, request).status; }
  v1::ListEntriesRequest request = For<v1::ListEntriesRequest>("o");
};

INSTANTIATE_TEST_SUITE_P(Stores, Lists, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Lists, AListIsInByteOrder) {
  EXPECT_THAT(List(request), IsEmpty());
  Write({"b", "a", "aa", "B", "\xC3\xA9", "~", "10", "9", kLastCharacter, std::string(1, '\0')});
  EXPECT_THAT(List(request),
              ElementsAre(std::string(1, '\0'), "10", "9", "B", "a", "aa", "b", "~", "\xC3\xA9", kLastCharacter));
  const auto page = Call(&ObjectStub::ListEntries, request);
  EXPECT_EQ(page->entries(4).value(), "value of a");
}

TEST_P(Lists, PagesGiveEveryKeyOnce) {
  Strings keys;
  for (int i = 0; i < 25; ++i) keys.push_back(absl::StrFormat("k%02d", i));
  Write(keys);
  request.set_page_size(10);
  int pages = 0;
  EXPECT_EQ(Pages(request, &pages), keys);
  EXPECT_EQ(pages, 3);
  request.set_page_size(25);
  EXPECT_EQ(Pages(request), keys);
  // The limit counts over all pages.
  request.set_page_size(10);
  request.set_limit(12);
  EXPECT_EQ(Pages(request), Strings(keys.begin(), keys.begin() + 12));
  request.set_reverse(true);
  EXPECT_EQ(Pages(request), Strings(keys.rbegin(), keys.rbegin() + 12));
  request.set_start("k05");
  request.set_end("k20");
  EXPECT_EQ(Pages(request), Strings(keys.rbegin() + 5, keys.rbegin() + 17));
}

TEST_P(Lists, PageSizesHaveTheirBounds) {
  for (int i = 0; i < 11; ++i) {
    Strings keys;
    for (int j = 0; j < 100; ++j) keys.push_back(absl::StrFormat("k%04d", 100 * i + j));
    Write(keys);
  }
  EXPECT_EQ(KeysOf(Call(&ObjectStub::ListEntries, request)).size(), 100u);
  request.set_page_size(1001);
  EXPECT_EQ(KeysOf(Call(&ObjectStub::ListEntries, request)).size(), 1000u);
  request.set_page_size(-1);
  EXPECT_TRUE(IsInvalid(Refused(request), "page_size"));
}

}  // namespace
}  // namespace holdfast::blackbox
