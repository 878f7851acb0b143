// `holdfastd --check-config` prints the configuration that a server would run with, and starts no server.

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "google/protobuf/text_format.h"
#include "holdfast/config/v1/config.pb.h"
#include "tests/answers/answers.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Returns the names of the numbers in `message` and its sections that are unset or not the default. A setting whose
// default lets the server choose must have another value.
std::vector<std::string> NumbersThatAreNotInEffect(const Message& message) {
  std::vector<std::string> names;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* const field = message.GetDescriptor()->field(i);
    if (field->is_repeated()) continue;
    if (field->message_type() != nullptr) {
      const auto inner = NumbersThatAreNotInEffect(reflection.GetMessage(message, field));
      names.insert(names.end(), inner.begin(), inner.end());
    } else if (const auto& setting = field->options().GetExtension(config::v1::setting); setting.has_default_()) {
      const int64_t value = field->cpp_type() == FieldDescriptor::CPPTYPE_INT64 ? reflection.GetInt64(message, field)
                                                                                : reflection.GetInt32(message, field);
      const bool as_it_should = (value == setting.default_()) != setting.zero_chooses();
      if (!reflection.HasField(message, field) || !as_it_should) names.push_back(field->name());
    }
  }
  return names;
}

class CheckConfigTest : public AnswersTest {
 protected:
  ServerProcess::Exit Check(const std::string& config, std::vector<std::string> arguments = {}) {
    const std::string path = directory_.path() + "/config";
    std::ofstream(path) << config;
    arguments.insert(arguments.end(), {"--check-config", "--config", path, "--data-dir", data_dir()});
    return ServerProcess::RunToEnd(arguments);
  }
};

TEST_F(CheckConfigTest, PrintsEverySettingAndOpensNothing) {
  Start();
  // A running server uses both the address and the data directory.
  const auto exit = Check("server { calls_max: 7 }", {"--listen", server_->address(), "--log-level", "WARNING"});
  EXPECT_EQ(exit.status, 0) << exit.output;
  for (const std::string& line :
       {"listen: \"" + server_->address() + "\"", "data_dir: \"" + data_dir() + "\"",
        std::string("log_level: LOG_LEVEL_WARNING"), std::string("calls_max: 7"),
        std::string("drain_timeout_ms: 15000"), std::string("temp_files_max: "), std::string("open_tables_max: ")}) {
    EXPECT_THAT(exit.output, HasSubstr(line));
  }
  config::v1::Config printed;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(exit.output, &printed));
  // Without an HTTP port there is nothing to choose for http.connections_max.
  EXPECT_EQ(NumbersThatAreNotInEffect(printed), (std::vector<std::string>{"calls_max", "connections_max"}));
  const auto again = Check(exit.output);
  EXPECT_EQ(again.output, exit.output);
}

TEST_F(CheckConfigTest, MakesNoDataDirectory) {
  EXPECT_EQ(Check("").status, 0);
  EXPECT_FALSE(std::filesystem::exists(data_dir()));
}

TEST_F(CheckConfigTest, TheConfigurationForKubernetesIsTaken) {
  const auto exit =
      ServerProcess::RunToEnd({"--check-config", "--config", HOLDFAST_DEPLOY "/kubernetes/base/holdfast.textproto"});
  EXPECT_EQ(exit.status, 0) << exit.output;
  EXPECT_THAT(exit.output, HasSubstr("listen: \"0.0.0.0:50051\""));
}

TEST_F(CheckConfigTest, PrintsAllThatIsWrong) {
  const auto exit = Check("server { calls_max: 0 } sql { threads: 65 }");
  EXPECT_EQ(exit.status, 1);
  EXPECT_THAT(exit.output, HasSubstr("server.calls_max: 0 is not from 1 to 1000000"));
  EXPECT_THAT(exit.output, HasSubstr("sql.threads: 65"));
  EXPECT_EQ(Check("log_level: LOUD").status, 1);
  const auto level = Check("", {"--log-level", "LOUD"});
  EXPECT_EQ(level.status, 1);
  EXPECT_THAT(level.output, HasSubstr("\"LOUD\" is not one of DEBUG, INFO, WARNING, ERROR"));
}

}  // namespace
}  // namespace holdfast::testing
