#include "client/tool.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands.h"
#include "client/completion.h"
#include "client/help.h"
#include "client/settings.h"
#include "client/suggest.h"

namespace holdfast::client {
namespace {

constexpr char kAbout[] = "Talks to a Holdfast server: counters, rate limits, batches, users and objects.";

constexpr char kFooter[] =
    "Global options may come before or after the command.\n"
    "The connection options are also environment variables (HOLDFAST_SERVER, HOLDFAST_NAMESPACE, HOLDFAST_TLS, "
    "HOLDFAST_TLS_CA, HOLDFAST_TLS_CERT, HOLDFAST_TLS_KEY, HOLDFAST_TLS_SERVER_NAME, HOLDFAST_TOKEN_FILE, "
    "HOLDFAST_CONTEXT) and settings of a context.\n"
    "Durations are numbers with units: 500ms, 1.5s, 10m, 168h. Times are 2024-05-01T12:00:00Z, or +10m from now.\n"
    "A value that is - is read from the standard input, for one value of a command: VALUE of KEY=VALUE, an ITEM, a "
    "NAME, EMAIL or JSON of a user, a --param, a FILE of sql, a MESSAGE.\n"
    "\n"
    "Exit status: 0 success; 1 a failed call, an item that failed, or a server that is not serving; "
    "2 bad usage; 3 a denied limit, with --exit-code. With --json a failed call prints "
    "{\"error\":{\"code\",\"message\",\"reason\"}} on the standard error.";

constexpr char kCommandFooter[] = "The global options (--server, --namespace, --timeout, --json ...): holdfast --help";

// The scripts of completion.h call it; it is no command for people.
constexpr absl::string_view kCompleteCommand = "__complete";

// The most time that a command with --direct waits for the map of the cluster. Without it, it goes the ordinary way.
constexpr absl::Duration kDirectWaitMax = absl::Seconds(1);

void DeclareGlobals(Arguments& arguments, GlobalOptions& globals) {
  DeclareConnection(arguments, globals);
  arguments.Value("--timeout", "DURATION",
                  "For each call, retries included; default 10s, at most 24h. alarm watch, object export and import, "
                  "admin compact and scrub, and .import and .export of sql have none",
                  [&globals](const std::string& text) {
                    const absl::StatusOr<absl::Duration> timeout = ParseFiniteDuration(text);
                    if (!timeout.ok()) return timeout.status();
                    if (*timeout < absl::Milliseconds(1) || *timeout > absl::Hours(24)) {
                      return absl::InvalidArgumentError("must be from 1ms to 24h");
                    }
                    globals.timeout = *timeout;
                    return absl::OkStatus();
                  });
  arguments.Number<int>(
      "--retries",
      "How often a failed call is tried again at most; default until the timeout, a change for 5m at most. A change "
      "has a request id, so it happens once all the same. "
      "counter stream and what has no timeout are not tried again",
      [&globals](int retries) { globals.retries = retries; }, 0, 100);
  arguments.Value(
      "--request-id", "ID",
      "Id of the change; default a random one. The server does the same command with the same id once and "
      "answers it again, for 10 minutes by default. The items of batch-increment, and the statements of sql, "
      "get ID-0, ID-1 ...",
      [&globals](const std::string& id) {
        globals.request_id = id;
        return id.empty() ? absl::InvalidArgumentError("is empty") : absl::OkStatus();
      });
  arguments.Flag(
      "--direct",
      "Of a cluster: call the node that has the object, as far as it can be reached from here, and not by way "
      "of the server",
      [&globals] { globals.direct = true; });
  arguments.Flag(
      "--json", "Print replies and errors as JSON, one object a line; of a listing, an object and a line for each item",
      [&globals] { globals.json = true; });
}

// Returns the group or command that the command line reached.
const CLI::App& Reached(const CLI::App& app) {
  const std::vector<CLI::App*> parsed = app.get_subcommands();
  return parsed.empty() ? app : Reached(*parsed.front());
}

// Adds the commands below `app`. Those more than one step down are shown with their groups.
void AddCommands(const CLI::App& app, const std::string& groups, std::vector<Candidate>& candidates) {
  const std::vector<const CLI::App*> below = app.get_subcommands(nullptr);
  for (const CLI::App* command : below) {
    candidates.push_back({command->get_name(), groups + command->get_name()});
  }
  for (const CLI::App* command : below) AddCommands(*command, groups + command->get_name() + " ", candidates);
}

// Adds the options of `app` and of the groups above it.
void AddOptions(const CLI::App* app, std::vector<Candidate>& candidates) {
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options(nullptr)) {
      for (const std::string& name : option->get_lnames()) candidates.push_back({"--" + name, "--" + name});
    }
  }
}

// Suggests the intended word for an unknown one: an option; a command of this name in any group; a similar one in the
// group that was reached; a similar one in any group.
std::string Suggestion(const CLI::App& app, const std::vector<std::string>& unknown) {
  const CLI::App& reached = Reached(app);
  for (const std::string& word : unknown) {
    if (!absl::StartsWith(word, "--")) continue;
    std::vector<Candidate> options;
    AddOptions(&reached, options);
    return DidYouMean(word.substr(0, word.find('=')), options);
  }
  if (reached.get_subcommands(nullptr).empty()) return "";  // a command that takes no such argument
  std::vector<Candidate> all, named_so, here;
  AddCommands(app, "", all);
  std::ranges::copy_if(all, std::back_inserter(named_so),
                       [&unknown](const Candidate& command) { return command.word == unknown.front(); });
  for (const CLI::App* command : reached.get_subcommands(nullptr)) {
    here.push_back({command->get_name(), command->get_name()});
  }
  for (const std::vector<Candidate>* const commands : {&named_so, &here, &all}) {
    std::string suggestion = DidYouMean(unknown.front(), *commands);
    if (!suggestion.empty()) return suggestion;
  }
  return "";
}

