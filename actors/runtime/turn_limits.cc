#include "actors/runtime/turn_limits.h"

#include "absl/strings/str_cat.h"
#include "actors/runtime/lane.h"
#include "actors/wire/errors.h"
#include "storage/node/namespace_usage.h"

namespace holdfast::actors {
namespace {

// Room in a namespace comes when somebody removes something; another part of it, with the next round of the nodes.
constexpr absl::Duration kRoomRetry = absl::Seconds(10);
constexpr absl::Duration kPartRetry = absl::Seconds(1);

absl::Status CheckNamespace(const storage::ObjectKey& key, bool new_object, int64_t more_bytes, const Lane& lane) {
  using Reached = storage::NamespaceUsage::Reached;
  const storage::NamespaceUsage* const usage = lane.services.namespace_usage;
  if (usage == nullptr) return absl::OkStatus();
  const auto [reached, until_next_round] = usage->Check(key.encoded_namespace(), new_object, more_bytes);
  if (reached == Reached::kNo) return absl::OkStatus();
  return NamespaceQuota(key.encoded_namespace(), reached == Reached::kObjects ? "objects_max" : "bytes_max",
                        until_next_round ? kPartRetry : kRoomRetry);
}

}  // namespace

absl::Status CheckWrites(storage::ObjectStorage& storage, const storage::ObjectKey& key, bool exists,
                         int64_t size_bytes, const Lane& lane) {
  if (storage.writes().bytes() > lane.options.turn_bytes_max) {
    return QuotaExceeded("turn_bytes_max", absl::StrCat("the writes of one turn have ", storage.writes().bytes(),
                                                        " bytes; at most ", lane.options.turn_bytes_max));
  }
  const bool takes_space =
      storage.writes().has_values() || (storage.alarm_change() && storage.alarm_change()->time.has_value());
  if (takes_space && lane.services.store->DiskFull()) {
    return Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_DISK_FULL,
                     "the disk of the server is full; nothing was done. What only deletes is still done",
                     absl::Seconds(1));
  }
  if (takes_space && lane.services.store->Overloaded()) {
    return Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED,
                     "the archive of the server does not keep up; nothing was done", absl::Seconds(1));
  }
  const storage::UsageChange& usage = storage.usage();
  const int64_t before = usage.from_nothing ? 0 : size_bytes;
  if (usage.size_bytes > 0 && before + usage.size_bytes > lane.options.object_bytes_max) {
    return QuotaExceeded("object_bytes_max",
                         absl::StrCat("the object would have ", before + usage.size_bytes, " bytes; at most ",
                                      lane.options.object_bytes_max, ". Nothing was done"));
  }
  return takes_space ? CheckNamespace(key, !exists, before + usage.size_bytes - size_bytes, lane) : absl::OkStatus();
}

}  // namespace holdfast::actors
