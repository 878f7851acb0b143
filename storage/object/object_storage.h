// The storage of one object, as its handlers use it: keys, records (through Table), a SQL database, and one alarm.
//
// Reads are awaited and see the writes of the turn so far. Writes are not awaited: they gather in the turn, and join
// the commit pipeline all together when the turn ends well; otherwise they are dropped. The reply is held until they
// are durable, so a handler never waits for the disk to write.
//
// Threading: the object's executor. Handlers use the storage during their turn only; the activation uses it between
// turns.

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

// The open SQL database of an object, as ObjectStorage owns it. Handlers use it through storage/sql/database.h.
class OpenDatabase {
 public:
  virtual ~OpenDatabase() = default;
  // Returns an estimate of the memory that the database holds.
  virtual size_t MemoryBytes() const = 0;
};

inline constexpr size_t kEntryKeyBytesMax = 2048;
inline constexpr size_t kEntryValueBytesMax = 2 << 20;
inline constexpr size_t kEntriesPerCallMax = 128;

using Entry = std::pair<std::string, std::string>;

// Returns the key of an entry in the keyspace.
std::string EntryKey(absl::string_view key);

// Bounds keep their meaning with `reverse`. `start` and `start_after` together are refused.
struct ListOptions {
  std::optional<std::string> start;        // inclusive
  std::optional<std::string> start_after;  // exclusive
  std::optional<std::string> end;          // exclusive
  std::string prefix;
  bool reverse = false;
  std::optional<int64_t> limit;  // at least 1
  // The list ends after the entry with which its keys and values reach this many bytes.
  size_t bytes_max = SIZE_MAX;
};

// The clock that an alarm's time refers to. kObject is the object's own clock, which advances evenly: a time made from
// a delay comes after that delay, even if the wall clock is set meanwhile. After a restart such a time is an instant
// like any other. kWall is the wall clock, for an instant that a client has named.
enum class AlarmClock { kObject, kWall };

class ObjectStorage : public KeyspaceReader {
 public:
  // `sql` may be null if there is no SQL. Everything pointed to must outlive this.
  ObjectStorage(Store* store, Background* background, Keyspace* keyspace, const sql::Environment* sql,
                Resumer* resumer);
  ~ObjectStorage() override;

  // Names the object, whose namespace counts for resources that namespaces share. `key` outlives this. ns() is "" if no
  // object was named.
  void set_object(const ObjectKey* key) { object_ = key; }
  std::string ns() const;

  // --- Keys. Errors: INVALID_ARGUMENT for a key that is empty or over 2,048 bytes, a value over 2 MiB, over 128 keys.
  StorageOp<std::optional<std::string>> Get(absl::string_view key);
  // Returns the entries that exist, sorted by key. OUT_OF_RANGE if keys and values have over `bytes_max` bytes.
  StorageOp<std::map<std::string, std::string>> GetMany(absl::Span<const std::string> keys,
                                                        size_t bytes_max = SIZE_MAX);
  StorageOp<std::vector<Entry>> List(const ListOptions& options);
  absl::Status Put(absl::string_view key, std::string value);
  // Puts an entry without a read: the caller knows the size of the replaced value, or passes nothing if there is none.
  absl::Status Write(absl::string_view key, std::string value, std::optional<size_t> replaced_bytes);
  void Erase(absl::string_view key, size_t value_bytes);
  // Removes the keys, and returns how many of them existed.
  StorageOp<int64_t> Delete(absl::Span<const std::string> keys);
  // Removes all keys, records and the SQL database, and the alarm unless `keep_alarm`. Returns whether the keyspace had
  // any key.
  StorageOp<bool> DeleteAll(bool keep_alarm);
  // Does the same if the object has no keys, records, SQL database or alarm; otherwise does nothing. The record under
  // kRemainderKey stays, and does not make the object exist. Returns whether the object was empty.
  StorageOp<bool> DeleteIfEmpty();

  // --- The whole object, for exports and imports.
  //
  // Returns all keys, as they are in the keyspace, except those of the header, of the alarm, and of an import that has
  // not ended. OUT_OF_RANGE if keys and values have over `bytes_max` bytes.
  StorageOp<std::vector<Entry>> ReadAll(size_t bytes_max);
  // Puts keys that ReadAll has returned into an object that DeleteAll has emptied in this turn. DATA_LOSS if they are
  // garbled; nothing is put then.
  absl::Status PutAll(std::vector<Entry> keys);

  // --- The SQL database, for sql::DatabaseOf(), which opens it at its first use. Null while it is closed.
  std::unique_ptr<OpenDatabase>& database() { return database_; }
  const sql::Environment* sql_environment() const { return sql_environment_; }

  // --- The alarm. A time in the past is due at once. One alarm at a time: setting replaces.
  void SetAlarm(absl::Time time, AlarmClock clock = AlarmClock::kObject);
  void DeleteAlarm();
  // Returns the time of the alarm, if one is set. In the alarm's own handler none is set, until the handler sets a new
  // one.
  std::optional<absl::Time> alarm() const;

  // --- For Table, and for the records about the object itself. A reference is good until the turn ends.
  WriteSet& writes() { return turn().writes; }
  UsageChange& usage() { return turn().usage; }

  // --- For the activation, between turns.
  struct AlarmChange {
    std::optional<absl::Time> time;  // nothing: deleted
    AlarmClock clock = AlarmClock::kObject;
  };
  bool wrote() const { return turn_ != nullptr && (!turn_->writes.empty() || turn_->alarm || turn_->deleted_all); }
  bool deleted_all() const { return turn_ != nullptr && turn_->deleted_all; }
  // Returns whether DeleteIfEmpty has removed the object; then the turn puts at most the remainder.
  bool left() const { return turn_ != nullptr && turn_->left; }
  std::optional<AlarmChange> alarm_change() const { return turn_ == nullptr ? std::nullopt : turn_->alarm; }
  // Sets the time that alarm() returns while the turn has not changed the alarm.
  void set_stored_alarm(std::optional<absl::Time> time) { stored_alarm_ = time.value_or(kNoAlarm); }
  void DropTurn();
  // Closes the SQL database, whose connection may have seen writes that were dropped.
  void CloseSql();
  // Returns an estimate of the memory that the storage keeps.
  size_t MemoryBytes() const;

 private:
  // The changes of the turn in progress. An object has none most of the time, and many objects are in memory.
  struct Turn {
    WriteSet writes;
    UsageChange usage;
    bool deleted_all = false;
    bool left = false;
    std::optional<AlarmChange> alarm;
  };

  static constexpr absl::Time kNoAlarm = absl::InfinitePast();

  // Makes the turn's changes if there are none yet.
  Turn& turn();
  // Removes all keys of the object. `keys` lists them all, or the first kDeleteByKeyMax + 1.
  void DeleteKeys(const std::vector<std::string>& keys, bool keep_alarm);

  const sql::Environment* const sql_environment_;
  const ObjectKey* object_ = nullptr;
  std::unique_ptr<OpenDatabase> database_;
  std::unique_ptr<Turn> turn_;
  absl::Time stored_alarm_ = kNoAlarm;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_OBJECT_OBJECT_STORAGE_H_
