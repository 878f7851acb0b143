// Attributes of users can be everything that JSON can express, and nothing else.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "actors/objects/user_cache.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/unit/actors/node_test.h"

namespace holdfast::actors {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

using ::testing::ElementsAre;
using ::testing::StartsWith;

constexpr int kNestingMax = 30;

Value Number(double number) {
  Value value;
  value.set_number_value(number);
  return value;
}

// Nested() puts `inner` into `depth` structs, or lists, or both in turns.
enum class Nesting { kStructs, kLists, kBoth };
Value Nested(Nesting nesting, int depth, const Value& inner) {
  Value value = inner;
  for (int i = 0; i < depth; ++i) {
    Value outer;
    if (nesting == Nesting::kLists || (nesting == Nesting::kBoth && i % 2 == 0)) {
      *outer.mutable_list_value()->add_values() = value;
    } else {
      (*outer.mutable_struct_value()->mutable_fields())["a"] = value;
    }
    value = outer;
  }
  return value;
}

class UserAttributesTest : public NodeTest {
 protected:
  UserAttributesTest() { classes = {&UserCache::Class()}; }

  static v1::UpdateUserRequest RequestWith(const std::string& key, const Value& value) {
    v1::UpdateUserRequest request;
    request.set_allow_missing(true);
    request.mutable_user()->set_id("u1");
    (*request.mutable_user()->mutable_attributes()->mutable_fields())[key] = value;
    return request;
  }
  absl::Status Set(const std::string& key, const Value& value) {
    return *Ask("cache", &UserCache::UpdateUser, RequestWith(key, value))->status;
  }
  v1::User Get() {
    v1::GetUserRequest request;
    request.set_id("u1");
    return Ask("cache", &UserCache::GetUser, request)->response.user();
  }
};

TEST_F(UserAttributesTest, ANumberThatIsNoneInJsonIsRefused) {
  Start();
  for (const double number :
       {std::nan(""), std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    EXPECT_THAT(Set("x", Number(number)), IsInvalid("user.attributes[\"x\"]")) << number;
  }
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(UserAttributesTest, AValueWithoutAKindIsRefused) {
  Start();
  EXPECT_THAT(Set("x", Value()), IsInvalid("user.attributes[\"x\"]"));
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(UserAttributesTest, TheErrorNamesTheValueWithinOthers) {
  Start();
  Value value;
  auto* const list = (*value.mutable_struct_value()->mutable_fields())["a \"b\""].mutable_list_value();
  list->add_values()->set_bool_value(true);
  list->add_values();
  EXPECT_THAT(Set("x", value), IsInvalid("user.attributes[\"x\"][\"a \\\"b\\\"\"][1]"));
}

TEST_F(UserAttributesTest, TheNameOfAValueInLongKeysIsCut) {
  Start();
  Value value = Value();
  for (int i = 0; i < 20; ++i) {
    Value outer;
    (*outer.mutable_struct_value()->mutable_fields())[std::string(2000, 'k')] = value;
    value = outer;
  }
  const absl::Status status = Set("x", value);
  EXPECT_THAT(status, Fails(absl::StatusCode::kInvalidArgument, v1::ERROR_REASON_INVALID_FIELD));
  EXPECT_LE(status.message().size(), 700u);
}

TEST_F(UserAttributesTest, WhatIsMaskedOutIsCheckedToo) {
  Start();
  auto request = RequestWith("x", Value());
  request.mutable_update_mask()->add_paths("name");
  EXPECT_THAT(*Ask("cache", &UserCache::UpdateUser, request)->status, IsInvalid("user.attributes[\"x\"]"));
}

TEST_F(UserAttributesTest, NestingThatJsonFollowsIsTakenAndDeeperIsRefused) {
  Start();
  for (const Nesting nesting : {Nesting::kStructs, Nesting::kLists, Nesting::kBoth}) {
    EXPECT_EQ(Set("x", Nested(nesting, kNestingMax, Number(1))), absl::OkStatus());
    std::string json;
    EXPECT_TRUE(google::protobuf::util::MessageToJsonString(Get(), &json).ok());
    const absl::Status deeper = Set("x", Nested(nesting, kNestingMax + 1, Number(1)));
    EXPECT_THAT(deeper, Fails(absl::StatusCode::kInvalidArgument, v1::ERROR_REASON_INVALID_FIELD));
    EXPECT_THAT(ViolatedFields(deeper), ElementsAre(StartsWith("user.attributes[\"x\"]")));
  }
}

TEST_F(UserAttributesTest, WhatJsonCanSayComesBackFromIt) {
  Start();
  Struct attributes;
  auto& fields = *attributes.mutable_fields();
  fields["null"].set_null_value(google::protobuf::NULL_VALUE);
  fields["false"].set_bool_value(false);
  fields["minus zero"].set_number_value(-0.0);
  fields["largest"].set_number_value(std::numeric_limits<double>::max());
  fields["smallest"].set_number_value(std::numeric_limits<double>::denorm_min());
  fields["no text"].set_string_value("");
  fields["text"].set_string_value(std::string("a\0b\xF0\x9F\x98\x80", 7));
  fields["no list"].mutable_list_value();
  fields["no struct"].mutable_struct_value();
  fields[""].set_string_value("a key may be empty");
  v1::UpdateUserRequest request;
  request.set_allow_missing(true);
  request.mutable_user()->set_id("u1");
  *request.mutable_user()->mutable_attributes() = attributes;
  ASSERT_TRUE(Ask("cache", &UserCache::UpdateUser, request)->ok());
  std::string json;
  ASSERT_TRUE(google::protobuf::util::MessageToJsonString(Get(), &json).ok());
  v1::User back;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json, &back).ok()) << json;
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(back.attributes(), attributes)) << json;
}

}  // namespace
}  // namespace holdfast::actors
