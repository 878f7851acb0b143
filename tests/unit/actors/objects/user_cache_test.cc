#include "actors/objects/user_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/wire/page_token.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/unit/actors/node_test.h"
#include "tests/unit/actors/objects/from_wire.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

MATCHER_P(Equals, message, "equals " + message.ShortDebugString()) {
  *result_listener << arg.ShortDebugString();
  return google::protobuf::util::MessageDifferencer::Equals(arg, message);
}

google::protobuf::Value Text(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  return value;
}

class UserCacheTest : public NodeTest {
 protected:
  UserCacheTest() { classes = {&UserCache::Class()}; }

  static v1::User User(const std::string& id, const std::string& name = "", const std::string& email = "") {
    v1::User user;
    user.set_id(id);
    user.set_name(name);
    user.set_email(email);
    return user;
  }
  struct How {
    bool allow_missing = true;
    std::vector<std::string> mask;
    std::vector<std::string> remove_attributes;
  };
  std::shared_ptr<Sent<v1::UpdateUserResponse>> TryUpdate(const v1::User& user, const How& how) {
    v1::UpdateUserRequest request;
    *request.mutable_user() = user;
    request.set_allow_missing(how.allow_missing);
    for (const std::string& path : how.mask) request.mutable_update_mask()->add_paths(path);
    for (const std::string& key : how.remove_attributes) request.add_remove_attributes(key);
    return Ask("cache", &UserCache::UpdateUser, request);
  }
  v1::User Update(const v1::User& user, const How& how) {
    auto sent = TryUpdate(user, how);
    EXPECT_TRUE(sent->ok()) << *sent->status;
    return sent->response.user();
  }
  v1::User Update(const v1::User& user) { return Update(user, How()); }
  std::shared_ptr<Sent<v1::GetUserResponse>> TryGet(const std::string& id) {
    v1::GetUserRequest request;
    request.set_id(id);
    return Ask("cache", &UserCache::GetUser, request);
  }
  v1::User Get(const std::string& id) {
    auto sent = TryGet(id);
    EXPECT_TRUE(sent->ok()) << *sent->status;
    return sent->response.user();
  }
  absl::Status Delete(const std::string& id, const std::string& etag = "", bool allow_missing = false) {
    v1::DeleteUserRequest request;
    request.set_id(id);
    request.set_etag(etag);
    request.set_allow_missing(allow_missing);
    return *Ask("cache", &UserCache::DeleteUser, request)->status;
  }
  v1::ListUsersResponse List(const v1::ListUsersRequest& request) {
    auto sent = Ask("cache", &UserCache::ListUsers, request);
    EXPECT_TRUE(sent->ok()) << *sent->status;
    return sent->response;
  }
  std::vector<std::string> AllIds(int page_size = 0) {
    std::vector<std::string> ids;
    v1::ListUsersRequest request;
    request.set_page_size(page_size);
    do {
      const auto page = List(request);
      for (const auto& user : page.users()) ids.push_back(user.id());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return ids;
  }
  static std::map<std::string, std::string> AttributesOf(const v1::User& user) {
    std::map<std::string, std::string> attributes;
    for (const auto& [key, value] : user.attributes().fields()) attributes[key] = value.string_value();
    return attributes;
  }
};

TEST_F(UserCacheTest, AUserThatIsNotThereIsNotFoundAndReadingStoresNothing) {
  Start();
  auto sent = TryGet("u1");
  EXPECT_THAT(*sent->status, Fails(absl::StatusCode::kNotFound, v1::ERROR_REASON_NOT_FOUND));
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(UserCacheTest, AnUpdateCreatesOnlyWithAllowMissing) {
  Start();
  auto refused = TryUpdate(User("u1", "Ada"), {.allow_missing = false});
  EXPECT_THAT(*refused->status, Fails(absl::StatusCode::kNotFound, v1::ERROR_REASON_NOT_FOUND));
  EXPECT_EQ(recording.EntryCount(), 0u);
  const v1::User created = Update(User("u1", "Ada", "ada@example.com"));
  EXPECT_EQ(created.id(), "u1");
  EXPECT_EQ(created.name(), "Ada");
  EXPECT_EQ(created.email(), "ada@example.com");
  EXPECT_FALSE(created.etag().empty());
  EXPECT_EQ(FromWire(created.create_time()), clock.Now());
  EXPECT_EQ(FromWire(created.update_time()), clock.Now());
  EXPECT_THAT(Get("u1"), Equals(created));
  EXPECT_TRUE(TryUpdate(User("u1", "Ada L."), {.allow_missing = false})->ok());
}

TEST_F(UserCacheTest, TimesTellTheCreationAndTheLastChange) {
  Start();
  const absl::Time created = clock.Now();
  Update(User("u1", "Ada"));
  node->Advance(absl::Seconds(5));
  const v1::User changed = Update(User("u1", "Ada L."));
  EXPECT_EQ(FromWire(changed.create_time()), created);
  EXPECT_EQ(FromWire(changed.update_time()), created + absl::Seconds(5));
}

TEST_F(UserCacheTest, WhatTheRequestSaysOfOutputFieldsIsIgnored) {
  Start();
  v1::User user = User("u1", "Ada");
  user.mutable_create_time()->set_seconds(1);
  user.mutable_update_time()->set_seconds(2);
  const v1::User created = Update(user);
  EXPECT_EQ(FromWire(created.create_time()), clock.Now());
  EXPECT_EQ(FromWire(created.update_time()), clock.Now());
}

// --- Merging

TEST_F(UserCacheTest, WithoutAMaskThePopulatedFieldsChangeAndTheOthersStay) {
  Start();
  Update(User("u1", "Ada", "ada@example.com"));
  EXPECT_EQ(Update(User("u1", "Countess")).email(), "ada@example.com");
  const v1::User user = Update(User("u1", "", "new@example.com"));
  EXPECT_EQ(user.name(), "Countess");
  EXPECT_EQ(user.email(), "new@example.com");
}

TEST_F(UserCacheTest, WithoutAMaskAttributesAreMergedKeyByKey) {
  Start();
  v1::User user = User("u1");
  (*user.mutable_attributes()->mutable_fields())["a"] = Text("1");
  (*user.mutable_attributes()->mutable_fields())["b"] = Text("2");
  Update(user);
  v1::User change = User("u1");
  (*change.mutable_attributes()->mutable_fields())["b"] = Text("3");
  (*change.mutable_attributes()->mutable_fields())["c"] = Text("4");
  EXPECT_THAT(AttributesOf(Update(change)), ElementsAre(std::pair("a", "1"), std::pair("b", "3"), std::pair("c", "4")));
}

TEST_F(UserCacheTest, ANestedAttributeIsReplacedAsAWhole) {
  Start();
  v1::User user = User("u1");
  auto& nested = *(*user.mutable_attributes()->mutable_fields())["nested"].mutable_struct_value()->mutable_fields();
  nested["x"] = Text("1");
  nested["y"] = Text("2");
  Update(user);
  nested.erase("y");
  const v1::User after = Update(user);
  EXPECT_EQ(after.attributes().fields().at("nested").struct_value().fields_size(), 1);
}

TEST_F(UserCacheTest, AMaskedFieldIsReplacedAlsoByNothing) {
  Start();
  v1::User user = User("u1", "Ada", "ada@example.com");
  (*user.mutable_attributes()->mutable_fields())["a"] = Text("1");
  Update(user);
  v1::User change = User("u1", "ignored", "");
  (*change.mutable_attributes()->mutable_fields())["b"] = Text("2");
  const v1::User after = Update(change, {.mask = {"email", "attributes"}});
  EXPECT_EQ(after.name(), "Ada");
  EXPECT_EQ(after.email(), "");
  EXPECT_THAT(AttributesOf(after), ElementsAre(std::pair("b", "2")));
  EXPECT_THAT(AttributesOf(Update(User("u1"), {.mask = {"attributes"}})), IsEmpty());
}

TEST_F(UserCacheTest, RemoveAttributesComesAfterTheMerge) {
  Start();
  v1::User user = User("u1");
  for (const char* key : {"a", "b", "c"}) (*user.mutable_attributes()->mutable_fields())[key] = Text(key);
  const v1::User after = Update(user, {.remove_attributes = {"b", "not there"}});
  EXPECT_THAT(AttributesOf(after), ElementsAre(std::pair("a", "a"), std::pair("c", "c")));
  const v1::User only_removed = Update(User("u1"), {.remove_attributes = {"a"}});
  EXPECT_THAT(AttributesOf(only_removed), ElementsAre(std::pair("c", "c")));
  const v1::User with_mask = Update(user, {.mask = {"attributes"}, .remove_attributes = {"c"}});
  EXPECT_THAT(AttributesOf(with_mask), ElementsAre(std::pair("a", "a"), std::pair("b", "b")));
}

TEST_F(UserCacheTest, AnUnknownPathIsRefusedAndNothingChanged) {
  Start();
  const v1::User before = Update(User("u1", "Ada"));
  for (const char* path : {"id", "etag", "create_time", "colour", "attributes.a", ""}) {
    auto sent = TryUpdate(User("u1", "changed"), {.mask = {"name", path}});
    EXPECT_THAT(*sent->status, IsInvalid("update_mask")) << path;
  }
  EXPECT_THAT(Get("u1"), Equals(before));
}

// --- Etags

TEST_F(UserCacheTest, EachChangeGivesAnotherEtag) {
  Start();
  std::set<std::string> etags;
  EXPECT_TRUE(etags.insert(Update(User("u1", "Ada")).etag()).second);
  EXPECT_TRUE(etags.insert(Update(User("u1", "Bob")).etag()).second);
  EXPECT_TRUE(etags.insert(Update(User("u1", "Ada")).etag()).second) << "back to what it was";
  EXPECT_TRUE(etags.insert(Update(User("u1", "Ada")).etag()).second) << "the same again";
  EXPECT_TRUE(etags.insert(Update(User("u2", "Ada")).etag()).second);
}

TEST_F(UserCacheTest, ReadingDoesNotChangeTheEtag) {
  Start();
  const std::string etag = Update(User("u1", "Ada")).etag();
  EXPECT_EQ(Get("u1").etag(), etag);
  EXPECT_EQ(List({}).users(0).etag(), etag);
  Start();
  EXPECT_EQ(Get("u1").etag(), etag);
}

TEST_F(UserCacheTest, AUserThatIsMadeAgainHasAnotherEtag) {
  Start();
  const std::string etag = Update(User("u1", "Ada")).etag();
  EXPECT_TRUE(Delete("u1").ok());
  // The second update has the same time, since the clock was set back.
  EXPECT_NE(Update(User("u1", "Ada")).etag(), etag);
}

TEST_F(UserCacheTest, AnUpdateWithAnEtagHappensOnlyIfItIsStillTheUsers) {
  Start();
  v1::User user = Update(User("u1", "Ada"));
  v1::User change = User("u1", "Bob");
  change.set_etag(user.etag());
  const v1::User changed = Update(change);
  EXPECT_EQ(changed.name(), "Bob");
  change.set_name("Eve");
  for (const std::string& stale : {user.etag(), std::string("garbled")}) {
    change.set_etag(stale);
    auto refused = TryUpdate(change, {});
    EXPECT_THAT(*refused->status, Fails(absl::StatusCode::kAborted, v1::ERROR_REASON_ETAG_MISMATCH));
    EXPECT_FALSE(HasRetryInfo(*refused->status));
  }
  EXPECT_THAT(Get("u1"), Equals(changed));
  // No etag is the right one for a user that does not exist.
  change = User("u2", "Ada");
  change.set_etag(user.etag());
  EXPECT_EQ(TryUpdate(change, {})->status->code(), absl::StatusCode::kAborted);
}

// --- Deleting

TEST_F(UserCacheTest, ADeletedUserIsGone) {
  Start();
  Update(User("u1", "Ada"));
  EXPECT_TRUE(Delete("u1").ok());
  EXPECT_EQ(TryGet("u1")->status->code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(AllIds(), IsEmpty());
  Start();
  EXPECT_EQ(TryGet("u1")->status->code(), absl::StatusCode::kNotFound);
}

TEST_F(UserCacheTest, DeletingHonoursEtagAndAllowMissing) {
  Start();
  EXPECT_THAT(Delete("u1"), Fails(absl::StatusCode::kNotFound, v1::ERROR_REASON_NOT_FOUND));
  EXPECT_TRUE(Delete("u1", "", /*allow_missing=*/true).ok());
  EXPECT_EQ(recording.EntryCount(), 0u);
  const std::string old = Update(User("u1", "Ada")).etag();
  const std::string current = Update(User("u1", "Bob")).etag();
  EXPECT_THAT(Delete("u1", old), Fails(absl::StatusCode::kAborted, v1::ERROR_REASON_ETAG_MISMATCH));
  EXPECT_EQ(Get("u1").name(), "Bob");
  EXPECT_TRUE(Delete("u1", current).ok());
}

// --- Bounds

TEST_F(UserCacheTest, FieldsAreBounded) {
  Start();
  const auto refused = [this](const v1::User& user) { return *TryUpdate(user, {})->status; };
  EXPECT_THAT(refused(User("")), IsInvalid("user.id"));
  EXPECT_THAT(refused(User(std::string(513, 'u'))), IsInvalid("user.id"));
  EXPECT_THAT(refused(User("u1", std::string(513, 'n'))), IsInvalid("user.name"));
  EXPECT_THAT(refused(User("u1", "Ada", std::string(513, 'e'))), IsInvalid("user.email"));
  EXPECT_EQ(recording.EntryCount(), 0u);
  EXPECT_TRUE(refused(User(std::string(512, 'u'), std::string(512, 'n'), std::string(512, 'e'))).ok());
  for (const std::string& id : {std::string(), std::string(513, 'u')}) {
    EXPECT_THAT(*TryGet(id)->status, IsInvalid("id"));
    EXPECT_THAT(Delete(id), IsInvalid("id"));
  }
}

TEST_F(UserCacheTest, AttributesAreBoundedAsMerged) {
  Start();
  v1::User user = User("u1", "Ada");
  (*user.mutable_attributes()->mutable_fields())["a"] = Text(std::string(40'000, 'x'));
  const v1::User before = Update(user);
  v1::User more = User("u1", "changed");
  (*more.mutable_attributes()->mutable_fields())["b"] = Text(std::string(40'000, 'x'));
  EXPECT_THAT(*TryUpdate(more, {})->status, IsInvalid("user.attributes"));
  EXPECT_THAT(Get("u1"), Equals(before)) << "neither memory nor storage has changed";
  Start();
  EXPECT_THAT(Get("u1"), Equals(before));
  EXPECT_TRUE(TryUpdate(more, {.remove_attributes = {"a"}})->ok());
}

// --- Several users at once

TEST_F(UserCacheTest, BatchGetKeepsTheOrderOfTheIdsAndLeavesTheMissingOut) {
  Start();
  for (const char* id : {"a", "b", "c"}) Update(User(id, id));
  v1::BatchGetUsersRequest request;
  for (const char* id : {"c", "missing", "a", "c"}) request.add_ids(id);
  auto sent = Ask("cache", &UserCache::BatchGetUsers, request);
  ASSERT_TRUE(sent->ok());
  std::vector<std::string> ids;
  for (const auto& user : sent->response.users()) ids.push_back(user.id());
  EXPECT_THAT(ids, ElementsAre("c", "a", "c"));
}

TEST_F(UserCacheTest, BatchGetIsBounded) {
  Start();
  v1::BatchGetUsersRequest request;
  EXPECT_THAT(*Ask("cache", &UserCache::BatchGetUsers, request)->status, IsInvalid("ids"));
  for (int i = 0; i < 128; ++i) request.add_ids(absl::StrCat(i));
  EXPECT_TRUE(Ask("cache", &UserCache::BatchGetUsers, request)->ok());
  request.add_ids("one more");
  EXPECT_THAT(*Ask("cache", &UserCache::BatchGetUsers, request)->status, IsInvalid("ids"));
  request.clear_ids();
  request.add_ids("a");
  request.add_ids("");
  EXPECT_THAT(*Ask("cache", &UserCache::BatchGetUsers, request)->status, IsInvalid("ids[1]"));
}

TEST_F(UserCacheTest, UsersAreListedInByteOrderEachOnce) {
  Start();
  std::set<std::string> ids;
  for (int i = 0; i < 120; ++i) ids.insert(absl::StrCat("user", i));
  for (const char* id : {"", "A", "a", "aa", "a\x01", "\xc3\xa9"}) {
    if (*id != '\0') ids.insert(id);
  }
  ids.insert(std::string("a\0b", 3));
  for (const std::string& id : ids) Update(User(id));
  const std::vector<std::string> sorted(ids.begin(), ids.end());
  for (int page_size : {0, 1, 7, 126, 1000}) EXPECT_EQ(AllIds(page_size), sorted) << page_size;
  Start();
  EXPECT_EQ(AllIds(10), sorted);
}

TEST_F(UserCacheTest, AListShowsWhatIsStillPendingToo) {
  Start();
  Update(User("a"));
  v1::UpdateUserRequest request;
  *request.mutable_user() = User("b");
  request.set_allow_missing(true);
  Send("cache", &UserCache::UpdateUser, request);
  auto list = Send("cache", &UserCache::ListUsers, v1::ListUsersRequest());
  node->SettleWithoutCommits();
  EXPECT_THAT(list->response.users(), SizeIs(2));
  EXPECT_FALSE(list->done());
}

TEST_F(UserCacheTest, APageEndsAtAMebibyte) {
  Start();
  for (int i = 0; i < 40; ++i) {
    v1::User user = User(absl::StrCat("user", i));
    (*user.mutable_attributes()->mutable_fields())["a"] = Text(std::string(60'000, 'x'));
    Update(user);
  }
  v1::ListUsersRequest request;
  request.set_page_size(1000);
  int users = 0;
  int pages = 0;
  do {
    const auto page = List(request);
    users += page.users_size();
    ++pages;
    EXPECT_LE(page.ByteSizeLong(), (1u << 20) + 70'000);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(users, 40);
  EXPECT_EQ(pages, 3);
}

TEST_F(UserCacheTest, ListsAreChecked) {
  Start();
  v1::ListUsersRequest request;
  request.set_page_size(-1);
  EXPECT_THAT(*Ask("cache", &UserCache::ListUsers, request)->status, IsInvalid("page_size"));
  request.Clear();
  request.set_page_token("garbled");
  EXPECT_THAT(*Ask("cache", &UserCache::ListUsers, request)->status, IsInvalid("page_token"));
}

TEST_F(UserCacheTest, AUserThatExistsThroughoutIsListedExactlyOnceWhileOthersComeAndGo) {
  Start();
  for (int i = 0; i < 10; ++i) Update(User(absl::StrCat("user", i)));
  v1::ListUsersRequest request;
  request.set_page_size(3);
  std::map<std::string, int> seen;
  int page_number = 0;
  do {
    const auto page = List(request);
    for (const auto& user : page.users()) ++seen[user.id()];
    request.set_page_token(page.next_page_token());
    if (page_number == 0) {
      // The last user of the page, one before it and one after it are deleted; and users are added.
      EXPECT_TRUE(Delete("user2").ok());
      EXPECT_TRUE(Delete("user5").ok());
      Update(User("user1a"));
      Update(User("user6a"));
    }
    ++page_number;
  } while (!request.page_token().empty());
  for (int i : {0, 1, 3, 4, 6, 7, 8, 9}) EXPECT_EQ(seen[absl::StrCat("user", i)], 1) << i;
  for (const auto& [id, times] : seen) EXPECT_LE(times, 1) << id;
}

// --- The cache

TEST_F(UserCacheTest, AUserInTheCacheIsReadWithoutTheDisk) {
  Start();
  Update(User("u1", "Ada"));
  Start();
  Get("u1");
  store.set_cold(true);
  v1::GetUserRequest request;
  request.set_id("u1");
  auto sent = Send("cache", &UserCache::GetUser, request);
  EXPECT_TRUE(sent->ok());
  EXPECT_EQ(sent->response.user().name(), "Ada");
}

TEST_F(UserCacheTest, TheCacheIsBoundedAndWhatLeftItIsReadBack) {
  Start();
  constexpr int kUsers = 400;
  std::map<std::string, v1::User> expected;
  for (int i = 0; i < kUsers; ++i) {
    v1::User user = User(absl::StrCat("user", i), absl::StrCat("name", i));
    (*user.mutable_attributes()->mutable_fields())["a"] = Text(std::string(50'000, 'x'));
    expected[user.id()] = Update(user);
  }
  EXPECT_LT(node->host().activation_bytes(), 10u << 20);
  simulation::Dice dice(1);
  for (int i = 0; i < 500; ++i) {
    const std::string id = absl::StrCat("user", dice.Below(kUsers));
    if (dice.OneIn(3)) {
      expected[id] = Update(User(id, absl::StrCat("changed", i)));
    } else {
      ASSERT_THAT(Get(id), Equals(expected[id]));
    }
  }
  EXPECT_LT(node->host().activation_bytes(), 10u << 20);
  Start();
  for (const auto& [id, user] : expected) ASSERT_THAT(Get(id), Equals(user));
}

TEST_F(UserCacheTest, AFailedTurnLeavesNothingInTheCacheThatIsNotInStorage) {
  Start();
  const v1::User before = Update(User("u1", "Ada"));
  v1::UpdateUserRequest request;
  *request.mutable_user() = User("u1", "changed");
  auto sent = Send("cache", &UserCache::UpdateUser, request,
                   {.reply_check = absl::ResourceExhaustedError("the reply is too large")});
  node->Settle();
  EXPECT_FALSE(sent->ok());
  EXPECT_THAT(Get("u1"), Equals(before));
}

TEST_F(UserCacheTest, AgreesWithAModelThroughPassivationAndRestarts) {
  for (uint64_t run : simulation::Seeds(15)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    families_max = static_cast<int>(dice.Below(2));
    Start();
    SendDeleteAll(UserCache::Class(), "cache");
    node->Settle();
    std::map<std::string, v1::User> model;
    for (int i = 0; i < 300; ++i) {
      const std::string id = absl::StrCat("user", dice.Below(8));
      auto known = model.find(id);
      switch (dice.Below(8)) {
        case 0:
          ASSERT_EQ(Delete(id).ok(), known != model.end());
          model.erase(id);
          break;
        case 1:
          if (dice.OneIn(4)) Start();
          break;
        case 2:
          node->Advance(absl::Seconds(dice.Below(12)));
          break;
        case 3:
          store.set_cold(dice.OneIn(2));
          break;
        case 4:
        case 5: {
          auto sent = TryGet(id);
          ASSERT_EQ(sent->ok(), known != model.end());
          if (sent->ok()) ASSERT_THAT(sent->response.user(), Equals(known->second));
          break;
        }
        default: {
          v1::User change = User(id, dice.OneIn(2) ? absl::StrCat("name", i) : "");
          if (dice.OneIn(2)) {
            (*change.mutable_attributes()->mutable_fields())[absl::StrCat("key", dice.Below(3))] =
                Text(absl::StrCat(i));
          }
          const v1::User after = Update(change);
          v1::User& expected = model[id];
          expected.set_id(id);
          if (!change.name().empty()) expected.set_name(change.name());
          for (const auto& [key, value] : change.attributes().fields()) {
            (*expected.mutable_attributes()->mutable_fields())[key] = value;
          }
          if (!expected.has_create_time()) *expected.mutable_create_time() = after.create_time();
          *expected.mutable_update_time() = after.update_time();
          ASSERT_NE(after.etag(), expected.etag());
          expected.set_etag(after.etag());
          ASSERT_THAT(after, Equals(expected));
        }
      }
    }
    std::vector<std::string> ids;
    for (const auto& [id, user] : model) ids.push_back(id);
    EXPECT_EQ(AllIds(3), ids);
    store.set_cold(false);
  }
}

}  // namespace
}  // namespace holdfast::actors
