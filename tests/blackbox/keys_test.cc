// Keys and values of an object: bytes and etags on the wire, many clients at once, and objects beside each other.

#include <thread>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST_P(Behaviour, GetGivesTheBytesThatWerePut) {
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes.push_back(static_cast<char>(i));
  ASSERT_TRUE(IsOk(Put("o", "bytes", all_bytes)));
  EXPECT_EQ(Get("o", "bytes"), all_bytes);
  ASSERT_TRUE(IsOk(Put("o", "empty", "")));
  EXPECT_EQ(Get("o", "empty"), "");
  ASSERT_TRUE(IsOk(Put("o", "bytes", "replaced")));
  EXPECT_EQ(Get("o", "bytes"), "replaced");
}

TEST_P(Behaviour, AnEtagIsThatOfTheValue) {
  ASSERT_TRUE(IsOk(Put("o", {{"a", "1"}, {"b", "1"}, {"c", "2"}, {"empty", ""}})));
  EXPECT_THAT(EtagOf("o", "a"), ::testing::MatchesRegex("[0-9a-f]{32}"));
  EXPECT_EQ(EtagOf("o", "a"), EtagOf("o", "b"));
  EXPECT_NE(EtagOf("o", "a"), EtagOf("o", "c"));
  EXPECT_NE(EtagOf("o", "a"), EtagOf("o", "empty"));
  const auto list = Call(&ObjectStub::ListEntries, For<v1::ListEntriesRequest>("o"));
  ASSERT_EQ(list->entries_size(), 4);
  EXPECT_EQ(list->entries(0).etag(), EtagOf("o", "a"));
  // A put ignores the etag.
  auto put = PutRequest("o", {{"a", "3"}});
  put.mutable_entries(0)->set_etag("nonsense");
  ASSERT_TRUE(IsOk(Call(&ObjectStub::PutEntries, put)));
  EXPECT_EQ(Get("o", "a"), "3");
}

TEST_P(Behaviour, PutManyIsAtomic) {
  // A reader of both keys, while they are written, sees a pair that was written together.
  constexpr int kRounds = 100;
  ASSERT_TRUE(IsOk(Put("o", {{"a", "0"}, {"b", "0"}})));
  std::thread writer([&] {
    for (int i = 1; i <= kRounds; ++i) {
      EXPECT_TRUE(IsOk(Put("o", {{"a", absl::StrCat(i)}, {"b", absl::StrCat(i)}})));
    }
  });
  auto request = For<v1::GetEntriesRequest>("o");
  request.add_keys("a");
  request.add_keys("b");
  std::string last;
  while (last != absl::StrCat(kRounds)) {
    const auto reply = Call(&ObjectStub::GetEntries, request);
    ASSERT_TRUE(IsOk(reply));
    ASSERT_EQ(reply->entries_size(), 2);
    EXPECT_EQ(reply->entries(0).value(), reply->entries(1).value());
    last = reply->entries(0).value();
    if (HasFailure()) break;
  }
  writer.join();
}

TEST_P(Behaviour, ConcurrentConditionalWritesCountEach) {
  // Each client reads, adds and writes on the condition that nobody wrote meanwhile.
  constexpr int kThreads = 4;
  constexpr int kEach = 10;
  ASSERT_TRUE(IsOk(Put("o", "n", "0")));
  // Returns whether this write was the first one after the read.
  const auto increment = [&]() -> bool {
    auto get = For<v1::GetEntriesRequest>("o");
    get.add_keys("n");
    const auto read = Call(&ObjectStub::GetEntries, get);
    if (read->entries_size() != 1) return false;
    auto batch = For<v1::ApplyBatchRequest>("o");
    auto* const condition = batch.add_preconditions()->mutable_etag_equals();
    condition->set_key("n");
    condition->set_etag(read->entries(0).etag());
    auto* const put = batch.add_steps()->mutable_put();
    put->set_key("n");
    put->set_value(absl::StrCat(std::stoi(read->entries(0).value()) + 1));
    const grpc::Status status = Call(&ObjectStub::ApplyBatch, batch).status;
    if (!status.ok()) EXPECT_TRUE(Fails(status, grpc::StatusCode::ABORTED, "ETAG_MISMATCH"));
    return status.ok();
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int done = 0; done < kEach && !HasFailure();) done += increment();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Get("o", "n"), absl::StrCat(kThreads * kEach));
}

