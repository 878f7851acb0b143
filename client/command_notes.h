// Notes of the commands beside their arguments: what the values of arguments name, for completion, and
// what their lines of JSON are, for the document of the tool.

#ifndef HOLDFAST_CLIENT_COMMAND_NOTES_H_
#define HOLDFAST_CLIENT_COMMAND_NOTES_H_

#include <google/protobuf/descriptor.h>

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

namespace holdfast::client {

// The values that an argument takes.
struct ValueNote {
  enum class Kind { kWords, kObject, kContext, kFile };
  Kind kind = Kind::kWords;
  std::vector<std::string> words = {};  // of kWords
  std::string object_class = "";        // of kObject: the only class; empty: that of --class
};

// The keys are those of the CLI11 application, which must outlive this. An argument without a note takes any value.
struct CommandNotes {
  std::map<const CLI::Option*, ValueNote> values;
  // The message of each line that the command prints with --json.
  std::map<const CLI::App*, const google::protobuf::Descriptor*> json_lines;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_COMMAND_NOTES_H_
