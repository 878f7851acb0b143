// ListHotObjects, ListNamespaces, ListAlarms and ListNamespaceChanges.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "actors/wire/page_token.h"
#include "actors/wire/utf8.h"
#include "actors/wire/wire_object.h"
#include "service/call/admin_services.h"
#include "service/rpcs/admin_calls.h"
#include "storage/base/log.h"
#include "storage/node/alarm_index.h"
#include "storage/node/namespace_page.h"
#include "storage/node/namespace_usage.h"

namespace holdfast::service {
namespace {

constexpr int32_t kHotDefault = 20;
constexpr int32_t kHotMax = 100;
// The most objects that one call of ListNamespaces reads.
constexpr size_t kObjectsReadMax = 100'000;

actors::HotOrder OrderOf(v1::HotOrder order) {
  switch (order) {
    case v1::HOT_ORDER_TIME:
      return actors::HotOrder::kTime;
    case v1::HOT_ORDER_BYTES_WRITTEN:
      return actors::HotOrder::kBytesWritten;
    default:
      return actors::HotOrder::kRequests;
  }
}

int LimitOf(const v1::ListHotObjectsRequest& request) {
  return request.limit() == 0 ? kHotDefault : std::min(request.limit(), kHotMax);
}

// Returns the number by which the request orders.
int64_t HeatOf(const v1::HotObject& object, v1::HotOrder order) {
  switch (order) {
    case v1::HOT_ORDER_TIME:
      return object.time().seconds() * 1'000'000'000 + object.time().nanos();
    case v1::HOT_ORDER_BYTES_WRITTEN:
      return object.bytes_written();
    default:
      return object.requests();
  }
}

// Returns the error of a call that has read a page of a list with `status`. Damage is logged as `event`.
absl::Status ErrorOfPage(storage::Store& store, const absl::Status& status, absl::string_view event,
                         absl::string_view list) {
  if (!store.HoldsLease()) return actors::LeaseEnded();
  if (absl::IsInvalidArgument(status)) return actors::InvalidField("page_token", std::string(status.message()));
  if (absl::IsDataLoss(status)) {
    Log(LogLevel::kError, event, {{"status", status.ToString()}});
    return actors::ListDamaged(list, "");
  }
  return status.ok() ? status : actors::FromStorage(status);
}

}  // namespace

void ListHotObjects(Endpoint* endpoint, Admission admit, const storage::ShardSet&,
                    const v1::ListHotObjectsRequest& request, v1::ListHotObjectsResponse* response, DirectDone done) {
  if (absl::Status status = admit(Target::Server()); !status.ok()) return done(status);
  if (!v1::HotOrder_IsValid(request.order())) return done(actors::InvalidField("order", "is none of its values"));
  if (request.limit() < 0) return done(actors::InvalidField("limit", "must not be negative"));
  const int limit = LimitOf(request);
  OnAdminThread(
      endpoint,
      [admin = endpoint->admin, order = OrderOf(request.order()), limit, response] {
        const NodeReader::Hot hot = admin->node->ReadHot(order, static_cast<size_t>(limit));
        SetDuration(hot.window, response->mutable_window());
        for (const actors::HotObject& from : hot.objects) {
          storage::ObjectId id;
          if (!from.key.Decode(&id)) continue;
          v1::HotObject* const object = response->add_objects();
          actors::SetObject(id, object->mutable_object());
          object->set_requests(static_cast<int64_t>(from.requests));
          SetDuration(from.time, object->mutable_time());
          object->set_bytes_written(static_cast<int64_t>(from.bytes_written));
          object->set_error_max(static_cast<int64_t>(from.error));
          // The sum of the order also counts the time before the object had its counter.
          if (order == actors::HotOrder::kRequests) object->set_requests(static_cast<int64_t>(from.sum));
          if (order == actors::HotOrder::kBytesWritten) object->set_bytes_written(static_cast<int64_t>(from.sum));
          if (order == actors::HotOrder::kTime) {
            SetDuration(absl::Nanoseconds(static_cast<int64_t>(from.sum)), object->mutable_time());
          }
        }
        return absl::OkStatus();
      },
      std::move(done));
}

absl::Status MergeHotObjects(const Endpoint&, Admission, const v1::ListHotObjectsRequest& request,
                             std::vector<PeerAnswer<v1::ListHotObjectsResponse>> others,
                             v1::ListHotObjectsResponse* response) {
  auto* const objects = response->mutable_objects();
  // An object that has moved within the last minute is in the lists of two nodes, each for its time there.
  for (auto& other : others) objects->MergeFrom(other.response.objects());
  std::sort(objects->begin(), objects->end(),
            [order = request.order()](const auto& a, const auto& b) { return HeatOf(a, order) > HeatOf(b, order); });
  if (objects->size() > LimitOf(request)) objects->DeleteSubrange(LimitOf(request), objects->size() - LimitOf(request));
  return absl::OkStatus();
}

void ListNamespaces(Endpoint* endpoint, Admission admit, const v1::ListNamespacesRequest& request,
                    v1::ListNamespacesResponse* response, DirectDone done) {
  if (absl::Status status = admit(Target::Server()); !status.ok()) return done(status);
  auto page = actors::BeginPage(request);
  if (!page.ok()) return done(page.status());
  OnAdminThread(
      endpoint,
      [store = endpoint->store, page = *std::move(page), response]() -> absl::Status {
        auto found = storage::ReadNamespacePage(store, page.position, page.size, kObjectsReadMax);
        const absl::Status error = ErrorOfPage(*store, found.status(), "catalog_damaged", "the list of objects");
        if (!error.ok()) return error;
        for (const storage::NamespaceCount& count : found->namespaces) {
          v1::NamespaceSummary* const summary = response->add_namespaces();
          summary->set_namespace_(count.ns);
          summary->set_objects(count.objects);
          summary->set_size_bytes(count.size_bytes);
        }
        if (!found->next.empty()) response->set_next_page_token(actors::MakePageToken(page.fingerprint, found->next));
        return absl::OkStatus();
      },
      std::move(done));
}

void ListAlarms(Endpoint* endpoint, Admission admit, const v1::ListAlarmsRequest& request,
                v1::ListAlarmsResponse* response, DirectDone done) {
  if (absl::Status status = admit(Target::Server()); !status.ok()) return done(status);
  auto page = actors::BeginPage(request);
  if (!page.ok()) return done(page.status());
  OnAdminThread(
      endpoint,
      [store = endpoint->store, page = *std::move(page), response]() -> absl::Status {
        auto found = storage::ReadAlarmPage(store, page.position, page.size, actors::kPageBytesMax);
        const absl::Status error = ErrorOfPage(*store, found.status(), "alarm_index_damaged", "the list of alarms");
        if (!error.ok()) return error;
        for (const storage::AlarmEntry& entry : found->alarms) {
          storage::ObjectId id;
          if (!storage::ObjectKey::FromEncoded(entry.object).Decode(&id)) continue;
          v1::AlarmSummary* const summary = response->add_alarms();
          actors::SetObject(id, summary->mutable_object());
          actors::SetTimestamp(entry.due_us, summary->mutable_due_time());
        }
        if (!found->next.empty()) response->set_next_page_token(actors::MakePageToken(page.fingerprint, found->next));
        return absl::OkStatus();
      },
      std::move(done));
}

void ListNamespaceChanges(Endpoint* endpoint, Admission admit, const v1::ListNamespaceChangesRequest& request,
                          v1::ListNamespaceChangesResponse* response, DirectDone done) {
  if (absl::Status status = admit(Target::Server()); !status.ok()) return done(status);
  const storage::NamespaceUsage* const usage = endpoint->admin->namespace_usage;
  if (usage == nullptr) return done(absl::OkStatus());
  if (request.first_shard() < 0) return done(actors::InvalidField("first_shard", "must be 0 or more"));
  OnAdminThread(
      endpoint,
      [usage, run = request.run(), since = request.since_version(), first = static_cast<size_t>(request.first_shard()),
       response] {
        const storage::NamespaceUsage::News news = usage->Tell(run, since, first);
        response->set_run(news.run);
        response->set_version(news.version);
        response->set_next_shard(static_cast<int32_t>(news.next));
        for (const auto& shard : news.shards) {
          v1::ShardNamespaces* const told = response->add_shards();
          told->set_shard(static_cast<int32_t>(shard.shard));
          told->set_epoch(shard.epoch);
          told->set_whole(shard.whole);
          for (const auto& [ns, has] : shard.namespaces) {
            v1::NamespaceSummary* const summary = told->add_namespaces();
            summary->set_namespace_(actors::ValidUtf8(ns));
            summary->set_objects(has.objects);
            summary->set_size_bytes(has.bytes);
          }
        }
        return absl::OkStatus();
      },
      std::move(done));
}

}  // namespace holdfast::service
