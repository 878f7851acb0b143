#include "client/arguments.h"

#include <gtest/gtest.h>

#include "client/output.h"

namespace holdfast::client {
namespace {

TEST(ArgumentsTest, Integers) {
  EXPECT_EQ(*ParseInteger("010", 0, 100), 10);
  EXPECT_EQ(*ParseInteger("-9223372036854775808", INT64_MIN, INT64_MAX), INT64_MIN);
  for (const char* bad : {"", "x", "1x", "0x10", "1.5", "9223372036854775808"}) {
    EXPECT_FALSE(ParseInteger(bad, INT64_MIN, INT64_MAX).ok()) << bad;
  }
  EXPECT_FALSE(ParseInteger("101", 0, 100).ok());
  EXPECT_FALSE(ParseInteger("-1", 0, 100).ok());
}

TEST(ArgumentsTest, Durations) {
  EXPECT_EQ(*ParseFiniteDuration("1.5s"), absl::Milliseconds(1500));
  EXPECT_EQ(*ParseFiniteDuration("168h"), absl::Hours(168));
  for (const char* bad : {"", "10", "inf", "-inf", "1d", "99999999999999h"}) {
    EXPECT_FALSE(ParseFiniteDuration(bad).ok()) << bad;
  }
  const google::protobuf::Duration proto = ToProto(-absl::Milliseconds(1500));
  EXPECT_EQ(proto.seconds(), -1);
  EXPECT_EQ(proto.nanos(), -500'000'000);
  EXPECT_EQ(DurationText(ToProto(absl::Milliseconds(1500))), "1.5s");
}

TEST(ArgumentsTest, Addresses) {
  for (const char* good : {"127.0.0.1:50051", "db", "[::1]:50051", "unix:/run/holdfast", "unix:///run/holdfast",
                           "dns:///db:50051", "ipv4:127.0.0.1:1"}) {
    EXPECT_EQ(*ParseAddress(good), good);
  }
  const auto error = [](const char* bad) { return std::string(ParseAddress(bad).status().message()); };
  EXPECT_EQ(error("http://db:1234"), "'http://db:1234' is a URL; the form is HOST:PORT, as in db:1234");
  EXPECT_EQ(error("grpc://db"), "'grpc://db' is a URL; the form is HOST:PORT, as in db:50051");
  EXPECT_EQ(error("https://u@[::1]/x:y?z"),
            "'https://u@[::1]/x:y?z' is a URL; the form is HOST:PORT, as in [::1]:50051");
  EXPECT_EQ(error("http://[::1]:9/"), "'http://[::1]:9/' is a URL; the form is HOST:PORT, as in [::1]:9");
  EXPECT_EQ(error("://"), "'://' is a URL; the form is HOST:PORT, as in 127.0.0.1:50051");
  EXPECT_EQ(error(""), "the address is empty");
}

TEST(ArgumentsTest, Moments) {
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  EXPECT_EQ(*ParseMoment("+1.5s", now), now + absl::Milliseconds(1500));
  EXPECT_EQ(*ParseMoment("2024-05-01T14:00:00.25+02:00", now), absl::FromUnixMillis(1'714'564'800'250));
  EXPECT_EQ(*ParseMoment("0001-01-01T00:00:00Z", now), absl::FromUnixSeconds(-62'135'596'800));
  for (const char* bad :
       {"", "+", "+5", "+-5s", "++5s", "+inf", "5s", "now", "2024-05-01", "2024-05-01T12:00:00", "2024-13-01T00:00:00Z",
        "infinite-future", "infinite-past", "10000-01-01T00:00:00Z", "0000-12-31T23:59:59Z", "+99999999h"}) {
    EXPECT_FALSE(ParseMoment(bad, now).ok()) << bad;
  }
  const google::protobuf::Timestamp before = ToProto(absl::UnixEpoch() - absl::Milliseconds(250));
  EXPECT_EQ(before.seconds(), -1);
  EXPECT_EQ(before.nanos(), 750'000'000);
}

TEST(ArgumentsTest, WordsMustBeUtf8) {
  const auto ok = [](const char* word) {
    const char* const argv[] = {"holdfast", word};
    return PrepareWords(2, argv).ok();
  };
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(ok(good)) << good;
  }
  for (const char* bad : {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\x80"}) {
    EXPECT_FALSE(ok(bad)) << bad;
  }
}

TEST(OutputTest, WhatSteersATerminalIsEscaped) {
  EXPECT_EQ(Printable("a\tb\nc\x1b[2J\x7f \xc2\x9b \xc3\xa9"), "a\\tb\\nc\\x1b[2J\\x7f \\u009b \xc3\xa9");
  EXPECT_EQ(Printable(absl::string_view("\0\xff\xc3", 3)), "\\x00\\xff\\xc3");
  EXPECT_EQ(Printable("\xe2\x82\xac\xe2\x82"), "\xe2\x82\xac\\xe2\\x82");
}

TEST(OutputTest, Times) {
  google::protobuf::Timestamp time;
  time.set_seconds(1'700'000'000);
  EXPECT_EQ(TimeText(time), "2023-11-14T22:13:20Z");
  time.set_nanos(250'000'000);
  EXPECT_EQ(TimeText(time), "2023-11-14T22:13:20.25Z");
}

TEST(OutputTest, Tables) {
  std::ostringstream out;
  TextOutput text(out);
  text.Table({"ID", "NAME"}, {{"1", "x"}, {"\xc3\xa9t\xc3\xa9", ""}});
  text.Table({"ID", "NAME"}, {{"2", "y"}});
  text.Table({"OTHER"}, {});
  EXPECT_EQ(out.str(), "ID   NAME\n1    x\n\xc3\xa9t\xc3\xa9\n2    y\n");
}

}  // namespace
}  // namespace holdfast::client
