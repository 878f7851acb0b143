#include "actors/objects/plain_object.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/wire/alarm_lease.h"
#include "actors/wire/entry.h"
#include "actors/wire/errors.h"
#include "actors/wire/wire_time.h"
#include "storage/store/format.h"

namespace holdfast::actors {
namespace {

constexpr int kPreconditionsMax = 128;
constexpr int kStepsMax = 128;

absl::Status CheckToken(absl::string_view token) {
  if (token.empty()) return InvalidField("delivery_token", "must not be empty");
  return absl::OkStatus();
}

bool IsAboutSql(const v1::Precondition& precondition) {
  return precondition.has_query_returns_row() || precondition.has_schema_version_equals();
}

// Returns the key of a condition, which is not about SQL.
const std::string& KeyOf(const v1::Precondition& precondition) {
  switch (precondition.condition_case()) {
    case v1::Precondition::kKeyAbsent:
      return precondition.key_absent();
    case v1::Precondition::kKeyPresent:
      return precondition.key_present();
    default:
      return precondition.etag_equals().key();
  }
}

absl::Status CheckPreconditions(const v1::ApplyBatchRequest& request) {
  if (request.preconditions_size() > kPreconditionsMax) {
    return InvalidField("preconditions",
                        absl::StrCat("has ", request.preconditions_size(), " items; at most ", kPreconditionsMax));
  }
  for (int i = 0; i < request.preconditions_size(); ++i) {
    const v1::Precondition& precondition = request.preconditions(i);
    const std::string field = absl::StrCat("preconditions[", i, "]");
    if (precondition.condition_case() == v1::Precondition::CONDITION_NOT_SET) {
      return InvalidField(field, "has no condition");
    }
    if (precondition.has_query_returns_row()) {
      absl::Status status = SqlTextOf(precondition.query_returns_row(), field + ".query_returns_row").status();
      if (!status.ok()) return status;
      continue;
    }
    if (precondition.has_schema_version_equals()) {
      if (precondition.schema_version_equals() >= 0) continue;
      return InvalidField(field + ".schema_version_equals", "must not be negative");
    }
    if (absl::Status status = CheckEntryKey(KeyOf(precondition), absl::StrCat(field, ".key")); !status.ok()) {
      return status;
    }
    if (precondition.has_etag_equals() && precondition.etag_equals().etag().empty()) {
      return InvalidField(absl::StrCat(field, ".etag_equals.etag"), "must not be empty");
    }
  }
  return absl::OkStatus();
}

// Returns the delay in microseconds.
absl::StatusOr<int64_t> AlarmDelayOf(const google::protobuf::Duration& delay, absl::string_view field) {
  constexpr absl::Duration kDelayMax = absl::Hours(24 * 36'600);
  return MicrosOf(delay, field, absl::ZeroDuration(), kDelayMax);
}

absl::Status CheckStep(const v1::BatchStep& step, const std::string& field) {
  switch (step.step_case()) {
    case v1::BatchStep::kPut:
      if (absl::Status status = CheckEntryKey(step.put().key(), field + ".put.key"); !status.ok()) return status;
      return CheckEntryValue(step.put().value(), field + ".put.value");
    case v1::BatchStep::kDeleteKey:
      return CheckEntryKey(step.delete_key(), field + ".delete_key");
    case v1::BatchStep::kSql:
      return SqlTextOf(step.sql(), field + ".sql").status();
    case v1::BatchStep::kSetAlarm:
      return MicrosOf(step.set_alarm(), field + ".set_alarm").status();
    case v1::BatchStep::kSetAlarmDelay:
      return AlarmDelayOf(step.set_alarm_delay(), field + ".set_alarm_delay").status();
    case v1::BatchStep::kDeleteAlarm:
      return step.delete_alarm() ? absl::OkStatus() : InvalidField(field + ".delete_alarm", "must be true");
    case v1::BatchStep::STEP_NOT_SET:
      break;
  }
  return InvalidField(field, "has no step");
}

absl::Status CheckSteps(const v1::ApplyBatchRequest& request) {
  const bool none_needed = !request.alarm_delivery_token().empty();
  if ((request.steps().empty() && !none_needed) || request.steps_size() > kStepsMax) {
    return InvalidField("steps", absl::StrCat("has ", request.steps_size(), " items; must be 1 to ", kStepsMax));
  }
  for (int i = 0; i < request.steps_size(); ++i) {
    if (absl::Status status = CheckStep(request.steps(i), absl::StrCat("steps[", i, "]")); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Checks a condition. `etag` is the etag of the key's entry, if the condition is about that; null: there is no entry.
absl::Status Evaluate(const v1::Precondition& precondition, int index, const std::string* etag) {
  absl::string_view problem;
  v1::ErrorReason reason = v1::ERROR_REASON_PRECONDITION_FAILED;
  if (precondition.has_key_absent()) {
    if (etag != nullptr) problem = "is present";
  } else if (etag == nullptr) {
    problem = "is absent";
    if (precondition.has_etag_equals()) reason = v1::ERROR_REASON_ETAG_MISMATCH;
  } else if (precondition.has_etag_equals() && *etag != precondition.etag_equals().etag()) {
    problem = "has another etag";
    reason = v1::ERROR_REASON_ETAG_MISMATCH;
  }
  if (problem.empty()) return absl::OkStatus();
  return Error(absl::StatusCode::kAborted, reason,
               absl::StrCat("preconditions[", index, "]: the key ", KeyForPeople(KeyOf(precondition)), " ", problem,
                            "; nothing was done"));
}

absl::Status SqlConditionFailed(const v1::Precondition& precondition, int index) {
  return Error(absl::StatusCode::kAborted, v1::ERROR_REASON_PRECONDITION_FAILED,
               absl::StrCat("preconditions[", index, "]: ",
                            precondition.has_query_returns_row()
                                ? "the query returns no row"
                                : absl::StrCat("the schema version is not ", precondition.schema_version_equals()),
                            "; nothing was done"));
}

}  // namespace

absl::Status StaleDelivery() {
  return Error(absl::StatusCode::kAborted, v1::ERROR_REASON_ALARM_DELIVERY_STALE,
               "this delivery of the alarm has ended, or its lease has expired; nothing was done");
}

const ObjectClass& PlainObject::Class() {
  static const auto* const object_class = new ObjectClass{.name = "Object",
                                                          .make = Make<PlainObject>,
                                                          .for_clients = true,
                                                          .has_sql = true,
                                                          .alarms_for_watchers = true,
                                                          .alarm_reads_to = storage::kClientAlarmKey,
                                                          .describe_alarm = DescribeClientAlarm};
  return *object_class;
}

Task<absl::Status> PlainObject::Load() {
  // There is a record exactly when there is an alarm.
  if (!storage().alarm()) co_return absl::OkStatus();
  auto bytes = co_await storage::StorageOp<std::optional<std::string>>(
      &storage(), storage::KeyRange::Single(storage::kClientAlarmKey),
      [](storage::View& view) { return view.Get(storage::kClientAlarmKey); });
  if (!bytes.ok()) co_return bytes.status();
  storage::v1::ClientAlarm record;
  if (!*bytes || !record.ParseFromString(**bytes)) co_return absl::DataLossError("the client's alarm is garbled");
  alarm_ = ClientAlarm(std::move(record));
  alarm_stored_ = true;
  co_return absl::OkStatus();
}

// --- Keys.

storage::StorageOp<PlainObject::SeenEntries> PlainObject::Look(std::map<std::string, bool> keys) {
  return {&storage(), storage::KeyRange::Prefix({&storage::kEntryKind, 1}),
          [keys = std::move(keys)](storage::View& view) -> absl::StatusOr<SeenEntries> {
            SeenEntries seen;
            for (const auto& [key, with_etag] : keys) {
              auto value = view.Get(storage::EntryKey(key));
              if (!value.ok()) return value.status();
              if (*value) seen[key] = {(*value)->size(), with_etag ? EtagOf(**value) : ""};
            }
            return seen;
          }};
}

Task<absl::Status> PlainObject::PutEntries(const v1::PutEntriesRequest& request, v1::PutEntriesResponse*) {
  if (absl::Status status = CheckEntryCount(request.entries_size(), "entries"); !status.ok()) co_return status;
  std::map<std::string, const std::string*> entries;
  std::map<std::string, bool> keys;
  for (int i = 0; i < request.entries_size(); ++i) {
    const v1::Entry& entry = request.entries(i);
    const std::string field = absl::StrCat("entries[", i, "]");
    if (absl::Status status = CheckEntryKey(entry.key(), field + ".key"); !status.ok()) co_return status;
    if (absl::Status status = CheckEntryValue(entry.value(), field + ".value"); !status.ok()) co_return status;
    entries[entry.key()] = &entry.value();
    keys[entry.key()] = false;
  }
  const auto before = co_await Look(std::move(keys));
  if (!before.ok()) co_return before.status();
  for (const auto& [key, value] : entries) {
    const auto replaced = before->find(key);
    const std::optional<size_t> bytes =
        replaced == before->end() ? std::nullopt : std::optional(replaced->second.value_bytes);
    if (absl::Status status = storage().Write(key, *value, bytes); !status.ok()) co_return status;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> PlainObject::DeleteEntries(const v1::DeleteEntriesRequest& request,
                                              v1::DeleteEntriesResponse* response) {
  if (absl::Status status = CheckEntryCount(request.keys_size(), "keys"); !status.ok()) co_return status;
  for (int i = 0; i < request.keys_size(); ++i) {
    absl::Status status = CheckEntryKey(request.keys(i), absl::StrCat("keys[", i, "]"));
    if (!status.ok()) co_return status;
  }
  const std::vector<std::string> keys(request.keys().begin(), request.keys().end());
  auto deleted = co_await storage().Delete(keys);
  if (!deleted.ok()) co_return deleted.status();
  response->set_deleted_count(static_cast<int32_t>(*deleted));
  co_return absl::OkStatus();
}

Task<absl::Status> PlainObject::ApplyBatch(const v1::ApplyBatchRequest& request, v1::ApplyBatchResponse* response) {
  if (absl::Status status = CheckPreconditions(request); !status.ok()) co_return status;
  if (absl::Status status = CheckSteps(request); !status.ok()) co_return status;
  const std::string& token = request.alarm_delivery_token();
  if (!token.empty() && !alarm_.Holds(token, Now())) co_return StaleDelivery();

  std::map<std::string, bool> keys;
  std::vector<SqlText> sql_steps;
  for (int i = 0; i < request.steps_size(); ++i) {
    const v1::BatchStep& step = request.steps(i);
    if (step.has_put()) keys[step.put().key()] = false;
    if (step.has_delete_key()) keys[step.delete_key()] = false;
    if (step.has_sql()) sql_steps.push_back(*SqlTextOf(step.sql(), absl::StrCat("steps[", i, "].sql")));
  }
  bool asks_sql = false;
  for (const v1::Precondition& precondition : request.preconditions()) {
    if (IsAboutSql(precondition)) {
      asks_sql = true;
      continue;
    }
    bool& with_etag = keys[KeyOf(precondition)];
    with_etag = with_etag || precondition.has_etag_equals();
  }
  auto entries = co_await Look(std::move(keys));
  if (!entries.ok()) co_return entries.status();
  std::vector<bool> answers;
  if (asks_sql) {
    auto answered = co_await AskSql(request);
    if (!answered.ok()) co_return SqlFailed(answered.status(), "preconditions");
    answers = *std::move(answered);
  }
  auto answer = answers.begin();
  for (int i = 0; i < request.preconditions_size(); ++i) {
    if (IsAboutSql(request.preconditions(i))) {
      if (!*answer++) co_return SqlConditionFailed(request.preconditions(i), i);
      continue;
    }
    const auto it = entries->find(KeyOf(request.preconditions(i)));
    absl::Status status = Evaluate(request.preconditions(i), i, it == entries->end() ? nullptr : &it->second.etag);
    if (!status.ok()) co_return status;
  }

  if (!sql_steps.empty()) {
    const auto results = co_await RunAll(std::move(sql_steps), /*read_only=*/false);
    if (!results.ok()) co_return SqlFailed(results.status(), "steps");
    for (const auto& result : *results) FillSqlResult(result, response->add_sql_results());
  }

  // From here on nothing is refused. The SQL statements have run.
  bool alarm_changed = !token.empty();
  if (!token.empty()) Ended(alarm_.Acknowledge(), AlarmWatchers::End::kAcknowledged);
  for (const v1::BatchStep& step : request.steps()) {
    if (step.has_put()) {
      const auto replaced = entries->find(step.put().key());
      absl::Status status =
          storage().Write(step.put().key(), step.put().value(),
                          replaced == entries->end() ? std::nullopt : std::optional(replaced->second.value_bytes));
      if (!status.ok()) co_return status;
      (*entries)[step.put().key()].value_bytes = step.put().value().size();
    } else if (step.has_delete_key()) {
      const auto found = entries->find(step.delete_key());
      if (found == entries->end()) continue;
      storage().Erase(found->first, found->second.value_bytes);
      entries->erase(found);
    } else if (!step.has_sql()) {
      SettleLease();
      alarm_changed = true;
      if (step.has_set_alarm()) {
        alarm_.Set(absl::FromUnixMicros(*MicrosOf(step.set_alarm(), "set_alarm")));
      } else if (step.has_set_alarm_delay()) {
        const int64_t delay_us = *AlarmDelayOf(step.set_alarm_delay(), "set_alarm_delay");
        alarm_.Set(Now() + absl::Microseconds(delay_us), /*by_delay=*/true);
      } else {
        alarm_.Delete();
      }
    }
  }
  if (alarm_changed) StoreAlarm();
  co_return absl::OkStatus();
}

Task<absl::Status> PlainObject::DeleteAll(const v1::DeleteAllRequest& request, v1::DeleteAllResponse*) {
  auto deleted = co_await storage().DeleteAll(request.keep_alarm());
  if (!deleted.ok()) co_return deleted.status();
  if (request.keep_alarm() && !alarm_.empty()) {
    storage().writes().Put(storage::kClientAlarmKey, alarm_.record().SerializeAsString());
  } else if (alarm_.record().has_delivery()) {
    Ended(alarm_.record().delivery().token(), AlarmWatchers::End::kWithdrawn);
  }
  co_return absl::OkStatus();
}

// --- The alarm.

void PlainObject::SettleLease() {
  if (!alarm_.LeaseExpired(Now())) return;
  const AlarmWatchers::WatcherId holder =
      context().alarm_watchers().HolderOf(context().key(), alarm_.record().delivery().token());
  Ended(alarm_.Expire(holder, random()), AlarmWatchers::End::kExpired);
}

void PlainObject::Ended(std::string token, AlarmWatchers::End end) {
  AfterCommit([watchers = &context().alarm_watchers(), object = context().key(), token = std::move(token), end] {
    watchers->Ended(object, token, end);
  });
}

void PlainObject::StoreAlarm() {
  const std::optional<absl::Time> wake = alarm_.WakeTime();
  if (wake) {
    storage().writes().Put(storage::kClientAlarmKey, alarm_.record().SerializeAsString());
    storage().SetAlarm(*wake, alarm_.WakeClock());
  } else if (alarm_stored_) {
    storage().writes().Delete(storage::kClientAlarmKey);
    storage().DeleteAlarm();
  }
  alarm_stored_ = wake.has_value();
}

AlarmTaking PlainObject::TakesAlarm() {
  std::optional<AlarmWatchers::Claim> claim = context().TakeAlarmClaim();
  // Ending a lease needs no watcher.
  if (alarm_.LeaseExpired(Now())) return AlarmTaking::kYes;
  if (claim && claim->watcher() != alarm_.record().expired_watcher()) {
    claim_.emplace(*std::move(claim));
    return AlarmTaking::kYes;
  }
  // The watcher to be avoided gets its place back before the search for another.
  claim.reset();
  storage::ObjectId id;
  if (!context().key().Decode(&id)) return AlarmTaking::kNo;
  switch (context().alarm_watchers().TakePlace(id, alarm_.record().expired_watcher(), &claim_)) {
    case AlarmWatchers::Place::kTaken:
      return AlarmTaking::kYes;
    case AlarmWatchers::Place::kNone:
      return AlarmTaking::kNo;
    case AlarmWatchers::Place::kLater:
      return AlarmTaking::kLater;
  }
  return AlarmTaking::kNo;
}

Task<absl::Status> PlainObject::OnAlarm(const AlarmRun&) {
  if (!claim_) {
    SettleLease();
    StoreAlarm();
    co_return absl::OkStatus();
  }
  AlarmWatchers::Claim claim = *std::move(claim_);
  claim_.reset();
  const std::string token =
      absl::StrCat(absl::Hex(random().Bits(), absl::kZeroPad16), absl::Hex(random().Bits(), absl::kZeroPad16));
  alarm_.Deliver(token, Now() + claim.lease());
  StoreAlarm();

  AlarmWatchers::Delivery delivery;
  context().key().Decode(&delivery.object);
  delivery.token = token;
  delivery.scheduled_time_us = alarm_.record().delivery().scheduled_time_us();
  delivery.retry_count = alarm_.record().delivery().retry_count();
  delivery.lease_expire_time_us = alarm_.record().delivery().lease_expire_time_us();
  AfterCommit([claim = std::move(claim), delivery]() mutable { claim.Deliver(delivery); });
  co_return absl::OkStatus();
}

Task<absl::Status> PlainObject::SetAlarm(const v1::SetAlarmRequest& request, v1::SetAlarmResponse* response) {
  if (request.has_scheduled_time() && request.has_delay()) {
    co_return InvalidField("delay", "must be absent where there is a scheduled_time");
  }
  if (!request.has_scheduled_time() && !request.has_delay()) {
    co_return InvalidField("scheduled_time", "is missing, and so is delay");
  }
  const auto micros = request.has_delay() ? AlarmDelayOf(request.delay(), "delay")
                                          : MicrosOf(request.scheduled_time(), "scheduled_time");
  if (!micros.ok()) co_return micros.status();
  SettleLease();
  const absl::Time time = request.has_delay() ? Now() + absl::Microseconds(*micros) : absl::FromUnixMicros(*micros);
  alarm_.Set(time, request.has_delay());
  StoreAlarm();
  SetTimestamp(absl::ToUnixMicros(time), response->mutable_scheduled_time());
  co_return absl::OkStatus();
}

Task<absl::Status> PlainObject::DeleteAlarm(const v1::DeleteAlarmRequest&, v1::DeleteAlarmResponse*) {
  SettleLease();
  alarm_.Delete();
  StoreAlarm();
  co_return absl::OkStatus();
}

Task<absl::Status> PlainObject::AcknowledgeAlarm(const v1::AcknowledgeAlarmRequest& request,
                                                 v1::AcknowledgeAlarmResponse*) {
  if (absl::Status status = CheckToken(request.delivery_token()); !status.ok()) co_return status;
  if (request.has_error() && request.error().code() == 0) {
    co_return InvalidField("error.code", "must not be OK (0)");
  }
  if (!alarm_.Holds(request.delivery_token(), Now())) co_return StaleDelivery();
  Ended(request.has_error() ? alarm_.Fail(Now(), random()) : alarm_.Acknowledge(), AlarmWatchers::End::kAcknowledged);
  StoreAlarm();
  co_return absl::OkStatus();
}

Task<absl::Status> PlainObject::ReturnAlarm(const std::string& token) {
  if (!alarm_.Holds(token, Now())) co_return absl::OkStatus();
  Ended(alarm_.Return(), AlarmWatchers::End::kWithdrawn);
  StoreAlarm();
  co_return absl::OkStatus();
}

Task<absl::Status> PlainObject::ExtendAlarmLease(const v1::ExtendAlarmLeaseRequest& request,
                                                 v1::ExtendAlarmLeaseResponse* response) {
  if (absl::Status status = CheckToken(request.delivery_token()); !status.ok()) co_return status;
  const auto lease_us = LeaseOf(request);
  if (!lease_us.ok()) co_return lease_us.status();
  if (!alarm_.Holds(request.delivery_token(), Now())) co_return StaleDelivery();
  alarm_.Extend(Now() + absl::Microseconds(*lease_us));
  StoreAlarm();
  SetTimestamp(alarm_.record().delivery().lease_expire_time_us(), response->mutable_lease_expire_time());
  co_return absl::OkStatus();
}

}  // namespace holdfast::actors
