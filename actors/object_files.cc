// Exports and imports of whole objects.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/object.h"
#include "actors/wire/errors.h"
#include "storage/object/object_image.h"

namespace holdfast::actors {
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
  co_return storage::AddKeys(*std::move(keys), image);
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
