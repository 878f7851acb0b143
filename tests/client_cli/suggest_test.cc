#include "client/suggest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::client {
namespace {

std::string Suggest(const std::string& word, const std::vector<std::string>& words) {
  std::vector<Candidate> candidates;
  for (const std::string& known : words) candidates.push_back({known, known});
  return DidYouMean(word, candidates);
}

TEST(SuggestTest, TheNearestWordIsSuggested) {
  EXPECT_EQ(Suggest("--limt", {"--lists", "--limit", "--lease"}), "; did you mean --limit?");
  EXPECT_EQ(Suggest("descirbe", {"delete", "describe"}), "; did you mean describe?");
  EXPECT_EQ(Suggest("incr", {"get", "increment"}), "; did you mean increment?");
}

TEST(SuggestTest, WordsThatAreEquallyNearAreAllSuggestedUpToThree) {
  EXPECT_EQ(Suggest("--sart", {"--start", "--smart"}), "; did you mean --start or --smart?");
  EXPECT_EQ(Suggest("bat", {"cat", "bad", "hat", "rat", "bat"}), "; did you mean bat?");
  EXPECT_EQ(Suggest("bat", {"cat", "cat", "bad", "hat", "rat"}), "; did you mean cat, bad or hat?");
}

TEST(SuggestTest, NothingIsSuggestedForWhatIsFar) {
  EXPECT_EQ(Suggest("bogus", {"objects", "get", "put"}), "");
  EXPECT_EQ(Suggest("x", {"y", "get"}), "");
  EXPECT_EQ(Suggest("", {"get"}), "");
  EXPECT_EQ(Suggest("get", {}), "");
  EXPECT_EQ(Suggest(std::string(101, 'a'), {std::string(101, 'a')}), "");
}

}  // namespace
}  // namespace holdfast::client
