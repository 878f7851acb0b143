#include "actors/runtime/mailbox.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>

namespace holdfast::actors {
namespace {

class Idle : public Delivery {
 public:
  explicit Idle(size_t size = 0) { bytes = size; }
  Task<absl::Status> Run(Object&) override { std::abort(); }
  void Done(const absl::Status&) override { std::abort(); }
};

TEST(MailboxTest, GivesRequestsInTheOrderInWhichTheyCame) {
  const MailboxLimits limits;
  Mailbox mailbox(&limits);
  EXPECT_TRUE(mailbox.empty());
  EXPECT_EQ(mailbox.Pop(), nullptr);
  Idle first, second, third;
  for (Idle* request : {&first, &second, &third}) EXPECT_TRUE(mailbox.Push(request));
  EXPECT_EQ(mailbox.depth(), 3u);
  EXPECT_FALSE(mailbox.empty());
  EXPECT_EQ(mailbox.Pop(), &first);
  EXPECT_EQ(mailbox.Pop(), &second);
  EXPECT_EQ(mailbox.Pop(), &third);
  EXPECT_EQ(mailbox.Pop(), nullptr);
  EXPECT_TRUE(mailbox.empty());
}

TEST(MailboxTest, IsBoundedInNumber) {
  const MailboxLimits limits{.requests_max = 2};
  Mailbox mailbox(&limits);
  Idle first, second, third;
  EXPECT_TRUE(mailbox.Push(&first));
  EXPECT_TRUE(mailbox.Push(&second));
  EXPECT_FALSE(mailbox.Push(&third));
  EXPECT_EQ(mailbox.depth(), 2u);
  mailbox.Pop();
  EXPECT_TRUE(mailbox.Push(&third));
}

TEST(MailboxTest, IsBoundedInBytes) {
  const MailboxLimits limits{.bytes_max = 100};
  Mailbox mailbox(&limits);
  Idle first(60), second(40), third(1), empty(0);
  EXPECT_TRUE(mailbox.Push(&first));
  EXPECT_TRUE(mailbox.Push(&second));
  EXPECT_FALSE(mailbox.Push(&third));
  EXPECT_TRUE(mailbox.Push(&empty));
  EXPECT_EQ(mailbox.Pop(), &first);
  EXPECT_TRUE(mailbox.Push(&third));
}

TEST(MailboxTest, ARequestLargerThanTheBoundFitsAlone) {
  const MailboxLimits limits{.bytes_max = 100};
  Mailbox mailbox(&limits);
  Idle large(101), small(1);
  EXPECT_TRUE(mailbox.Push(&large));
  EXPECT_FALSE(mailbox.Push(&small));
  EXPECT_EQ(mailbox.Pop(), &large);
  EXPECT_TRUE(mailbox.Push(&small));
  EXPECT_FALSE(mailbox.Push(&large));
}

TEST(MailboxTest, WorkOfTheServerHasPlacesOfItsOwnAndGoesFirst) {
  const MailboxLimits limits{.requests_max = 1, .bytes_max = 10};
  Mailbox mailbox(&limits);
  Idle request(10), alarm(1'000), move;
  EXPECT_TRUE(mailbox.Push(&request));
  mailbox.PushReserved(&alarm);
  mailbox.PushReserved(&move);
  EXPECT_EQ(mailbox.depth(), 1u);
  EXPECT_EQ(mailbox.Pop(), &alarm);
  EXPECT_EQ(mailbox.Pop(), &move);
  EXPECT_FALSE(mailbox.empty());
  EXPECT_EQ(mailbox.Pop(), &request);
  // The bytes of reserved requests were never counted.
  EXPECT_TRUE(mailbox.Push(&request));
}

}  // namespace
}  // namespace holdfast::actors
