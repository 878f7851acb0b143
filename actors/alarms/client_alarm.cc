#include "actors/alarms/client_alarm.h"

#include "actors/alarms/retry_delay.h"
#include "storage/object/keyspace_reader.h"
#include "storage/store/format.h"

namespace holdfast::actors {

std::optional<absl::Time> ClientAlarm::Visible(absl::Time now) const {
  if (record_.has_scheduled_time_us()) return absl::FromUnixMicros(record_.scheduled_time_us());
  if (LeaseExpired(now) && !record_.delivery().retry_stopped()) {
    return absl::FromUnixMicros(record_.delivery().scheduled_time_us());
  }
  return std::nullopt;
}

std::optional<absl::Time> ClientAlarm::WakeTime() const {
  if (record_.has_delivery()) return absl::FromUnixMicros(record_.delivery().lease_expire_time_us());
  if (record_.has_scheduled_time_us()) return absl::FromUnixMicros(record_.due_time_us());
  return std::nullopt;
}

bool ClientAlarm::LeaseExpired(absl::Time now) const {
  return record_.has_delivery() && absl::FromUnixMicros(record_.delivery().lease_expire_time_us()) <= now;
}

bool ClientAlarm::Holds(absl::string_view token, absl::Time now) const {
  return record_.has_delivery() && record_.delivery().token() == token && !LeaseExpired(now);
}

storage::AlarmClock ClientAlarm::WakeClock() const {
  const bool named = !record_.has_delivery() && record_.due_time_us() == record_.scheduled_time_us() && !by_delay_;
  return named ? storage::AlarmClock::kWall : storage::AlarmClock::kObject;
}

void ClientAlarm::Set(absl::Time time, bool by_delay) {
  by_delay_ = by_delay;
  record_.set_scheduled_time_us(absl::ToUnixMicros(time));
  record_.set_due_time_us(record_.scheduled_time_us());
  record_.set_retry_count(0);
  record_.clear_expired_watcher();
}

void ClientAlarm::Delete() {
  record_.clear_scheduled_time_us();
  record_.clear_due_time_us();
  record_.clear_retry_count();
  record_.clear_expired_watcher();
  if (record_.has_delivery()) record_.mutable_delivery()->set_retry_stopped(true);
}

void ClientAlarm::Deliver(std::string token, absl::Time lease_expire_time) {
  storage::v1::AlarmDelivery* const delivery = record_.mutable_delivery();
  delivery->set_token(std::move(token));
  delivery->set_scheduled_time_us(record_.scheduled_time_us());
  delivery->set_retry_count(record_.retry_count());
  delivery->set_lease_expire_time_us(absl::ToUnixMicros(lease_expire_time));
  record_.clear_scheduled_time_us();
  record_.clear_due_time_us();
  record_.clear_retry_count();
  record_.clear_expired_watcher();
}

void ClientAlarm::Extend(absl::Time lease_expire_time) {
  record_.mutable_delivery()->set_lease_expire_time_us(absl::ToUnixMicros(lease_expire_time));
}

std::string ClientAlarm::Acknowledge() {
  std::string token = std::move(*record_.mutable_delivery()->mutable_token());
  record_.clear_delivery();
  return token;
}

std::string ClientAlarm::Return() {
  const storage::v1::AlarmDelivery& delivery = record_.delivery();
  if (!record_.has_scheduled_time_us() && !delivery.retry_stopped()) {
    record_.set_scheduled_time_us(delivery.scheduled_time_us());
    record_.set_retry_count(delivery.retry_count());
    record_.set_due_time_us(delivery.scheduled_time_us());
  }
  return Acknowledge();
}

std::string ClientAlarm::Fail(absl::Time time, Random& random) {
  const storage::v1::AlarmDelivery& delivery = record_.delivery();
  if (!record_.has_scheduled_time_us() && !delivery.retry_stopped()) {
    record_.set_scheduled_time_us(delivery.scheduled_time_us());
    record_.set_retry_count(delivery.retry_count() + 1);
    record_.set_due_time_us(absl::ToUnixMicros(time + RetryDelay(record_.retry_count(), random)));
  }
  return Acknowledge();
}

std::string ClientAlarm::Expire(uint64_t watcher, Random& random) {
  std::string token = Fail(absl::FromUnixMicros(record_.delivery().lease_expire_time_us()), random);
  if (record_.retry_count() > 0) record_.set_expired_watcher(watcher);
  return token;
}

absl::Status DescribeClientAlarm(storage::View& view, absl::Time now, AlarmDescription* alarm) {
  const auto bytes = view.Get(storage::kClientAlarmKey);
  if (!bytes.ok()) return bytes.status();
  if (!*bytes) return absl::OkStatus();
  storage::v1::ClientAlarm record;
  if (!record.ParseFromString(**bytes)) return absl::DataLossError("a record of the object is garbled");
  alarm->visible = ClientAlarm(record).Visible(now);
  if (record.has_scheduled_time_us()) {
    storage::v1::AlarmRecord& next = alarm->next.emplace();
    next.set_scheduled_time_us(record.scheduled_time_us());
    next.set_due_time_us(record.due_time_us());
    next.set_retry_count(record.retry_count());
  }
  if (record.has_delivery()) alarm->delivery = record.delivery();
  return absl::OkStatus();
}

}  // namespace holdfast::actors
