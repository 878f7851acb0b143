#include "client/sql_shell.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/help.h"
#include "client/suggest.h"
#include "proto/utf8.h"

namespace holdfast::client {
namespace {

using v1::ObjectService;

constexpr size_t kImportChunkBytes = 256 << 10;
constexpr size_t kHelpNameColumns = 17;
constexpr char kPrompt[] = "holdfast> ";
constexpr char kPromptMore[] = "     ...> ";

// Reads a line without its newline; returns false at the end.
absl::StatusOr<bool> ReadLine(std::istream& in, std::string* line) {
  line->clear();
  for (int c; (c = in.get()) != std::istream::traits_type::eof();) {
    if (c == '\n') return true;
    if (line->size() == kLineBytesMax) return absl::InvalidArgumentError("a line is over 4 MiB");
    *line += static_cast<char>(c);
  }
  if (in.bad()) return absl::InvalidArgumentError("the input can't be read");
  return !line->empty();
}

// Returns whether one statement, which does not begin with a comment, only reads. WITH may begin a change.
bool OnlyReads(absl::string_view sql) {
  const absl::string_view word =
      sql.substr(0, std::find_if_not(sql.begin(), sql.end(), absl::ascii_isalpha) - sql.begin());
  return absl::EqualsIgnoreCase(word, "SELECT") || absl::EqualsIgnoreCase(word, "VALUES") ||
         absl::EqualsIgnoreCase(word, "EXPLAIN");
}

absl::Status WithMessage(const absl::Status& error, absl::string_view message) {
  absl::Status result(error.code(), message);
  error.ForEachPayload(
      [&result](absl::string_view type, const absl::Cord& payload) { result.SetPayload(type, payload); });
  return result;
}

absl::Status AtPlace(const absl::Status& error, absl::string_view place) {
  return place.empty() ? error : WithMessage(error, absl::StrCat(place, ": ", error.message()));
}

// Returns a b for 'a b' and "a b".
std::string Unquoted(absl::string_view text) {
  if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"') && text.front() == text.back()) {
    text = text.substr(1, text.size() - 2);
  }
  return std::string(text);
}

}  // namespace

const SqlShell::DotCommand SqlShell::kDotCommands[] = {
    {".exit", "", "End", &SqlShell::Quit},
    {".export", "FILE", "Write the database to a file that SQLite opens", &SqlShell::Export},
    {".help", "", "Print this", &SqlShell::Help},
    {".import", "FILE", "Put the database in a file in the place of this one", &SqlShell::Import},
    {".quit", "", "End", &SqlShell::Quit},
    {".schema", "[TABLE]", "Print the CREATE statements, of one table with its indexes and triggers, or of all",
     &SqlShell::Schema},
    {".tables", "", "Print the names of the tables and views", &SqlShell::Tables},
};

SqlShell::SqlShell(Session* session, SqlShellOptions options)
    : session_(*session),
      options_(std::move(options)),
      one_call_(options_.atomic || !options_.params.empty()),
      run_id_(session_.globals().request_id.empty() ? NewRequestId() : session_.globals().request_id) {}

int SqlShell::RunScript(std::istream& in, const std::string& place) {
  SqlSplitter splitter;
  std::string line;
  while (!quit_) {
    const absl::StatusOr<bool> read = ReadLine(in, &line);
    if (!read.ok()) return Failed(read.status(), absl::StrCat(place, "line ", splitter.next_line()));
    if (!*read) break;
    if (const int status = RunLine(splitter, line, place); status != kExitOk) return status;
  }
  if (quit_) return kExitOk;
  if (std::optional<SqlText> rest = splitter.Rest()) {
    if (const int status = RunStatement(*std::move(rest), place); status != kExitOk) return status;
  }
  return kExitOk;
}

