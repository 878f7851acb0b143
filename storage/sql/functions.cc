#include "storage/sql/functions.h"

#include <sqlite3.h>
#include <string.h>

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::storage::sql {
namespace {

constexpr int kCommon = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

absl::string_view TextOf(sqlite3_value* value) {
  // The text is read before the number of bytes, since reading it may convert the value.
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return {text, text == nullptr ? 0 : static_cast<size_t>(sqlite3_value_bytes(value))};
}

absl::string_view BlobOf(sqlite3_value* value) {
  const auto* blob = static_cast<const char*>(sqlite3_value_blob(value));
  return {blob, blob == nullptr ? 0 : static_cast<size_t>(sqlite3_value_bytes(value))};
}

// Returns the size of a JSON document, which is text or in SQLite's binary form.
size_t BytesOf(sqlite3_value* document) {
  return sqlite3_value_type(document) == SQLITE_BLOB ? BlobOf(document).size() : TextOf(document).size();
}

void ResultText(sqlite3_context* context, absl::string_view text) {
  sqlite3_result_text64(context, text.data() == nullptr ? "" : text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

// Checks the budget before a function goes over `bytes` bytes. Any number of calls may come before SQLite itself looks
// at the time. Returns false if the budget is spent; then the result is set to an interruption.
bool MayGoOver(sqlite3_context* context, Budget* budget, size_t bytes) {
  if (budget->Bytes(bytes)) return true;
  sqlite3_result_error_code(context, SQLITE_INTERRUPT);
  return false;
}

constexpr size_t kNowhere = absl::string_view::npos;

// memmem() takes time that grows with the sum of both lengths; that of std::search grows with their product.
size_t Find(absl::string_view in, absl::string_view what) {
  if (what.size() > in.size()) return kNowhere;
  const void* found = memmem(in.data(), in.size(), what.data(), what.size());
  return found == nullptr ? kNowhere : static_cast<size_t>(static_cast<const char*>(found) - in.data());
}

// Returns the position, in characters from 1, of `what`; 0 if it is not there. Like SQLite it looks only where a
// character begins.
int64_t FindCharacter(absl::string_view in, absl::string_view what) {
  if (what.empty()) return 1;
  size_t at = kNowhere;
  if (!IsContinuation(what[0])) {
    at = Find(in, what);
  } else if (in.substr(0, what.size()) == what) {
    at = 0;
  }
  if (at == kNowhere) return 0;
  int64_t position = 1;
  for (size_t i = 1; i <= at; ++i) position += IsContinuation(in[i]) ? 0 : 1;
  return position;
}

struct FreeValue {
  void operator()(sqlite3_value* value) const { sqlite3_value_free(value); }
};

void Instr(sqlite3_context* context, int, sqlite3_value** arguments) {
  const int in_type = sqlite3_value_type(arguments[0]);
  const int what_type = sqlite3_value_type(arguments[1]);
  if (in_type == SQLITE_NULL || what_type == SQLITE_NULL) return;
  auto* budget = static_cast<Budget*>(sqlite3_user_data(context));
  if (in_type == SQLITE_BLOB && what_type == SQLITE_BLOB) {
    const absl::string_view what = BlobOf(arguments[1]);
    if (!MayGoOver(context, budget, BlobOf(arguments[0]).size())) return;
    const size_t at = what.empty() ? 0 : Find(BlobOf(arguments[0]), what);
    sqlite3_result_int64(context, at == kNowhere ? 0 : static_cast<int64_t>(at) + 1);
    return;
  }
  // The arguments are copied, since reading a blob as text would turn it into text for its other uses.
  const std::unique_ptr<sqlite3_value, FreeValue> in(sqlite3_value_dup(arguments[0]));
  const std::unique_ptr<sqlite3_value, FreeValue> what(sqlite3_value_dup(arguments[1]));
  if (in == nullptr || what == nullptr) {
    sqlite3_result_error_nomem(context);
    return;
  }
  if (!MayGoOver(context, budget, TextOf(in.get()).size())) return;
  sqlite3_result_int64(context, FindCharacter(TextOf(in.get()), TextOf(what.get())));
}

void Replace(sqlite3_context* context, int, sqlite3_value** arguments) {
  const absl::string_view in = TextOf(arguments[0]);
  const absl::string_view what = TextOf(arguments[1]);
  if (in.data() == nullptr || what.data() == nullptr) return;
  if (!MayGoOver(context, static_cast<Budget*>(sqlite3_user_data(context)), in.size())) return;
  if (what.data()[0] == '\0') return ResultText(context, in);
  const absl::string_view with = TextOf(arguments[2]);
  if (with.data() == nullptr) return;
  const auto bytes_max =
      static_cast<size_t>(sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LENGTH, -1));
  std::string replaced;
  absl::string_view rest = in;
  for (size_t at = Find(rest, what); at != kNowhere; at = Find(rest, what)) {
    replaced.append(rest.data(), at);
    replaced.append(with.data(), with.size());
    rest.remove_prefix(at + what.size());
    if (replaced.size() > bytes_max) break;
  }
  replaced.append(rest.data(), rest.size());
  if (replaced.size() > bytes_max) {
    sqlite3_result_error_toobig(context);
  } else {
    ResultText(context, replaced);
  }
}

// Returns the first character of a text, as SQLite divides it: a byte that begins a character, and the bytes that
// continue it.
absl::string_view FirstCharacter(absl::string_view text) {
  size_t size = 1;
  if (static_cast<unsigned char>(text[0]) >= 0xc0) {
    while (size < text.size() && IsContinuation(text[size])) ++size;
  }
  return text.substr(0, size);
}

enum TrimSide : int { kLeft = 1, kRight = 2 };
// sqlite3_user_data of the trim functions.
struct TrimData {
  Budget* budget;
  int sides;
};

// Returns the size of the first character of `set` with which the text begins, or ends; 0 if there is none.
size_t TrimmedAt(absl::string_view text, absl::string_view set, bool left) {
  while (!set.empty()) {
    const size_t size = FirstCharacter(set).size();
    if (size <= text.size() && text.substr(left ? 0 : text.size() - size, size) == set.substr(0, size)) return size;
    set.remove_prefix(size);
  }
  return 0;
}

void Trim(sqlite3_context* context, int count, sqlite3_value** arguments) {
  const auto* data = static_cast<const TrimData*>(sqlite3_user_data(context));
  if (sqlite3_value_type(arguments[0]) == SQLITE_NULL) return;
  absl::string_view text = TextOf(arguments[0]);
  absl::string_view set = count == 1 ? absl::string_view(" ") : TextOf(arguments[1]);
  if (text.data() == nullptr || set.data() == nullptr) return;
  if (!MayGoOver(context, data->budget, text.size() + set.size())) return;
  // The set ends at a NUL, as it does in SQLite.
  set = set.substr(0, set.find('\0'));
  constexpr size_t kComparedBetweenLooks = 1 << 20;
  size_t compared = 0;
  for (const int side : {kLeft, kRight}) {
    while ((data->sides & side) != 0 && !text.empty()) {
      const size_t size = TrimmedAt(text, set, side == kLeft);
      if (size == 0) break;
      text = side == kLeft ? text.substr(size) : text.substr(0, text.size() - size);
      compared += set.size() + 1;
      if (compared < kComparedBetweenLooks) continue;
      compared = 0;
      if (!data->budget->OnTime()) {
        sqlite3_result_error_code(context, SQLITE_INTERRUPT);
        return;
      }
    }
  }
  ResultText(context, text);
}

// SQLite's own json_patch or jsonb_patch, in a connection of its own where it is not replaced. The connection is opened
// when it is first needed.
struct JsonPatcher {
  JsonPatcher(Budget* of_connection, bool of_jsonb) : budget(of_connection), jsonb(of_jsonb) {}

  struct CloseBoth {
    void operator()(sqlite3_stmt* statement) const {
      sqlite3* db = sqlite3_db_handle(statement);
      sqlite3_finalize(statement);
      sqlite3_close(db);
    }
  };
  Budget* const budget;
  const bool jsonb;
  std::unique_ptr<sqlite3_stmt, CloseBoth> statement;

  bool Open() {
    if (statement != nullptr) return true;
    sqlite3* db = nullptr;
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_MEMORY, nullptr) !=
            SQLITE_OK ||
        sqlite3_prepare_v2(db, jsonb ? "SELECT jsonb_patch(?, ?)" : "SELECT json_patch(?, ?)", -1, &prepared,
                           nullptr) != SQLITE_OK) {
      sqlite3_close(db);
      return false;
    }
    statement.reset(prepared);
    return true;
  }
};

void JsonPatch(sqlite3_context* context, int, sqlite3_value** arguments) {
  auto* patcher = static_cast<JsonPatcher*>(sqlite3_user_data(context));
  const size_t document_bytes = BytesOf(arguments[0]);
  const size_t patch_bytes = BytesOf(arguments[1]);
  if (!MayGoOver(context, patcher->budget, document_bytes + patch_bytes)) return;
  if (document_bytes * patch_bytes > kJsonPatchBytesMax) {
    sqlite3_result_error(context, "json_patch of documents so large would take too long", -1);
    return;
  }
  if (!patcher->Open()) {
    sqlite3_result_error_nomem(context);
    return;
  }
  sqlite3_stmt* statement = patcher->statement.get();
  for (const int i : {0, 1}) sqlite3_bind_value(statement, i + 1, arguments[i]);
  if (sqlite3_step(statement) == SQLITE_ROW) {
    // JSON functions tell each other by this subtype that a text is JSON.
    constexpr unsigned kJsonSubtype = 'J';
    sqlite3_result_value(context, sqlite3_column_value(statement, 0));
    if (!patcher->jsonb) sqlite3_result_subtype(context, kJsonSubtype);
  } else {
    sqlite3_result_error(context, sqlite3_errmsg(sqlite3_db_handle(statement)), -1);
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

template <typename T>
void Delete(void* data) {
  delete static_cast<T*>(data);
}

}  // namespace

int RegisterFunctions(sqlite3* db, Budget* budget) {
  int result = sqlite3_create_function_v2(db, "instr", 2, kCommon, budget, Instr, nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return result;
  result = sqlite3_create_function_v2(db, "replace", 3, kCommon, budget, Replace, nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return result;
  struct Name {
    const char* name;
    int sides;
  };
  for (const auto& [name, sides] : {Name{"ltrim", kLeft}, Name{"rtrim", kRight}, Name{"trim", kLeft | kRight}}) {
    for (const int arguments : {1, 2}) {
      result = sqlite3_create_function_v2(db, name, arguments, kCommon, new TrimData{budget, sides}, Trim, nullptr,
                                          nullptr, Delete<TrimData>);
      if (result != SQLITE_OK) return result;
    }
  }
  for (const bool jsonb : {false, true}) {
    result =
        sqlite3_create_function_v2(db, jsonb ? "jsonb_patch" : "json_patch", 2, kCommon | SQLITE_RESULT_SUBTYPE,
                                   new JsonPatcher(budget, jsonb), JsonPatch, nullptr, nullptr, Delete<JsonPatcher>);
    if (result != SQLITE_OK) return result;
  }
  return SQLITE_OK;
}

}  // namespace holdfast::storage::sql
