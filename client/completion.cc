#include "client/completion.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "client/contexts.h"
#include "client/output.h"
#include "proto/utf8.h"

namespace holdfast::client {
namespace {

struct Completion {
  std::string word;
  std::string about;
};

// Returns the option of this name of the command or of a group above it; null if there is none.
const CLI::Option* FindOption(const CLI::App* app, const std::string& name) {
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options(nullptr)) {
      for (const std::string& known : option->get_lnames()) {
        if (absl::StrCat("--", known) == name) return option;
      }
    }
  }
  return nullptr;
}

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// The command, the options and the arguments that the words before the last one name.
class Typed {
 public:
  explicit Typed(const CLI::App& root) : root_(root), app_(&root) {}

  // Returns whether the word can stand here.
  bool Take(const std::string& word) {
    if (value_of_ != nullptr) {
      TakeValue(*std::exchange(value_of_, nullptr), word);
    } else if (!options_ended_ && word == "--") {
      options_ended_ = true;
    } else if (!options_ended_ && absl::StartsWith(word, "--")) {
      const size_t equals = word.find('=');
      const CLI::Option* const option = FindOption(app_, word.substr(0, equals));
      if (option == nullptr) return false;
      if (!TakesValue(*option)) {
        if (IsGlobal(*option)) globals_.push_back(word);
      } else if (equals == std::string::npos) {
        value_of_ = option;
      } else {
        TakeValue(*option, word.substr(equals + 1));
      }
    } else if (const std::vector<const CLI::App*> below = Commands(); !below.empty()) {
      const auto named = std::ranges::find_if(below, [&](const auto* command) { return command->get_name() == word; });
      if (named == below.end()) return false;
      app_ = *named;
    } else {
      ++positionals_;
    }
    return true;
  }

  const CLI::App& app() const { return *app_; }
  std::vector<const CLI::App*> Commands() const { return app_->get_subcommands(nullptr); }
  bool options_ended() const { return options_ended_; }
  // The option whose value comes next; null: none.
  const CLI::Option* value_of() const { return value_of_; }
  // The positional argument that comes next; null: none. The last one may take all the words that are left.
  const CLI::Option* Positional() const {
    size_t place = positionals_;
    for (const CLI::Option* option : app_->get_options(nullptr)) {
      if (!option->get_positional()) continue;
      if (place == 0 || option->get_items_expected_max() > 1) return option;
      --place;
    }
    return nullptr;
  }
  const std::vector<std::string>& globals() const { return globals_; }
  const std::string& object_class() const { return object_class_; }

 private:
  bool IsGlobal(const CLI::Option& option) const { return std::ranges::count(root_.get_options(nullptr), &option) > 0; }
  void TakeValue(const CLI::Option& option, const std::string& value) {
    if (option.check_lname("class")) object_class_ = value;
    if (!IsGlobal(option)) return;
    globals_.push_back(option.get_name());
    globals_.push_back(value);
  }

  const CLI::App& root_;
  const CLI::App* app_;
  bool options_ended_ = false;
  const CLI::Option* value_of_ = nullptr;
  size_t positionals_ = 0;
  std::vector<std::string> globals_;
  std::string object_class_ = "Object";
};

// Returns the names of objects that begin with `prefix`; none if the server does not tell them in time.
std::vector<std::string> ObjectNames(GlobalOptions globals, const std::string& object_class,
                                     const std::string& prefix) {
  Client client({.address = globals.server,
                 .timeout = std::min(globals.timeout, kCompletionTimeMax),
                 .retry = {.retries = 0},
                 .tls = globals.tls,
                 .token = globals.token_file.empty() ? TokenSource() : TokenFromFile(globals.token_file)});
  v1::ListObjectsRequest request;
  request.set_namespace_(globals.ns);
  request.set_object_class(object_class);
  request.set_name_prefix(prefix);
  request.set_page_size(kCompletionNamesMax);
  const auto reply = client.Call(CallKind::kIdempotent, &v1::ObjectService::Stub::ListObjects, request);
  std::vector<std::string> names;
  if (!reply.ok()) return names;
  for (const v1::ObjectSummary& object : reply->objects()) {
    if (names.size() < kCompletionNamesMax) names.push_back(object.object().name());
  }
  return names;
}

std::vector<std::string> ContextNames() {
  std::vector<std::string> names;
  const absl::StatusOr<config::v1::ClientConfig> config = ReadContexts(ContextFilePath());
  if (!config.ok()) return names;
  for (const config::v1::ClientContext& context : config->context()) names.push_back(context.name());
  return names;
}

// Returns the values of an argument; those that do not begin with `prefix` may be among them.
std::vector<std::string> Values(const ValueNote& note, const Typed& typed, const ParseGlobals& parse_globals,
                                const std::string& prefix) {
  switch (note.kind) {
    case ValueNote::Kind::kWords:
      return note.words;
    case ValueNote::Kind::kContext:
      return ContextNames();
    case ValueNote::Kind::kFile:
      return {};
    case ValueNote::Kind::kObject:
      break;
  }
  const absl::StatusOr<GlobalOptions> globals = parse_globals(typed.globals());
  if (!globals.ok()) return {};
  return ObjectNames(*globals, note.object_class.empty() ? typed.object_class() : note.object_class, prefix);
}

// Returns the options of the command and of the groups above it.
std::vector<Completion> Options(const CLI::App* app) {
  std::vector<Completion> options;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options(nullptr)) {
      for (const std::string& name : option->get_lnames()) {
        options.push_back({absl::StrCat("--", name), option->get_description()});
      }
    }
  }
  return options;
}

}  // namespace

void PrintCompletions(const CLI::App& app, const CommandNotes& notes, const ParseGlobals& parse_globals,
                      const std::vector<std::string>& words, std::ostream& out) {
  Typed typed(app);
  const std::string last = words.empty() || !IsUtf8(words.back()) ? "" : words.back();
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (!typed.Take(words[i])) {
      out << "words\n";
      return;
    }
  }

  std::vector<Completion> completions;
  const CLI::Option* option = typed.value_of();
  std::string before;  // of a value in --name=value
  if (option == nullptr && !typed.options_ended() && absl::StartsWith(last, "-")) {
    if (const size_t equals = last.find('='); equals != std::string::npos) {
      before = last.substr(0, equals + 1);
      option = FindOption(&typed.app(), last.substr(0, equals));
    } else {
      completions = Options(&typed.app());
    }
  } else if (option == nullptr && !typed.Commands().empty()) {
    for (const CLI::App* command : typed.Commands()) {
      completions.push_back({command->get_name(), command->get_description()});
    }
  } else if (option == nullptr) {
    option = typed.Positional();
  }
  if (const auto note = notes.values.find(option); option != nullptr && note != notes.values.end()) {
    if (note->second.kind == ValueNote::Kind::kFile) {
      out << "files\n";
      return;
    }
    const bool positional = typed.value_of() == nullptr && before.empty();
    for (const std::string& value : Values(note->second, typed, parse_globals, last.substr(before.size()))) {
      // It would be taken for an option.
      if (positional && !typed.options_ended() && absl::StartsWith(value, "-")) continue;
      completions.push_back({before + value, ""});
    }
  }

  out << "words\n";
  for (const Completion& completion : completions) {
    if (!absl::StartsWith(completion.word, last) || Printable(completion.word) != completion.word) continue;
    out << completion.word << (completion.about.empty() ? "" : "\t") << Printable(completion.about) << "\n";
  }
}

}  // namespace holdfast::client
