#include "service/rpcs/object_calls.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/page_token.h"
#include "actors/wire/utf8.h"
#include "actors/wire/wire_object.h"
#include "actors/wire/wire_time.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "service/call/request_object.h"
#include "storage/base/log.h"
#include "storage/node/catalog_page.h"

namespace holdfast::service {
namespace {

using actors::SetTimestamp;
using storage::CatalogPage;

v1::ActivationState StateOf(actors::Activation::State state) {
  using State = actors::Activation::State;
  switch (state) {
    case State::kInactive:
      return v1::ACTIVATION_STATE_INACTIVE;
    case State::kLoading:
      return v1::ACTIVATION_STATE_LOADING;
    case State::kActive:
      return v1::ACTIVATION_STATE_ACTIVE;
    case State::kPassivating:
      return v1::ACTIVATION_STATE_PASSIVATING;
    case State::kBroken:
      return v1::ACTIVATION_STATE_BROKEN;
  }
  return v1::ACTIVATION_STATE_UNSPECIFIED;
}

void FillAlarm(const actors::ObjectDescription& description, v1::DescribeObjectResponse* response) {
  if (description.alarm.visible)
    SetTimestamp(absl::ToUnixMicros(*description.alarm.visible), response->mutable_alarm_time());
  if (description.alarm.next) {
    v1::AlarmDescription* const alarm = response->mutable_alarm();
    SetTimestamp(description.alarm.next->scheduled_time_us(), alarm->mutable_scheduled_time());
    SetTimestamp(description.alarm.next->due_time_us(), alarm->mutable_due_time());
    alarm->set_retry_count(description.alarm.next->retry_count());
  }
  if (description.alarm.delivery) {
    v1::AlarmDeliveryDescription* const delivery = response->mutable_alarm_delivery();
    SetTimestamp(description.alarm.delivery->scheduled_time_us(), delivery->mutable_scheduled_time());
    delivery->set_retry_count(description.alarm.delivery->retry_count());
    SetTimestamp(description.alarm.delivery->lease_expire_time_us(), delivery->mutable_lease_expire_time());
  }
}

void FillDescription(const storage::ObjectKey& key, const actors::ObjectDescription& description,
                     v1::DescribeObjectResponse* response) {
  storage::ObjectId id;
  key.Decode(&id);
  actors::SetObject(id, response->mutable_summary()->mutable_object());
  if (description.header) {
    const storage::v1::ObjectHeader& header = *description.header;
    v1::ObjectSummary* const summary = response->mutable_summary();
    SetTimestamp(header.create_time_us(), summary->mutable_create_time());
    SetTimestamp(header.catalog_update_time_us(), summary->mutable_update_time());
    summary->set_size_bytes(header.usage().size_bytes());
    response->set_key_count(header.usage().entry_count());
    response->set_schema_version(header.schema_version());
    for (const auto& [table, rows] : header.usage().row_counts()) {
      v1::TableDescription* const row = response->add_tables();
      row->set_name(absl::StrCat(table));
      row->set_row_count(rows);
    }
    std::sort(response->mutable_tables()->begin(), response->mutable_tables()->end(),
              [](const auto& a, const auto& b) { return a.name() < b.name(); });
  }
  response->set_exists(description.header.has_value());
  for (const actors::SqlTable& table : description.tables) {
    v1::TableDescription* const row = response->add_tables();
    row->set_name(actors::ValidUtf8(table.name));
    row->set_row_count(table.row_count);
    row->set_sql(actors::ValidUtf8(table.sql));
  }
  FillAlarm(description, response);
  response->set_placement(description.packed ? v1::PLACEMENT_PACKED : v1::PLACEMENT_OWN_COLUMN_FAMILY);
  response->set_activation_state(StateOf(description.state));
  response->set_mailbox_depth(static_cast<int32_t>(description.mailbox_depth));
  response->set_shard(static_cast<uint32_t>(key.shard()));
}

// The classes whose objects a list may show to its caller.
class Visible {
 public:
  Visible() = default;
  Visible(absl::string_view ns, const actors::ClassRegistry& classes, Admission admit)
      : others_(admit(Target::Listed(ns, "")).ok()) {
    for (const actors::ObjectClass* object_class : classes.all()) {
      if (!admit(Target::Listed(ns, object_class->name)).ok()) hidden_.emplace_back(object_class->name);
      known_.emplace_back(object_class->name);
    }
  }

  bool Has(absl::string_view object_class) const {
    if (!absl::c_linear_search(known_, object_class)) return others_;
    return !absl::c_linear_search(hidden_, object_class);
  }