int SqlShell::RunTerminal(std::istream& in) {
  terminal_ = true;
  session_.Note("a statement ends with a semicolon; .help lists the other commands");
  SqlSplitter splitter;
  std::string line;
  while (!quit_) {
    session_.text().Raw(splitter.pending() ? kPromptMore : kPrompt);
    if (!session_.Flush()) break;
    const absl::StatusOr<bool> read = ReadLine(in, &line);
    if (!read.ok()) return Failed(read.status(), "");
    if (!*read) {
      session_.text().Raw("\n");
      break;
    }
    if (RunLine(splitter, line, "") != kExitOk) splitter = SqlSplitter();
  }
  return kExitOk;
}

int SqlShell::CheckTransactionHasEnded() {
  if (!transaction_.open()) return kExitOk;
  return Failed(absl::InvalidArgumentError("BEGIN has no COMMIT; nothing of the transaction was done"),
                transaction_place_);
}

int SqlShell::Finish() {
  if (const int status = CheckTransactionHasEnded(); status != kExitOk) return status;
  if (collected_.empty() && options_.params.empty()) return kExitOk;
  if (!options_.params.empty() && collected_.size() != 1) {
    return session_.BadUsage(absl::InvalidArgumentError("--param is for one statement"));
  }
  return Execute(collected_, run_id_);
}

int SqlShell::RunLine(SqlSplitter& splitter, const std::string& line, const std::string& place) {
  const std::string line_place = absl::StrCat(place, "line ", splitter.next_line());
  if (!IsUtf8(line) || line.find('\0') != std::string::npos) {
    return Failed(absl::InvalidArgumentError("the line is not UTF-8 without NUL"), line_place);
  }
  if (!splitter.pending() && absl::StartsWith(line, ".")) {
    splitter.Add("");
    splitter.Next();
    const int status = RunDotCommand(absl::StripAsciiWhitespace(line), line_place);
    if (status == kExitOk) RanUpTo(place, splitter.next_line() - 1);
    return status;
  }
  splitter.Add(line);
  while (std::optional<SqlText> statement = splitter.Next()) {
    if (const int status = RunStatement(*std::move(statement), place); status != kExitOk) return status;
  }
  if (!splitter.too_long()) return kExitOk;
  return Failed(absl::InvalidArgumentError("the statement is over 100,000 bytes"),
                absl::StrCat(place, "line ", splitter.pending_line()));
}

int SqlShell::RunStatement(SqlText statement, const std::string& place) {
  Statement next{.sql = std::move(statement.sql),
                 .place = terminal_ ? "" : absl::StrCat(place, "line ", statement.line)};
  next.last_line = statement.line + std::ranges::count(next.sql, '\n');
  if (one_call_) {
    if (collected_.size() == kStatementsMax) {
      return Failed(absl::InvalidArgumentError(absl::StrCat("--atomic is for at most ", kStatementsMax, " statements")),
                    next.place);
    }
    collected_.push_back(std::move(next));
    return kExitOk;
  }
  const bool was_open = transaction_.open();
  const absl::StatusOr<SqlTransaction::Run> run = transaction_.Add(next.sql);
  if (!run.ok()) return Failed(run.status(), next.place);
  if (!was_open && transaction_.open()) transaction_place_ = next.place;
  if (*run == SqlTransaction::Run::kNothing) return kExitOk;
  if (*run == SqlTransaction::Run::kCollected) {
    next = {.sql = transaction_.Take(), .place = transaction_place_, .last_line = next.last_line};
  }
  const std::string id = absl::StrCat(run_id_, "-", statements_run_++);
  return Execute({std::move(next)}, id, place);
}

