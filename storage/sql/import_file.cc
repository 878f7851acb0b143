#include "storage/sql/import_file.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace holdfast::storage::sql {
namespace {

constexpr absl::string_view kMagic("SQLite format 3\0", 16);
constexpr size_t kPageSizeOffset = 16;
constexpr size_t kChangeCounterOffset = 24;
constexpr size_t kPageCountOffset = 28;
constexpr size_t kEncodingOffset = 56;
constexpr uint32_t kUtf16Le = 2;
constexpr uint32_t kUtf16Be = 3;
constexpr size_t kCountedAtOffset = 92;
// 1: with a rollback journal; 2: with a write-ahead log.
constexpr size_t kWriteVersionOffset = 18;
constexpr size_t kReadVersionOffset = 19;

uint32_t BigEndian(const char* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

absl::Status Refused(absl::string_view why) {
  return MakeFailure({FailureKind::kSqlError, 0}, absl::StrCat("the file is not imported: ", why));
}

// Returns a refusal of the file if its contents caused the error. Other errors, which are the server's or due to time,
// are returned as they are.
absl::Status OfTheFile(const absl::Status& status, absl::string_view where = "") {
  const FailureKind kind = FailureOf(status).kind;
  const bool of_the_file =
      absl::IsDataLoss(status) || kind == FailureKind::kSqlError || kind == FailureKind::kConstraint;
  return of_the_file ? Refused(absl::StrCat(where, status.message())) : status;
}

}  // namespace

ImportFile::~ImportFile() {
  if (file_ >= 0) space_->CloseFile(file_);
  space_->Release(bytes_);
}

absl::Status ImportFile::Append(absl::string_view bytes) {
  if (file_ < 0) file_ = space_->OpenFile();
  if (file_ < 0) {
    const int error = errno;
    const std::string why = absl::StrCat("no temporary file: ", std::generic_category().message(error));
    return error == EMFILE ? MakeFailure({.kind = FailureKind::kBusy}, why) : absl::InternalError(why);
  }
  if (bytes_ + bytes.size() > space_->import_bytes_max()) {
    return MakeFailure({.kind = FailureKind::kTempFull},
                       absl::StrCat("the file has over ", space_->import_bytes_max(), " bytes"));
  }
  if (!space_->ReserveForImport(bytes.size())) {
    return MakeFailure({.kind = FailureKind::kBusy},
                       "the temporary files of the server have no room for the file now (sql.temp_bytes_of_all_max)");
  }
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == ENOSPC) {
      return MakeFailure({.kind = FailureKind::kBusy}, "the disk of the server has no room for the file");
    }
    if (written <= 0) {
      return absl::InternalError(absl::StrCat("temporary file: ", std::generic_category().message(errno)));
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status ImportFile::ReadPage(uint32_t number, char* page) {
  const off_t offset = static_cast<off_t>(number - 1) * static_cast<off_t>(kPageBytes);
  for (size_t done = 0; done < kPageBytes;) {
    const ssize_t part = ::pread(file_, page + done, kPageBytes - done, offset + static_cast<off_t>(done));
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) return absl::InternalError(absl::StrCat("temporary file: ", std::generic_category().message(errno)));
    done += static_cast<size_t>(part);
  }
  if (number == 1) page[kWriteVersionOffset] = page[kReadVersionOffset] = 1;
  return absl::OkStatus();
}

absl::Status ImportFile::WritePage(uint32_t, absl::string_view) {
  return absl::InternalError("a file to be imported is read only");
}

absl::Status ImportFile::Truncate(uint32_t) { return absl::InternalError("a file to be imported is read only"); }

absl::Status ImportFile::CheckHeader() {
  if (bytes_ == 0) return absl::OkStatus();
  // Bytes that the first page lacks read as zeros.
  char page[kPageBytes] = {};
  if (::pread(file_, page, kPageBytes, 0) < 0) return absl::InternalError("a temporary file cannot be read");
  if (absl::string_view(page, kMagic.size()) != kMagic) return Refused("it is no SQLite database");
  // SQLite would answer in UTF-8, but the pages of an object's database are compared, and parts of them read, as they
  // are.
  const uint32_t encoding = BigEndian(page + kEncodingOffset);
  if (encoding == kUtf16Le || encoding == kUtf16Be) {
    return Refused(absl::StrCat("its texts are UTF-16", encoding == kUtf16Le ? "le" : "be",
                                ", not UTF-8; in sqlite3: .output dump.sql, .dump, and read that into a new database"));
  }
  const int page_size =
      static_cast<uint8_t>(page[kPageSizeOffset]) << 8 | static_cast<uint8_t>(page[kPageSizeOffset + 1]);
  if (page_size != static_cast<int>(kPageBytes)) {
    return Refused(absl::StrCat("its pages have ", page_size == 1 ? 65'536 : page_size, " bytes, not ", kPageBytes,
                                "; in sqlite3: PRAGMA journal_mode=DELETE; PRAGMA page_size=", kPageBytes, "; VACUUM"));
  }
  // The header's count holds only if the last program that changed the file has kept it.
  const uint32_t pages = BigEndian(page + kPageCountOffset);
  const bool counted = BigEndian(page + kChangeCounterOffset) == BigEndian(page + kCountedAtOffset);
  if (bytes_ % kPageBytes != 0 || (counted && pages != bytes_ / kPageBytes)) return Refused("it is cut off");
  return absl::OkStatus();
}

absl::Status ImportFile::Check(ConnectionOptions options) {
  if (absl::Status status = CheckHeader(); !status.ok()) return status;
  if (bytes_ == 0) return absl::OkStatus();
  options.temp_space = space_;
  options.check_constraints = false;
  auto connection = Connection::Open(this, std::move(options));
  if (!connection.ok()) return OfTheFile(connection.status());
  const auto run = [&](const std::string& sql) { return (*connection)->Execute(sql, {}); };
  absl::Status status = (*connection)->Begin(Where::kWorker);
  if (!status.ok()) return status;
  const auto checked = run("PRAGMA quick_check(100)");
  if (!checked.ok()) return OfTheFile(checked.status());
  for (const Row& row : checked->rows) {
    const auto* found = std::get_if<std::string>(&row[0]);
    if (found == nullptr) return Refused("it is damaged");
    if (*found != "ok") return Refused(*found);
  }
  // Every table can be read, so every module is one that is allowed.
  const auto tables = run("SELECT name FROM sqlite_schema WHERE type = 'table'");
  if (!tables.ok()) return OfTheFile(tables.status());
  for (const Row& row : tables->rows) {
    const auto* name = std::get_if<std::string>(&row[0]);
    if (name == nullptr || absl::StartsWithIgnoreCase(*name, "_holdfast"))
      return Refused("it has a name that is reserved");
    const auto read = run(absl::StrCat("SELECT 1 FROM \"", absl::StrReplaceAll(*name, {{"\"", "\"\""}}), "\" LIMIT 0"));
    if (!read.ok()) return OfTheFile(read.status(), absl::StrCat("table ", *name, ": "));
  }
  return absl::OkStatus();
}

}  // namespace holdfast::storage::sql