 private:
  bool others_ = false;  // shows the classes that the server does not have
  std::vector<std::string> known_;
  std::vector<std::string> hidden_;
};

// Runs `work` on the executor of the object's shard, with its host, or ends the call if the shard is not here.
template <typename Work>
void OnHost(Endpoint* endpoint, const storage::ObjectKey& key, DirectDone done, Work work) {
  const actors::Router::Host& host = endpoint->router->HostOf(key);
  auto on_host = [shards = host.shards, &key, done = std::move(done), work = std::move(work)]() mutable {
    if (!shards->Owns(key.shard())) return done(actors::WrongOwner());
    work(shards, std::move(done));
  };
  if (host.executor->IsCurrent()) {
    on_host();
  } else {
    host.executor->Post(std::move(on_host));
  }
}

}  // namespace

void ListObjects(Endpoint* endpoint, Admission admit, const storage::ShardSet& shards,
                 const v1::ListObjectsRequest& request, v1::ListObjectsResponse* response, DirectDone done) {
  if (absl::Status status = CheckNamespace(request.namespace_(), "namespace"); !status.ok()) return done(status);
  if (!request.object_class().empty() && endpoint->classes->Find(request.object_class()) == nullptr) {
    return done(actors::InvalidField("object_class", "is no class of this server"));
  }
  if (request.name_prefix().size() > kNameBytesMax) {
    return done(actors::InvalidField(
        "name_prefix", absl::StrCat("has ", request.name_prefix().size(), " bytes; at most ", kNameBytesMax)));
  }
  const auto page = actors::BeginPage(request);
  if (!page.ok()) return done(page.status());
  if (absl::Status status = admit(Target::Namespace(NamespaceOrDefault(request.namespace_()))); !status.ok()) {
    return done(status);
  }

  struct Listing {
    CatalogPage::Query query;
    Visible visible;
    absl::StatusOr<CatalogPage> found = absl::UnknownError("not read");
  };
  auto listing = std::make_shared<Listing>();
  listing->query = {.ns = std::string(NamespaceOrDefault(request.namespace_())),
                    .object_class = request.object_class(),
                    .name_prefix = request.name_prefix(),
                    .after = page->position,
                    .count_max = page->size,
                    .bytes_max = actors::kPageBytesMax,
                    .shards = shards};
  listing->visible = Visible(listing->query.ns, *endpoint->classes, admit);
  endpoint->reads->Run(
      [listing, store = endpoint->store] { listing->found = storage::ReadCatalogPage(store, listing->query); },
      [listing, store = endpoint->store, fingerprint = page->fingerprint, response, done = std::move(done)]() mutable {
        if (!store->HoldsLease()) return done(actors::LeaseEnded());
        if (!listing->found.ok()) return done(actors::FromStorage(listing->found.status()));
        const std::string& next = listing->found->next;
        const std::string next_token = next.empty() ? "" : actors::MakePageToken(fingerprint, next);
        if (const absl::Status& damage = listing->found->damage; !damage.ok()) {
          Log(LogLevel::kError, "catalog_damaged", {{"status", damage.ToString()}});
          return done(actors::ListDamaged("the list of objects", next_token));
        }
        for (const CatalogPage::Item& item : listing->found->items) {
          if (!listing->visible.Has(item.id.object_class)) continue;
          v1::ObjectSummary* const summary = response->add_objects();
          actors::SetObject(item.id, summary->mutable_object());
          SetTimestamp(item.record.create_time_us(), summary->mutable_create_time());
          SetTimestamp(item.record.update_time_us(), summary->mutable_update_time());
          summary->set_size_bytes(item.record.size_bytes());
        }
        response->set_next_page_token(next_token);
        done(absl::OkStatus());
      });
}

absl::Status MergeObjects(const Endpoint& endpoint, Admission admit, const v1::ListObjectsRequest& request,
                          std::vector<PeerAnswer<v1::ListObjectsResponse>> others, v1::ListObjectsResponse* response) {
  const auto page = actors::BeginPage(request);
  if (!page.ok()) return page.status();
  // Each node has listed its objects up to its end, "" for all of them; the merged page ends at the first of these.
  std::string end;
  std::vector<std::pair<std::string, v1::ObjectSummary*>> found;
  const auto add = [&](v1::ListObjectsResponse* from) -> absl::Status {
    for (v1::ObjectSummary& summary : *from->mutable_objects()) {
      const v1::ObjectId& id = summary.object();
      found.emplace_back(storage::ObjectKey(id.namespace_(), id.object_class(), id.name()).encoded(), &summary);
    }
    if (from->next_page_token().empty()) return absl::OkStatus();
    absl::StatusOr<std::string> position = actors::ParsePageToken(from->next_page_token(), page->fingerprint);
    if (!position.ok()) return absl::InternalError("a page token of another node is none of this request");
    if (end.empty() || *position < end) end = *std::move(position);
    return absl::OkStatus();
  };
  absl::Status status = add(response);
  for (auto& other : others) status.Update(add(&other.response));
  if (!status.ok()) return status;
  // No two nodes own a shard, but it may have moved while they answered.
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  found.erase(std::unique(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first == b.first; }),
              found.end());
  // The other nodes do not know what the caller may see.
  const Visible visible(NamespaceOrDefault(request.namespace_()), *endpoint.classes, admit);
  v1::ListObjectsResponse merged;
  size_t count = 0;
  size_t bytes = 0;
  std::string last;
  for (auto& [key, summary] : found) {
    if (!end.empty() && key > end) break;
    if (count >= page->size || bytes >= actors::kPageBytesMax) {
      end = last;
      break;
    }
    last = key;
    ++count;
    bytes += summary->ByteSizeLong();
    if (visible.Has(summary->object().object_class())) merged.add_objects()->Swap(summary);
  }
  if (!end.empty()) merged.set_next_page_token(actors::MakePageToken(page->fingerprint, end));
  response->Swap(&merged);
  return absl::OkStatus();
}

void DescribeObject(Endpoint* endpoint, const RequestObject& object, v1::DescribeObjectResponse* response,
                    DirectDone done) {
  OnHost(endpoint, object.key, std::move(done), [&object, response](actors::ShardHost* host, DirectDone end) {
    host->Describe(object.key, object.object_class,
                   [&key = object.key, response,
                    end = std::move(end)](const absl::StatusOr<actors::ObjectDescription>& description) mutable {
                     if (description.ok()) FillDescription(key, *description, response);
                     end(description.status());
                   });
  });
}

void PassivateObject(Endpoint* endpoint, const RequestObject& object, v1::PassivateObjectResponse*, DirectDone done) {
  OnHost(endpoint, object.key, std::move(done), [&object](actors::ShardHost* host, DirectDone end) {
    host->PassivateSoon(object.key);
    end(absl::OkStatus());
  });
}

}  // namespace holdfast::service
