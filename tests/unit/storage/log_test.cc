#include "storage/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

std::string Logged(const std::function<void()>& log) {
  testing::internal::CaptureStderr();
  log();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, LineIsTimeLevelEventAndFields) {
  EXPECT_THAT(Logged([] {
                Log(LogLevel::kWarning, "serving", {{"address", "127.0.0.1:50051"}, {"shards", "256"}});
              }),
              MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9]+Z level=warning event=serving "
                           "address=127.0.0.1:50051 shards=256\n"));
}

TEST(Log, WhateverAClientSentIsOneLine) {
  const std::string line = Logged([] {
    Log(LogLevel::kError, "refused",
        {{"key", "a\nlevel=info event=forged"}, {"quote", "\"\\"}, {"empty", ""}, {"bytes", std::string("\0\xff", 2)}});
  });
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_THAT(line, HasSubstr(" key=\"a\\nlevel=info event=forged\" "));
  EXPECT_THAT(line, HasSubstr(" quote=\"\\\"\\\\\" "));
  EXPECT_THAT(line, HasSubstr(" empty=\"\" "));
  EXPECT_THAT(line, HasSubstr(" bytes=\"\\x00\\xff\""));
}

TEST(Log, InJsonALineIsAnObject) {
  SetLogFormat(LogFormat::kJson);
  const std::string line = Logged([] {
    Log(LogLevel::kError, "refused", {{"key", "a\n\"b\""}, {"bytes", "\xff"}, {"empty", ""}});
  });
  SetLogFormat(LogFormat::kText);
  EXPECT_THAT(
      line,
      MatchesRegex(
          "\\{\"time\":\"[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9]+Z\",\"level\":\"error\","
          "\"event\":\"refused\",\"key\":\"a\\\\n\\\\\"b\\\\\"\",\"bytes\":\"\xef\xbf\xbd\",\"empty\":\"\"\\}\n"));
}

TEST(Log, LowerLevelsAreLeftOut) {
  SetLogLevel(LogLevel::kWarning);
  EXPECT_EQ(Logged([] { Log(LogLevel::kInfo, "chatter"); }), "");
  EXPECT_THAT(Logged([] { Log(LogLevel::kError, "trouble"); }), HasSubstr("level=error event=trouble"));
  SetLogLevel(LogLevel::kInfo);
  EXPECT_THAT(Logged([] { Log(LogLevel::kInfo, "chatter"); }), HasSubstr("level=info event=chatter"));
}

}  // namespace
}  // namespace holdfast
