#include "actors/object.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "actors/wire/entry.h"
#include "actors/wire/errors.h"
#include "actors/wire/page_token.h"
#include "actors/wire/wire_time.h"
#include "holdfast/v1/object_service.pb.h"
#include "storage/store/key_codec.h"

namespace holdfast::actors {
namespace {

// The most bytes of the entries in a reply. The server checks the exact size of the reply itself.
constexpr size_t kEntriesBytesMax = 3584 << 10;

void Fill(const std::string& key, std::string value, v1::Entry* entry) {
  entry->set_key(key);
  entry->set_etag(EtagOf(value));
  entry->set_value(std::move(value));
}

}  // namespace

Task<absl::Status> Object::Load() { co_return absl::OkStatus(); }

Task<absl::Status> Object::OnAlarm(const AlarmRun&) { co_return absl::OkStatus(); }

Task<absl::Status> Object::GetEntries(const v1::GetEntriesRequest& request, v1::GetEntriesResponse* response) {
  if (absl::Status status = CheckEntryCount(request.keys_size(), "keys"); !status.ok()) co_return status;
  for (int i = 0; i < request.keys_size(); ++i) {
    absl::Status status = CheckEntryKey(request.keys(i), absl::StrCat("keys[", i, "]"));
    if (!status.ok()) co_return status;
  }
  const std::vector<std::string> keys(request.keys().begin(), request.keys().end());
  auto found = co_await storage().GetMany(keys, kEntriesBytesMax);
  if (absl::IsOutOfRange(found.status())) {
    co_return Error(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_RESPONSE_TOO_LARGE,
                    absl::StrCat("these entries have over ", kEntriesBytesMax, " bytes; ask for fewer at once"));
  }
  if (!found.ok()) co_return found.status();
  for (auto& [key, value] : *found) Fill(key, std::move(value), response->add_entries());
  co_return absl::OkStatus();
}

Task<absl::Status> Object::ListEntries(const v1::ListEntriesRequest& request, v1::ListEntriesResponse* response) {
  if (request.has_start() && request.has_start_after()) {
    co_return InvalidField("start_after", "excludes start, which is there too");
  }
  if (request.has_limit() && request.limit() < 1) co_return InvalidField("limit", "must be at least 1");
  const absl::StatusOr<PageStart> page = BeginPage(request);
  if (!page.ok()) co_return page.status();
  // A token holds how many entries are left of the limit, and the last key.
  absl::string_view position = page->position;
  int64_t left = request.has_limit() ? request.limit() : std::numeric_limits<int64_t>::max();
  if (!position.empty() && !storage::ConsumeInt64(&position, &left)) {
    co_return InvalidField("page_token", "is garbled");
  }

  storage::ListOptions options;
  if (request.has_start()) options.start = request.start();
  if (request.has_start_after()) options.start_after = request.start_after();
  if (request.has_end()) options.end = request.end();
  options.prefix = request.prefix();
  options.reverse = request.reverse();
  if (!page->position.empty()) {
    if (request.reverse()) {
      options.end = std::string(position);
    } else {
      options.start.reset();
      options.start_after = std::string(position);
    }
  }
  const int64_t count_max = std::min(static_cast<int64_t>(page->size), left);
  // One entry more shows whether there is another page.
  options.limit = count_max + 1;
  options.bytes_max = kPageBytesMax;
  auto found = co_await storage().List(options);
  if (!found.ok()) co_return found.status();
  const bool by_bytes = static_cast<int64_t>(found->size()) <= count_max;
  size_t bytes = 0;
  for (auto& [key, value] : *found) {
    if (response->entries_size() == count_max) break;
    bytes += key.size() + value.size();
    Fill(key, std::move(value), response->add_entries());
  }
  left -= response->entries_size();
  if (left > 0 && response->entries_size() > 0 && (!by_bytes || bytes >= kPageBytesMax)) {
    std::string next;
    storage::AppendInt64(&next, left);
    absl::StrAppend(&next, response->entries(response->entries_size() - 1).key());
    response->set_next_page_token(MakePageToken(page->fingerprint, next));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Object::GetAlarm(const v1::GetAlarmRequest&, v1::GetAlarmResponse* response) {
  if (const auto alarm = VisibleAlarm()) SetTimestamp(absl::ToUnixMicros(*alarm), response->mutable_scheduled_time());
  co_return absl::OkStatus();
}

Task<absl::Status> Object::DeleteAll(const v1::DeleteAllRequest& request, v1::DeleteAllResponse*) {
  auto deleted = co_await storage().DeleteAll(request.keep_alarm());
  co_return deleted.status();
}

Task<absl::Status> Object::Cleanup(const v1::CleanupRequest&, v1::CleanupResponse*) {
  v1::DeleteAllResponse deleted;
  co_return co_await DeleteAll(v1::DeleteAllRequest(), &deleted);
}

const ObjectClass* ClassRegistry::Find(absl::string_view name) const {
  for (const ObjectClass* object_class : classes_) {
    if (object_class->name == name) return object_class;
  }
  return nullptr;
}

}  // namespace holdfast::actors
