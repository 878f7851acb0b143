// The SQL of clients, as an object runs it: each statement first on the executor, if it is short, or else on a worker,
// through the authorizer, the classifier and the limits. Whatever it is, the database stays whole.
//
// An input is a text; empty lines separate its transactions.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "storage/base/check.h"
#include "storage/sql/connection.h"
#include "tests/fuzz/memory_pages.h"
#include "tests/fuzz/sql_options.h"

namespace holdfast::fuzz {
namespace {

using storage::sql::Connection;
using storage::sql::Where;

constexpr size_t kTransactionsMax = 16;

constexpr char kSchema[] =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b, c REAL CHECK (c IS NULL OR c < 1000));"
    "CREATE INDEX t_a ON t(a, b);"
    "CREATE TABLE child(id INTEGER PRIMARY KEY, t INTEGER REFERENCES t(id) ON DELETE CASCADE);"
    "CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;"
    "CREATE VIRTUAL TABLE f USING fts5(body);"
    "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1);"
    "CREATE VIEW v AS SELECT a, count(*) AS n FROM t GROUP BY a;"
    "CREATE TRIGGER t_insert AFTER INSERT ON t BEGIN INSERT INTO w VALUES(new.id, new.a) ON CONFLICT DO NOTHING; END;"
    "INSERT INTO t(a, b, c) VALUES('x', 1, 2.5), ('y', 'z', NULL), (NULL, x'00ff', 0.1);"
    "INSERT INTO child(t) VALUES(1), (2);"
    "INSERT INTO f VALUES('some words of a text'), ('other words');"
    "INSERT INTO r VALUES(1, 0, 1), (2, 0.5, 2);";

class Database {
 public:
  explicit Database(MemoryPages::Pages pages) : pages_(std::move(pages)) {}

  // Runs one transaction, and drops its pages if it fails.
  absl::Status Run(absl::string_view sql) {
    const MemoryPages::Pages before = pages_.pages();
    absl::Status status = RunOn(Where::kExecutor, sql);
    if (!status.ok()) Drop(before);
    if (!storage::sql::IsNeedsWorker(status)) return status;
    status = RunOn(Where::kWorker, sql);
    if (!status.ok()) Drop(before);
    return status;
  }
  // The database must be whole, as far as there is time to look.
  void Check() {
    connection_ = nullptr;
    const absl::Status opened = Open(Where::kWorker);
    if (!opened.ok() || !connection_->Begin(Where::kWorker).ok()) {
      HOLDFAST_CHECK(opened.code() != absl::StatusCode::kDataLoss, opened.ToString());
      return;
    }
    const auto result = connection_->Execute("PRAGMA quick_check", {});
    if (!result.ok() || result->rows.empty()) return;
    const auto* const text = std::get_if<std::string>(&result->rows[0][0]);
    // A CHECK that a client has made may fail by what it computes, which is no damage.
    const bool whole = text != nullptr && (*text == "ok" || absl::StrContains(*text, "CHECK constraint") ||
                                           absl::StrContains(*text, "NULL value"));
    HOLDFAST_CHECK(whole, text == nullptr ? "no text" : *text);
  }
  const MemoryPages::Pages& pages() const { return pages_.pages(); }

 private:
  absl::Status Open(Where where) {
    if (connection_ != nullptr && connection_->usable()) return absl::OkStatus();
    auto opened = Connection::Open(&pages_, SqlOptions(&steady_, where));
    if (!opened.ok()) return opened.status();
    connection_ = *std::move(opened);
    return absl::OkStatus();
  }
  absl::Status RunOn(Where where, absl::string_view sql) {
    if (absl::Status status = Open(where); !status.ok()) return status;
    if (absl::Status status = connection_->Begin(where); !status.ok()) return status;
    const auto result = connection_->Execute(sql, {});
    if (!result.ok()) return result.status();
    if (where == Where::kExecutor) {
      HOLDFAST_CHECK(result->vm_steps <= 2 * storage::sql::kShortSteps,
                     absl::StrCat(result->vm_steps, " steps on an executor"));
    }
    return connection_->Commit();
  }
  void Drop(const MemoryPages::Pages& before) {
    if (connection_ != nullptr) connection_->Rollback();
    if (connection_ != nullptr && !connection_->usable()) connection_ = nullptr;
    pages_.set_pages(before);
  }

  absl::Time steady_ = absl::UnixEpoch();
  MemoryPages pages_;
  std::unique_ptr<Connection> connection_;
};

const MemoryPages::Pages& BasePages() {
  static const auto* const pages = [] {
    Database database({});
    HOLDFAST_CHECK(database.Run(kSchema).ok(), "the schema of the target");
    return new MemoryPages::Pages(database.pages());
  }();
  return *pages;
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const absl::string_view text(reinterpret_cast<const char*>(data), bytes);
  holdfast::fuzz::Database database(holdfast::fuzz::BasePages());
  size_t transactions = 0;
  for (absl::string_view sql : absl::StrSplit(text, "\n\n")) {
    if (++transactions > holdfast::fuzz::kTransactionsMax) break;
    (void)database.Run(sql);
  }
  database.Check();
  return 0;
}
