#include "service/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "google/protobuf/descriptor.pb.h"
#include "service/config_enums.h"

namespace holdfast::service {
namespace {

using config::v1::Config;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ErrorOf(absl::string_view text) { return std::string(ParseConfig(text).status().message()); }

TEST(ConfigTest, AnEnumValueHasAFullAndAShortName) {
  EXPECT_EQ(ParseConfig("log_level: LOG_LEVEL_DEBUG")->log_level(), Config::LOG_LEVEL_DEBUG);
  EXPECT_EQ(ParseConfig("log_level: DEBUG")->log_level(), Config::LOG_LEVEL_DEBUG);
  EXPECT_EQ(
      ParseConfig("server { calls_max: 7 } # log_level: LOUD\n\tlog_level : WARNING listen: \"a:1\"")->log_level(),
      Config::LOG_LEVEL_WARNING);
  EXPECT_EQ(ParseConfig("listen: \"log_level: LOUD\"")->listen(), "log_level: LOUD");
}

TEST(ConfigTest, AnEnumValueThatIsRefusedIsToldWithThoseThatAreTaken) {
  EXPECT_EQ(ErrorOf("\n  log_level: LOUD"),
            "configuration: line 2, column 14: log_level: \"LOUD\" is not one of DEBUG, INFO, WARNING, ERROR");
  Config config;
  config.set_log_level(static_cast<Config::LogLevel>(17));
  EXPECT_EQ(CompleteConfig(&config).message(),
            "configuration: log_level: \"17\" is not one of DEBUG, INFO, WARNING, ERROR");
}

// The parser gives the position behind the unknown name.
TEST(ConfigTest, PositionsOfErrorsAreThoseOfTheText) {
  EXPECT_THAT(ErrorOf("log_level: DEBUG nonsense: 1"), HasSubstr("line 1, column 26"));
  EXPECT_THAT(ErrorOf("log_level: LOG_LEVEL_DEBUG nonsense: 1"), HasSubstr("line 1, column 36"));
}

TEST(ConfigTest, TheCommandLineTakesBothNamesToo) {
  Config config;
  EXPECT_TRUE(SetLogLevel("ERROR", &config).ok());
  EXPECT_EQ(config.log_level(), Config::LOG_LEVEL_ERROR);
  EXPECT_TRUE(SetLogLevel("LOG_LEVEL_INFO", &config).ok());
  EXPECT_EQ(config.log_level(), Config::LOG_LEVEL_INFO);
  EXPECT_THAT(std::string(SetLogLevel("loud", &config).message()), HasSubstr("DEBUG, INFO, WARNING, ERROR"));
  EXPECT_FALSE(SetLogLevel("UNSPECIFIED", &config).ok());
}

TEST(ConfigTest, EverySettingThatIsImpossibleIsNamed) {
  auto config = ParseConfig("listen: \"nowhere\" server { calls_max: 0 } sql { threads: 65 } tls {}");
  ASSERT_TRUE(config.ok());
  const absl::Status status = CompleteConfig(&*config);
  for (const char* name : {"listen: ", "server.calls_max: 0 is not from 1 to 1000000", "sql.threads: 65", "tls: "}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  }
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("data_dir")));
}

TEST(ConfigTest, TheTextOfACompleteConfigurationIsThatConfiguration) {
  Config config;
  ASSERT_TRUE(CompleteConfig(&config).ok());
  const std::string text = ConfigText(config);
  EXPECT_THAT(text, HasSubstr("keepalive_min_interval_ms: 10000"));
  auto again = ParseConfig(text);
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_TRUE(CompleteConfig(&*again).ok());
  EXPECT_EQ(ConfigText(*again), text);
}

// The configuration does not have lists of enums, or messages in messages, yet.
TEST(ConfigTest, EnumNumbersAreFoundInAnyMessage) {
  const auto& file = *google::protobuf::FieldDescriptorProto::descriptor();
  EXPECT_EQ(*WithEnumNumbers(file, "type: TYPE_BOOL options { ctype: CORD ctype: STRING }"),
            "type: 8         options { ctype: 1    ctype: 0      }");
  EXPECT_EQ(*WithEnumNumbers(file, "type: [BOOL, TYPE_INT32] name: 'BOOL'"), "type: [8   , 5         ] name: 'BOOL'");
  EXPECT_EQ(*WithEnumNumbers(file, "[ext.type]: BOOL type: BOOL"), "[ext.type]: BOOL type: 8   ");
  EXPECT_EQ(*WithEnumNumbers(file, "} unknown { type: BOOL } type < \"\n"), "} unknown { type: BOOL } type < \"\n");
}

}  // namespace
}  // namespace holdfast::service
