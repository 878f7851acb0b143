// A command of the tool declares its arguments here. Typically their values go straight into its request message.
//
// This wraps CLI11 so that every value reaches us as it was typed (CLI11 by itself reads 010 as 8, splits [a,b], takes
// the next word for the value of `--name=`, and ends a command, not only its options, at --), and so that errors of
// values are absl::Status here.

#ifndef HOLDFAST_CLIENT_ARGUMENTS_H_
#define HOLDFAST_CLIENT_ARGUMENTS_H_

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <istream>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/command_notes.h"
#include "client/files.h"
#include "client/tls.h"
#include "holdfast/config/v1/client_config.pb.h"
#include "holdfast/v1/rate_limiter_service.pb.h"

namespace holdfast::client {

// The options that the tool takes before or after any command.
struct GlobalOptions {
  std::string server = "127.0.0.1:50051";
  std::string ns;  // empty: the server's default
  absl::Duration timeout = absl::Seconds(10);
  std::optional<int> retries;  // absent: retries until the timeout
  bool json = false;
  bool direct = false;
  std::optional<TlsOptions> tls;
  std::string token_file;  // empty: calls carry no token
  std::string request_id;  // empty: each request gets an id of its own

  // The options of the command line for the connection, from which settings.h makes server, ns, tls and token_file.
  config::v1::ClientContext given;
  std::string context;  // the context that --context names
};

// Parsers of values. Their errors, all INVALID_ARGUMENT, say what is expected and don't name the option.
absl::StatusOr<int64_t> ParseInteger(absl::string_view text, int64_t min, int64_t max);
// Parses as absl::ParseDuration does, but only a finite duration.
absl::StatusOr<absl::Duration> ParseFiniteDuration(absl::string_view text);
// Parses RFC 3339, e.g. 2024-05-01T12:00:00Z, or + and a duration from `now`, e.g. +10m.
absl::StatusOr<absl::Time> ParseMoment(absl::string_view text, absl::Time now);
absl::StatusOr<v1::RateLimitAlgorithm> ParseAlgorithm(absl::string_view text);

// Parses the address of a server, a gRPC target. The error for a URL suggests the right address.
absl::StatusOr<std::string> ParseAddress(absl::string_view text);

// The standard input as a value; the word - stands for it. It can be read once. Single-threaded; the stream must
// outlive it.
class StandardInput {
 public:
  explicit StandardInput(std::istream* stream) : stream_(*stream) {}

  // Returns the whole input, byte for byte. Errors: it was read before, can't be read, or is over `mebibytes_max`.
  absl::StatusOr<std::string> Bytes(size_t mebibytes_max);
  // Returns the whole input as text, without the newline at its end. Errors: those of Bytes, and it is not UTF-8.
  absl::StatusOr<std::string> Text();

 private:
  std::istream& stream_;
  bool read_ = false;
};

google::protobuf::Duration ToProto(absl::Duration duration);
google::protobuf::Timestamp ToProto(absl::Time time);

// Makes the words of the command line, without the program's name, safe for CLI11. Error: a word is not UTF-8.
absl::StatusOr<std::vector<std::string>> PrepareWords(int argc, const char* const* argv);
// Undoes the changes of PrepareWords in a message that may quote words.
std::string RestoreWords(absl::string_view message);

// The arguments of one command. Names are CLI11's: "--amount" is an option, "NAME" a positional argument. References
// that callbacks capture must live until the command line is parsed, those of Finish until the command has run. Only
// Values accept an option that is given twice.
class Arguments {
 public:
  // `implied_class` is the class of all objects that the command can be for; empty: any class. `notes` gets what the
  // command says of itself; null: nothing does.
  Arguments(CLI::App* app, StandardInput* input, CommandNotes* notes = nullptr, std::string implied_class = "")
      : app_(app), input_(input), notes_(notes), implied_class_(std::move(implied_class)) {}

  using Parse = std::function<absl::Status(const std::string&)>;

