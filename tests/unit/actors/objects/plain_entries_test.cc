// The entries of an object of class Object: put, get, delete, list.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/entry.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/plain_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PlainEntriesTest : public PlainObjectTest {
 protected:
  using Model = std::map<std::string, std::string>;

  std::shared_ptr<Sent<v1::ListEntriesResponse>> ListPage(const v1::ListEntriesRequest& request) {
    auto sent = SendTo<PlainObject>(PlainObject::Class(), "a", &PlainObject::ListEntries, request);
    node->Settle();
    return sent;
  }
  // Returns the keys of all pages, each with its value.
  std::vector<std::pair<std::string, std::string>> List(v1::ListEntriesRequest request, int* pages = nullptr) {
    std::vector<std::pair<std::string, std::string>> found;
    do {
      auto sent = ListPage(request);
      EXPECT_TRUE(sent->ok()) << *sent->status;
      if (!sent->ok()) break;
      for (const v1::Entry& entry : sent->response.entries()) {
        EXPECT_EQ(entry.etag(), EtagOf(entry.value()));
        found.emplace_back(entry.key(), entry.value());
      }
      if (pages != nullptr) ++*pages;
      request.set_page_token(sent->response.next_page_token());
    } while (!request.page_token().empty());
    return found;
  }
  static std::vector<std::pair<std::string, std::string>> ListOf(const Model& model,
                                                                 const v1::ListEntriesRequest& request) {
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& [key, value] : model) {
      if (request.has_start() && key < request.start()) continue;
      if (request.has_start_after() && key <= request.start_after()) continue;
      if (request.has_end() && key >= request.end()) continue;
      if (!absl::StartsWith(key, request.prefix())) continue;
      found.emplace_back(key, value);
    }
    if (request.reverse()) std::reverse(found.begin(), found.end());
    if (request.has_limit() && found.size() > static_cast<size_t>(request.limit())) found.resize(request.limit());
    return found;
  }
  void PutAll(const Model& model) {
    for (const auto& [key, value] : model) SendPut("a", key, value);
    node->Settle();
  }
};

TEST_F(PlainEntriesTest, WhatWasPutIsReadAlsoAfterARestart) {
  Start();
  v1::PutEntriesRequest put;
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"b", "1"}, {std::string("a\0z", 3), std::string("\0\xff", 2)}, {"b", "2"}, {"empty", ""}}) {
    v1::Entry* const entry = put.add_entries();
    entry->set_key(key);
    entry->set_value(value);
    entry->set_etag("ignored");
  }
  EXPECT_TRUE(Ask("a", &PlainObject::PutEntries, put)->ok());
  Start();
  v1::GetEntriesRequest get;
  for (const std::string& key :
       {std::string("missing"), std::string("b"), std::string("a\0z", 3), std::string("b"), std::string("empty")}) {
    get.add_keys(key);
  }
  auto sent = SendTo<PlainObject>(PlainObject::Class(), "a", &PlainObject::GetEntries, get);
  node->Settle();
  ASSERT_THAT(sent->response.entries(), SizeIs(3));
  EXPECT_EQ(sent->response.entries(0).value(), std::string("\0\xff", 2));
  EXPECT_EQ(sent->response.entries(1).value(), "2") << "of entries with the same key the last counts";
  EXPECT_EQ(sent->response.entries(1).etag(), EtagOf("2"));
  EXPECT_EQ(sent->response.entries(2).value(), "");
}

