#include "actors/object.h"

#include "actors/errors.h"
#include "holdfast/v1/object_service.pb.h"

namespace holdfast::actors {

Task<absl::Status> Object::Load() { co_return absl::OkStatus(); }

Task<absl::Status> Object::OnAlarm(const AlarmRun&) { co_return absl::OkStatus(); }

Task<absl::Status> Object::DeleteAll(const v1::DeleteAllRequest& request, v1::DeleteAllResponse*) {
  auto deleted = co_await storage().DeleteAll(request.keep_alarm());
  co_return deleted.status();
}

Task<absl::Status> Object::Cleanup(const v1::CleanupRequest&, v1::CleanupResponse*) {
  storage().DeleteAlarm();
  auto deleted = co_await storage().DeleteAll(/*keep_alarm=*/false);
  co_return deleted.status();
}

const ObjectClass* ClassRegistry::Find(absl::string_view name) const {
  for (const ObjectClass* object_class : classes_) {
    if (object_class->name == name) return object_class;
  }
  return nullptr;
}

}  // namespace holdfast::actors
