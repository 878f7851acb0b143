// Exports and imports of whole objects.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/object.h"
#include "actors/wire/errors.h"
#include "storage/object/object_image.h"
#include "storage/store/format.h"

namespace holdfast::actors {
namespace {

// Makes the alarm of a client that of an object to which no delivery belongs: an alarm that is out is due again.
void EndDelivery(storage::v1::ClientAlarm* alarm) {
  const storage::v1::AlarmDelivery& delivery = alarm->delivery();
  if (alarm->has_delivery() && !alarm->has_scheduled_time_us() && !delivery.retry_stopped()) {
    alarm->set_scheduled_time_us(delivery.scheduled_time_us());
    alarm->set_due_time_us(delivery.scheduled_time_us());
    alarm->set_retry_count(delivery.retry_count());
  }
  alarm->clear_delivery();
  alarm->clear_expired_watcher();
}

}  // namespace

Task<absl::Status> Object::Export(const ObjectClass& object_class, size_t bytes_max, storage::ObjectImage* image) {
  auto keys = co_await storage().ReadAll(bytes_max);
  if (absl::IsOutOfRange(keys.status())) {
    co_return QuotaExceeded("turn_bytes_max", absl::StrCat("the object has over ", bytes_max,
                                                           " bytes, which is the most that one file takes"));
  }
  if (!keys.ok()) co_return keys.status();
  image->object_class = object_class.name;
  image->schema_version = object_class.schema_version();
  if (const auto alarm = storage().alarm()) image->alarm_us = absl::ToUnixMicros(*alarm);
  for (auto& [key, value] : *keys) {
    if (key == storage::kClientAlarmKey) {
      storage::v1::ClientAlarm alarm;
      if (!alarm.ParseFromString(value)) co_return absl::DataLossError("the record of the alarm is garbled");
      EndDelivery(&alarm);
      image->alarm_us.reset();
      if (!alarm.has_scheduled_time_us()) continue;
      image->alarm_us = alarm.due_time_us();
      value = alarm.SerializeAsString();
    }
    image->keys.emplace_back(std::move(key), std::move(value));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Object::Import(const ObjectClass& object_class, storage::ObjectImage image, bool replace) {
  if (image.object_class != object_class.name) {
    co_return InvalidField("chunk", absl::StrCat("the file has an object of class ", image.object_class));
  }
  if (image.schema_version > object_class.schema_version()) {
    co_return Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_NEWER,
                    "the file is of a newer version of the server; nothing was done");
  }
  if (image.schema_version < object_class.schema_version()) {
    co_return InvalidField(
        "chunk", absl::StrCat("the file has version ", image.schema_version, " of class ", object_class.name,
                              ", and this server has version ", object_class.schema_version(),
                              ": import it with the server that ", "wrote it, upgrade that, and export it again"));
  }
  auto existed = co_await storage().DeleteAll(/*keep_alarm=*/false);
  if (!existed.ok()) co_return existed.status();
  if (*existed && !replace) {
    co_return Error(absl::StatusCode::kAborted, v1::ERROR_REASON_PRECONDITION_FAILED,
                    "the object is there already, and the import does not replace it; nothing was done");
  }
  if (absl::Status status = storage().PutAll(std::move(image.keys)); !status.ok()) {
    co_return InvalidField("chunk", status.message());
  }
  if (image.alarm_us) storage().SetAlarm(absl::FromUnixMicros(*image.alarm_us), storage::AlarmClock::kWall);
  co_return absl::OkStatus();
}

}  // namespace holdfast::actors
