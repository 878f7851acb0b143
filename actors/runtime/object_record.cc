#include "actors/runtime/object_record.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/alarms/retry_delay.h"
#include "actors/runtime/lane.h"
#include "actors/wire/errors.h"
#include "storage/base/log.h"
#include "storage/node/catalog.h"
#include "storage/node/namespace_usage.h"
#include "storage/store/format.h"

namespace holdfast::actors {
namespace {

using storage::WriteSet;
using storage::v1::AlarmRecord;
using storage::v1::ObjectHeader;

// The most by which a stored clock may be ahead of the wall clock at a load. A clock that is further ahead comes from a
// wrong wall clock, and is set back.
constexpr absl::Duration kClockAheadMax = absl::Hours(24);
// A write of the object also writes its catalog record if that is older than kCatalogAge, or if its size is off by more
// than kCatalogBytesOff and by more than one kCatalogPartOff-th.
constexpr absl::Duration kCatalogAge = absl::Minutes(1);
constexpr int64_t kCatalogBytesOff = 4 << 10;
constexpr int64_t kCatalogPartOff = 8;
// The header may lag if the object has at most kLagBytesMax, since a load after a crash counts them, which takes some
// milliseconds, and if it has had kLagCommitsMin commits since the load, since a lagging header costs one more write.
constexpr int64_t kLagBytesMax = 1 << 20;
constexpr int kLagCommitsMin = 8;
// Readings of the wall clock and of an object's clock that differ by less than this count as equal.
constexpr absl::Duration kClocksAgree = absl::Seconds(1);

storage::StorageOp<std::optional<std::string>> ReadKey(storage::Reader* reader, const std::string& key) {
  return {reader, storage::KeyRange::Single(key), [key](storage::View& view) { return view.Get(key); }};
}

}  // namespace

Task<absl::Status> ObjectRecord::Load(storage::ObjectStorage& storage) {
  header_.reset();
  alarm_.reset();
  header_changed_ = false;
  clock_ahead_ = absl::InfiniteDuration();
  if (absl::Status place = lane_->services.families->CheckPlace(*key_); !place.ok()) co_return place;
  storage.Prefetch({storage::kObjectHeaderKey, storage::KeyRange::Single(storage::kAlarmKey).end});
  auto header_bytes = co_await ReadKey(&storage, storage::kObjectHeaderKey);
  if (!header_bytes.ok()) co_return header_bytes.status();
  auto alarm_bytes = co_await ReadKey(&storage, storage::kAlarmKey);
  if (!alarm_bytes.ok()) co_return alarm_bytes.status();

  if (*header_bytes) {
    ObjectHeader header;
    if (!header.ParseFromString(**header_bytes)) co_return absl::DataLossError("the object's header is garbled");
    if (header.schema_version() > class_->schema_version()) {
      co_return Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_NEWER,
                      absl::StrCat(key_->DebugString(), " has schema version ", header.schema_version(),
                                   "; this server knows ", class_->schema_version()));
    }
    header_ = header;
    if (header.run() != 0) {
      // A crash came while the object was in memory.
      auto usage =
          co_await storage::StorageOp<storage::v1::Usage>(&storage, storage::KeyRange::All(), storage::CountUsage);
      if (!usage.ok()) co_return usage.status();
      *header_->mutable_usage() = *std::move(usage);
      header_->set_clock_us(std::max(header.clock_us(), lane_->run_clock.Of(header.run())));
      header_->set_run(0);
      header_changed_ = true;
    }
    SetBackClock();
  }
  if (*alarm_bytes) {
    AlarmRecord alarm;
    if (!alarm.ParseFromString(**alarm_bytes)) co_return absl::DataLossError("the object's alarm is garbled");
    alarm_ = std::make_unique<AlarmRecord>(std::move(alarm));
  }
  storage.set_stored_alarm(alarm_ ? std::optional(absl::FromUnixMicros(alarm_->scheduled_time_us())) : std::nullopt);
  co_return absl::OkStatus();
}