int SqlShell::RunDotCommand(absl::string_view line, const std::string& place) {
  const std::pair<absl::string_view, absl::string_view> words =
      absl::StrSplit(line, absl::MaxSplits(absl::ByAnyChar(" \t"), 1));
  const std::string argument = Unquoted(absl::StripAsciiWhitespace(words.second));
  const auto* const command =
      std::ranges::find_if(kDotCommands, [&](const DotCommand& known) { return words.first == known.name; });
  if (command == std::end(kDotCommands)) {
    std::vector<Candidate> known;
    for (const DotCommand& dot : kDotCommands) known.push_back({dot.name, dot.name});
    const std::string meant = DidYouMean(words.first, known);
    return Failed(absl::InvalidArgumentError(
                      absl::StrCat("no command ", words.first, meant.empty() ? "; .help lists them" : meant)),
                  place);
  }
  if (one_call_) {
    return Failed(absl::InvalidArgumentError("with --atomic and --param there are statements only"), place);
  }
  const absl::string_view takes = command->argument;
  if (takes.empty() ? !argument.empty() : argument.empty() && !absl::StartsWith(takes, "[")) {
    return Failed(absl::InvalidArgumentError(
                      absl::StrCat(command->name, takes.empty() ? " takes no argument" : " needs ", takes)),
                  place);
  }
  const absl::Status status = (this->*command->run)(argument);
  return status.ok() ? kExitOk : Failed(status, place);
}

int SqlShell::Execute(const std::vector<Statement>& statements, const std::string& request_id,
                      const std::string& source) {
  v1::ExecuteSqlRequest request;
  *request.mutable_object() = options_.object;
  for (const Statement& statement : statements) request.add_statements()->set_sql(statement.sql);
  for (const v1::SqlValue& param : options_.params) *request.mutable_statements(0)->add_params() = param;
  const bool reads = options_.read_only || std::ranges::all_of(statements, [](const Statement& statement) {
                       return OnlyReads(statement.sql);
                     });
  request.set_read_only(options_.read_only);
  const CallKind kind = reads ? CallKind::kIdempotent : CallKind::kMutation;
  if (!reads) request.set_request_id(request_id);
  const auto response = session_.client().Call(kind, &ObjectService::Stub::ExecuteSql, request);
  if (response.ok()) {
    for (const v1::SqlResult& result : response->results()) {
      PrintSqlResult(options_.format, result, session_.text());
    }
    wrote_ |= !reads;
    RanUpTo(source, statements.back().last_line);
    return kExitOk;
  }
  // The server names a statement by its number in the call, which does not help the author of the script.
  absl::Status error = response.status();
  std::string place = statements.size() == 1 ? statements[0].place : "";
  for (size_t i = 0; i < statements.size(); ++i) {
    absl::string_view message = error.message();
    if (!absl::ConsumePrefix(&message, absl::StrCat("statements[", i, "]: "))) continue;
    place = statements[i].place;
    error = WithMessage(error, message);
    break;
  }
  // At a terminal there is no run to repeat.
  return session_.Failed(kind, WithEffect(AtPlace(error, place), place), terminal_ ? "" : run_id_);
}

int SqlShell::Failed(const absl::Status& error, const std::string& place) {
  return session_.Failed(CallKind::kIdempotent, terminal_ ? error : WithEffect(AtPlace(error, place), place));
}

void SqlShell::RanUpTo(const std::string& source, int64_t line) {
  if (!wrote_ || terminal_) return;
  effect_source_ = source;
  effect_line_ = line;
}

absl::Status SqlShell::WithEffect(const absl::Status& error, absl::string_view place) const {
  if (effect_line_ == 0) return error;
  const std::string last = absl::StrCat(effect_source_, "line ", effect_line_);
  std::string lines = last;
  if (!effect_source_.empty()) {
    lines = absl::StrCat("everything up to ", last);
  } else if (effect_line_ > 1) {
    lines = absl::StrCat("lines 1 to ", effect_line_);
  }
  // The rest of that line did not run.
  if (place == last) absl::StrAppend(&lines, ", before this statement,");
  absl::string_view message = error.message();
  absl::ConsumeSuffix(&message, "; nothing was done");  // this suffix is about the statement alone
  return WithMessage(error, absl::StrCat(message, "; ", lines, " took effect"));
}

