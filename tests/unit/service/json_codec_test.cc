#include "service/http/json_codec.h"

#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/counter_service.pb.h"
#include "holdfast/v1/object_service.pb.h"

namespace holdfast::service {
namespace {

constexpr size_t kMax = 1 << 20;

const auto& Increment() { return *v1::IncrementRequest::descriptor(); }
const auto& Put() { return *v1::PutEntriesRequest::descriptor(); }

TEST(JsonCodec, AMessageIsTheSameInBothForms) {
  v1::IncrementRequest request;
  request.mutable_object()->set_name("a \"name\" \xc3\xa4");
  request.set_amount(-5);
  const auto text = ToJson(Increment(), request.SerializeAsString(), kMax);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text, "{\"object\":{\"name\":\"a \\\"name\\\" \xc3\xa4\"},\"amount\":\"-5\"}");
  const auto bytes = FromJson(Increment(), *text, kMax);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  v1::IncrementRequest again;
  ASSERT_TRUE(again.ParseFromString(*bytes));
  EXPECT_EQ(again.DebugString(), request.DebugString());
}

TEST(JsonCodec, AnUnknownFieldIsNamed) {
  const auto status = FromJson(Increment(), R"({"object":{"nam":"a"}})", kMax).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("nam"), absl::string_view::npos) << status.message();
  EXPECT_NE(status.message().find("holdfast.v1.IncrementRequest"), absl::string_view::npos) << status.message();
}

TEST(JsonCodec, BadJsonIsRefused) {
  for (const char* bad : {"", " ", "{", "[]", "1", "\"a\"", "{\"amount\":}", "{\"amount\":1.5}", "{\"amount\":1e400}",
                          "{\"object\":[]}", "{\"object\":1}", "{\"amount\":\"x\"}", "nul", "{\"a\"", "{}}",
                          "{\"object\":{\"name\":\"\\ud800\"}", "\xff\xfe"}) {
    EXPECT_EQ(FromJson(Increment(), bad, kMax).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(JsonCodec, BothFormsAreBounded) {
  v1::PutEntriesRequest request;
  request.add_entries()->set_value(std::string(10'000, 'x'));
  const auto text = ToJson(Put(), request.SerializeAsString(), kMax);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(ToJson(Put(), request.SerializeAsString(), 5'000).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(FromJson(Put(), *text, 5'000).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(JsonCodec, DeepNestingIsRefused) {
  const std::string deep(100'000, '[');
  EXPECT_FALSE(FromJson(Put(), absl::StrCat("{\"entries\":", deep), kMax).ok());
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_FALSE(FromJson(Put(), objects, kMax).ok());
}

// Whatever is made of a valid text by chance, the answer is a message or an error.
TEST(JsonCodec, ChanceDoesNotEndTheProcess) {
  const std::string valid =
      R"({"object":{"name":"a","namespace":"n\u00e4"},"requestId":"r","entries":[{"key":"k","value":"YWI="},{"key":"\ud83d\ude00"}]})";
  const std::string pieces = "{}[]\":,\\u0e9-+.tfnull \n\xc3\xff";
  std::mt19937 random(20260102);
  int good = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = valid;
    for (int changes = static_cast<int>(random() % 4) + 1; changes > 0; --changes) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = pieces[random() % pieces.size()];
          break;
        case 1:
          text.erase(at, random() % 8 + 1);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 16));
          break;
      }
      if (text.empty()) text = "{";
    }
    const auto bytes = FromJson(Put(), text, kMax);
    if (!bytes.ok()) continue;
    ++good;
    v1::PutEntriesRequest request;
    // Texts that are no UTF-8 pass protobuf's JSON in some places; the parser of the call refuses them.
    if (request.ParseFromString(*bytes)) EXPECT_TRUE(ToJson(Put(), *bytes, kMax).ok()) << text;
  }
  EXPECT_GT(good, 0);
}

}  // namespace
}  // namespace holdfast::service
