#include "actors/wire/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "google/rpc/error_details.pb.h"
#include "storage/store/store.h"

namespace holdfast::actors {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

template <typename Detail>
std::optional<Detail> DetailOf(const absl::Status& status) {
  auto payload = status.GetPayload("type.googleapis.com/" + Detail::descriptor()->full_name());
  if (!payload) return std::nullopt;
  Detail detail;
  EXPECT_TRUE(detail.ParseFromString(std::string(*payload)));
  return detail;
}

size_t DetailBytes(const absl::Status& status) {
  size_t bytes = 0;
  status.ForEachPayload([&](auto url, const absl::Cord& payload) { bytes += url.size() + payload.size(); });
  return bytes;
}

struct Case {
  const char* name;
  absl::Status status;
  absl::StatusCode code;
  const char* reason;
  bool retryable;
};

std::vector<Case> AllErrors() {
  return {
      {"InvalidField", InvalidField("check.window", "is missing"), absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
       false},
      {"NotFound", NotFound("no such user"), absl::StatusCode::kNotFound, "NOT_FOUND", false},
      {"Retryable",
       Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL, "full", absl::Seconds(1)),
       absl::StatusCode::kResourceExhausted, "MAILBOX_FULL", true},
      {"QuotaExceeded", QuotaExceeded("pending items", "too many"), absl::StatusCode::kResourceExhausted,
       "OBJECT_QUOTA", false},
      {"ObjectReset", ObjectReset("reset"), absl::StatusCode::kUnavailable, "OBJECT_RESET", true},
      {"CommitFailed", CommitFailed(absl::UnavailableError("no sync")), absl::StatusCode::kUnavailable,
       "OUTCOME_UNKNOWN", false},
      {"CommitFailed, refused", CommitFailed(storage::NotOwner("moved")), absl::StatusCode::kUnavailable,
       "OBJECT_RESET", true},
      {"Error", Error(absl::StatusCode::kOutOfRange, v1::ERROR_REASON_COUNTER_OVERFLOW, "too large"),
       absl::StatusCode::kOutOfRange, "COUNTER_OVERFLOW", false},
      {"FromStorage", FromStorage(absl::DataLossError("garbled")), absl::StatusCode::kDataLoss, "DATA_CORRUPT", false},
  };
}

TEST(ErrorsTest, EachErrorHasItsCodeAndAnErrorInfoOfTheDomain) {
  for (const Case& error : AllErrors()) {
    SCOPED_TRACE(error.name);
    EXPECT_EQ(error.status.code(), error.code);
    const auto info = DetailOf<google::rpc::ErrorInfo>(error.status);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->reason(), error.reason);
    EXPECT_EQ(info->domain(), "holdfast");
  }
}

TEST(ErrorsTest, RetryInfoIsThereIfAndOnlyIfARetryCanHelp) {
  for (const Case& error : AllErrors()) {
    SCOPED_TRACE(error.name);
    const auto retry = DetailOf<google::rpc::RetryInfo>(error.status);
    EXPECT_EQ(retry.has_value(), error.retryable);
    if (retry) EXPECT_TRUE(retry->retry_delay().seconds() > 0 || retry->retry_delay().nanos() > 0);
  }
}

TEST(ErrorsTest, RetryInfoSaysAfterHowLong) {
  const absl::Status status = Retryable(absl::StatusCode::kUnavailable, v1::ERROR_REASON_STARTING, "starting",
                                        absl::Seconds(2) + absl::Milliseconds(250));
  const auto retry = DetailOf<google::rpc::RetryInfo>(status);
  ASSERT_TRUE(retry);
  EXPECT_EQ(retry->retry_delay().seconds(), 2);
  EXPECT_EQ(retry->retry_delay().nanos(), 250'000'000);
}

TEST(ErrorsTest, AnInvalidFieldIsNamedInTheMessageAndInTheBadRequest) {
  const absl::Status status = InvalidField("checks[3].window", "must be at least 1 ms");
  EXPECT_THAT(std::string(status.message()), HasSubstr("checks[3].window"));
  const auto bad_request = DetailOf<google::rpc::BadRequest>(status);
  ASSERT_TRUE(bad_request);
  ASSERT_THAT(bad_request->field_violations(), SizeIs(1));
  EXPECT_EQ(bad_request->field_violations(0).field(), "checks[3].window");
  EXPECT_EQ(bad_request->field_violations(0).description(), "must be at least 1 ms");
}

