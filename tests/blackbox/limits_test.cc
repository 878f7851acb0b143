// Bounds: a request that just fits is taken, and one that exceeds a bound is refused whole.

#include "absl/strings/str_cat.h"
#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr size_t kKeyMax = 2048;
constexpr size_t kValueMax = 2 << 20;
constexpr int kKeysMax = 128;
constexpr size_t kMessageMax = 4 << 20;

Pairs ManyEntries(int count) {
  Pairs entries;
  for (int i = 0; i < count; ++i) entries.emplace_back(absl::StrCat("key", i), "1");
  return entries;
}

template <typename Request>
Request ManyKeys(int count) {
  auto request = For<Request>("o");
  for (int i = 0; i < count; ++i) request.add_keys(absl::StrCat("key", i));
  return request;
}

TEST_P(Behaviour, AKeyHasUpTo2048Bytes) {
  const std::string longest(kKeyMax, 'k');
  ASSERT_TRUE(IsOk(Put("o", longest, "1")));
  EXPECT_EQ(Get("o", longest), "1");
  EXPECT_THAT(All("o"), SizeIs(1));
  EXPECT_TRUE(IsInvalid(Put("o", longest + "k", "1"), "entries[0]"));
  EXPECT_TRUE(IsInvalid(Put("o", "", "1"), "entries[0]"));
  for (const std::string& key : {longest + "k", std::string()}) {
    auto get = For<v1::GetEntriesRequest>("o");
    get.add_keys(key);
    EXPECT_TRUE(IsInvalid(Call(&ObjectStub::GetEntries, get).status, "keys[0]"));
    auto remove = For<v1::DeleteEntriesRequest>("o");
    remove.add_keys("fine");
    remove.add_keys(key);
    EXPECT_TRUE(IsInvalid(Call(&ObjectStub::DeleteEntries, remove).status, "keys[1]"));
    auto batch = For<v1::ApplyBatchRequest>("o");
    batch.add_steps()->mutable_put()->set_key(key);
    EXPECT_TRUE(IsInvalid(Call(&ObjectStub::ApplyBatch, batch).status, "steps[0]"));
  }
  EXPECT_THAT(All("o"), SizeIs(1));
}

TEST_P(Behaviour, ACallHasUpTo128Keys) {
  ASSERT_TRUE(IsOk(Put("o", ManyEntries(kKeysMax))));
  EXPECT_TRUE(IsInvalid(Put("o2", ManyEntries(kKeysMax + 1)), "entries"));
  EXPECT_TRUE(IsInvalid(Put("o2", Pairs()), "entries"));
  EXPECT_THAT(All("o2"), IsEmpty());

  EXPECT_EQ(Call(&ObjectStub::GetEntries, ManyKeys<v1::GetEntriesRequest>(kKeysMax))->entries_size(), kKeysMax);
  for (int count : {0, kKeysMax + 1}) {
    EXPECT_TRUE(IsInvalid(Call(&ObjectStub::GetEntries, ManyKeys<v1::GetEntriesRequest>(count)).status, "keys"));
    EXPECT_TRUE(IsInvalid(Call(&ObjectStub::DeleteEntries, ManyKeys<v1::DeleteEntriesRequest>(count)).status, "keys"));
  }
  EXPECT_EQ(Call(&ObjectStub::DeleteEntries, ManyKeys<v1::DeleteEntriesRequest>(kKeysMax))->deleted_count(), kKeysMax);
}

TEST_P(Behaviour, AMessageHasUpTo4MiB) {
  v1::PutEntriesRequest request = PutRequest("o", {{"a", std::string(kValueMax, 'v')}, {"b", ""}});
  request.mutable_entries(1)->set_value(std::string(kValueMax - 100, 'w'));
  request.mutable_entries(1)->mutable_value()->append(kMessageMax - request.ByteSizeLong(), 'w');
  ASSERT_EQ(request.ByteSizeLong(), kMessageMax);
  ASSERT_TRUE(IsOk(Call(&ObjectStub::PutEntries, request)));
  EXPECT_EQ(Get("o", "b")->size(), request.entries(1).value().size());

  request.mutable_object()->set_name("p");
  request.mutable_entries(1)->mutable_value()->push_back('w');
  const grpc::Status status = Call(&ObjectStub::PutEntries, request).status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_THAT(All("p"), IsEmpty());
}

TEST_P(Behaviour, AReplyHasUpTo3584KiB) {
  const std::string value((3 << 20) / 2, 'v');
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(IsOk(Put("o", key, value)));
  auto get = For<v1::GetEntriesRequest>("o");
  get.add_keys("a");
  get.add_keys("b");
  EXPECT_EQ(Call(&ObjectStub::GetEntries, get)->entries_size(), 2);
  get.add_keys("c");
  EXPECT_TRUE(
      Fails(Call(&ObjectStub::GetEntries, get).status, grpc::StatusCode::RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE"));
}

::testing::AssertionResult IsOverQuota(const grpc::Status& status) {
  if (auto fails = Fails(status, grpc::StatusCode::RESOURCE_EXHAUSTED, "OBJECT_QUOTA"); !fails) return fails;
  const auto quota = DetailOf<google::rpc::QuotaFailure>(status);
  if (quota.violations_size() == 1 && !quota.violations(0).subject().empty() &&
      !quota.violations(0).description().empty()) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "QuotaFailure: " << quota.ShortDebugString();
}

TEST_P(Behaviour, AnObjectHasAQuotaOfBytes) {
  Start("storage { object_bytes_max: 1048576 }");
  const std::string half(500 << 10, 'v');
  ASSERT_TRUE(IsOk(Put("o", "a", half)));
  ASSERT_TRUE(IsOk(Put("o", "b", half)));
  EXPECT_TRUE(IsOverQuota(Put("o", "c", half)));
  EXPECT_TRUE(IsOverQuota(Put("o", {{"a", "small"}, {"c", half}, {"d", half}})));
  auto batch = For<v1::ApplyBatchRequest>("o");
  batch.add_steps()->mutable_put()->set_key("c");
  batch.mutable_steps(0)->mutable_put()->set_value(half);
  EXPECT_TRUE(IsOverQuota(Call(&ObjectStub::ApplyBatch, batch).status));
  // The refused writes did nothing. Reads still work, and so do writes that do not make the object grow.
  EXPECT_EQ(Get("o", "a"), half);
  EXPECT_EQ(Get("o", "c"), std::nullopt);
  EXPECT_TRUE(IsOk(Put("o", "a", half)));
  batch.add_steps()->set_delete_key("a");
  EXPECT_TRUE(IsOk(Call(&ObjectStub::ApplyBatch, batch)));
  EXPECT_TRUE(IsOverQuota(Put("o", "a", half)));
  auto remove = For<v1::DeleteEntriesRequest>("o");
  remove.add_keys("b");
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteEntries, remove)));
  EXPECT_TRUE(IsOk(Put("o", "a", half)));
  // Another object has a quota of its own; a deleted object begins with an empty one.
  EXPECT_TRUE(IsOk(Put("p", {{"a", half}, {"b", half}})));
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteAll, For<v1::DeleteAllRequest>("o"))));
  EXPECT_TRUE(IsOk(Put("o", {{"a", half}, {"b", half}})));
}

}  // namespace
}  // namespace holdfast::blackbox
