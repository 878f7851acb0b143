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

Session::Session(GlobalOptions globals, Input in, std::ostream& out, std::ostream& err)
    : globals_(std::move(globals)),
      in_(in),
      out_(out),
      err_(err),
      client_({.address = globals_.server,
               .timeout = globals_.timeout,
               .retry = {.retries = globals_.retries},
               .tls = globals_.tls,
               .token = globals_.token_file.empty() ? TokenSource() : TokenFromFile(globals_.token_file),
               .direct = globals_.direct}),
      text_(out) {}

int Session::PrintJson(const google::protobuf::Message& message) {
  const absl::StatusOr<std::string> json = ToJson(message);
  if (!json.ok()) return Failed(CallKind::kIdempotent, json.status());
  out_ << *json << "\n";
  return kExitOk;
}

void Session::Note(const std::string& text) {
  if (!globals_.json) err_ << "holdfast: " << Printable(text) << "\n";
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
    PrintError(err_, error, outcome_unknown, request_id);
  }
  return kExitFailed;
}

int Session::BadUsage(const absl::Status& error) {
  err_ << "holdfast: " << Printable(error.message()) << "\nRun with --help for more information.\n";
  return kExitUsage;
}

CommandGroup CommandGroup::Group(const std::string& name, const std::string& help, const std::string& implied_class) {
  CLI::App* group = app_->add_subcommand(name, help);
  group->require_subcommand(1);
  return CommandGroup(group, selected_, input_, implied_class);
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
  auto arguments = std::make_shared<Arguments>(command, input_, implied_class_);
  command->callback([selected = selected_, offline, arguments, body = declare(*arguments)] {
    selected->offline = offline;
    selected->body = [arguments, body](Session& session) {
      const absl::Status usable = arguments->RunFinish(session.globals());
      return usable.ok() ? body(session) : session.BadUsage(usable);
    };
  });
}

}  // namespace holdfast::client