TEST_F(PlainEntriesTest, ReadingCreatesNothing) {
  Start();
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  EXPECT_THAT(List({}), IsEmpty());
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
  v1::DeleteEntriesRequest request;
  request.add_keys("k");
  EXPECT_EQ(Ask("a", &PlainObject::DeleteEntries, request)->response.deleted_count(), 0);
  DeleteAlarm("a");
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(PlainEntriesTest, ADeletionCountsWhatWasThereOnce) {
  Start();
  PutAll({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  v1::DeleteEntriesRequest request;
  for (const char* key : {"a", "b", "a", "missing"}) request.add_keys(key);
  EXPECT_EQ(Ask("a", &PlainObject::DeleteEntries, request)->response.deleted_count(), 2);
  EXPECT_THAT(List({}), ElementsAre(std::pair("c", "3")));
}

TEST_F(PlainEntriesTest, BoundsAreKeptAndNothingIsDone) {
  Start();
  v1::PutEntriesRequest put;
  EXPECT_THAT(*Ask("a", &PlainObject::PutEntries, put)->status, IsInvalid("entries"));
  put.add_entries()->set_key("good");
  put.add_entries()->set_key("");
  EXPECT_THAT(*Ask("a", &PlainObject::PutEntries, put)->status, IsInvalid("entries[1].key"));
  put.mutable_entries(1)->set_key(std::string(2049, 'k'));
  EXPECT_THAT(*Ask("a", &PlainObject::PutEntries, put)->status, IsInvalid("entries[1].key"));
  put.mutable_entries(1)->set_key(std::string(2048, 'k'));
  put.mutable_entries(1)->set_value(std::string((2 << 20) + 1, 'v'));
  EXPECT_THAT(*Ask("a", &PlainObject::PutEntries, put)->status, IsInvalid("entries[1].value"));
  while (put.entries_size() < 129) put.add_entries()->set_key("k");
  EXPECT_THAT(*Ask("a", &PlainObject::PutEntries, put)->status, IsInvalid("entries"));
  v1::DeleteEntriesRequest deletion;
  EXPECT_THAT(*Ask("a", &PlainObject::DeleteEntries, deletion)->status, IsInvalid("keys"));
  for (int i = 0; i < 129; ++i) deletion.add_keys("k");
  EXPECT_THAT(*Ask("a", &PlainObject::DeleteEntries, deletion)->status, IsInvalid("keys"));
  EXPECT_EQ(recording.EntryCount(), 0u);
  put.mutable_entries()->DeleteSubrange(128, 1);
  put.mutable_entries(1)->mutable_value()->pop_back();
  EXPECT_TRUE(Ask("a", &PlainObject::PutEntries, put)->ok());
  EXPECT_EQ(Get("a", std::string(2048, 'k'))->value().size(), size_t{2} << 20);
}

TEST_F(PlainEntriesTest, AnObjectDoesNotGrowOverItsQuota) {
  options.object_bytes_max = 1000;
  Start();
  Put("a", "k", std::string(900, 'v'));
  auto over = SendPut("a", "l", std::string(100, 'v'));
  node->Settle();
  EXPECT_THAT(*over->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
  EXPECT_FALSE(HasRetryInfo(*over->status));
  EXPECT_EQ(Get("a", "l"), std::nullopt);
  Put("a", "l", std::string(98, 'v'));
  Put("a", "k", std::string(899, 'w'));
  // A write that does not make the object grow is taken even if the quota is less than its size.
  options.object_bytes_max = 500;
  Start();
  Put("a", "k", std::string(700, 'v'));
  auto grows = SendPut("a", "l", std::string(99, 'v'));
  node->Settle();
  EXPECT_FALSE(grows->ok());
  EXPECT_TRUE(DeleteAll("a").ok());
  Put("a", "k", std::string(499, 'v'));
}

// --- Lists

TEST_F(PlainEntriesTest, APageEndsAtItsBytesAndTheNextGoesOn) {
  // The pages end exactly at a mebibyte, just before it and just behind it.
  for (size_t value_bytes : {4088, 4089, 4090, 4091, 4092, 4093, 4094, 10'000, 100'000}) {
    SCOPED_TRACE(value_bytes);
    Start();
    EXPECT_TRUE(DeleteAll("a").ok());
    Model model;
    const size_t count = (3 << 20) / value_bytes;
    for (size_t i = 0; i < count; ++i)
      model[absl::StrCat(absl::Hex(i, absl::kZeroPad4))] = std::string(value_bytes, 'v');
    PutAll(model);
    v1::ListEntriesRequest request;
    request.set_page_size(1000);
    int pages = 0;
    const auto found = List(request, &pages);
    EXPECT_EQ(found.size(), model.size());
    EXPECT_GE(pages, 3);
    EXPECT_LE(pages, 5);
  }
}

TEST_F(PlainEntriesTest, ALargeEntryIsAPageOfItsOwn) {
  Start();
  Model model;
  for (int i = 0; i < 3; ++i) model[absl::StrCat(i)] = std::string(2 << 20, 'v');
  PutAll(model);
  int pages = 0;
  EXPECT_THAT(List({}, &pages), SizeIs(3));
  EXPECT_LE(pages, 4);
}

TEST_F(PlainEntriesTest, BadListsAreRefused) {
  Start();
  PutAll({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  v1::ListEntriesRequest request;
  request.set_page_size(-1);
  EXPECT_THAT(*ListPage(request)->status, IsInvalid("page_size"));
  request.set_page_size(1);
  request.set_limit(0);
  EXPECT_THAT(*ListPage(request)->status, IsInvalid("limit"));
  request.clear_limit();
  request.set_start("a");
  request.set_start_after("a");
  EXPECT_THAT(*ListPage(request)->status, IsInvalid("start_after"));
  request.clear_start();
  request.clear_start_after();
  const std::string token = ListPage(request)->response.next_page_token();
  request.set_page_token(token + "x");
  EXPECT_THAT(*ListPage(request)->status, IsInvalid("page_token"));
  request.set_page_token(token);
  request.set_prefix("b");
  EXPECT_THAT(*ListPage(request)->status, IsInvalid("page_token")) << "of another list";
  request.clear_prefix();
  request.set_page_size(2);
  EXPECT_THAT(ListPage(request)->response.entries(), SizeIs(2)) << "another size is no other list";
}

TEST_F(PlainEntriesTest, NoPageRepeatsAKeyWhileOthersWrite) {
  Start();
  Model model;
  for (int i = 0; i < 26; ++i) model[std::string(1, static_cast<char>('a' + i))] = "v";
  for (bool reverse : {false, true}) {
    PutAll(model);
    v1::ListEntriesRequest request;
    request.set_page_size(4);
    request.set_reverse(reverse);
    std::vector<std::string> keys;
    do {
      auto sent = ListPage(request);
      for (const v1::Entry& entry : sent->response.entries()) keys.push_back(entry.key());
      request.set_page_token(sent->response.next_page_token());
      // The last key of the page is deleted, and a new key comes next to it on either side.
      v1::DeleteEntriesRequest deletion;
      deletion.add_keys(keys.back());
      Ask("a", &PlainObject::DeleteEntries, deletion);
      Put("a", keys.back() + "+", "new");
      Put("a", "0", "new");
    } while (!request.page_token().empty());
    if (reverse) std::reverse(keys.begin(), keys.end());
    EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
    EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
    for (const auto& [key, value] : model) EXPECT_TRUE(std::count(keys.begin(), keys.end(), key) == 1) << key;
    EXPECT_TRUE(DeleteAll("a").ok());
  }
}

TEST_F(PlainEntriesTest, RandomListsAreThoseOfAPlainMap) {
  for (uint64_t run : simulation::Seeds(30)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    const auto random_key = [&dice] {
      static constexpr absl::string_view kBytes("\0a\x7f", 3);
      std::string key;
      for (uint64_t length = dice.Between(1, 4); length > 0; --length) key += kBytes[dice.Below(3)];
      return key;
    };
    families_max = static_cast<int>(dice.Below(2));
    Start();
    EXPECT_TRUE(DeleteAll("a").ok());
    Model model;
    for (int i = 0; i < 60; ++i) model[random_key()] = absl::StrCat("v", i);
    PutAll(model);
    for (int i = 0; i < 30; ++i) {
      store.set_cold(dice.OneIn(2));
      v1::ListEntriesRequest request;
      request.set_page_size(static_cast<int32_t>(dice.Below(8)));
      if (dice.OneIn(3)) request.set_start(dice.OneIn(5) ? "" : random_key());
      if (!request.has_start() && dice.OneIn(3)) request.set_start_after(random_key());
      if (dice.OneIn(3)) request.set_end(dice.OneIn(5) ? "" : random_key());
      if (dice.OneIn(3)) request.set_prefix(random_key().substr(0, dice.Between(0, 2)));
      if (dice.OneIn(2)) request.set_reverse(true);
      if (dice.OneIn(2)) request.set_limit(static_cast<int32_t>(dice.Between(1, 30)));
      ASSERT_EQ(List(request), ListOf(model, request)) << request.ShortDebugString();
    }
    store.set_cold(false);
  }
}

}  // namespace
}  // namespace holdfast::actors
