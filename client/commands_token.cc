#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/commands.h"
#include "holdfast/tool/v1/output.pb.h"
#include "proto/credentials.h"

namespace holdfast::client {
namespace {

struct NewTokenOptions {
  std::string name;
  std::optional<absl::Time> expires;
};

// Prints a new token on the output, so that it can go into a file, and its line beside it.
int PrintNewToken(const NewTokenOptions& options, Session& session) {
  const std::optional<std::string> token = NewToken();
  if (!token.has_value()) {
    return session.Failed(CallKind::kIdempotent, absl::InternalError("the system gives no random bytes"));
  }
  std::string line = absl::StrCat(options.name, " ", absl::BytesToHexString(TokenHash(*token)));
  if (options.expires.has_value()) {
    absl::StrAppend(&line, " ", absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ", *options.expires, absl::UTCTimeZone()));
  }
  if (session.globals().json) {
    tool::v1::NewToken made;
    made.set_token(*token);
    made.set_line(line);
    return session.PrintJson(made);
  }
  session.text().Line(*token);
  session.Note("this token is shown only once; the line for the server's token file is");
  session.Remark(line);
  return kExitOk;
}

}  // namespace

void AddTokenCommands(CommandGroup& root) {
  CommandGroup token = root.Group("token", "Bearer tokens of clients");
  token.OfflineCommand(
      "new", "Make a token, and the line that lets the server know it", [](Arguments& arguments) -> CommandBody {
        auto options = std::make_shared<NewTokenOptions>();
        arguments.PrintsJson<tool::v1::NewToken>();
        arguments
            .Value("NAME", "", "Who the token is for: the principal of the server's rules",
                   [options](const std::string& name) {
                     options->name = name;
                     if (IsPrincipal(name) && !IsToken(name)) return absl::OkStatus();
                     return absl::InvalidArgumentError(absl::StrCat(
                         "must be at most ", kPrincipalBytesMax, " printable ASCII characters without blanks and *"));
                   })
            ->required();
        arguments.Value("--expires", "TIME", "When the server begins to refuse it; default never",
                        [options](const std::string& text) {
                          const absl::StatusOr<absl::Time> time = ParseMoment(text, absl::Now());
                          if (!time.ok()) return time.status();
                          if (*time <= absl::Now()) return absl::InvalidArgumentError("is past");
                          options->expires = *time;
                          return absl::OkStatus();
                        });
        arguments.Notes(
            "The token goes to the standard output, and its line to the standard error. Nothing is stored. The line "
            "holds the SHA-256 of the token; add it to the file that authentication.token_file names, which the server "
            "reads again by itself. To take the token back, remove the line.");
        return [options](Session& session) { return PrintNewToken(*options, session); };
      });
}

}  // namespace holdfast::client
