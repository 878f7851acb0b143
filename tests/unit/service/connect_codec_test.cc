#include "service/http/connect_codec.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "actors/wire/errors.h"

namespace holdfast::service {
namespace {

using nlohmann::json;

TEST(ConnectCodec, EachCodeHasItsNameAndItsStatus) {
  const std::vector<std::tuple<absl::StatusCode, std::string, int>> table = {
      {absl::StatusCode::kCancelled, "canceled", 499},
      {absl::StatusCode::kUnknown, "unknown", 500},
      {absl::StatusCode::kInvalidArgument, "invalid_argument", 400},
      {absl::StatusCode::kDeadlineExceeded, "deadline_exceeded", 504},
      {absl::StatusCode::kNotFound, "not_found", 404},
      {absl::StatusCode::kAlreadyExists, "already_exists", 409},
      {absl::StatusCode::kPermissionDenied, "permission_denied", 403},
      {absl::StatusCode::kResourceExhausted, "resource_exhausted", 429},
      {absl::StatusCode::kFailedPrecondition, "failed_precondition", 400},
      {absl::StatusCode::kAborted, "aborted", 409},
      {absl::StatusCode::kOutOfRange, "out_of_range", 400},
      {absl::StatusCode::kUnimplemented, "unimplemented", 501},
      {absl::StatusCode::kInternal, "internal", 500},
      {absl::StatusCode::kUnavailable, "unavailable", 503},
      {absl::StatusCode::kDataLoss, "data_loss", 500},
      {absl::StatusCode::kUnauthenticated, "unauthenticated", 401},
  };
  for (const auto& [code, name, status] : table) {
    EXPECT_EQ(ConnectCode(code), name);
    EXPECT_EQ(HttpStatusOf(code), status) << name;
  }
  EXPECT_EQ(ConnectCode(static_cast<absl::StatusCode>(99)), "unknown");
}

TEST(ConnectCodec, ContentTypes) {
  EXPECT_EQ(ParseContentType("application/json"), (ContentType{.json = true, .stream = false}));
  EXPECT_EQ(ParseContentType("Application/JSON; charset=UTF-8"), (ContentType{.json = true, .stream = false}));
  EXPECT_EQ(ParseContentType("application/proto"), (ContentType{.json = false, .stream = false}));
  EXPECT_EQ(ParseContentType("application/connect+json"), (ContentType{.json = true, .stream = true}));
  EXPECT_EQ(ParseContentType("application/connect+proto"), (ContentType{.json = false, .stream = true}));
  for (const char* none : {"", "text/plain", "application/grpc", "application/json; charset=latin1",
                           "application/json; boundary=x", "application/jsonp", "application/x-www-form-urlencoded"}) {
    EXPECT_FALSE(ParseContentType(none)) << none;
  }
}

TEST(ConnectCodec, AnErrorIsToldWithItsDetails) {
  const json error = json::parse(ErrorJson(actors::InvalidField("object.name", "is empty")));
  EXPECT_EQ(error["code"], "invalid_argument");
  EXPECT_NE(error["message"].get<std::string>().find("object.name"), std::string::npos);
  for (const json& detail : error["details"]) {
    EXPECT_FALSE(detail["value"].get<std::string>().empty());
    EXPECT_EQ(detail["value"].get<std::string>().find('='), std::string::npos) << "base64 has no padding";
    EXPECT_TRUE(detail["debug"].is_object()) << detail;
  }
}

TEST(ConnectCodec, TheDetailsOfAnErrorAreInTheSameOrderEachTime) {
  std::vector<absl::Status> errors;  // at different addresses, on which Abseil's order depends
  for (int i = 0; i < 50; ++i) errors.push_back(actors::InvalidField("object.name", "is empty"));
  for (const absl::Status& status : errors) {
    const json error = json::parse(ErrorJson(status));
    ASSERT_EQ(error["details"].size(), 2u);
    EXPECT_EQ(error["details"][0]["type"], "google.rpc.BadRequest");
    EXPECT_EQ(error["details"][1]["type"], "google.rpc.ErrorInfo");
  }
}

TEST(ConnectCodec, ADetailOfAnUnknownTypeHasItsBytes) {
  absl::Status status = absl::InternalError("x");
  status.SetPayload("type.googleapis.com/example.Unknown", absl::Cord(std::string("\x01\xff", 2)));
  const json error = json::parse(ErrorJson(status));
  EXPECT_EQ(error["details"][0], (json{{"type", "example.Unknown"}, {"value", "Af8"}}));
}

TEST(ConnectCodec, AnErrorWithBytesThatAreNoTextIsJsonAllTheSame) {
  EXPECT_TRUE(json::accept(ErrorJson(absl::InternalError("a\xff\"\n"))));
}

TEST(ConnectCodec, EnvelopesAndTheEndOfAStream) {
  EXPECT_EQ(Envelope("ab"), std::string("\0\0\0\0\x02"
                                        "ab",
                                        7));
  const std::string end = EndOfStream(absl::OkStatus(), {{"a", "1"}, {"a", "2"}, {"b-bin", std::string("\xff", 1)}});
  EXPECT_EQ(end[0], 2);
  EXPECT_EQ(json::parse(end.substr(kEnvelopeBytes)), (json{{"metadata", {{"a", {"1", "2"}}, {"b-bin", {"/w"}}}}}));
  EXPECT_EQ(EndOfStream(absl::OkStatus(), {}).substr(kEnvelopeBytes), "{}");
  EXPECT_EQ(json::parse(EndOfStream(absl::NotFoundError("no"), {}).substr(kEnvelopeBytes))["error"]["code"],
            "not_found");
}

TEST(ConnectCodec, OneMessageIsTakenOutOfItsEnvelope) {
  EXPECT_EQ(*OnlyMessage(Envelope("hello")), "hello");
  EXPECT_EQ(*OnlyMessage(Envelope("")), "");
  const std::string whole = Envelope("hello");
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(OnlyMessage(whole.substr(0, size)).status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
  EXPECT_FALSE(OnlyMessage(whole + whole).ok());
  std::string compressed = whole;
  compressed[0] = 1;
  EXPECT_EQ(OnlyMessage(compressed).status().code(), absl::StatusCode::kInternal);
  std::string unknown = whole;
  unknown[0] = 4;
  EXPECT_EQ(OnlyMessage(unknown).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(OnlyMessage(std::string("\0\xff\xff\xff\xffx", 6)).ok());
}

TEST(ConnectCodec, TimeLimits) {
  EXPECT_EQ(*ParseTimeoutMs("1500"), absl::Milliseconds(1500));
  EXPECT_EQ(*ParseTimeoutMs("9999999999"), absl::Milliseconds(9'999'999'999));
  for (const char* bad : {"", "-1", "1.5", "99999999999", "1s", " 1", "0x10"})
    EXPECT_FALSE(ParseTimeoutMs(bad).ok()) << bad;
}

TEST(ConnectCodec, TheQueryOfAGet) {
  const auto query = ParseGetQuery("connect=v1&encoding=json&message=%7B%22a%22%3A%221+2%22%7D&x=y");
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_TRUE(query->json);
  EXPECT_EQ(query->message, "{\"a\":\"1 2\"}");
  for (const char* base64 : {"_-8", "_-8=", "%2F%2B8%3D"}) {
    const auto binary = ParseGetQuery(absl::StrCat("connect=v1&encoding=proto&base64=1&message=", base64));
    ASSERT_TRUE(binary.ok()) << binary.status();
    EXPECT_FALSE(binary->json);
    EXPECT_EQ(binary->message, "\xff\xef") << base64;
  }
  EXPECT_EQ(ParseGetQuery("connect=v1&encoding=json&message={}&compression=gzip").status().code(),
            absl::StatusCode::kUnimplemented);
  for (const char* bad :
       {"", "encoding=json&message={}", "connect=v2&encoding=json&message={}", "connect=v1&message={}",
        "connect=v1&encoding=xml&message={}", "connect=v1&encoding=json", "connect=v1&encoding=json&message=%7",
        "connect=v1&encoding=json&message=%zz", "connect=v1&encoding=json&message=!&base64=1",
        "connect=v1&encoding=json&message={}&base64=2"}) {
    EXPECT_EQ(ParseGetQuery(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace holdfast::service