void ObjectRecord::SetBackClock() {
  const int64_t wall_us = absl::ToUnixMicros(lane_->clock().Wall());
  if (header_->clock_us() - wall_us <= absl::ToInt64Microseconds(kClockAheadMax)) return;
  Log(LogLevel::kWarning, "object_clock_set_back",
      {{"object", key_->DebugString()},
       {"clock", absl::FormatTime(absl::FromUnixMicros(header_->clock_us()), absl::UTCTimeZone())}});
  header_->set_clock_us(wall_us);
  header_changed_ = true;
  last_now_ = absl::InfinitePast();
}

absl::Time ObjectRecord::last_reading() const {
  return header_ ? std::max(last_now_, absl::FromUnixMicros(header_->clock_us())) : last_now_;
}

absl::Time ObjectRecord::Now() {
  clock_used_ = true;
  const absl::Time steady = lane_->clock().Steady();
  if (clock_ahead_ == absl::InfiniteDuration()) {
    const absl::Time begin = TimeByAlarm().value_or(lane_->clock().Wall());
    clock_ahead_ = std::max(begin, last_reading()) - steady;
  }
  last_now_ = std::max(last_now_, absl::FromUnixMicros(absl::ToUnixMicros(steady + clock_ahead_)));
  return last_now_;
}

std::optional<absl::Time> ObjectRecord::TimeByAlarm() const {
  if (!alarm_ || alarm_->retry_count() > 0) return std::nullopt;
  const auto steady_due = lane_->alarms.SteadyDueOf({alarm_->due_time_us(), key_->encoded()});
  if (!steady_due) return std::nullopt;
  return absl::FromUnixMicros(alarm_->scheduled_time_us()) - (*steady_due - lane_->clock().Steady());
}

void ObjectRecord::Create() {
  header_.emplace();
  header_->set_schema_version(class_->schema_version());
  header_->set_create_time_us(absl::ToUnixMicros(lane_->clock().Wall()));
  header_changed_ = true;
  catalog_changed_ = true;
}

void ObjectRecord::Forget() {
  if (header_ && header_->catalog_update_time_us() != 0) CountChange(-1, -header_->catalog_size_bytes());
  header_.reset();
  header_changed_ = false;
}

void ObjectRecord::SetMigrated() {
  header_->set_schema_version(class_->schema_version());
  header_changed_ = true;
}

// --- The alarm.

ObjectRecord::NewAlarm ObjectRecord::MakeAlarm(absl::Time time, storage::AlarmClock clock) {
  NewAlarm alarm;
  alarm.record.set_scheduled_time_us(absl::ToUnixMicros(time));
  alarm.record.set_due_time_us(alarm.record.scheduled_time_us());
  if (clock == storage::AlarmClock::kWall) return alarm;
  const bool used = clock_used_;
  const absl::Duration delay = time - Now();
  clock_used_ = used;  // nobody sees this reading
  alarm.steady_due = lane_->clock().Steady() + delay;
  const absl::Time wall = lane_->clock().Wall() + delay;
  if (absl::AbsDuration(wall - time) >= kClocksAgree) alarm.record.set_due_time_us(absl::ToUnixMicros(wall));
  return alarm;
}

std::optional<ObjectRecord::NewAlarm> ObjectRecord::KeepAlarm() const {
  if (!alarm_) return std::nullopt;
  return NewAlarm{*alarm_, lane_->alarms.SteadyDueOf({alarm_->due_time_us(), key_->encoded()})};
}

std::optional<ObjectRecord::NewAlarm> ObjectRecord::RetryAlarm() {
  AlarmRecord next = *alarm_;
  next.set_retry_count(next.retry_count() + 1);
  if (class_->alarm_attempts_max > 0 && next.retry_count() >= class_->alarm_attempts_max) {
    Log(LogLevel::kError, "alarm_dropped",
        {{"object", key_->DebugString()}, {"attempts", absl::StrCat(next.retry_count())}});
    return std::nullopt;
  }
  const absl::Duration delay = RetryDelay(next.retry_count(), *lane_->services.random);
  next.set_due_time_us(absl::ToUnixMicros(lane_->clock().Wall() + delay));
  return NewAlarm{next, lane_->clock().Steady() + delay};
}

