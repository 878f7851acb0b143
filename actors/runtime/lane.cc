#include "actors/runtime/lane.h"

#include <utility>

namespace holdfast::actors {

using storage::FamilyId;

Lane::Lane(HostServices made_of, const HostOptions& with, Host callbacks)
    : services(std::move(made_of)),
      options(with),
      host(std::move(callbacks)),
      sql({.fair_workers = services.sql_workers,
           .workers = services.sql,
           .now = [clock = &services.executor->clock()] { return clock->Wall(); },
           .steady = [clock = &services.executor->clock()] { return clock->Steady(); },
           .limits = options.sql,
           .turn_bytes_max = options.turn_bytes_max,
           .heap_total = services.sql_heap_total,
           .temp_space = services.sql_temp_space,
           .observer = services.observer}),
      pipeline(services.store, services.commits, std::move(services.on_commit_failure), options.inline_commit_max,
               services.observer),
      catalog({FamilyId::kCatalog, ""}),
      alarm_index({FamilyId::kAlarms, ""}),
      node({FamilyId::kNode, ""}),
      run_clock(services.run_clocks, &pipeline, &node),
      records(services.executor, services.store, services.reads, &pipeline, options.records,
              [this](storage::ShardId shard) { return host.owns(shard); }),
      alarms(
          services.executor, services.store, services.reads, &alarm_index, options.alarms,
          [this](const std::string& object) { return host.fire_alarm(object); },
          [this](const std::string& object) { return host.owns(storage::ObjectKey::FromEncoded(object).shard()); }),
      residency(services.executor, {.bytes_max = options.activation_bytes_max, .idle_timeout = options.idle_timeout}),
      placement({.executor = services.executor,
                 .store = services.store,
                 .families = services.families,
                 .family_changes = services.family_changes,
                 .observer = services.observer,
                 .find = [this](const storage::ObjectKey& key) { return host.find(key); },
                 .bring = [this](const storage::ObjectKey& key) { return host.bring(key); }}) {}

void Lane::RemoveWhenDurable(const storage::ObjectKey& key, storage::BatchNumber last_batch) {
  const auto remove = [this, key] { host.remove(key); };
  if (last_batch <= pipeline.durable()) {
    services.executor->Post(remove);
  } else {
    pipeline.WhenDurable(last_batch, [this, remove](const absl::Status& status) {
      if (status.ok()) services.executor->Post(remove);
    });
  }
}

void Lane::Stop() {
  stopped = true;
  alarms.Stop();
  records.Stop();
  residency.Stop();
  placement.Stop();
}

}  // namespace holdfast::actors
