#include "tests/property/world.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/entry.h"
#include "actors/wire/page_token.h"
#include "actors/wire/wire_time.h"
#include "service/call/message_record.h"

namespace holdfast::property {
namespace {

using absl::StatusCode;

constexpr int64_t kSecond = 1'000'000;
constexpr size_t kShownBytesMax = 120;
// Bounds on the reply to a request with an id, and on the bytes that the model's reply may lack.
constexpr size_t kRecordedBytesMax = 64 << 10;
constexpr size_t kSqlCostBytesMax = 256;

struct Error {
  StatusCode code = StatusCode::kOk;
  v1::ErrorReason reason = v1::ERROR_REASON_UNSPECIFIED;
  std::string message = "";  // for people; not compared
};

const Error kNone;
const Error kInvalid = {StatusCode::kInvalidArgument, v1::ERROR_REASON_INVALID_FIELD};
const Error kStale = {StatusCode::kAborted, v1::ERROR_REASON_ALARM_DELIVERY_STALE};

void Put(const v1::Entry& entry, World* world) {
  world->entries[entry.key()] = std::make_shared<const std::string>(entry.value());
  world->exists = true;
}

void Fill(const std::string& key, const std::string& value, v1::Entry* entry) {
  entry->set_key(key);
  entry->set_value(value);
  entry->set_etag(actors::EtagOf(value));
}

int64_t MicrosOf(const google::protobuf::Duration& delay) {
  return delay.seconds() * 1'000'000 + (delay.nanos() + 999) / 1000;
}

void SetAlarmAt(int64_t time_us, int64_t now_us, World* world) {
  world->SettleLease(now_us);
  world->alarm = World::Alarm{time_us, 0, time_us, time_us};
}

void UnsetAlarm(int64_t now_us, World* world) {
  world->SettleLease(now_us);
  world->alarm.reset();
  if (world->lease) world->lease->retry_stopped = true;
}

bool Holds(const World& world, const std::string& token, int64_t now_us) {
  return world.lease && world.lease->token == token && now_us < world.lease->expire_us;
}

Error ErrorOf(const absl::Status& status) {
  return {status.code(), actors::ReasonOf(status), std::string(status.message())};
}

Error Check(const v1::Precondition& condition, const World& world) {
  const Error kFailed = {StatusCode::kAborted, v1::ERROR_REASON_PRECONDITION_FAILED};
  const Error kMismatch = {StatusCode::kAborted, v1::ERROR_REASON_ETAG_MISMATCH};
  switch (condition.condition_case()) {
    case v1::Precondition::kKeyAbsent:
      return world.entries.contains(condition.key_absent()) ? kFailed : kNone;
    case v1::Precondition::kKeyPresent:
      return world.entries.contains(condition.key_present()) ? kNone : kFailed;
    default: {
      const auto it = world.entries.find(condition.etag_equals().key());
      const bool same = it != world.entries.end() && actors::EtagOf(*it->second) == condition.etag_equals().etag();
      return same ? kNone : kMismatch;
    }
  }
}

// --- One overload a method.

struct At {
  int64_t now_us;
  const Operation& operation;
};

Error Do(const v1::GetEntriesRequest& request, const At&, World* world, v1::GetEntriesResponse* response) {
  if (request.keys().empty()) return kInvalid;
  for (const std::string& key : std::set<std::string>(request.keys().begin(), request.keys().end())) {
    if (key.empty()) return kInvalid;
    const auto it = world->entries.find(key);
    if (it != world->entries.end()) Fill(key, *it->second, response->add_entries());
  }
  return kNone;
}

Error Do(const v1::PutEntriesRequest& request, const At&, World* world, v1::PutEntriesResponse*) {
  if (request.entries().empty()) return kInvalid;
  for (const v1::Entry& entry : request.entries()) {
    if (entry.key().empty()) return kInvalid;
    Put(entry, world);
  }
  return kNone;
}

Error Do(const v1::DeleteEntriesRequest& request, const At&, World* world, v1::DeleteEntriesResponse* response) {
  if (request.keys().empty()) return kInvalid;
  size_t deleted = 0;
  for (const std::string& key : request.keys()) {
    if (key.empty()) return kInvalid;
    deleted += world->entries.erase(key);
  }
  response->set_deleted_count(static_cast<int32_t>(deleted));
  return kNone;
}

Error Do(const v1::ListEntriesRequest& request, const At& at, World* world, v1::ListEntriesResponse* response) {
  if (request.has_start() && request.has_start_after()) return kInvalid;
  if (request.page_size() < 0 || (request.has_limit() && request.limit() < 1)) return kInvalid;
  std::vector<const std::pair<const std::string, World::Value>*> found;
  for (const auto& entry : world->entries) {
    const std::string& key = entry.first;
    if (request.has_start() && key < request.start()) continue;
    if (request.has_start_after() && key <= request.start_after()) continue;
    if (request.has_end() && key >= request.end()) continue;
    if (key.compare(0, request.prefix().size(), request.prefix()) != 0) continue;
    if (at.operation.after_key &&
        (request.reverse() ? key >= *at.operation.after_key : key <= *at.operation.after_key)) {
      continue;
    }
    found.push_back(&entry);
  }
  if (request.reverse()) std::reverse(found.begin(), found.end());
  int64_t left = at.operation.left;
  if (request.has_limit() && !at.operation.after_key) left = request.limit();
  if (static_cast<int64_t>(found.size()) > left) found.resize(static_cast<size_t>(left));

  const size_t size = request.page_size() == 0 ? 100 : std::min<size_t>(1000, static_cast<size_t>(request.page_size()));
  size_t bytes = 0;
  size_t count = 0;
  while (count < found.size() && count < size && bytes < actors::kPageBytesMax) {
    const auto& [key, value] = *found[count++];
    bytes += key.size() + value->size();
    Fill(key, *value, response->add_entries());
  }
  // A full page may have a token though nothing follows.
  const bool more = count < found.size() || (bytes >= actors::kPageBytesMax && at.operation.token_seen);
  if (more) response->set_next_page_token("more");
  return kNone;
}

Error Do(const v1::ApplyBatchRequest& request, const At& at, World* world, v1::ApplyBatchResponse* response) {
  const std::string& token = request.alarm_delivery_token();
  if (request.steps().empty() && token.empty()) return kInvalid;
  if (!token.empty() && !Holds(*world, token, at.now_us)) return kStale;
  std::vector<bool> answers;
  if (const absl::Status status = ModelPreconditions(request, world->sql, &answers); !status.ok()) {
    return ErrorOf(status);
  }
  auto answer = answers.begin();
  for (const v1::Precondition& condition : request.preconditions()) {
    if (condition.has_query_returns_row() || condition.has_schema_version_equals()) {
      if (!*answer++) return {StatusCode::kAborted, v1::ERROR_REASON_PRECONDITION_FAILED};
      continue;
    }
    if (const Error error = Check(condition, *world); error.code != StatusCode::kOk) return error;
  }
  if (const absl::Status status = ModelSteps(request, &world->sql, response); !status.ok()) return ErrorOf(status);
  if (!token.empty()) world->lease.reset();
  for (const v1::BatchStep& step : request.steps()) {
    if (step.has_put()) Put(step.put(), world);
    if (step.has_delete_key()) world->entries.erase(step.delete_key());
    if (step.has_set_alarm()) SetAlarmAt(*actors::MicrosOf(step.set_alarm(), ""), at.now_us, world);
    if (step.has_set_alarm_delay()) SetAlarmAt(at.now_us + MicrosOf(step.set_alarm_delay()), at.now_us, world);
    if (step.delete_alarm()) UnsetAlarm(at.now_us, world);
  }
  return kNone;
}

Error Do(const v1::SetAlarmRequest& request, const At& at, World* world, v1::SetAlarmResponse* response) {
  if (request.has_scheduled_time() == request.has_delay()) return kInvalid;
  const int64_t time_us =
      request.has_delay() ? at.now_us + MicrosOf(request.delay()) : *actors::MicrosOf(request.scheduled_time(), "");
  SetAlarmAt(time_us, at.now_us, world);
  actors::SetTimestamp(time_us, response->mutable_scheduled_time());
  return kNone;
}

Error Do(const v1::GetAlarmRequest&, const At& at, World* world, v1::GetAlarmResponse* response) {
  if (const auto time_us = world->VisibleAlarm(at.now_us)) {
    actors::SetTimestamp(*time_us, response->mutable_scheduled_time());
  }
  return kNone;
}

Error Do(const v1::DeleteAlarmRequest&, const At& at, World* world, v1::DeleteAlarmResponse*) {
  UnsetAlarm(at.now_us, world);
  return kNone;
}

Error Do(const v1::AcknowledgeAlarmRequest& request, const At& at, World* world, v1::AcknowledgeAlarmResponse*) {
  if (request.delivery_token().empty()) return kInvalid;
  if (!Holds(*world, request.delivery_token(), at.now_us)) return kStale;
  if (request.has_error()) {
    world->FailDelivery(at.now_us);
  } else {
    world->lease.reset();
  }
  return kNone;
}

Error Do(const v1::ExtendAlarmLeaseRequest& request, const At& at, World* world,
         v1::ExtendAlarmLeaseResponse* response) {
  if (request.delivery_token().empty()) return kInvalid;
  if (!Holds(*world, request.delivery_token(), at.now_us)) return kStale;
  world->lease->expire_us = at.now_us + (request.has_lease() ? request.lease().seconds() : 30) * kSecond;
  actors::SetTimestamp(world->lease->expire_us, response->mutable_lease_expire_time());
  return kNone;
}

Error Do(const v1::ExecuteSqlRequest& request, const At&, World* world, v1::ExecuteSqlResponse* response) {
  return ErrorOf(ModelExecute(request, &world->sql, response));
}

Error Do(const v1::MigrateSchemaRequest& request, const At&, World* world, v1::MigrateSchemaResponse* response) {
  return ErrorOf(ModelMigrate(request, &world->sql, response));
}

Error Do(const v1::DeleteAllRequest& request, const At& at, World* world, v1::DeleteAllResponse*) {
  world->entries.clear();
  world->sql = nullptr;
  const bool had_stopped = world->lease && at.now_us >= world->lease->expire_us && world->lease->retry_stopped;
  world->exists = false;
  world->exists_unsure = request.keep_alarm() && had_stopped && !world->alarm;
  if (!request.keep_alarm()) {
    world->alarm.reset();
    world->lease.reset();
  }
  return kNone;
}

Error Do(const v1::CleanupRequest&, const At& at, World* world, v1::CleanupResponse*) {
  v1::DeleteAllResponse response;
  return Do(v1::DeleteAllRequest(), at, world, &response);
}

// Requests of SQL and batches show more: this many bytes of each part.
constexpr size_t kShownPartBytesMax = 400;
template <typename Message>
std::string Shown(const Message& message) {
  return message.ShortDebugString().substr(0, kShownBytesMax);
}
template <typename Parts>
void AppendParts(const Parts& parts, std::string* shown) {
  for (const auto& part : parts) {
    absl::StrAppend(shown, "\n    ", part.ShortDebugString().substr(0, kShownPartBytesMax));
  }
}
std::string Shown(const v1::ExecuteSqlRequest& request) {
  std::string shown = absl::StrCat("id ", request.request_id());
  AppendParts(request.statements(), &shown);
  return shown;
}
std::string Shown(const v1::ApplyBatchRequest& request) {
  std::string shown = absl::StrCat("id ", request.request_id());
  AppendParts(request.preconditions(), &shown);
  AppendParts(request.steps(), &shown);
  return shown;
}
std::string Shown(const v1::MigrateSchemaRequest& request) {
  std::string shown = absl::StrCat("id ", request.request_id());
  AppendParts(request.migrations(), &shown);
  return shown;
}

}  // namespace

std::string Operation::request_id() const {
  return std::visit(
      [](const auto& message) -> std::string {
        if constexpr (service::HasRequestId<std::decay_t<decltype(message)>>) return message.request_id();
        return "";
      },
      request);
}

std::string Operation::DebugString() const {
  return std::visit(
      [this](const auto& message) {
        return absl::StrCat(object, ": ", message.GetTypeName(), " {", Shown(message), "}",
                            after_key ? absl::StrCat(" after ", absl::CHexEscape(*after_key)) : "");
      },
      request);
}

std::string Reply::DebugString() const {
  return absl::StrCat(absl::StatusCodeToString(code), " ", v1::ErrorReason_Name(reason), " ", bytes.size(), " bytes \"",
                      absl::CEscape(bytes.substr(0, kShownBytesMax)), "\" ", message);
}

int64_t World::bytes() const {
  size_t sum = 0;
  for (const auto& [key, value] : entries) sum += key.size() + value->size();
  return static_cast<int64_t>(sum);
}

bool World::SameAs(const World& other) const {
  const auto same_entry = [](const auto& a, const auto& b) {
    return a.first == b.first && (a.second == b.second || *a.second == *b.second);
  };
  return exists == other.exists && exists_unsure == other.exists_unsure && alarm == other.alarm &&
         lease == other.lease && records == other.records && SameSql(sql, other.sql) &&
         std::equal(entries.begin(), entries.end(), other.entries.begin(), other.entries.end(), same_entry);
}

bool World::StoresNothing(int64_t now_us) const {
  World settled = *this;
  settled.SettleLease(now_us);
  return entries.empty() && sql == nullptr && !settled.alarm && !settled.lease;
}

void World::SettleLease(int64_t now_us) {
  if (lease && lease->expire_us <= now_us) FailDelivery(lease->expire_us);
}

void World::FailDelivery(int64_t now_us) {
  if (!alarm && !lease->retry_stopped) {
    // The delay is 2, 4, 8, ... 64 s, and up to a quarter more.
    const int64_t delay = std::min<int64_t>(64, int64_t{2} << std::min(lease->retry_count, 10)) * kSecond;
    alarm = Alarm{lease->scheduled_us, lease->retry_count + 1, now_us + delay, now_us + delay + delay / 4};
  }
  lease.reset();
}

std::optional<int64_t> World::VisibleAlarm(int64_t now_us) const {
  if (alarm) return alarm->scheduled_us;
  if (lease && lease->expire_us <= now_us && !lease->retry_stopped) return lease->scheduled_us;
  return std::nullopt;
}

Reply Apply(const Operation& operation, int64_t now_us, World* world) {
  return std::visit(
      [&](const auto& request) -> Reply {
        using Req = std::decay_t<decltype(request)>;
        const std::string id = operation.request_id();
        World::Record record;
        if (!id.empty()) record = {request.GetTypeName(), actors::EtagOf(request.SerializeAsString()), ""};
        if (const auto known = world->records.find(id); !id.empty() && known != world->records.end()) {
          const bool same = known->second.method == record.method && known->second.request_hash == record.request_hash;
          if (same) return {.bytes = known->second.reply};
          return {.code = StatusCode::kAlreadyExists, .reason = v1::ERROR_REASON_REQUEST_ID_REUSED};
        }
        World after = *world;
        typename Method<Req>::Response response;
        const Error error = Do(request, {now_us, operation}, &after, &response);
        if (error.code != StatusCode::kOk)
          return {.code = error.code, .reason = error.reason, .message = error.message};
        if (after.bytes() > std::max(world->bytes(), kObjectBytesMax)) {
          return {.code = StatusCode::kResourceExhausted, .reason = v1::ERROR_REASON_OBJECT_QUOTA};
        }
        if (after.alarm || after.lease || after.sql != nullptr) after.exists = true;
        record.reply = response.SerializeAsString();
        const size_t lacking = operation.record_too_large ? kSqlCostBytesMax : 0;
        if (!id.empty() && record.reply.size() + lacking > kRecordedBytesMax) {
          return {.code = StatusCode::kResourceExhausted, .reason = v1::ERROR_REASON_RESPONSE_TOO_LARGE};
        }
        Reply reply{.bytes = record.reply};
        if (!id.empty()) after.records[id] = std::move(record);
        *world = std::move(after);
        return reply;
      },
      operation.request);
}

}  // namespace holdfast::property
