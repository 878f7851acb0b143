// The version of the on-disk format (storage/FORMAT.md), and the keys of that format.

#ifndef HOLDFAST_STORAGE_STORE_FORMAT_H_
#define HOLDFAST_STORAGE_STORE_FORMAT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage {

inline constexpr uint32_t kFormatVersion = 4;
// Earlier versions that are opened, and raised to kFormatVersion.
inline constexpr uint32_t kOldestFormatVersion = 3;

// These are keys in the node's family; each run's key begins with kRunClockPrefix, and each mark of a log with
// kLogMarkPrefix. The header and the marks have copies in the family of the requests.
inline constexpr absl::string_view kStoreHeaderKey = "header";
inline constexpr absl::string_view kRunClockPrefix = "clock";
inline constexpr absl::string_view kLogMarkPrefix = "log";
// Keys that a cluster in PostgreSQL alone has: the load of a shard, and the mark of a node that tells loads.
inline constexpr absl::string_view kShardLoadPrefix = "load";
// Returns the key of the mark that says how far the store has a log.
inline std::string LogMarkKey(uint32_t log) {
  std::string key(kLogMarkPrefix);
  AppendUint32(&key, log);
  return key;
}

// The first byte of each key in an object's keyspace is the kind of the key.
inline constexpr char kObjectHeaderKind = 0x01;
inline constexpr char kAlarmKind = 0x02;
inline constexpr char kClientAlarmKind = 0x03;
inline constexpr char kRemainderKind = 0x04;
// These kinds have one key each. Header and alarm are adjacent, so that one range holds both and nothing else.
inline const std::string kObjectHeaderKey(1, kObjectHeaderKind);
inline const std::string kAlarmKey(1, kAlarmKind);
inline const std::string kClientAlarmKey(1, kClientAlarmKind);
inline const std::string kRemainderKey(1, kRemainderKind);

inline constexpr char kEntryKind = 0x10;
inline constexpr char kRowKind = 0x20;
inline constexpr char kIndexKind = 0x21;

// The record and the pages of the SQL database. The two kinds are adjacent, so that one range holds them and nothing
// else.
inline constexpr char kSqlDatabaseKind = 0x30;
inline constexpr char kSqlPageKind = 0x31;
inline const std::string kSqlDatabaseKey(1, kSqlDatabaseKind);
// The bytes of a page, and of its key, which is the kind, the generation and the number.
inline constexpr size_t kSqlPageBytes = 4096;
inline constexpr size_t kSqlPageKeyBytes = 1 + 2 * sizeof(uint32_t);
// The record of an import, which builds a database that is to replace the object's own.
inline const std::string kSqlImportKey(1, 0x32);

// The first byte of each key in the family of request records is the kind of the key.
inline constexpr char kRequestRecordKind = 0x10;
inline constexpr char kRequestAgeKind = 0x20;

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_FORMAT_H_