TEST_P(Behaviour, ObjectsAreIsolated) {
  ASSERT_TRUE(IsOk(Put("one", "k", "1")));
  ASSERT_TRUE(IsOk(Put("one1", "k", "2")));
  auto elsewhere = PutRequest("one", {{"k", "3"}});
  elsewhere.mutable_object()->set_namespace_("tenant-2");
  ASSERT_TRUE(IsOk(Call(&ObjectStub::PutEntries, elsewhere)));
  auto counter = For<v1::IncrementRequest>("one");
  ASSERT_TRUE(IsOk(Call(&v1::CounterService::Stub::Increment, counter)));

  EXPECT_EQ(Get("one", "k"), "1");
  EXPECT_EQ(Get("one1", "k"), "2");
  EXPECT_EQ(Get("on", "k"), std::nullopt);
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, For<v1::DeleteAllRequest>("one"))));
  EXPECT_EQ(Get("one", "k"), std::nullopt);
  EXPECT_EQ(Get("one1", "k"), "2");
  auto get = For<v1::GetEntriesRequest>("one");
  get.mutable_object()->set_namespace_("tenant-2");
  get.add_keys("k");
  EXPECT_EQ(Call(&ObjectStub::GetEntries, get)->entries_size(), 1);
  EXPECT_EQ(Call(&v1::CounterService::Stub::GetValue, For<v1::GetValueRequest>("one"))->value(), 1);
  // The empty namespace is "default", the empty class "Object".
  auto same = For<v1::GetEntriesRequest>("one1", "Object");
  same.mutable_object()->set_namespace_("default");
  same.add_keys("k");
  EXPECT_EQ(Call(&ObjectStub::GetEntries, same)->entries_size(), 1);
}

TEST_P(Behaviour, PackedObjectsAreIsolated) {
  Start("storage { column_families_max: 0 }");
  // Some names are prefixes of others, also with bytes that codecs escape.
  const std::vector<std::string> names = {"a", "ab", std::string("a\0", 2), std::string("a\0b", 3), "a\x01", "a\x7F"};
  for (const std::string& name : names) ASSERT_TRUE(IsOk(Put(name, {{"k", name}, {"b", "1"}})));
  for (const std::string& name : names) EXPECT_THAT(All(name), ElementsAre(Pair("b", "1"), Pair("k", name)));
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, For<v1::DeleteAllRequest>("a"))));
  EXPECT_TRUE(All("a").empty());
  for (size_t i = 1; i < names.size(); ++i) {
    EXPECT_THAT(All(names[i]), ElementsAre(Pair("b", "1"), Pair("k", names[i])));
    EXPECT_EQ(Describe(names[i]).placement(), v1::PLACEMENT_PACKED);
  }
}

TEST_P(Behaviour, AnObjectThatGrowsOutOfThePackedFamilyKeepsItsEntries) {
  Start("storage { column_families_max: 2 }");
  for (const char* name : {"1", "2", "3"}) ASSERT_TRUE(IsOk(Put(name, "k", name)));
  const std::string large(700 << 10, 'v');
  for (const char* key : {"a", "b", "c", "d"}) ASSERT_TRUE(IsOk(Put("3", key, large)));
  for (const char* key : {"a", "b", "c", "d"}) EXPECT_EQ(Get("3", key), large);
  EXPECT_EQ(Get("3", "k"), "3");
  EXPECT_EQ(Describe("3").key_count(), 5);
  EXPECT_EQ(Describe("3").summary().size_bytes(), 4 * int64_t{700 << 10} + 4 + 2);
  for (const char* name : {"1", "2"}) EXPECT_THAT(All(name), ElementsAre(Pair("k", name)));
}

}  // namespace
}  // namespace holdfast::blackbox