  // Declares a value. The help shows `type` for it. An error of `parse` becomes a usage error that names the argument.
  CLI::Option* Value(const std::string& name, const std::string& type, const std::string& help, Parse parse);
  // Declares any number of values: an option takes one each time, a positional argument all the words that are left.
  CLI::Option* Values(const std::string& name, const std::string& type, const std::string& help, Parse parse);
  CLI::Option* Text(const std::string& name, const std::string& type, const std::string& help,
                    std::function<void(const std::string&)> set);
  // These are Value() and Values() for any text; - is the text of the standard input.
  CLI::Option* FreeText(const std::string& name, const std::string& type, const std::string& help, Parse parse);
  CLI::Option* FreeTexts(const std::string& name, const std::string& type, const std::string& help, Parse parse);
  CLI::Option* Duration(const std::string& name, const std::string& help,
                        std::function<void(const google::protobuf::Duration&)> set);
  CLI::Option* Flag(const std::string& name, const std::string& help, std::function<void()> set);

  // Declares options that may each come any number of times, and whose order counts: `parse` and `set` are called in
  // the order of the command line, after all other arguments are parsed and before the functions of Finish.
  CLI::Option* ValuesInOrder(const std::string& name, const std::string& type, const std::string& help, Parse parse);
  CLI::Option* FlagInOrder(const std::string& name, const std::string& help, std::function<void()> set);

  template <class Integer = int64_t>
  CLI::Option* Number(const std::string& name, const std::string& help,
                      std::function<void(std::type_identity_t<Integer>)> set,
                      std::type_identity_t<Integer> min = std::numeric_limits<Integer>::min(),
                      std::type_identity_t<Integer> max = std::numeric_limits<Integer>::max()) {
    return Value(name, "N", help, [set = std::move(set), min, max](const std::string& text) {
      const absl::StatusOr<int64_t> value = ParseInteger(text, min, max);
      if (value.ok()) set(static_cast<Integer>(*value));
      return value.status();
    });
  }

  // Declares the required positional argument that names the object, and its --class; `object` is an ObjectRef or an
  // ObjectId.
  template <class Object>
  void ObjectName(Object* object, const std::string& metavar = "NAME") {
    NamesObject(Text(metavar, "", "Name of the object", [object](const std::string& name) {
      object->set_name(name);
    }))->required();
    if constexpr (requires { object->set_object_class(""); }) {
      TakesClass(Text("--class", "CLASS", "Counter, RateLimiter, BatchProcessor, UserCache or Object; default Object",
                      [object](const std::string& name) { object->set_object_class(name); }));
    } else {
      ImpliedClass();
    }
  }

  // Declares a --class that must be the implied one, so that --class may be given wherever an object is named.
  void ImpliedClass();

  // These say what the values of an argument name, for completion. They return the argument.
  CLI::Option* Takes(CLI::Option* option, ValueNote note) {
    if (notes_ != nullptr) notes_->values[option] = std::move(note);
    return option;
  }
  CLI::Option* TakesWords(CLI::Option* option, std::vector<std::string> words) {
    return Takes(option, {.words = std::move(words)});
  }
  CLI::Option* NamesObject(CLI::Option* option) {
    return Takes(option, {.kind = ValueNote::Kind::kObject, .object_class = implied_class_});
  }
  CLI::Option* TakesClass(CLI::Option* option) {
    return TakesWords(option, {"Counter", "RateLimiter", "BatchProcessor", "UserCache", "Object"});
  }
  // Says that each line that the command prints with --json is a message of this type.
  template <class Message>
  void PrintsJson() {
    if (notes_ != nullptr) notes_->json_lines[app_] = Message::descriptor();
  }

  // Adds paragraphs below the arguments in the help.
  void Notes(const std::string& text) { app_->footer(text + "\n\n" + app_->get_footer()); }

  // Returns the standard input, which outlives the command.
  StandardInput* input() const { return input_; }

  // Refuses the global --request-id, for commands that change nothing or send many requests.
  void TakesNoRequestId();

  // Runs `finish` after all arguments are parsed and before the command. It is for work that needs several arguments
  // or the global options.
  void Finish(std::function<absl::Status(const GlobalOptions&)> finish) { finish_.push_back(std::move(finish)); }
  absl::Status RunFinish(const GlobalOptions& globals) const;

 private:
  struct InOrder {
    std::vector<std::string> words;  // empty for a flag
    Parse parse;
  };
  absl::Status ParseInOrder() const;
  // Returns `parse`, which then gets the text of the standard input in place of -.
  Parse WithInput(Parse parse) const;

  CLI::App* app_;
  StandardInput* input_;
  CommandNotes* notes_;
  const std::string implied_class_;
  std::map<const CLI::Option*, std::shared_ptr<InOrder>> in_order_;
  std::vector<std::function<absl::Status(const GlobalOptions&)>> finish_;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_ARGUMENTS_H_
