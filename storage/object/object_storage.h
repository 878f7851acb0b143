// What a handler sees of its object's storage: keys, records (through Table), a SQL database, and one alarm.
//
// Reads are awaited and see the writes of the turn so far. Writes are not awaited: they gather in the turn, and join
// the commit pipeline all together when the turn ends well; otherwise they are dropped. The reply is held until they
// are durable, so a handler never waits for the disk to write.
//
// Threading: the object's executor. Its handlers use it during their turn only; the activation uses the rest.

#ifndef HOLDFAST_STORAGE_OBJECT_OBJECT_STORAGE_H_
#define HOLDFAST_STORAGE_OBJECT_OBJECT_STORAGE_H_

#include <coroutine>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/base/background.h"
#include "storage/object/keyspace.h"
#include "storage/object/keyspace_reader.h"
#include "storage/object/operation.h"
#include "storage/object/usage.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

namespace sql {
struct Environment;
}  // namespace sql

// The open SQL database of an object, as the object's storage keeps it; storage/sql/database.h has its use.
class OpenDatabase {
 public:
  virtual ~OpenDatabase() = default;
  // An estimate of what it holds in memory.
  virtual size_t MemoryBytes() const = 0;
};

inline constexpr size_t kEntryKeyBytesMax = 2048;
inline constexpr size_t kEntryValueBytesMax = 2 << 20;
inline constexpr size_t kEntriesPerCallMax = 128;

using Entry = std::pair<std::string, std::string>;

// Where an entry lies in the keyspace.
std::string EntryKey(absl::string_view key);

// Bounds keep their meaning with `reverse`. `start` and `start_after` together are refused.
struct ListOptions {
  std::optional<std::string> start;        // inclusive
  std::optional<std::string> start_after;  // exclusive
  std::optional<std::string> end;          // exclusive
  std::string prefix;
  bool reverse = false;
  std::optional<int64_t> limit;  // at least 1
  // Ends after the entry with which keys and values have so many bytes.
  size_t bytes_max = SIZE_MAX;
};

// The clock by which an alarm's time is measured. kObject: the object's own clock, which goes on evenly, so that a time
// made from a delay comes after that delay, whatever is done to the wall clock meanwhile. After a restart it is an
// instant like any other. kWall: the wall clock, for an instant that a client has named.
enum class AlarmClock { kObject, kWall };

class ObjectStorage : public KeyspaceReader {
 public:
  // `resume` lets a handler that awaited a read go on. `sql` may be null where there is no SQL. What is pointed to must
  // outlive this.
  ObjectStorage(Store* store, Background* background, Keyspace* keyspace, const sql::Environment* sql,
                absl::AnyInvocable<void(std::coroutine_handle<>)> resume);
  ~ObjectStorage() override;

  // Whose storage it is, for what is shared between namespaces; `key` outlives this. "" where it was not said.
  void set_object(const ObjectKey* key) { object_ = key; }
  std::string ns() const;

  // --- Keys. Errors: INVALID_ARGUMENT for a key that is empty or over 2,048 bytes, a value over 2 MiB, over 128 keys.
  StorageOp<std::optional<std::string>> Get(absl::string_view key);
  // Sorted by key, the missing left out. OUT_OF_RANGE if keys and values have more bytes than that.
  StorageOp<std::map<std::string, std::string>> GetMany(absl::Span<const std::string> keys,
                                                        size_t bytes_max = SIZE_MAX);
  StorageOp<std::vector<Entry>> List(const ListOptions& options);
  absl::Status Put(absl::string_view key, std::string value);
  // The same for who knows how many bytes the value has that is replaced; nothing: there is none.
  absl::Status Write(absl::string_view key, std::string value, std::optional<size_t> replaced_bytes);
  void Erase(absl::string_view key, size_t value_bytes);
  // All or none of them.
  absl::Status PutMany(absl::Span<const Entry> entries);
  // How many of them existed.
  StorageOp<int64_t> Delete(absl::Span<const std::string> keys);
  // Removes all keys, records and the SQL database, and the alarm unless `keep_alarm`.
  StorageOp<bool> DeleteAll(bool keep_alarm);
  // The same if there are no keys, records and SQL database, and no alarm; otherwise does nothing. What is under
  // kRemainderKey stays, and does not make the object exist. Returns whether it was so.
  StorageOp<bool> DeleteIfEmpty();

  // --- The SQL database, for sql::DatabaseOf(), which opens it at its first use. Null while it is closed.
  std::unique_ptr<OpenDatabase>& database() { return database_; }
  const sql::Environment* sql_environment() const { return sql_environment_; }

  // --- The alarm. A time in the past is due at once. One alarm at a time: setting replaces.
  void SetAlarm(absl::Time time, AlarmClock clock = AlarmClock::kObject);
  void DeleteAlarm();
  // Absent also in the alarm's own handler, until that sets a new one.
  std::optional<absl::Time> alarm() const;

  // --- For Table, and what is stored about the object itself.
  WriteSet& writes() { return turn_; }
  UsageChange& usage() { return usage_; }

  // --- For the activation, between turns.
  struct AlarmChange {
    std::optional<absl::Time> time;  // nothing: deleted
    AlarmClock clock = AlarmClock::kObject;
  };
  bool wrote() const { return !turn_.empty() || alarm_change_ || deleted_all_; }
  bool deleted_all() const { return deleted_all_; }
  // By DeleteIfEmpty: what the turn puts is the remainder at most.
  bool left() const { return left_; }
  const std::optional<AlarmChange>& alarm_change() const { return alarm_change_; }
  // What alarm() says while the turn has not changed it.
  void set_stored_alarm(std::optional<absl::Time> time) { stored_alarm_ = time; }
  void DropTurn();
  // Closes the SQL database, whose connection may have seen what was dropped.
  void CloseSql();
  // An estimate of what it keeps in memory.
  size_t MemoryBytes() const;

 private:
  // Removes these keys, all that there are.
  void DeleteKeys(const std::vector<std::string>& keys, bool keep_alarm);

  const sql::Environment* const sql_environment_;
  const ObjectKey* object_ = nullptr;
  std::unique_ptr<OpenDatabase> database_;
  WriteSet turn_;
  UsageChange usage_;
  bool deleted_all_ = false;
  bool left_ = false;
  std::optional<AlarmChange> alarm_change_;
  std::optional<absl::Time> stored_alarm_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_OBJECT_OBJECT_STORAGE_H_
