// Lists of entries: order, bounds, pages.

#include <set>

#include "absl/strings/str_cat.h"
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

TEST_P(Lists, StartIsInclusive) {
  Write({"a", "b", "c"});
  request.set_start("b");
  EXPECT_THAT(List(request), ElementsAre("b", "c"));
  request.set_start("aa");
  EXPECT_THAT(List(request), ElementsAre("b", "c"));
  request.set_start("");
  EXPECT_THAT(List(request), ElementsAre("a", "b", "c"));
  request.set_start("d");
  EXPECT_THAT(List(request), IsEmpty());
}

TEST_P(Lists, StartAfterIsExclusive) {
  Write({"a", "b", std::string("b\0", 2), "c"});
  request.set_start_after("b");
  EXPECT_THAT(List(request), ElementsAre(std::string("b\0", 2), "c"));
  request.set_start_after("aa");
  EXPECT_THAT(List(request), ElementsAre("b", std::string("b\0", 2), "c"));
}

TEST_P(Lists, StartAndStartAfterTogetherAreRefused) {
  Write({"a"});
  request.set_start("a");
  request.set_start_after("a");
  EXPECT_TRUE(IsInvalid(Refused(request), "start"));
  request.set_start("");
  EXPECT_TRUE(IsInvalid(Refused(request), "start"));
}

TEST_P(Lists, EndIsExclusive) {
  Write({"a", "b", "c"});
  request.set_end("c");
  EXPECT_THAT(List(request), ElementsAre("a", "b"));
  request.set_end("cc");
  EXPECT_THAT(List(request), ElementsAre("a", "b", "c"));
  request.set_start("b");
  request.set_end("b");
  EXPECT_THAT(List(request), IsEmpty());
  request.set_start("c");
  request.set_end("a");
  EXPECT_THAT(List(request), IsEmpty());
}

TEST_P(Lists, APrefixClampsTheBounds) {
  Write({"a", "p", "p/1", "p/2", "p/3", "p0", "q"});
  request.set_prefix("p/");
  EXPECT_THAT(List(request), ElementsAre("p/1", "p/2", "p/3"));
  request.set_start("a");
  request.set_end("z");
  EXPECT_THAT(List(request), ElementsAre("p/1", "p/2", "p/3"));
  request.set_start("p/2");
  EXPECT_THAT(List(request), ElementsAre("p/2", "p/3"));
  request.set_end("p/3");
  EXPECT_THAT(List(request), ElementsAre("p/2"));
  request.set_start("q");
  request.clear_end();
  EXPECT_THAT(List(request), IsEmpty());
}

TEST_P(Lists, APrefixThatEndsWithTheLastCharacterWorks) {
  // Keys are UTF-8, where no byte is 0xFF; ScriptedBehaviour.APrefixOf0xFFWorks tests that byte.
  const std::string last = kLastCharacter;
  Write({"a", last, last + "1", last + last, "\xF4\x8F\xBF\xBE"});
  request.set_prefix(last);
  EXPECT_THAT(List(request), ElementsAre(last, last + "1", last + last));
  request.set_reverse(true);
  EXPECT_THAT(List(request), ElementsAre(last + last, last + "1", last));
}

TEST_P(Lists, AReversedListMayHaveALimit) {
  Write({"a", "b", "c", "d"});
  request.set_reverse(true);
  EXPECT_THAT(List(request), ElementsAre("d", "c", "b", "a"));
  request.set_limit(2);
  EXPECT_THAT(List(request), ElementsAre("d", "c"));
  // start and end keep their meaning with `reverse`.
  request.set_start("a");
  request.set_end("d");
  EXPECT_THAT(List(request), ElementsAre("c", "b"));
  request.clear_start();
  request.set_start_after("b");
  EXPECT_THAT(List(request), ElementsAre("c"));
  request.set_reverse(false);
  request.set_limit(1);
  EXPECT_THAT(List(request), ElementsAre("c"));
}

