// The comparisons of a sequence with the model.

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "storage/node/catalog_page.h"
#include "tests/property/sequence.h"

namespace holdfast::property {
namespace {

constexpr size_t kRememberedMax = 16;
constexpr size_t kWorldsMax = 200;

void AddWorld(World world, std::vector<World>* worlds) {
  for (const World& known : *worlds) {
    if (known.SameAs(world)) return;
  }
  worlds->push_back(std::move(world));
}

template <typename T>
void Remember(T what, std::vector<T>* remembered) {
  if (remembered->size() == kRememberedMax) remembered->erase(remembered->begin());
  remembered->push_back(std::move(what));
}

}  // namespace

void Sequence::Differ(const std::string& what) {
  differences_.push_back(absl::StrCat(simulation::Replay(seed_), ", step ", step_, ": ", what));
}

void Sequence::Send(Operation operation) {
  Tested& object = objects_.at(operation.object);
  const storage::ObjectKey key("default", "Object", operation.object);
  object.calls.push_back(MakeCall(std::move(operation), subject_->now_us()));
  subject_->node().Deliver(key, actors::PlainObject::Class(), object.calls.back().get());
}

void Sequence::SendFirst(Operation operation) {
  if (!operation.request_id().empty()) {
    Remember(Known{operation, subject_->now_us()}, &objects_.at(operation.object).known);
  }
  Send(std::move(operation));
}

void Sequence::Collect() {
  for (auto& [name, object] : objects_) {
    while (!object.calls.empty() && object.calls.front()->done() && differences_.empty()) {
      Compare(&object, object.calls.front().get());
      object.calls.pop_front();
    }
  }
}

void Sequence::Settle() {
  subject_->node().Settle();
  Collect();
  for (const auto& [name, object] : objects_) {
    if (differences_.empty() && !object.calls.empty()) Differ(name + " has calls without an answer");
  }
}

void Sequence::Compare(Tested* object, Call* call) {
  const Reply got = call->reply();
  call->operation.token_seen = !call->page_token().empty();
  call->operation.record_too_large = got.reason == v1::ERROR_REASON_RESPONSE_TOO_LARGE;
  std::vector<World> left;
  std::string expected;
  for (World& world : object->worlds) {
    const Reply reply = Apply(call->operation, call->sent_us, &world);
    if (reply == got) {
      AddWorld(std::move(world), &left);
    } else {
      absl::StrAppend(&expected, "\n  expected ", reply.DebugString());
    }
  }
  if (left.empty()) {
    Differ(absl::StrCat(call->operation.DebugString(), "\n  got      ", got.DebugString(), expected));
    return;
  }
  object->worlds = std::move(left);
  Note(object, call);
}

void Sequence::CountSql(const Call& call) {
  const Reply reply = call.reply();
  const bool execute = std::holds_alternative<v1::ExecuteSqlRequest>(call.operation.request);
  if (reply.reason == v1::ERROR_REASON_SQL_ERROR || reply.reason == v1::ERROR_REASON_SQL_CONSTRAINT) {
    ++counts_->sql_failed;
  }
  if (!execute || reply.code != absl::StatusCode::kOk) return;
  v1::ExecuteSqlResponse response;
  response.ParseFromString(reply.bytes);
  counts_->sql_statements += response.results_size();
  for (const v1::SqlResult& result : response.results()) counts_->sql_rows += result.rows_size();
}

void Sequence::Note(Tested* object, Call* call) {
  CountSql(*call);
  if (!call->operation.token_seen) return;
  v1::ListEntriesResponse page;
  page.ParseFromString(call->reply().bytes);
  v1::ListEntriesRequest request = std::get<v1::ListEntriesRequest>(call->operation.request);
  const bool first = request.page_token().empty();
  int64_t left = first && request.has_limit() ? request.limit() : call->operation.left;
  left -= page.entries_size();
  request.set_page_token(call->page_token());
  Remember(Page{request, page.entries(page.entries_size() - 1).key(), left}, &object->pages);
}

void Sequence::Fork(Tested* object) {
  std::vector<World> reached = std::move(object->worlds);
  std::vector<World> all = reached;
  for (const auto& call : object->calls) {
    ++counts_->unanswered;
    if (call->done()) Differ(call->operation.DebugString() + " was answered before one that came before it");
    // The writes of an interrupted call depend only on data that the model has, so that the model can apply them.
    for (World& world : reached) (void)Apply(call->operation, call->sent_us, &world);
    for (const World& world : reached) AddWorld(world, &all);
  }
  object->worlds = std::move(all);
  object->calls.clear();
  if (object->worlds.size() > kWorldsMax) Differ("too many worlds");
}

void Sequence::CompareDeliveries(const std::vector<Delivered>& delivered, int64_t begin_us, bool lost) {
  std::map<std::string, const Delivered*> by_object;
  for (const Delivered& each : delivered) {
    ++counts_->deliveries;
    if (!by_object.emplace(each.delivery.object.name, &each).second) Differ(each.delivery.object.name + " came twice");
    if (!objects_.contains(each.delivery.object.name)) Differ(each.delivery.object.name + " is no object");
  }
  for (auto& [name, object] : objects_) {
    const auto it = by_object.find(name);
    std::vector<World> left;
    for (World& world : object.worlds) {
      const int64_t time_us = it == by_object.end() ? begin_us : it->second->time_us;
      World settled = world;
      settled.SettleLease(time_us);
      const bool free = settled.alarm && !settled.lease;
      const auto deliver = [&](const std::string& token, int64_t expire_us) {
        World out = settled;
        out.alarm.reset();
        out.lease = {settled.alarm->scheduled_us, settled.alarm->retry_count, expire_us, token, false};
        AddWorld(std::move(out), &left);
      };
      if (it != by_object.end()) {
        const auto& delivery = it->second->delivery;
        if (free && time_us >= settled.alarm->due_min_us && time_us >= settled.alarm->scheduled_us &&
            delivery.scheduled_time_us == settled.alarm->scheduled_us &&
            delivery.retry_count == settled.alarm->retry_count) {
          deliver(delivery.token, delivery.lease_expire_time_us);
        }
        continue;
      }
      if (lost && free && settled.alarm->due_min_us <= begin_us) {
        deliver("", begin_us + absl::ToInt64Microseconds(absl::Seconds(4)));
      }
      if (lost || !free || settled.alarm->due_max_us > begin_us) AddWorld(std::move(world), &left);
    }
    if (left.empty()) {
      Differ(absl::StrCat(name, it == by_object.end() ? ": an alarm that is due did not come"
                                                      : ": an alarm came that is not set, or not due"));
      return;
    }
    object.worlds = std::move(left);
    if (it == by_object.end()) continue;
    Remember(it->second->delivery.token, &object.tokens);
    if (!dice_.OneIn(4)) object.outstanding.push_back(it->second->delivery.token);
  }
}

void Sequence::Verify(const std::string& name) {
  if (profile_ == Profile::kSql) {
    ++counts_->sql_databases;
    const SqlFilePtr& sql = objects_.at(name).worlds.front().sql;
    if (sql != nullptr) counts_->sql_pages_max = std::max(counts_->sql_pages_max, sql->page_count());
    Send({.object = name, .request = ReadAllSql(sql)});
  }
  Send({.object = name, .request = v1::GetAlarmRequest()});
  Operation list{.object = name, .request = v1::ListEntriesRequest()};
  for (;;) {
    Send(list);
    subject_->node().Settle();
    Call* const call = objects_.at(name).calls.back().get();
    const std::string token = call->page_token();
    v1::ListEntriesResponse page;
    page.ParseFromString(call->reply().bytes);
    Collect();
    if (token.empty() || !differences_.empty()) break;
    objects_.at(name).pages.pop_back();
    std::get<v1::ListEntriesRequest>(list.request).set_page_token(token);
    list.after_key = page.entries(page.entries_size() - 1).key();
  }
  if (differences_.empty()) CheckDescription(name);
}

bool Sequence::MayBe(const World& world, bool exists) const {
  if (world.exists_unsure || world.exists == exists) return true;
  return !exists && world.StoresNothing(subject_->now_us());
}

void Sequence::CheckDescription(const std::string& name) {
  std::optional<absl::StatusOr<actors::ObjectDescription>> got;
  subject_->node().host().Describe(storage::ObjectKey("default", "Object", name), &actors::PlainObject::Class(),
                                   [&](auto description) { got = std::move(description); });
  subject_->node().Settle();
  if (!got || !got->ok()) return Differ(name + " cannot be described");
  const auto& description = **got;
  const auto alarm_us =
      description.alarm.visible ? std::optional(absl::ToUnixMicros(*description.alarm.visible)) : std::nullopt;
  for (const World& world : objects_.at(name).worlds) {
    if (alarm_us != world.VisibleAlarm(subject_->now_us())) continue;
    if (!MayBe(world, description.header.has_value())) continue;
    if (world.exists && !description.header) ++counts_->left;
    if (!description.header ||
        ((world.sql == nullptr ? description.header->usage().size_bytes() == world.bytes()
                               : description.header->usage().size_bytes() > world.bytes()) &&
         description.header->usage().entry_count() == static_cast<int64_t>(world.entries.size()))) {
      return;
    }
  }
  const World& world = objects_.at(name).worlds.front();
  Differ(absl::StrCat(
      name, " is described otherwise: ", description.header ? description.header->ShortDebugString() : "does not exist",
      "; expected ", world.exists, " ", world.entries.size(), " entries of ", world.bytes(), " bytes"));
}

void Sequence::CheckCatalog() {
  const auto page = storage::ReadCatalogPage(subject_->store().behind(), {.ns = "default",
                                                                          .object_class = "Object",
                                                                          .name_prefix = absl::StrCat("s", seed_, "-"),
                                                                          .after = "",
                                                                          .count_max = 1000,
                                                                          .bytes_max = 1 << 20});
  if (!page.ok()) return Differ(page.status().ToString());
  for (const auto& [name, object] : objects_) {
    const bool listed =
        std::any_of(page->items.begin(), page->items.end(), [&](const auto& item) { return item.id.name == name; });
    const bool possible = std::any_of(object.worlds.begin(), object.worlds.end(),
                                      [&](const World& world) { return MayBe(world, listed); });
    if (!listed && object.worlds.size() == 1 && object.worlds.front().exists) ++counts_->left;
    if (!possible) Differ(absl::StrCat(name, listed ? " is listed and does not exist" : " exists and is not listed"));
  }
}

void Sequence::CleanUp() {
  for (const auto& [name, object] : objects_) Send({.object = name, .request = v1::CleanupRequest()});
  Settle();
  // The records of request ids are removed when they are old enough.
  subject_->store().set_cold(false);
  subject_->node().Advance(kRecordAge + kRecordAge / 4);
  for (const std::string& left : subject_->LeftInStore()) Differ("left in the store: " + left);
}

}  // namespace holdfast::property
