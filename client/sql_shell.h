// The shell of `holdfast sql`. It runs statements on an object's database, and commands that begin with a point.
//
// The shell makes one call for each statement, in the order of the input, and each call is an atomic commit. Statements
// from BEGIN to COMMIT are one call (sql_transaction.h), and --atomic makes one call of all statements. A script ends
// with the first error, which says which lines took effect before it; a terminal goes on after it.
//
// Request ids. A run has one id, --request-id or a random one, and its statement n, from 0, gets ID-n; the one call of
// an atomic run gets the ID itself. The same script with the ID of a run that ended with an unknown outcome therefore
// repeats nothing. A statement that begins with SELECT, VALUES or EXPLAIN only reads and gets no id, since the server
// keeps the replies to requests that have one, which bounds them (types.proto).

#ifndef HOLDFAST_CLIENT_SQL_SHELL_H_
#define HOLDFAST_CLIENT_SQL_SHELL_H_

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/command.h"
#include "client/sql_output.h"
#include "client/sql_split.h"
#include "client/sql_transaction.h"

namespace holdfast::client {

// The server's bound for one call (object_service.proto).
inline constexpr size_t kStatementsMax = 128;
// The bound on a line of input, which bounds its memory.
inline constexpr size_t kLineBytesMax = 4 << 20;

struct SqlShellOptions {
  v1::ObjectId object;
  SqlFormat format = SqlFormat::kTable;
  bool atomic = false;
  // Statements that write are refused, and the right to read is enough.
  bool read_only = false;
  // The parameters of the statement. With them the run must have exactly one statement.
  std::vector<v1::SqlValue> params;
};

// The session must outlive the shell. Its public methods that run something return the exit status; they have then
// printed any error, with the line of the statement unless it was typed at a terminal. Single-threaded.
class SqlShell {
 public:
  SqlShell(Session* session, SqlShellOptions options);

  // Runs the whole script `in`. `place` precedes the line in errors: "argument 2, ".
  int RunScript(std::istream& in, const std::string& place = "");
  // Prompts for each line until the end of input or .quit.
  int RunTerminal(std::istream& in);
  // Ends the run after the last script: makes the call of an atomic run.
  int Finish();
  // Returns whether .quit or .exit has run; then nothing more may run.
  bool quit() const { return quit_; }

 private:
  struct Statement {
    std::string sql;
    std::string place;  // "line 7"; empty at a terminal
    int64_t last_line = 0;
  };
  struct DotCommand {
    const char* name;
    const char* argument;  // empty: the command takes none; in brackets: it may be left out
    const char* help;
    // Runs the command with its argument, which is empty if it is left out.
    absl::Status (SqlShell::*run)(const std::string& argument);
  };
  static const DotCommand kDotCommands[];

  int RunLine(SqlSplitter& splitter, const std::string& line, const std::string& place);
  int RunStatement(SqlText statement, const std::string& place);
  // Prints an error, and returns its exit status, if the script has ended within a transaction.
  int CheckTransactionHasEnded();
  int RunDotCommand(absl::string_view line, const std::string& place);
  // Runs the statements in one call.
  int Execute(const std::vector<Statement>& statements, const std::string& request_id, const std::string& source = "");
  int Failed(const absl::Status& error, const std::string& place);
  // Notes that all statements of the script up to this line of `source`, as in RunScript, have run.
  void RanUpTo(const std::string& source, int64_t line);
  // Adds to the error at this place the lines of the script that took effect before, if any did.
  absl::Status WithEffect(const absl::Status& error, absl::string_view place) const;

  absl::Status Export(const std::string& file);
  absl::Status Help(const std::string&);
  absl::Status Import(const std::string& file);
  absl::Status Quit(const std::string&);
  absl::Status Schema(const std::string& table);
  absl::Status Tables(const std::string&);
  // Runs a statement of the shell's own, which must only read. In table format it prints the one column as lines.
  absl::Status PrintLines(v1::SqlStatement statement);

  Session& session_;
  const SqlShellOptions options_;
  const bool one_call_;
  const std::string run_id_;
  bool terminal_ = false;
  bool quit_ = false;
  int64_t statements_run_ = 0;
  bool wrote_ = false;  // something ran that may have written
  // If a write took effect: everything up to this line of this source has run. The line is 0 before that.
  std::string effect_source_;
  int64_t effect_line_ = 0;
  std::vector<Statement> collected_;  // the statements of the one call
  SqlTransaction transaction_;
  std::string transaction_place_;  // the place of its BEGIN
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_SQL_SHELL_H_