TEST_P(Lists, ALimitOfZeroOrLessIsRefused) {
  Write({"a"});
  for (int limit : {0, -1, INT32_MIN}) {
    request.set_limit(limit);
    EXPECT_TRUE(IsInvalid(Refused(request), "limit")) << limit;
  }
  request.set_limit(1);
  EXPECT_THAT(List(request), ElementsAre("a"));
  request.set_limit(INT32_MAX);
  EXPECT_THAT(List(request), ElementsAre("a"));
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

TEST_P(Lists, APageEndsAtOneMebibyte) {
  const std::string value(400 << 10, 'v');
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(IsOk(Put("o", absl::StrCat(i), value)));
  ASSERT_TRUE(IsOk(Put("o", "6", std::string(2 << 20, 'v'))));
  const auto page = Call(&ObjectStub::ListEntries, request);
  EXPECT_LE(page.response.ByteSizeLong(), size_t{1 << 20} + value.size() + 1000);
  EXPECT_NE(page->next_page_token(), "");
  // A value that is larger than a page is also returned.
  EXPECT_THAT(Pages(request), ElementsAre("0", "1", "2", "3", "4", "5", "6"));
}

TEST_P(Lists, ATokenIsForItsOwnListOnly) {
  Write({"a", "b", "c", "d"});
  request.set_page_size(2);
  const std::string token = Call(&ObjectStub::ListEntries, request)->next_page_token();
  ASSERT_NE(token, "");
  const auto refused = [&](auto change) {
    auto other = request;
    other.set_page_token(token);
    change(&other);
    return IsInvalid(Refused(other), "page_token");
  };
  EXPECT_TRUE(refused([](auto* other) { other->set_prefix("a"); }));
  EXPECT_TRUE(refused([](auto* other) { other->set_reverse(true); }));
  EXPECT_TRUE(refused([](auto* other) { other->set_start("a"); }));
  EXPECT_TRUE(refused([](auto* other) { other->set_end("z"); }));
  EXPECT_TRUE(refused([](auto* other) { other->set_limit(3); }));
  EXPECT_TRUE(refused([](auto* other) { other->mutable_object()->set_name("other"); }));
  EXPECT_TRUE(refused([](auto* other) { other->set_page_token("garbled"); }));
  EXPECT_TRUE(refused([&](auto* other) { other->set_page_token(token + "x"); }));
  EXPECT_TRUE(refused([&](auto* other) { other->set_page_token(token.substr(0, token.size() - 1)); }));
  request.set_page_token(token);
  EXPECT_THAT(List(request), ElementsAre("c", "d"));
}

TEST_P(Lists, WhatStaysComesOnceWhileOthersComeAndGo) {
  Strings stay;
  for (int i = 0; i < 20; ++i) stay.push_back(absl::StrFormat("k%02d", i));
  Write(stay);
  Write({"gone1", "k05gone"});
  request.set_page_size(4);
  Strings seen;
  int page_number = 0;
  do {
    const auto page = Call(&ObjectStub::ListEntries, request);
    ASSERT_TRUE(IsOk(page));
    for (std::string& key : KeysOf(page)) seen.push_back(std::move(key));
    request.set_page_token(page->next_page_token());
    // One key is added behind the page and one ahead, one is deleted, and the last key of the page is deleted and
    // written again.
    Write({absl::StrFormat("a%d", page_number), absl::StrFormat("k19new%d", page_number++)});
    auto remove = For<v1::DeleteEntriesRequest>("o");
    remove.add_keys("k05gone");
    remove.add_keys(seen.back());
    ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteEntries, remove)));
    Write({seen.back()});
  } while (!request.page_token().empty());
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), seen.size());
  for (const std::string& key : stay) EXPECT_THAT(seen, ::testing::Contains(key));
}

}  // namespace
}  // namespace holdfast::blackbox
