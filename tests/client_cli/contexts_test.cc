#include "client/contexts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/settings.h"
#include "tests/client_cli/temp_folder.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kGetValue[] = "/holdfast.v1.CounterService/GetValue";

class ContextsTest : public ToolTest {
 protected:
  void SetUp() override {
    ToolTest::SetUp();
    unsetenv("HOLDFAST_SERVER");
    setenv("HOLDFAST_CONFIG", file_.c_str(), 1);
    Reply<v1::GetValueRequest, v1::GetValueResponse>(kGetValue);
  }

  // Runs a command that changes the contexts, or shows them.
  std::string Context(std::vector<std::string> words) {
    words.insert(words.begin(), "context");
    const Result result = Tool(words);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  }
  // Returns the namespace that a call is made in, or the error.
  std::string NamespaceOf(std::vector<std::string> words = {}) {
    request_.clear();
    words.insert(words.end(), {"counter", "get", "a", "--retries", "0", "--timeout", "3s"});
    const Result result = Tool(words);
    if (result.status != 0) return result.err;
    const size_t begin = request_.find('"') + 1;
    return request_.substr(begin, request_.find('"', begin) - begin);
  }

  TempFolder folder_;
  const std::string file_ = folder_.path("sub/config");
};

TEST_F(ContextsTest, AContextIsSetUsedChangedAndDeleted) {
  EXPECT_EQ(Context({"list"}), "");
  Context({"set", "dev", "--server", server_.address(), "--namespace", "n-dev"});
  Context({"set", "prod", "--server", "db.example:1", "--tls-ca", "/etc/ca.crt"});
  EXPECT_EQ(NamespaceOf({"--server", server_.address()}), "a");  // none is current: the default namespace has no name
  Context({"use", "dev"});
  EXPECT_EQ(Context({"list"}),
            absl::StrCat("CURRENT  NAME  SERVER", std::string(server_.address().size() - 4, ' '),
                         "NAMESPACE\n*        dev   ", server_.address(), "  n-dev\n         prod  db.example:1\n"));
  EXPECT_EQ(NamespaceOf(), "n-dev");
  // A setting that is not given stays.
  Context({"set", "dev", "--namespace", "n2"});
  EXPECT_EQ(NamespaceOf(), "n2");
  EXPECT_EQ(Context({"show"}), "name       dev\nserver     " + server_.address() + "\nnamespace  n2\n");
  EXPECT_EQ(Context({"show", "prod", "--json"}),
            "{\"name\":\"prod\",\"server\":\"db.example:1\",\"tls_ca\":\"/etc/ca.crt\"}\n");
  EXPECT_EQ(Context({"list", "--json"}),
            absl::StrCat("{\"name\":\"dev\",\"server\":\"", server_.address(), "\",\"namespace\":\"n2\"}\n",
                         "{\"name\":\"prod\",\"server\":\"db.example:1\",\"tls_ca\":\"/etc/ca.crt\"}\n"));
  Context({"delete", "dev"});
  ExpectUsage({"context", "show"}, "no context is current");
  ExpectUsage({"context", "show", "dev"}, "there is no context 'dev'; there are prod");
  ExpectUsage({"context", "use", "dev"}, "there is no context 'dev'; there are prod");
  ExpectUsage({"context", "delete", "dev"}, "there is no context 'dev'; there are prod");
  Context({"delete", "prod"});
  ExpectUsage({"context", "show", "prod"}, "there is no context 'prod'; none is set, see: holdfast context set --help");
  EXPECT_EQ(Context({"list"}), "");
}

TEST_F(ContextsTest, TheOptionComesFirstThenTheEnvironmentThenTheContext) {
  Context({"set", "one", "--server", server_.address(), "--namespace", "n-one"});
  Context({"set", "two", "--server", server_.address(), "--namespace", "n-two"});
  Context({"use", "one"});
  EXPECT_EQ(NamespaceOf(), "n-one");
  setenv("HOLDFAST_CONTEXT", "two", 1);
  EXPECT_EQ(NamespaceOf(), "n-two");
  setenv("HOLDFAST_NAMESPACE", "n-env", 1);
  EXPECT_EQ(NamespaceOf(), "n-env");
  // A context that the command line names comes before the environment.
  EXPECT_EQ(NamespaceOf({"--context", "one"}), "n-one");
  EXPECT_EQ(NamespaceOf({"--context", "one", "--namespace", "n-option"}), "n-option");
  EXPECT_EQ(NamespaceOf({"--namespace", "n-option"}), "n-option");
  setenv("HOLDFAST_SERVER", "127.0.0.1:1", 1);
  EXPECT_THAT(NamespaceOf(), StartsWith("holdfast: UNAVAILABLE"));
  EXPECT_EQ(NamespaceOf({"--context", "one"}), "n-one");
  setenv("HOLDFAST_SERVER", "", 1);
  EXPECT_EQ(NamespaceOf(), "n-env");
  ExpectUsage({"counter", "get", "a", "--context", "three"}, "there is no context 'three'; there are one, two");
  setenv("HOLDFAST_CONTEXT", "four", 1);
  ExpectUsage({"counter", "get", "a"}, "there is no context 'four'; there are one, two");
}

