// A store that an earlier version wrote opens, and all its data are there.
//
// tests/upgrade/stores has two stores of each version whose stores must open: the server of one was stopped, that of
// the other was killed. write_stores.cc says how to add the stores of a version. The stores also have replies to
// requests with an id, which expire before anybody reads them; the test shows only that they do no harm.

#include <gtest/gtest.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/integration/server_process.h"
#include "tests/upgrade/contents.h"

namespace holdfast::testing {
namespace {

void Shell(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

class UpgradeTest : public ::testing::TestWithParam<const char*> {};

TEST_P(UpgradeTest, EverythingIsThere) {
  TemporaryDirectory directory;
  Shell(absl::StrCat("tar -xzf ", HOLDFAST_STORES, "/", GetParam(), ".tar.gz -C ", directory.path()));
  const std::string data_dir = directory.path() + "/data";
  {
    ServerProcess server(data_dir);
    CheckContents(server);
    if (HasFailure()) std::fprintf(stderr, "%s\n", server.Log().c_str());
    EXPECT_EQ(server.Terminate(), 0);
  }
  // The store opens again with what this version wrote into it.
  ServerProcess again(data_dir);
  EXPECT_EQ(again.Terminate(), 0);
}

INSTANTIATE_TEST_SUITE_P(Stores, UpgradeTest, ::testing::Values("0.1.0-stopped", "0.1.0-killed"), [](const auto& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
});

}  // namespace
}  // namespace holdfast::testing
