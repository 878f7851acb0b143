#include "actors/wire/page_token.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "holdfast/v1/batch_processor_service.pb.h"
#include "holdfast/v1/user_cache_service.pb.h"
#include "tests/unit/actors/node_test.h"

namespace holdfast::actors {
namespace {

v1::ListProcessedItemsRequest Request() {
  v1::ListProcessedItemsRequest request;
  request.mutable_object()->set_name("mail");
  request.set_after_sequence(7);
  return request;
}

TEST(PageTokenTest, PageSizesFollowTheRules) {
  EXPECT_EQ(*PageSize(0), 100u);
  EXPECT_EQ(*PageSize(1), 1u);
  EXPECT_EQ(*PageSize(999), 999u);
  EXPECT_EQ(*PageSize(1000), 1000u);
  EXPECT_EQ(*PageSize(1001), 1000u);
  EXPECT_EQ(*PageSize(std::numeric_limits<int32_t>::max()), 1000u);
  EXPECT_THAT(PageSize(-1).status(), IsInvalid("page_size"));
  EXPECT_THAT(PageSize(std::numeric_limits<int32_t>::min()).status(), IsInvalid("page_size"));
}

TEST(PageTokenTest, ATokenGivesItsPositionBack) {
  for (const std::string& position :
       {std::string(), std::string("a"), std::string("\0\xff\0", 3), std::string(600, 'x')}) {
    const std::string token = MakePageToken(42, position);
    EXPECT_FALSE(token.empty());
    auto parsed = ParsePageToken(token, 42);
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, position);
  }
}

TEST(PageTokenTest, ATokenWithOtherArgumentsIsRefused) {
  EXPECT_THAT(ParsePageToken(MakePageToken(42, "a"), 43).status(), IsInvalid("page_token"));
}

TEST(PageTokenTest, AGarbledTokenIsRefused) {
  const std::string token = MakePageToken(42, "position");
  for (const std::string& garbled : {std::string("x"), std::string("!!!!"), std::string("AAAA"), std::string(1, '\0'),
                                     token + "A", token + token, std::string(100'000, 'A')}) {
    EXPECT_THAT(ParsePageToken(garbled, 42).status(), IsInvalid("page_token")) << garbled.substr(0, 50);
  }
  for (size_t size = 0; size < token.size(); ++size) {
    EXPECT_FALSE(ParsePageToken(token.substr(0, size), 42).ok()) << size;
  }
}

TEST(PageTokenTest, NoChangedByteOfATokenGivesAnotherPosition) {
  const std::string token = MakePageToken(42, "position");
  for (size_t i = 0; i < token.size(); ++i) {
    for (int byte = 0; byte < 256; ++byte) {
      if (static_cast<char>(byte) == token[i]) continue;
      std::string changed = token;
      changed[i] = static_cast<char>(byte);
      auto parsed = ParsePageToken(changed, 42);
      if (parsed.ok()) EXPECT_EQ(*parsed, "position");
    }
  }
}

TEST(PageTokenTest, TheFingerprintIsThatOfTheArgumentsAndTheMessage) {
  EXPECT_EQ(PageFingerprint(Request()), PageFingerprint(Request()));
  v1::ListProcessedItemsRequest other = Request();
  other.set_after_sequence(8);
  EXPECT_NE(PageFingerprint(Request()), PageFingerprint(other));
  // Another message has the same bytes.
  v1::ListUsersRequest users;
  v1::ListProcessedItemsRequest items;
  EXPECT_NE(PageFingerprint(users), PageFingerprint(items));
}

TEST(PageTokenTest, TheFirstPageHasNoPosition) {
  auto page = BeginPage(Request());
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->size, 100u);
  EXPECT_EQ(page->position, "");
}

TEST(PageTokenTest, TheNextPageMayHaveAnotherSizeButNoOtherArguments) {
  auto first = BeginPage(Request());
  v1::ListProcessedItemsRequest next = Request();
  next.set_page_token(MakePageToken(first->fingerprint, "here"));
  next.set_page_size(5);
  auto page = BeginPage(next);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->size, 5u);
  EXPECT_EQ(page->position, "here");
  EXPECT_EQ(page->fingerprint, first->fingerprint);

  v1::ListProcessedItemsRequest other_argument = next;
  other_argument.set_after_sequence(8);
  EXPECT_THAT(BeginPage(other_argument).status(), IsInvalid("page_token"));
  v1::ListProcessedItemsRequest other_object = next;
  other_object.mutable_object()->set_name("post");
  EXPECT_THAT(BeginPage(other_object).status(), IsInvalid("page_token"));
  v1::ListProcessedItemsRequest negative = next;
  negative.set_page_size(-1);
  EXPECT_THAT(BeginPage(negative).status(), IsInvalid("page_size"));
}

}  // namespace
}  // namespace holdfast::actors