TEST(ErrorsTest, AQuotaIsNamedInTheQuotaFailure) {
  const auto quota = DetailOf<google::rpc::QuotaFailure>(QuotaExceeded("pending items", "at most 7"));
  ASSERT_TRUE(quota);
  ASSERT_THAT(quota->violations(), SizeIs(1));
  EXPECT_EQ(quota->violations(0).subject(), "pending items");
  EXPECT_EQ(quota->violations(0).description(), "at most 7");
}

TEST(ErrorsTest, ALongMessageIsCutAtABoundaryOfCharacters) {
  // The characters are one to four bytes long, so that the bound falls on every byte of each.
  for (const std::string character : {"a", "\u00e9", "\u20ac", "\U0001f600"}) {
    for (size_t offset = 0; offset < 4; ++offset) {
      std::string text(offset, 'x');
      while (text.size() < 2 * kErrorMessageBytesMax) text += character;
      const absl::Status status = NotFound(text);
      const std::string message(status.message());
      EXPECT_LE(message.size(), kErrorMessageBytesMax);
      EXPECT_GT(message.size() + character.size(), kErrorMessageBytesMax) << "cut more than needed";
      EXPECT_EQ(message, text.substr(0, message.size()));
      EXPECT_EQ((message.size() - offset) % character.size(), 0u) << "ends within a character";
    }
  }
}

TEST(ErrorsTest, AMessageOfExactlyTheBoundIsNotCut) {
  const std::string text(kErrorMessageBytesMax, 'x');
  EXPECT_EQ(NotFound(text).message().size(), kErrorMessageBytesMax);
  EXPECT_EQ(NotFound(text + "y").message().size(), kErrorMessageBytesMax);
}

TEST(ErrorsTest, TheDetailsStayBelow4KiBHoweverLongTheTexts) {
  const std::string text(100'000, 'x');
  for (const absl::Status& status : {InvalidField("update_mask", text), QuotaExceeded("turn_bytes_max", text),
                                     ObjectReset(text), FromStorage(absl::InternalError(text)), NotFound(text)}) {
    EXPECT_LE(DetailBytes(status), 4096u) << status.code();
    EXPECT_LE(status.message().size(), kErrorMessageBytesMax);
  }
}

TEST(ErrorsTest, FromStorageKeepsWhatHasAReason) {
  EXPECT_TRUE(FromStorage(absl::OkStatus()).ok());
  const absl::Status original = InvalidField("key", "is empty");
  EXPECT_EQ(FromStorage(original), original);
}

TEST(ErrorsTest, FromStorageKeepsTheCodeOfOtherErrors) {
  const absl::Status status = FromStorage(absl::ResourceExhaustedError("disk full"));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "disk full");
}

TEST(ErrorsTest, WhatIsWrongWithTheDiskIsForTheLogAndNotForClients) {
  for (const absl::Status& status : {absl::DataLossError("/var/lib/holdfast/000042.sst: bad block"),
                                     absl::InternalError("/var/lib/holdfast/000042.sst: bad block")}) {
    const absl::Status told = FromStorage(status);
    EXPECT_EQ(told.code(), status.code());
    EXPECT_THAT(std::string(told.message()), ::testing::Not(HasSubstr("000042")));
  }
}

TEST(ErrorsTest, ReasonOfReadsTheReasonBack) {
  EXPECT_EQ(ReasonOf(absl::OkStatus()), v1::ERROR_REASON_UNSPECIFIED);
  EXPECT_EQ(ReasonOf(absl::InternalError("plain")), v1::ERROR_REASON_UNSPECIFIED);
  for (int value = v1::ErrorReason_MIN + 1; value <= v1::ErrorReason_MAX; ++value) {
    const auto reason = static_cast<v1::ErrorReason>(value);
    EXPECT_EQ(ReasonOf(Error(absl::StatusCode::kAborted, reason, "")), reason);
  }
  absl::Status garbled = absl::InternalError("garbled");
  garbled.SetPayload("type.googleapis.com/google.rpc.ErrorInfo", absl::Cord("\xff\xff\xff"));
  EXPECT_EQ(ReasonOf(garbled), v1::ERROR_REASON_UNSPECIFIED);
}

}  // namespace
}  // namespace holdfast::actors
