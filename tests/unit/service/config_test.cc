#include "service/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.pb.h"
#include "service/config_enums.h"
#include "service/descriptors.h"
#include "service/settings.h"

namespace holdfast::service {
namespace {

using config::v1::Config;
using config::v1::Setting;
using google::protobuf::FieldDescriptor;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ErrorOf(absl::string_view text) { return std::string(ParseConfig(text).status().message()); }

// A field of Config, or of one of its sections.
struct Field {
  const FieldDescriptor* section;  // null for a field of Config
  const FieldDescriptor* field;

  std::string name() const {
    if (section == nullptr) return field->name();
    return absl::StrCat(section->name(), section->is_repeated() ? "[0]." : ".", field->name());
  }
  const Setting& setting() const { return SettingOf(*field); }
  std::string TextWith(int64_t value) const {
    const std::string text = absl::StrCat(field->name(), ": ", value);
    if (section == nullptr) return text;
    // A schedule of backups needs their directory.
    const char* const needed = section->name() == "backup" ? "directory: '/backups' " : "";
    return absl::StrCat(section->name(), " { ", needed, text, " }");
  }
  int64_t ValueIn(const Config& config) const {
    const auto& all = *config.GetReflection();
    const google::protobuf::Message& message = section == nullptr       ? config
                                               : section->is_repeated() ? all.GetRepeatedMessage(config, section, 0)
                                                                        : all.GetMessage(config, section);
    return field->cpp_type() == FieldDescriptor::CPPTYPE_INT64 ? message.GetReflection()->GetInt64(message, field)
                                                               : message.GetReflection()->GetInt32(message, field);
  }
};

std::vector<Field> AllFields() {
  std::vector<Field> fields;
  for (int i = 0; i < Config::descriptor()->field_count(); ++i) {
    const FieldDescriptor* const field = Config::descriptor()->field(i);
    fields.push_back({nullptr, field});
    if (field->message_type() == nullptr) continue;
    for (int j = 0; j < field->message_type()->field_count(); ++j) {
      fields.push_back({field, field->message_type()->field(j)});
    }
  }
  return fields;
}

bool IsNumber(const FieldDescriptor& field) {
  return field.message_type() == nullptr && field.enum_type() == nullptr &&
         field.cpp_type() != FieldDescriptor::CPPTYPE_STRING && field.cpp_type() != FieldDescriptor::CPPTYPE_BOOL;
}

std::vector<Field> Numbers() {
  std::vector<Field> numbers;
  for (const Field& field : AllFields()) {
    if (IsNumber(*field.field)) numbers.push_back(field);
  }
  return numbers;
}

Setting::Unit UnitOfName(absl::string_view name) {
  if (absl::EndsWith(name, "_ms")) return Setting::UNIT_MS;
  if (absl::EndsWith(name, "_us")) return Setting::UNIT_US;
  return absl::StrContains(name, "bytes") ? Setting::UNIT_BYTES : Setting::UNIT_UNSPECIFIED;
}

// Reads the text, completes the configuration, and returns what is wrong.
absl::Status StatusOf(const std::string& text) {
  auto config = ParseConfig(text);
  return config.ok() ? CompleteConfig(&*config) : config.status();
}

TEST(SettingsTest, EveryNumberHasADefaultAndBounds) {
  EXPECT_GT(Numbers().size(), 60u);
  for (const Field& number : Numbers()) {
    SCOPED_TRACE(number.name());
    const Setting& setting = number.setting();
    EXPECT_TRUE(number.field->has_optional_keyword());
    EXPECT_TRUE(setting.has_default_() && setting.has_least() && setting.has_most());
    EXPECT_LE(setting.least(), setting.default_());
    EXPECT_LE(setting.default_(), setting.most());
    EXPECT_LT(setting.least(), setting.most());
    if (number.field->cpp_type() == FieldDescriptor::CPPTYPE_INT32) {
      EXPECT_LE(setting.most(), INT32_MAX);
    }
    EXPECT_EQ(setting.unit(), UnitOfName(number.field->name()));
    EXPECT_EQ(setting.default_text(), "");
    if (setting.zero_chooses()) {
      EXPECT_EQ(setting.least(), 0);
      EXPECT_EQ(setting.default_(), 0);
      EXPECT_LE(setting.chosen_most(), setting.most());
    } else {
      EXPECT_FALSE(setting.has_chosen_most());
    }
  }
}

TEST(SettingsTest, OnlyNumbersStringsAndEnumsHaveTheOption) {
  for (const Field& field : AllFields()) {
    const bool text = field.field->enum_type() != nullptr || field.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    // A text whose default is empty needs no option, and a switch has one only if it is on by default.
    const bool on =
        field.field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL && field.setting().default_text() == "true";
    const bool wanted = on || IsNumber(*field.field) || (text && !field.setting().default_text().empty());
    EXPECT_EQ(field.field->options().HasExtension(config::v1::setting), wanted) << field.name();
  }
}

TEST(SettingsTest, QuotasOfNamespacesAreForAClusterToo) {
  const std::string cluster =
      "postgres { database { conninfo: 'host=db' } cluster { address: 'a:1' secret_file: '/s' } } ";
  for (const std::string setting : {"requests_per_second", "objects_max", "bytes_max"}) {
    const absl::Status status = StatusOf(cluster + "namespace { name: 'a' " + setting + ": 5 }");
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(SettingsTest, SeveralDatabasesShareTheExecutors) {
  const auto databases = [](int number) {
    std::string text = "postgres { ";
    for (int i = 0; i < number; ++i) absl::StrAppend(&text, "database { conninfo: 'host=db", i, "' } ");
    return text + "} ";
  };
  EXPECT_TRUE(StatusOf(databases(16)).ok());
  EXPECT_TRUE(StatusOf(databases(3) + "actors { executors: 6 }").ok());
  for (const int number : {1, 2, 16}) {
    auto config = ParseConfig(databases(number));
    ASSERT_TRUE(config.ok() && CompleteConfig(&*config).ok());
    EXPECT_GE(config->actors().executors(), number);
    EXPECT_EQ(config->actors().executors() % number, 0);
  }
  const std::pair<std::string, std::string> refused[] = {
      {databases(17), "postgres.database: there are 17; at most 16"},
      {databases(3) + "actors { executors: 4 }", "actors.executors: 4 is no multiple of the 3 databases"},
      {"postgres { database { conninfo: 'host=a' } database { conninfo: 'host=a' } }",
       "postgres.database.conninfo: two databases have the same"},
  };
  for (const auto& [text, why] : refused) {
    const absl::Status status = StatusOf(text);
    EXPECT_THAT(std::string(status.message()), HasSubstr(why)) << status;
  }
}

TEST(SettingsTest, ASettingThatIsNotSetHasItsDefault) {
  Config config;
  ASSERT_TRUE(CompleteConfig(&config).ok());
  EXPECT_EQ(config.listen(), "127.0.0.1:50051");
  EXPECT_EQ(config.data_dir(), "./data");
  EXPECT_EQ(config.log_level(), Config::LOG_LEVEL_INFO);
  config.add_namespace_();
  ASSERT_TRUE(CompleteConfig(&config).ok());
  for (const Field& number : Numbers()) {
    if (number.setting().zero_chooses()) continue;
    EXPECT_EQ(number.ValueIn(config), number.setting().default_()) << number.name();
  }
}

TEST(SettingsTest, ASettingAtZeroThatChoosesHasChosen) {
  Config config;
  config.mutable_http()->set_listen("127.0.0.1:0");
  ASSERT_TRUE(CompleteConfig(&config).ok());
  ASSERT_TRUE(DivideDescriptors(1 << 20, &config).ok());
  int chosen = 0;
  for (const Field& number : Numbers()) {
    if (!number.setting().zero_chooses()) continue;
    ++chosen;
    EXPECT_GT(number.ValueIn(config), 0) << number.name();
    if (number.setting().has_chosen_most()) {
      EXPECT_EQ(number.ValueIn(config), number.setting().chosen_most()) << number.name();
    }
  }
  EXPECT_EQ(chosen, 5);
}

TEST(SettingsTest, BothBoundsAreTakenAndOneBeyondIsRefused) {
  for (const Field& number : Numbers()) {
    const int64_t least = number.setting().least();
    const int64_t most = number.setting().most();
    for (const int64_t taken : {least, most}) {
      EXPECT_EQ(StatusOf(number.TextWith(taken)), absl::OkStatus()) << number.name();
    }
    for (const int64_t refused : {least - 1, most + 1}) {
      EXPECT_EQ(StatusOf(number.TextWith(refused)),
                absl::InvalidArgumentError(absl::StrCat("configuration: ", number.name(), ": ", refused,
                                                        " is not from ", least, " to ", most)));
    }
  }
}

TEST(SettingsTest, AValueThatIsSetIsKept) {
  for (const Field& number : Numbers()) {
    auto config = ParseConfig(number.TextWith(number.setting().most()));
    ASSERT_TRUE(config.ok() && CompleteConfig(&*config).ok()) << number.name();
    EXPECT_EQ(number.ValueIn(*config), number.setting().most()) << number.name();
  }
}

// Messages of protobuf stand for a section whose fields lack the option.
TEST(SettingsTest, ANumberWithoutBoundsIsAProblem) {
  const auto problems_of = [](google::protobuf::Message* message) {
    Problems problems;
    CompleteSettings(message, &problems);
    return std::string(problems.ToStatus().message());
  };
  const std::string fault = ": its field is no optional int32 or int64 with a default, least and most";
  google::protobuf::EnumValueDescriptorProto value;
  EXPECT_EQ(problems_of(&value), absl::StrCat("configuration: number", fault));
  // Other types of numbers, and repeated numbers.
  google::protobuf::UninterpretedOption option;
  EXPECT_EQ(problems_of(&option), absl::StrCat("configuration: positive_int_value", fault, "; negative_int_value",
                                               fault, "; double_value", fault));
  google::protobuf::SourceCodeInfo::Location location;
  EXPECT_EQ(problems_of(&location), absl::StrCat("configuration: path", fault, "; span", fault));
}

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
  for (const char* name : {"listen: ", "server.calls_max: 0 is not from 1 to 1000000", "sql.threads: 65",
                           "tls.certificate_file: is missing"}) {
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