TEST_F(ContextsTest, PathsAreStoredAbsoluteAndReadFromTheFolderOfTheFile) {
  Context({"set", "a", "--tls-ca", "ca.crt", "--tls-cert", "/c.crt", "--tls-key", "k", "--token-file", "t"});
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(Context({"show", "a"}), "name        a\ntls ca      " + here + "/ca.crt\ntls cert    /c.crt\ntls key     " +
                                        here + "/k\ntoken file  " + here + "/t\n");
  folder_.Write("sub/config", R"(context { name: "a" server: "127.0.0.1:1" token_file: "secret/token" })");
  ExpectUsage({"counter", "get", "a", "--context", "a"},
              "the token file '" + folder_.path("sub/secret/token") + "' can't be read");
}

TEST_F(ContextsTest, TheFileIsOnlyTheUsersAndReplacedInOneStep) {
  Context({"set", "a", "--server", "b:1"});
  struct stat file;
  ASSERT_EQ(stat(file_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
  const ino_t before = file.st_ino;
  Context({"set", "a", "--server", "b:2"});
  ASSERT_EQ(stat(file_.c_str(), &file), 0);
  EXPECT_NE(file.st_ino, before);
  EXPECT_THAT(folder_.Read("sub/config"), HasSubstr("server: \"b:2\""));
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path("sub"))) files += entry.exists() ? 1 : 0;
  EXPECT_EQ(files, 1);
  // A link to the file, as tools that keep such files elsewhere make it, stays a link.
  std::filesystem::create_symlink(file_, folder_.path("link"));
  setenv("HOLDFAST_CONFIG", folder_.path("link").c_str(), 1);
  Context({"set", "a", "--server", "b:3"});
  EXPECT_TRUE(std::filesystem::is_symlink(folder_.path("link")));
  EXPECT_THAT(folder_.Read("sub/config"), HasSubstr("server: \"b:3\""));
}

TEST_F(ContextsTest, AFileThatIsWrongIsNamed) {
  std::filesystem::create_directory(folder_.path("sub"));
  const auto expect = [&](const std::string& text, const std::string& problem) {
    folder_.Write("sub/config", text);
    ExpectUsage({"counter", "get", "a"}, "'" + file_ + "': " + problem);
    ExpectUsage({"context", "list"}, "'" + file_ + "': " + problem);
    ExpectUsage({"context", "set", "b"}, "'" + file_ + "': " + problem);
    EXPECT_EQ(folder_.Read("sub/config"), text);
  };
  expect("context {\n  nam: \"a\" }",
         "line 2, column 6: Message type \"holdfast.config.v1.ClientContext\" has no field named \"nam\".");
  expect("context { name: \"a\" } context { name: \"a\" }", "has two contexts 'a'");
  expect("context { server: \"a:1\" }", "the name of a context is 1 to 100 printable ASCII characters without blanks");
  expect("context { name: \"a b\" }", "the name of a context is 1 to 100 printable ASCII characters without blanks");
  expect("context { name: \"a\" server: \"http://b\" }",
         "context 'a': server: 'http://b' is a URL; the form is HOST:PORT, as in b:50051");
  std::string many;
  for (size_t i = 0; i <= kContextsMax; ++i) absl::StrAppend(&many, "context { name: \"", i, "\" }\n");
  expect(many, "has over 1000 contexts");
  folder_.Write("sub/config", std::string((1 << 20) + 1, '#'));
  ExpectUsage({"context", "list"}, "'" + file_ + "' is over 1 MiB");
  folder_.Write("sub/config", "current_context: \"gone\"");
  ExpectUsage({"counter", "get", "a"}, "there is no context 'gone'; none is set, see: holdfast context set --help");
}

TEST_F(ContextsTest, VariablesThatAreWrongAreNamed) {
  setenv("HOLDFAST_TLS", "maybe", 1);
  ExpectUsage({"counter", "get", "a"}, "HOLDFAST_TLS: must be true or false");
  unsetenv("HOLDFAST_TLS");
  setenv("HOLDFAST_TLS_CA", "\xff", 1);
  ExpectUsage({"counter", "get", "a"}, "HOLDFAST_TLS_CA: is not UTF-8");
  ExpectUsage({"counter", "get", "a", "--tls-ca", ""}, "--tls-ca: is empty");
  ExpectUsage({"counter", "get", "a", "--context", "a b"},
              "--context: the name of a context is 1 to 100 printable ASCII characters without blanks");
}

TEST_F(ContextsTest, ThePlaceOfTheFile) {
  EXPECT_EQ(ContextFilePath(), file_);
  unsetenv("HOLDFAST_CONFIG");
  const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  setenv("XDG_CONFIG_HOME", "/x", 1);
  EXPECT_EQ(ContextFilePath(), "/x/holdfast/config");
  unsetenv("XDG_CONFIG_HOME");
  setenv("HOME", "/h", 1);
  EXPECT_EQ(ContextFilePath(), "/h/.config/holdfast/config");
  unsetenv("HOME");
  EXPECT_EQ(ContextFilePath(), "");
  ExpectUsage({"context", "set", "a"},
              "there is no place for the file of contexts: neither HOME nor HOLDFAST_CONFIG is set");
  if (!home.empty()) setenv("HOME", home.c_str(), 1);
}

TEST(SettingsTest, TlsIsImpliedByItsSettings) {
  config::v1::ClientContext settings;
  EXPECT_FALSE(TlsOf(settings).has_value());
  settings.set_tls(true);
  EXPECT_TRUE(TlsOf(settings).has_value());
  settings.clear_tls();
  settings.set_tls_server_name("a");
  EXPECT_EQ(TlsOf(settings)->server_name, "a");
  settings.set_tls(false);
  EXPECT_FALSE(TlsOf(settings).has_value());
}

}  // namespace
}  // namespace holdfast::client
