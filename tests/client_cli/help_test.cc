#include "client/help.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

TEST(HelpTest, LinesAreWrappedBetweenWords) {
  const std::string word(30, 'x');
  EXPECT_EQ(Wrapped(word + " " + word + " " + word, 2), word + " " + word + "\n  " + word);
  EXPECT_EQ(Wrapped("a\n\nb c", 2), "a\n\n  b c");
  EXPECT_EQ(Wrapped("", 2), "");
  EXPECT_EQ(Wrapped(std::string(80, 'x') + " y", 0), std::string(80, 'x') + "\ny");
  EXPECT_EQ(Wrapped("a " + std::string(81, 'x'), 0), "a\n" + std::string(80, 'x') + "\nx");
}

TEST(HelpTest, ANameThatIsTooLongHasItsDescriptionBelow) {
  EXPECT_EQ(HelpEntry("name", "what it is", 8), "name    what it is\n");
  EXPECT_EQ(HelpEntry("a-name", "what it is", 8), "a-name  what it is\n");
  EXPECT_EQ(HelpEntry("longname", "what it is", 8), "longname\n        what it is\n");
  EXPECT_EQ(HelpEntry("name", "", 8), "name\n");
}

// Checks the help of a command and of all commands below it. Returns how many commands there are.
int CheckHelp(std::vector<std::string> words) {
  std::vector<std::string> asked = words;
  asked.push_back("--help");
  std::istringstream help(Tool(asked).out);
  int commands = 1;
  bool below = false;
  for (std::string line; std::getline(help, line);) {
    EXPECT_LE(line.size(), kHelpColumns) << absl::StrJoin(words, " ") << ": " << line;
    EXPECT_FALSE(absl::EndsWith(line, " ")) << absl::StrJoin(words, " ") << ": " << line;
    if (line.empty()) below = false;
    if (below && absl::StartsWith(line, "  ") && line[2] != ' ') {
      words.push_back(line.substr(2, line.find(' ', 2) - 2));
      commands += CheckHelp(words);
      words.pop_back();
    }
    if (line == "Subcommands:") below = true;
  }
  return commands;
}

TEST(HelpTest, NoLineOfAnyCommandIsTooLong) { EXPECT_GE(CheckHelp({}), 45); }

}  // namespace
}  // namespace holdfast::client
