// Database files that clients send: a file is refused, or it is a database whose use does no harm.

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/sql/connection.h"
#include "storage/sql/import_file.h"
#include "storage/sql/temp_space.h"
#include "tests/fuzz/memory_pages.h"
#include "tests/fuzz/sql_options.h"

namespace holdfast::fuzz {
namespace {

using storage::sql::Connection;
using storage::sql::kPageBytes;
using storage::sql::Where;

constexpr size_t kTablesMax = 20;

storage::sql::TempSpace& Space() {
  static auto* const space = new storage::sql::TempSpace("/tmp", {.bytes_max = 64 << 20});
  return *space;
}

void Use(absl::string_view file) {
  MemoryPages::Pages pages;
  for (size_t at = 0; at < file.size(); at += kPageBytes) pages.emplace_back(file.substr(at, kPageBytes));
  MemoryPages source(std::move(pages));
  absl::Time steady = absl::UnixEpoch();
  const auto connection = Connection::Open(&source, SqlOptions(&steady));
  if (!connection.ok()) return;
  const auto run = [&](const std::string& sql) -> absl::StatusOr<storage::sql::Result> {
    if (absl::Status status = (*connection)->Begin(Where::kWorker); !status.ok()) return status;
    auto result = (*connection)->Execute(sql, {});
    if (result.ok()) {
      (void)(*connection)->Commit();
    } else {
      (*connection)->Rollback();
    }
    return result;
  };
  const auto tables = run("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')");
  for (size_t i = 0; tables.ok() && i < std::min(tables->rows.size(), kTablesMax); ++i) {
    const auto* const name = std::get_if<std::string>(&tables->rows[i][0]);
    if (name == nullptr || name->find('"') != std::string::npos) continue;
    for (const char* const statement : {"SELECT * FROM \"", "DELETE FROM \"", "DROP TABLE \""}) {
      (void)run(absl::StrCat(statement, *name, "\""));
    }
  }
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  std::string file(reinterpret_cast<const char*>(data), bytes);
  // A file of broken pages is refused at once, which is not what is looked for.
  const size_t whole = (bytes + holdfast::fuzz::kPageBytes - 1) / holdfast::fuzz::kPageBytes;
  file.resize(whole * holdfast::fuzz::kPageBytes, '\0');
  holdfast::storage::sql::ImportFile import(&holdfast::fuzz::Space());
  if (!import.Append(file).ok()) return 0;
  absl::Time steady = absl::UnixEpoch();
  if (import.Check(holdfast::fuzz::SqlOptions(&steady)).ok()) holdfast::fuzz::Use(file);
  return 0;
}
