// The form of the tool's help: CLI11's sections, with every line within 80 columns.

#ifndef HOLDFAST_CLIENT_HELP_H_
#define HOLDFAST_CLIENT_HELP_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::client {

inline constexpr size_t kHelpColumns = 80;

// Wraps ASCII text: newlines replace blanks so that no line is over kHelpColumns. The first line begins at column
// `indent`, and the others are indented by as much. Newlines of the text stay. A word that fits in no line is cut.
std::string Wrapped(absl::string_view text, size_t indent);

// Returns two columns: a name and its description. The second begins at column `name_columns`, on the next line if the
// name is longer.
std::string HelpEntry(absl::string_view name, absl::string_view description, size_t name_columns);

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override;
  std::string make_footer(const CLI::App* app) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;
  std::string make_usage(const CLI::App* app, std::string name) const override;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_HELP_H_
