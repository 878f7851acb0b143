// `holdfast sql`: its arguments, and migrations; sql_shell.h is the rest.

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/commands.h"
#include "client/sql_output.h"
#include "client/sql_shell.h"

namespace holdfast::client {
namespace {

using v1::ObjectService;

// The server's bound for a request.
constexpr size_t kMigrationsMebibytesMax = 4;
constexpr size_t kParamMebibytesMax = 4;

constexpr char kNotes[] =
    "Statements end with semicolons; the last of each SQL, or of the input, needs none. Each is a commit of "
    "its own, and an error ends a script with exit status 1; what was done before it stays done, and the error says up "
    "to which line. Those from "
    "BEGIN to COMMIT, at most 4 MiB, are one commit or nothing, and print the rows of the last before COMMIT; "
    "so a dump of sqlite3 is loaded. --atomic makes all statements one commit. Commands such as .tables stand "
    "on a line of their own; .help lists them.\n"
    "\n"
    "Rows are printed as a table; with --json as one JSON object a row; with --csv as RFC 4180 with a header. "
    "In JSON and CSV a blob is base64; a whole number of more than 53 bits is a string in JSON. A statement "
    "that returns no rows prints nothing; RETURNING tells what it did. A reply has at most 3.5 MiB; that to a "
    "statement which does not begin with SELECT, VALUES or EXPLAIN 64 KiB, since it has a request id.\n"
    "\n"
    "A VALUE of --param is an integer, a real or NULL if it looks like one, and text otherwise. text:12 is "
    "text, blob:00ff a blob in hexadecimal digits; - is the standard input as text, blob:- as a blob.";

struct SqlArguments {
  StandardInput* input = nullptr;
  SqlShellOptions shell;
  std::vector<std::string> statements;
  std::string file;
  std::string migrations_file;
  bool accept_changed = false;
  bool csv = false;
};

// Recognizes a number as SQLite reads a literal, except that a sign is part of it.
bool LooksLikeNumber(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "-")) absl::ConsumePrefix(&text, "+");
  return !text.empty() && (absl::ascii_isdigit(text[0]) || text[0] == '.') &&
         text.find_first_not_of("0123456789.eE+-") == absl::string_view::npos;
}

absl::StatusOr<v1::SqlValue> ParseSqlValue(absl::string_view text, StandardInput* input) {
  v1::SqlValue value;
  if (text == "-" || text == "blob:-") {
    absl::StatusOr<std::string> read = text == "-" ? input->Text() : input->Bytes(kParamMebibytesMax);
    if (!read.ok()) return read.status();
    *(text == "-" ? value.mutable_text() : value.mutable_blob()) = *std::move(read);
    return value;
  }
  int64_t integer = 0;
  double real = 0;
  if (absl::ConsumePrefix(&text, "text:")) {  // NOLINT(bugprone-branch-clone): the last branch has no prefix.
    value.set_text(std::string(text));
  } else if (absl::ConsumePrefix(&text, "blob:")) {
    const bool digits = std::ranges::all_of(text, absl::ascii_isxdigit);
    if (!digits || text.size() % 2 != 0) {
      return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not pairs of hexadecimal digits"));
    }
    value.set_blob(absl::HexStringToBytes(text));
  } else if (LooksLikeNumber(text) && absl::SimpleAtoi(text, &integer)) {
    value.set_integer(integer);
  } else if (LooksLikeNumber(text) && absl::SimpleAtod(text, &real)) {
    value.set_real(real);
  } else if (!absl::EqualsIgnoreCase(text, "NULL")) {
    value.set_text(std::string(text));
  }
  return value;
}

// Reads the list of migrations of MigrateSchemaRequest, or a request with nothing but that list.
absl::StatusOr<v1::MigrateSchemaRequest> ReadMigrations(const std::string& path, StandardInput* input) {
  absl::StatusOr<std::string> json =
      path == "-" ? input->Bytes(kMigrationsMebibytesMax) : ReadFile(path, kMigrationsMebibytesMax);
  if (!json.ok()) return json.status();
  if (absl::StartsWith(absl::StripLeadingAsciiWhitespace(*json), "[")) {
    json = absl::StrCat("{\"migrations\":", *json, "}");
  }
  v1::MigrateSchemaRequest request;
  const auto parsed = google::protobuf::util::JsonStringToMessage(*json, &request);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "': ", std::string(parsed.message())));
  }
  if (request.has_object() || !request.request_id().empty() || request.accept_changed_migrations()) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' has more than \"migrations\""));
  }
  return request;
}

int Migrate(const SqlArguments& sql, Session& session) {
  absl::StatusOr<v1::MigrateSchemaRequest> request = ReadMigrations(sql.migrations_file, sql.input);
  if (!request.ok()) {
    return session.BadUsage(absl::InvalidArgumentError(absl::StrCat("--migrations: ", request.status().message())));
  }
  *request->mutable_object() = sql.shell.object;
  request->set_accept_changed_migrations(sql.accept_changed);
  const Unary<&ObjectService::Stub::MigrateSchema> migrate{
      .name = "sql",
      .help = "",
      .print =
          [](const auto&, const auto& response, TextOutput& text) {
            text.Fields({{"version before", absl::StrCat(response.version_before())},
                         {"version after", absl::StrCat(response.version_after())}});
          },
  };
  return RunUnary(migrate, PageOptions(), session, *request);
}