// Writes to FILE.partial, so that an earlier file of this name stays until the export is complete.
absl::Status SqlShell::Export(const std::string& file) {
  const std::string partial = absl::StrCat(file, ".partial");
  std::ofstream out(partial, std::ios::binary | std::ios::trunc);
  const absl::Status unwritable = absl::InvalidArgumentError(absl::StrCat("the file can't be written: ", file));
  if (!out) return unwritable;
  v1::ExportSqlRequest request;
  *request.mutable_object() = options_.object;
  int64_t bytes = 0;
  absl::Status status = session_.client().ExportSql(request, [&](const std::string& chunk) {
    out.write(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    bytes += static_cast<int64_t>(chunk.size());
    return out.good();
  });
  out.close();
  std::error_code error;
  if (!out) status = unwritable;
  if (status.ok()) std::filesystem::rename(partial, file, error);
  if (error) status = unwritable;
  if (!status.ok()) std::filesystem::remove(partial, error);
  if (status.ok()) session_.Note(absl::StrCat(bytes, " bytes to ", file));
  return status;
}

absl::Status SqlShell::Import(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return absl::InvalidArgumentError(absl::StrCat("the file can't be read: ", file));
  v1::ImportSqlHeader header;
  *header.mutable_object() = options_.object;
  header.set_request_id(absl::StrCat(run_id_, "-", statements_run_++));
  const auto response = session_.client().ImportSql(header, [&](std::string* chunk) {
    chunk->resize(kImportChunkBytes);
    in.read(chunk->data(), static_cast<std::streamsize>(chunk->size()));
    chunk->resize(static_cast<size_t>(in.gcount()));
    return !chunk->empty();
  });
  if (!response.ok()) return response.status();
  wrote_ = true;
  session_.Note(absl::StrCat(response->bytes(), " bytes from ", file));
  return absl::OkStatus();
}

absl::Status SqlShell::Help(const std::string&) {
  for (const DotCommand& command : kDotCommands) {
    const std::string name = absl::StrCat(command.name, " ", command.argument);
    session_.text().Raw(HelpEntry(absl::StripAsciiWhitespace(name), command.help, kHelpNameColumns));
  }
  return absl::OkStatus();
}

absl::Status SqlShell::Quit(const std::string&) {
  quit_ = true;
  return absl::OkStatus();
}

absl::Status SqlShell::Schema(const std::string& table) {
  v1::SqlStatement statement;
  statement.set_sql(absl::StrCat("SELECT sql || ';' AS sql FROM sqlite_schema WHERE sql IS NOT NULL",
                                 table.empty() ? "" : " AND tbl_name = ?1 COLLATE NOCASE", " ORDER BY rowid"));
  if (!table.empty()) statement.add_params()->set_text(table);
  return PrintLines(std::move(statement));
}

absl::Status SqlShell::Tables(const std::string&) {
  v1::SqlStatement statement;
  statement.set_sql(
      "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
      "ORDER BY name");
  return PrintLines(std::move(statement));
}

absl::Status SqlShell::PrintLines(v1::SqlStatement statement) {
  v1::ExecuteSqlRequest request;
  *request.mutable_object() = options_.object;
  *request.add_statements() = std::move(statement);
  request.set_read_only(options_.read_only);
  const auto response = session_.client().Call(CallKind::kIdempotent, &ObjectService::Stub::ExecuteSql, request);
  if (!response.ok()) return response.status();
  for (const v1::SqlResult& result : response->results()) {
    if (options_.format != SqlFormat::kTable) {
      PrintSqlResult(options_.format, result, session_.text());
      continue;
    }
    for (const v1::SqlRow& row : result.rows()) {
      if (row.values().empty()) continue;
      // Line() would print a newline and a tab as escapes.
      const std::string lines = absl::StrReplaceAll(row.values(0).text(), {{"\t", "    "}, {"\r\n", "\n"}});
      for (absl::string_view line : absl::StrSplit(lines, '\n')) session_.text().Line(line);
    }
  }
  return absl::OkStatus();
}

}  // namespace holdfast::client
