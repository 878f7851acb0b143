#include "client/command.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/status.h"
#include "client/tls_probe.h"

namespace holdfast::client {
namespace {

constexpr size_t kAnswerBytesMax = 80;

}  // namespace

Session::Session(GlobalOptions globals, Input in, Surroundings surroundings, std::ostream& out, std::ostream& err)
    : globals_(std::move(globals)),
      in_(in),
      surroundings_(std::move(surroundings)),
      out_(out),
      err_(err),
      client_(client_options()),
      text_(out,
            {.columns = terminal().out ? terminal().columns : 0, .colours = terminal().out && terminal().colours}) {}

ClientOptions Session::client_options() const {
  return {.address = globals_.server,
          .timeout = globals_.timeout,
          .retry = {.retries = globals_.retries},
          .tls = globals_.tls,
          .token = globals_.token_file.empty() ? TokenSource() : TokenFromFile(globals_.token_file),
          .direct = globals_.direct};
}

std::ostream& Session::Err() {
  const bool colours = terminal().err && terminal().colours;
  return err_ << (colours ? "\x1b[1;31mholdfast:\x1b[0m " : "holdfast: ");
}

int Session::PrintJson(const google::protobuf::Message& message) {
  const absl::StatusOr<std::string> json = ToJson(message);
  if (!json.ok()) return Failed(CallKind::kIdempotent, json.status());
  out_ << *json << "\n";
  return kExitOk;
}

void Session::Progress(const std::string& text) {
  // The sequence removes the rest of the line.
  if (terminal().err) err_ << "\r" << Printable(text) << "\x1b[K" << std::flush;
}

void Session::Note(const std::string& text) {
  if (!globals_.json) Err() << Printable(text) << "\n";
}

void Session::Remark(const std::string& text) {
  if (!globals_.json) err_ << Printable(text) << "\n";
}

void Session::NotePageToken(const std::string& token) {
  if (!globals_.json) return Note("there is more: --page-token " + token + ", or --all");
  out_.flush();
  err_ << "{\"next_page_token\":" << JsonText(token) << "}\n";
}

bool Session::Confirm(const std::string& question) {
  out_.flush();
  err_ << Printable(question) << " [y/N] " << std::flush;
  std::string answer;
  for (int c; (c = in_.stream.get()) != std::istream::traits_type::eof() && c != '\n';) {
    if (answer.size() == kAnswerBytesMax) return false;
    answer += static_cast<char>(c);
  }
  const absl::string_view word = absl::StripAsciiWhitespace(answer);
  return absl::EqualsIgnoreCase(word, "y") || absl::EqualsIgnoreCase(word, "yes");
}

absl::Status Session::Explained(const absl::Status& error) const {
  if (!ReasonOf(error).empty()) return error;
  const bool refused = error.code() == absl::StatusCode::kFailedPrecondition && globals_.tls.has_value();
  const bool closed =
      error.code() == absl::StatusCode::kUnavailable && absl::StrContains(error.message(), "Socket closed");
  if (!refused && !closed) return error;
  const std::string why = WhyTlsFails(globals_.server, globals_.tls);
  if (why.empty()) return error;
  return refused ? absl::FailedPreconditionError(why)
                 : absl::UnavailableError(absl::StrCat(error.message(), "; ", why));
}

int Session::Failed(CallKind kind, const absl::Status& failure, absl::string_view request_id) {
  const absl::Status error = Explained(failure);
  const bool outcome_unknown = kind == CallKind::kMutation && OutcomeUnknown(error);
  out_.flush();
  if (globals_.json) {
    err_ << ErrorJson(error, outcome_unknown, request_id) << "\n";
  } else {
    PrintError(Err(), error, outcome_unknown, request_id);
  }
  return kExitFailed;
}

int Session::BadUsage(const absl::Status& error) {
  Err() << Printable(error.message()) << "\nRun with --help for more information.\n";
  return kExitUsage;
}

CommandGroup CommandGroup::Group(const std::string& name, const std::string& help, const std::string& implied_class) {
  CLI::App* group = app_->add_subcommand(name, help);
  group->require_subcommand(1);
  return CommandGroup(group, line_, implied_class);
}

void CommandGroup::Command(const std::string& name, const std::string& help,
                           absl::FunctionRef<CommandBody(Arguments&)> declare) {
  Register(name, help, false, declare);
}

void CommandGroup::OfflineCommand(const std::string& name, const std::string& help,
                                  absl::FunctionRef<CommandBody(Arguments&)> declare) {
  Register(name, help, true, declare);
}

void CommandGroup::Register(const std::string& name, const std::string& help, bool offline,
                            absl::FunctionRef<CommandBody(Arguments&)> declare) {
  CLI::App* command = app_->add_subcommand(name, help);
  auto arguments = std::make_shared<Arguments>(command, &line_->input, &line_->notes, implied_class_);
  command->callback([selected = &line_->selected, offline, arguments, body = declare(*arguments)] {
    selected->offline = offline;
    selected->body = [arguments, body](Session& session) {
      const absl::Status usable = arguments->RunFinish(session.globals());
      return usable.ok() ? body(session) : session.BadUsage(usable);
    };
  });
}

}  // namespace holdfast::client
