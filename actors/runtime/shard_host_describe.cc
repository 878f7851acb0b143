// Describes an object from its state in memory and its durable state, without a turn. An object that is stuck in a
// turn, or has a long queue, is described like any other.
//
//   Describe          copies the state in memory, reads the rest on a thread for reads, and waits until the copied
//                     state is durable
//   DescribeRead      tells the description, or goes on with the tables of a SQL database
//   DescribeTablesOf  counts the rows of the durable tables, on a thread for SQL
//
// If the object moves or is deleted meanwhile, the description begins again.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/alarms/alarm_description.h"
#include "actors/runtime/shard_host.h"
#include "actors/runtime/sql_description.h"
#include "actors/wire/errors.h"
#include "actors/wire/sql_wire.h"
#include "storage/object/usage.h"
#include "storage/sql/durable_database.h"
#include "storage/store/format.h"

namespace holdfast::actors {

// A description that is being made.
struct ShardHost::Reading {
  storage::ObjectKey key;
  const ObjectClass* object_class;
  absl::AnyInvocable<void(absl::StatusOr<ObjectDescription>)> tell;
  ObjectDescription description;
  storage::Location location;
  storage::WriteSet pending;
  storage::BatchNumber batch = 0;
  std::optional<storage::v1::ObjectHeader> header;  // the header in memory, which may be ahead of the stored one
  uint64_t generation = 0;                          // the generation of the place that is read; 0: packed
  bool has_sql = false;
  absl::Status status;
};

namespace {

template <typename Record>
absl::Status ReadRecord(storage::View& view, const std::string& key, std::optional<Record>* record) {
  auto bytes = view.Get(key);
  if (!bytes.ok()) return bytes.status();
  if (*bytes && !record->emplace().ParseFromString(**bytes)) {
    return absl::DataLossError("a record of the object is garbled");
  }
  return absl::OkStatus();
}

// `in_use`: the header is taken from memory instead.
absl::Status ReadHeader(storage::View& view, bool in_use, ObjectDescription* description) {
  if (absl::Status status = ReadRecord(view, storage::kObjectHeaderKey, &description->header); !status.ok()) {
    return status;
  }
  if (!description->header || description->header->run() == 0 || in_use) return absl::OkStatus();
  // A crash came while the object was in memory, and nobody has loaded it since: its header lags. Such an object is
  // small, and all that it stores is durable.
  auto usage = storage::CountUsage(view);
  if (!usage.ok()) return usage.status();
  *description->header->mutable_usage() = *std::move(usage);
  return absl::OkStatus();
}

// Reads the alarm of the runtime, for a class without a hook of its own.
absl::Status DescribeAlarm(storage::View& view, absl::Time, AlarmDescription* alarm) {
  if (absl::Status status = ReadRecord(view, storage::kAlarmKey, &alarm->next); !status.ok()) return status;
  if (alarm->next) alarm->visible = absl::FromUnixMicros(alarm->next->scheduled_time_us());
  return absl::OkStatus();
}

}  // namespace

uint64_t ShardHost::GenerationOf(const storage::ObjectKey& key) const {
  const auto placement = lane_.services.families->Find(key);
  return placement ? placement->generation : 0;
}

void ShardHost::Describe(const storage::ObjectKey& key, const ObjectClass* object_class,
                         absl::AnyInvocable<void(absl::StatusOr<ObjectDescription>)> done) {
  if (absl::Status place = lane_.services.families->CheckPlace(key); !place.ok()) return done(FromStorage(place));
  auto reading = std::make_shared<Reading>(Reading{.key = key, .object_class = object_class, .tell = std::move(done)});
  reading->generation = GenerationOf(key);
  const storage::KeyRange range{storage::kObjectHeaderKey, std::string(1, storage::kEntryKind)};
  if (const Activation* const activation = Find(key)) {
    reading->description.state = activation->state();
    reading->description.packed = activation->packed();
    reading->description.mailbox_depth = activation->mailbox_depth();
    reading->location = activation->keyspace().location();
    reading->batch = activation->last_batch();
    if (activation->state() == Activation::State::kActive) reading->header = activation->header();
    const std::vector<const storage::WriteSet*> layers = activation->keyspace().Layers(nullptr);
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
      (*layer)->CopyRangeOnto(range, &reading->pending);
      (*layer)->CopyRangeOnto(storage::KeyRange::Single(storage::kSqlDatabaseKey), &reading->pending);
    }
  } else {
    const auto placement = lane_.services.families->Find(key);
    reading->description.packed = !placement;
    reading->location = placement ? storage::Location{placement->family, ""} : storage::PackedLocation(key);
  }
  lane_.services.reads->Run(
      [store = lane_.services.store, reading, now = lane_.clock().Wall()] {
        storage::View view(store, &reading->location, {&reading->pending}, storage::ReadTier::kDisk);
        ObjectDescription* const description = &reading->description;
        reading->status = ReadHeader(view, reading->header.has_value(), description);
        if (!reading->status.ok()) return;
        const auto describe = reading->object_class->describe_alarm;
        reading->status = (describe == nullptr ? DescribeAlarm : describe)(view, now, &description->alarm);
        if (!reading->status.ok() || !reading->object_class->has_sql) return;
        const auto database = view.Get(storage::kSqlDatabaseKey);
        reading->status = database.status();
        reading->has_sql = database.ok() && database->has_value();
      },
      [this, reading] {
        if (reading->description.header && reading->header) reading->description.header = reading->header;
        if (reading->generation != GenerationOf(reading->key)) {
          // The object moved, or was deleted, before it was read.
          Describe(reading->key, reading->object_class, std::move(reading->tell));
        } else if (reading->batch <= lane_.pipeline.durable()) {
          DescribeRead(reading);
        } else {
          lane_.pipeline.WhenDurable(reading->batch, [this, reading](const absl::Status& durable) {
            if (durable.ok()) {
              DescribeRead(reading);
            } else {
              reading->tell(CommitFailed(durable));
            }
          });
        }
      });
}

void ShardHost::DescribeRead(std::shared_ptr<Reading> reading) {
  if (reading->status.ok() && reading->has_sql) {
    DescribeTablesOf(std::move(reading));
  } else {
    Tell(*reading, FromStorage(reading->status));
  }
}

void ShardHost::Tell(Reading& reading, const absl::Status& status) const {
  if (!lane_.services.store->HoldsLease()) {
    reading.tell(LeaseEnded());
  } else if (!status.ok()) {
    reading.tell(status);
  } else {
    reading.tell(std::move(reading.description));
  }
}

void ShardHost::DescribeTablesOf(std::shared_ptr<Reading> reading) {
  storage::ObjectId id;
  reading->key.Decode(&id);
  storage::sql::ReadDurable(
      &lane_.sql, lane_.services.store, reading->location, id.ns,
      [reading](storage::sql::Connection& connection) {
        return DescribeTables(connection, &reading->description.tables);
      },
      [this, reading](const absl::Status& status) {
        if (reading->generation != GenerationOf(reading->key)) {
          Describe(reading->key, reading->object_class, std::move(reading->tell));
        } else {
          Tell(*reading, status.ok() ? status : FromStorage(SqlFailed(status, "tables")));
        }
      });
}

}  // namespace holdfast::actors