int RunStatements(const SqlArguments& sql, SqlShell& shell) {
  for (size_t i = 0; i < sql.statements.size() && !shell.quit(); ++i) {
    std::istringstream in(sql.statements[i]);
    const std::string place = sql.statements.size() == 1 ? "" : absl::StrCat("argument ", i + 1, ", ");
    if (const int status = shell.RunScript(in, place); status != kExitOk) return status;
  }
  return shell.Finish();
}

int RunFile(const SqlArguments& sql, SqlShell& shell, Session& session) {
  std::ifstream file(sql.file, std::ios::binary);
  file.peek();  // fails for a directory, which can be opened
  if (!file.is_open() || file.bad()) {
    return session.BadUsage(absl::InvalidArgumentError(absl::StrCat("--file: '", sql.file, "' can't be read")));
  }
  const int status = shell.RunScript(file);
  return status == kExitOk ? shell.Finish() : status;
}

int Run(SqlArguments& sql, Session& session) {
  SetNamespace(session.globals(), sql.shell.object);
  if (!sql.migrations_file.empty()) return Migrate(sql, session);
  sql.shell.format = sql.csv ? SqlFormat::kCsv : session.globals().json ? SqlFormat::kJson : SqlFormat::kTable;
  SqlShell shell(&session, sql.shell);
  if (!sql.statements.empty()) return RunStatements(sql, shell);
  if (!sql.file.empty() && sql.file != "-") return RunFile(sql, shell, session);
  if (session.in().is_terminal) {
    if (sql.shell.atomic || !session.globals().request_id.empty()) {
      return session.BadUsage(absl::InvalidArgumentError("at a terminal there is no --atomic and no --request-id"));
    }
    return shell.RunTerminal(session.in().stream);
  }
  const int status = shell.RunScript(session.in().stream);
  return status == kExitOk ? shell.Finish() : status;
}

absl::Status Check(SqlArguments& sql, const GlobalOptions& globals) {
  if (std::ranges::find(sql.statements, "-") != sql.statements.end()) {
    if (sql.statements.size() > 1 || !sql.file.empty()) {
      return absl::InvalidArgumentError("SQL: - stands alone, for all statements from the standard input");
    }
    sql.statements.clear();
  }
  const bool migrate = !sql.migrations_file.empty();
  if (!sql.statements.empty() + !sql.file.empty() + migrate > 1) {
    return absl::InvalidArgumentError("give one of SQL, --file, --migrations");
  }
  if (migrate && (sql.shell.atomic || sql.csv || !sql.shell.params.empty())) {
    return absl::InvalidArgumentError("--migrations goes without --atomic, --csv and --param");
  }
  if (sql.accept_changed && !migrate) return absl::InvalidArgumentError("--accept-changed is for --migrations");
  if (sql.csv && globals.json) return absl::InvalidArgumentError("give one of --csv, --json");
  if (!sql.shell.params.empty() && sql.statements.size() != 1) {
    return absl::InvalidArgumentError("--param is for one statement");
  }
  return absl::OkStatus();
}

}  // namespace

void AddSqlCommand(CommandGroup& root) {
  const auto declare = [](Arguments& arguments) -> CommandBody {
    auto sql = std::make_shared<SqlArguments>(SqlArguments{.input = arguments.input()});
    const auto file = [&](const char* name, const char* help, std::string* path) {
      arguments.Value(name, "FILE", help, [path](const std::string& text) {
        *path = text;
        return text.empty() ? absl::InvalidArgumentError("is empty") : absl::OkStatus();
      });
    };
    arguments.ObjectName(&sql->shell.object);
    arguments.Values("SQL", "", "Statements; without any, or with -, they are read from the standard input",
                     [sql = sql.get()](const std::string& text) {
                       sql->statements.push_back(text);
                       return absl::OkStatus();
                     });
    file("--file", "Read the statements from this file; - is the standard input", &sql->file);
    arguments.Flag("--atomic", "All statements, at most 128, in one commit; or nothing",
                   [sql = sql.get()] { sql->shell.atomic = true; });
    arguments.Flag("--read-only", "Refuse statements that write; the right to read is enough",
                   [sql = sql.get()] { sql->shell.read_only = true; });
    arguments.Values("--param", "VALUE", "For ?1, ?2 ... of the one statement that is given as SQL, in order",
                     [sql = sql.get()](const std::string& text) {
                       absl::StatusOr<v1::SqlValue> value = ParseSqlValue(text, sql->input);
                       if (!value.ok()) return value.status();
                       sql->shell.params.push_back(*std::move(value));
                       return absl::OkStatus();
                     });
    arguments.Flag("--csv", "Print rows as CSV", [sql = sql.get()] { sql->csv = true; });
    file("--migrations",
         "Instead of statements: run those migrations that are newer than the object's schema. The file is JSON: "
         "[{\"version\": 1, \"statements\": [{\"sql\": \"CREATE TABLE ...\"}]}, ...]; with \"foreign_keys_off\": "
         "true beside the version, one may rebuild a table that others refer to",
         &sql->migrations_file);
    arguments.Flag("--accept-changed",
                   "Take migrations of --migrations that have changed since they ran, or were put in below the "
                   "object's version, as ones that ran; they are not run",
                   [sql = sql.get()] { sql->accept_changed = true; });
    arguments.Notes(kNotes);
    arguments.Finish([sql = sql.get()](const GlobalOptions& globals) { return Check(*sql, globals); });
    return [sql](Session& session) { return Run(*sql, session); };
  };
  root.Command("sql", "Run SQL on an object's database, as the shell of SQLite does", declare);
}

}  // namespace holdfast::client
