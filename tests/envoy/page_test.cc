// The files of docs/envoy.md as they stand, with the real Envoy: the sixth request within a minute is denied, whatever
// its query. The page's service behind Envoy is not there, so a request that is let through gets 503.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/envoy/tool_process.h"
#include "tests/integration/http_get.h"
#include "tests/integration/server_process.h"
#include "tests/shared/free_port.h"

namespace holdfast::testing {
namespace {

// Returns the first block of code of the page after the name of its file; "" if there is none.
std::string FileOfThePage(const std::string& name) {
  std::ifstream file(ENVOY_PAGE);
  const std::string page(std::istreambuf_iterator<char>(file), {});
  const size_t named = page.find(absl::StrCat("`", name, "`"));
  if (named == std::string::npos) return "";
  const size_t fence = page.find("\n```", named);
  const size_t begin = page.find('\n', fence + 1) + 1;
  return page.substr(begin, page.find("\n```", begin) + 1 - begin);
}

TEST(EnvoyPageTest, ItsFilesLimitAPathWithAnyQuery) {
  if (ToolProcess::PathOf("envoy").empty()) GTEST_SKIP() << "there is no Envoy: tests/envoy/install.sh";
  const TemporaryDirectory directory;
  const std::string rules = directory.path() + "/limits.yaml";
  std::ofstream(rules) << FileOfThePage("limits.yaml");

  const int limits_port = process::FreePort();
  ServerProgram program = Holdfastd();
  program.listen = absl::StrCat("127.0.0.1:", limits_port);
  const std::string configuration = FileOfThePage("holdfast.textproto");
  ASSERT_TRUE(absl::StrContains(configuration, "\"limits.yaml\"")) << configuration;
  const ServerProcess server(
      directory.path() + "/data",
      absl::StrCat("log_format: TEXT\n", absl::StrReplaceAll(configuration, {{"limits.yaml", rules}})), "", program);

  const int front_port = process::FreePort();
  const std::string config_path = directory.path() + "/envoy.yaml";
  const std::string envoy_yaml = FileOfThePage("envoy.yaml");
  for (const char* const replaced : {"8000", "9000", "50051", "timeout: 0.1s"}) {
    ASSERT_TRUE(absl::StrContains(envoy_yaml, replaced)) << envoy_yaml;
  }
  // The page's timeout is for a machine that is not busy with tests.
  std::ofstream(config_path) << absl::StrReplaceAll(envoy_yaml, {{"8000", absl::StrCat(front_port)},
                                                                 {"9000", absl::StrCat(process::FreePort())},
                                                                 {"50051", absl::StrCat(limits_port)},
                                                                 {"timeout: 0.1s", "timeout: 3s"}});
  const ToolProcess envoy(
      "envoy", {"--config-path", config_path, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"},
      {}, front_port, directory.path() + "/envoy.log");

  const std::string address = absl::StrCat("127.0.0.1:", front_port);
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(HttpGet(address, absl::StrCat("/login?", i)), ::testing::StartsWith("HTTP/1.1 503"));
  }
  const std::string denied = HttpGet(address, "/login?5");
  EXPECT_THAT(denied, ::testing::StartsWith("HTTP/1.1 429"));
  EXPECT_THAT(denied, ::testing::HasSubstr("x-ratelimit-limit: 5, 5;w=60"));
  EXPECT_THAT(HttpGet(address, "/"), ::testing::StartsWith("HTTP/1.1 503"));
}

}  // namespace
}  // namespace holdfast::testing
