#include "client/token_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>

#include "tests/client_cli/temp_folder.h"

namespace holdfast::client {
namespace {

class TokenFileTest : public ::testing::Test {
 protected:
  std::string ErrorOf(const std::string& text) {
    return std::string(ReadToken(folder_.Write("t", text)).status().message());
  }

  TempFolder folder_;
};

TEST_F(TokenFileTest, ATokenIsOneWord) {
  EXPECT_EQ(*ReadToken(folder_.Write("t", "hf_abc")), "hf_abc");
  EXPECT_EQ(*ReadToken(folder_.Write("t", " \thf_abc\r\n\n")), "hf_abc");
  EXPECT_EQ(ReadToken(folder_.Write("t", std::string(8192, 'a') + "\n"))->size(), 8192u);
  const std::string problem =
      "the token file '" + folder_.path("t") + "' does not hold one token: one word, at most 8192 bytes";
  for (const std::string& text : {std::string(), std::string("\n"), std::string("a b"), std::string("a\nb"),
                                  std::string("a\0", 2), std::string("\xC3\xA9"), std::string(8193, 'a')}) {
    EXPECT_EQ(ErrorOf(text), problem) << text;
  }
  EXPECT_EQ(ReadToken(folder_.path("missing")).status().message(),
            "the token file '" + folder_.path("missing") + "' can't be read");
}

TEST_F(TokenFileTest, AChangedFileIsReadAgain) {
  const std::string path = folder_.Write("t", "first");
  const TokenSource source = TokenFromFile(path);
  EXPECT_EQ(*source(), "first");
  EXPECT_EQ(*source(), "first");
  // In place, of another size.
  folder_.Write("t", "second");
  EXPECT_EQ(*source(), "second");
  // In one step, of the same size.
  ASSERT_EQ(std::rename(folder_.Write("new", "thirdd").c_str(), path.c_str()), 0);
  EXPECT_EQ(*source(), "thirdd");
  std::remove(path.c_str());
  EXPECT_FALSE(source().ok());
  folder_.Write("t", "fourth");
  EXPECT_EQ(*source(), "fourth");
}

TEST_F(TokenFileTest, AFileOfOthersIsSeen) {
  const std::string path = folder_.Write("t", "a");
  EXPECT_FALSE(OthersMayUse(path));
  for (const mode_t mode : {0640, 0604, 0620, 0644, 0777}) {
    chmod(path.c_str(), mode);
    EXPECT_TRUE(OthersMayUse(path)) << mode;
  }
  chmod(path.c_str(), 0400);
  EXPECT_FALSE(OthersMayUse(path));
  EXPECT_FALSE(OthersMayUse(folder_.path("missing")));
  EXPECT_FALSE(OthersMayUse("/dev/null"));
}

}  // namespace
}  // namespace holdfast::client
