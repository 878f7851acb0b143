// The table of docs/tool.md has the line of JSON of each command, with all of its keys.

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/tool.h"

namespace holdfast::client {
namespace {

constexpr char kHeader[] = "| command | a line is | its keys |";

// Returns the keys of a message as the table has them: one that may be absent has a question mark.
std::string Keys(const google::protobuf::Descriptor& message) {
  std::vector<std::string> keys;
  for (int i = 0; i < message.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *message.field(i);
    keys.push_back(absl::StrCat("`", field.name(), field.has_presence() ? "?" : "", "`"));
  }
  return keys.empty() ? "`{}`" : absl::StrJoin(keys, " ");
}

void AddRows(const CLI::App& app, const std::string& groups, const CommandNotes& notes, std::vector<std::string>& rows,
             std::vector<std::string>& without) {
  const std::vector<const CLI::App*> below = app.get_subcommands(nullptr);
  if (!below.empty()) {
    for (const CLI::App* command : below) {
      AddRows(*command, absl::StrCat(groups, groups.empty() ? "" : " ", command->get_name()), notes, rows, without);
    }
    return;
  }
  const auto line = notes.json_lines.find(&app);
  if (line == notes.json_lines.end()) return without.push_back(groups);
  rows.push_back(absl::StrCat("| `", groups, "` | ", line->second->name(), " | ", Keys(*line->second), " |"));
}

TEST(JsonDocTest, TheTableHasTheLinesOfAllCommands) {
  std::vector<std::string> expected, without;
  DescribeCommands([&](const CLI::App& app, const CommandNotes& notes) { AddRows(app, "", notes, expected, without); });
  EXPECT_GE(expected.size(), 45u);
  // The lines of sql are rows, whose keys are their columns; the others print no reply.
  EXPECT_EQ(absl::StrJoin(without, ", "),
            "sql, context set, context use, context delete, completion bash, completion zsh");

  std::ifstream file(HOLDFAST_SOURCE "/docs/tool.md");
  std::vector<std::string> table;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == kHeader) {
      inside = std::getline(file, line) && absl::StartsWith(line, "|---");
    } else if (inside && absl::StartsWith(line, "|")) {
      table.push_back(line);
    } else {
      inside = false;
    }
  }
  EXPECT_EQ(table, expected) << "docs/tool.md must have this table:\n"
                             << kHeader << "\n|---|---|---|\n"
                             << absl::StrJoin(expected, "\n");
}

}  // namespace
}  // namespace holdfast::client