void ObjectRecord::StoreAlarm(const std::optional<NewAlarm>& next, storage::ObjectStorage* storage, WriteSet* alarms) {
  if (alarm_) {
    const storage::AlarmEntry old{alarm_->due_time_us(), key_->encoded()};
    alarms->Delete(storage::AlarmIndexKey(old.due_us, old.object));
    lane_->alarms.Removed(old);
  }
  if (next) {
    const storage::AlarmEntry entry{next->record.due_time_us(), key_->encoded()};
    alarms->Put(storage::AlarmIndexKey(entry.due_us, entry.object), "");
    lane_->alarms.Added(entry, next->steady_due);
    storage->writes().Put(storage::kAlarmKey, next->record.SerializeAsString());
  } else if (alarm_) {
    storage->writes().Delete(storage::kAlarmKey);
  }
  alarm_ = next ? std::make_unique<AlarmRecord>(next->record) : nullptr;
  ++alarm_generation_;
  storage->set_stored_alarm(next ? std::optional(absl::FromUnixMicros(next->record.scheduled_time_us()))
                                 : std::nullopt);
}

// --- Header and catalog.

void ObjectRecord::Stage(uint64_t generation, storage::ObjectStorage* storage, WriteSet* catalog) {
  const bool clock_used = std::exchange(clock_used_, false);
  if (!header_) return;
  bool counted = false;
  if (const storage::UsageChange& usage = storage->usage(); !usage.empty()) {
    usage.ApplyTo(header_->mutable_usage());
    counted = true;
  }
  if (clock_used && absl::ToUnixMicros(last_now_) > header_->clock_us()) {
    header_->set_clock_us(absl::ToUnixMicros(last_now_));
    counted = true;
  }
  const int64_t wall_us = absl::ToUnixMicros(lane_->clock().Wall());
  const int64_t size = header_->usage().size_bytes();
  const int64_t off = std::abs(size - header_->catalog_size_bytes());
  if (catalog_changed_ || wall_us - header_->catalog_update_time_us() >= absl::ToInt64Microseconds(kCatalogAge) ||
      off > std::max(kCatalogBytesOff, header_->catalog_size_bytes() / kCatalogPartOff)) {
    CountChange(header_->catalog_update_time_us() == 0 ? 1 : 0, size - header_->catalog_size_bytes());
    header_->set_catalog_update_time_us(std::max(wall_us, header_->create_time_us()));
    header_->set_catalog_size_bytes(size);
    header_changed_ = true;
    catalog_changed_ = false;
    catalog->Put(key_->encoded(), storage::CatalogValue(generation, *header_));
  }
  if (counted) {
    const storage::RunNumber run = MayLag() ? lane_->run_clock.run() : 0;
    if (run != 0) lane_->run_clock.Note(absl::FromUnixMicros(header_->clock_us()));
    header_changed_ |= run == 0 || header_->run() != run;
    header_->set_run(run);
  }
  if (std::exchange(header_changed_, false)) {
    storage->writes().Put(storage::kObjectHeaderKey, header_->SerializeAsString());
  }
}

void ObjectRecord::CountChange(int64_t objects, int64_t bytes) {
  storage::NamespaceUsage* const usage = lane_->services.namespace_usage;
  if (usage != nullptr) usage->Add(*key_, objects, bytes);
}

bool ObjectRecord::MayLag() const {
  return !class_->has_sql && commits_ >= kLagCommitsMin && header_->usage().size_bytes() <= kLagBytesMax;
}

bool ObjectRecord::Settle(uint64_t generation, WriteSet* writes, WriteSet* catalog) {
  if (!header_ || header_->run() == 0) return false;
  header_->set_run(0);
  if (header_->catalog_size_bytes() != header_->usage().size_bytes()) {
    CountChange(0, header_->usage().size_bytes() - header_->catalog_size_bytes());
    header_->set_catalog_size_bytes(header_->usage().size_bytes());
    catalog->Put(key_->encoded(), storage::CatalogValue(generation, *header_));
  }
  writes->Put(storage::kObjectHeaderKey, header_->SerializeAsString());
  return true;
}

void ObjectRecord::SettleCatalogSize(const storage::UsageChange& turn) {
  if (!header_) return;
  if (header_->usage().size_bytes() + turn.size_bytes != header_->catalog_size_bytes()) catalog_changed_ = true;
}

}  // namespace holdfast::actors
