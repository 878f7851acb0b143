#include "client/help.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace holdfast::client {
namespace {

constexpr size_t kNameColumns = 28;
constexpr size_t kUsageIndent = 4;

}  // namespace

std::string Wrapped(absl::string_view text, size_t indent) {
  const size_t width = kHelpColumns - std::min(indent, kHelpColumns / 2);
  std::string result;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.data() != text.data()) absl::StrAppend(&result, "\n", line.empty() ? "" : std::string(indent, ' '));
    size_t used = 0;
    for (absl::string_view word : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
      if (used > 0 && used + 1 + word.size() > width) {
        absl::StrAppend(&result, "\n", std::string(indent, ' '));
        used = 0;
      }
      for (; word.size() > width; word.remove_prefix(width)) {
        absl::StrAppend(&result, word.substr(0, width), "\n", std::string(indent, ' '));
      }
      absl::StrAppend(&result, used > 0 ? " " : "", word);
      used += (used > 0 ? 1 : 0) + word.size();
    }
  }
  return result;
}

std::string HelpEntry(absl::string_view name, absl::string_view description, size_t name_columns) {
  if (description.empty()) return absl::StrCat(name, "\n");
  const bool fits = name.size() + 2 <= name_columns;
  return absl::StrCat(name, fits ? "" : "\n", std::string(name_columns - (fits ? name.size() : 0), ' '),
                      Wrapped(description, name_columns), "\n");
}

std::string HelpFormatter::make_description(const CLI::App* app) const {
  return absl::StrCat(Wrapped(absl::StripAsciiWhitespace(Formatter::make_description(app)), 0), "\n");
}

std::string HelpFormatter::make_footer(const CLI::App* app) const {
  return absl::StrCat(Wrapped(app->get_footer(), 0), "\n");
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  return HelpEntry(absl::StrCat("  ", make_option_name(option, is_positional), make_option_opts(option)),
                   make_option_desc(option), kNameColumns);
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  return HelpEntry(absl::StrCat("  ", command->get_display_name(true)), command->get_description(), kNameColumns);
}

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  std::string usage = Formatter::make_usage(app, std::move(name));
  return absl::StrCat(Wrapped(absl::StripAsciiWhitespace(usage), kUsageIndent), "\n");
}

}  // namespace holdfast::client