// Returns the message for a command line that can't be parsed.
std::string UsageError(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = app.remaining(true);
  const bool required = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
  std::string message = error.what();
  if (required && !unknown.empty()) {
    message = "unknown command or argument: " + absl::StrJoin(unknown, " ");
  } else if (required && !Reached(app).get_subcommands(nullptr).empty()) {
    message = "a command is missing";
  }
  if (!unknown.empty()) message += Suggestion(app, unknown);
  return RestoreWords(message);
}

// Returns the error of files that can't be used, before anything is sent. Warns of a token that others may read.
absl::Status CheckConnection(Session& session) {
  if (absl::Status usable = session.client().Usable(); !usable.ok()) return usable;
  const std::string& file = session.globals().token_file;
  if (file.empty()) return absl::OkStatus();
  if (OthersMayUse(file)) {
    session.Note(absl::StrCat("warning: other users may read the token file '", file, "'; chmod 600 ", file));
  }
  return ReadToken(file).status();
}

// Declares all options and commands of the tool.
void DeclareTool(CLI::App& app, CommandLine& line, GlobalOptions& globals) {
  app.fallthrough();  // groups and commands inherit it, and these too
  app.footer(kCommandFooter);
  app.require_subcommand(1);
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", "holdfast " HOLDFAST_VERSION);
  Arguments arguments(&app, &line.input, &line.notes);
  DeclareGlobals(arguments, globals);

  CommandGroup root(&app, &line);
  AddCounterCommands(root);
  AddLimitCommands(root);
  AddBatchCommands(root);
  AddUserCommands(root);
  AddObjectCommands(root);
  AddSqlCommand(root);
  AddAdminCommands(root);
  AddAlarmListCommand(root);
  AddRightsCommand(root);
  AddHealthCommand(root);
  AddContextCommands(root);
  AddTokenCommands(root);
  AddWatchCommands(root);
  AddBenchCommand(root);
  AddCompletionCommands(root);
  app.footer(kFooter);
}

// Makes the settings of the connection of global options that are typed while a command is completed.
absl::StatusOr<GlobalOptions> GlobalsOf(const std::vector<std::string>& options) {
  GlobalOptions globals;
  CLI::App app;
  std::istringstream no_input;
  StandardInput input(&no_input);
  Arguments arguments(&app, &input);
  DeclareGlobals(arguments, globals);
  std::vector<const char*> argv = {"holdfast"};
  for (const std::string& option : options) argv.push_back(option.c_str());
  absl::StatusOr<std::vector<std::string>> words = PrepareWords(static_cast<int>(argv.size()), argv.data());
  if (!words.ok()) return words.status();
  std::reverse(words->begin(), words->end());
  try {
    app.parse(*std::move(words));
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  if (absl::Status status = ResolveConnection(globals); !status.ok()) return status;
  return globals;
}

}  // namespace

void DescribeCommands(const std::function<void(const CLI::App& app, const CommandNotes& notes)>& look) {
  std::istringstream no_input;
  GlobalOptions globals;
  CommandLine line(&no_input);
  CLI::App app(kAbout, "holdfast");
  DeclareTool(app, line, globals);
  look(app, line.notes);
}

int RunTool(int argc, const char* const* argv, Input in, std::ostream& out, std::ostream& err,
            Surroundings surroundings) {
  GlobalOptions globals;
  CommandLine line(&in.stream);
  CLI::App app(kAbout, "holdfast");
  DeclareTool(app, line, globals);
  if (argc >= 2 && absl::string_view(argv[1]) == kCompleteCommand) {
    PrintCompletions(app, line.notes, GlobalsOf, std::vector<std::string>(argv + 2, argv + argc), out);
    return kExitOk;
  }

  absl::StatusOr<std::vector<std::string>> words = PrepareWords(argc, argv);
  if (!words.ok()) {
    err << "holdfast: " << words.status().message() << "\n";
    return kExitUsage;
  }
  std::reverse(words->begin(), words->end());  // CLI11 takes them in reverse order
  try {
    app.parse(*std::move(words));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error, out, err);  // --help, --version
    err << "holdfast: " << Printable(UsageError(app, error)) << "\nRun with --help for more information.\n";
    return kExitUsage;
  }

  const absl::Status resolved = line.selected.offline ? absl::OkStatus() : ResolveConnection(globals);
  Session session(globals, in, std::move(surroundings), out, err);
  if (!resolved.ok()) return session.BadUsage(resolved);
  if (absl::Status usable = CheckConnection(session); !usable.ok()) return session.BadUsage(usable);
  if (globals.direct && !line.selected.offline)
    (void)session.client().AwaitDirect(std::min(globals.timeout, kDirectWaitMax));
  const int status = line.selected.body(session);
  if (!out.flush()) {
    err << "holdfast: the output could not be written\n";
    return kExitFailed;
  }
  return status;
}

}  // namespace holdfast::client
