#include "tests/crash/alarm_load.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace holdfast::testing {
namespace {

using v1::ObjectService;

constexpr int kObjects = 12;
constexpr int64_t kAheadMaxUs = 400'000;
constexpr int kLeaseNanos = 500'000'000;
// The client reports one in so many deliveries as failed.
constexpr int kFailedOneIn = 12;

int64_t Micros(const google::protobuf::Timestamp& time) { return time.seconds() * 1'000'000 + time.nanos() / 1000; }

bool IsStale(const grpc::Status& status) { return ReasonOf(status) == "ALARM_DELIVERY_STALE"; }

}  // namespace

bool AlarmLoad::Set(const Stubs& stubs) {
  const std::string object = absl::StrCat("alarm", random_() % kObjects);
  const int64_t time_us = absl::ToUnixMicros(absl::Now()) + static_cast<int64_t>(random_() % kAheadMaxUs);
  {
    std::lock_guard lock(mutex_);
    if (alarms_[object].scheduled_us) return true;
    alarms_[object].scheduled_us = time_us;
    alarms_[object].delivered = false;
  }
  v1::SetAlarmRequest request;
  request.mutable_object()->set_name(object);
  request.set_request_id(absl::StrCat("set", ++next_id_));
  request.mutable_scheduled_time()->set_seconds(time_us / 1'000'000);
  request.mutable_scheduled_time()->set_nanos(static_cast<int32_t>(time_us % 1'000'000 * 1000));
  return sets_.Send(stubs, MakeRetried<ObjectService::Stub, v1::SetAlarmRequest, v1::SetAlarmResponse>(
                               &Stubs::objects, &ObjectService::Stub::SetAlarm, request, [](const auto&) {}));
}

void AlarmLoad::Watch(const Stubs& stubs, grpc::ClientContext* context, const std::function<void()>& on_handled) {
  v1::WatchAlarmsRequest request;
  request.set_name_prefix("alarm");
  request.mutable_lease()->set_nanos(kLeaseNanos);
  const auto stream = stubs.objects->WatchAlarms(context, request);
  v1::WatchAlarmsResponse delivery;
  bool alive = true;
  while (stream->Read(&delivery)) {
    bool acknowledged = false;
    if (alive) alive = Handle(stubs, delivery, &acknowledged);
    // One that handles nothing would keep the deliveries from other watches.
    if (!alive) context->TryCancel();
    if (acknowledged) on_handled();
  }
  (void)stream->Finish();
}

v1::ApplyBatchRequest AlarmLoad::Acknowledgement(const v1::WatchAlarmsResponse& delivery, int64_t count) {
  v1::ApplyBatchRequest request;
  *request.mutable_object() = delivery.object();
  request.set_request_id(delivery.delivery_token());
  request.set_alarm_delivery_token(delivery.delivery_token());
  const std::string mark = absl::StrCat("alarm of ", Micros(delivery.scheduled_time()));
  request.add_preconditions()->set_key_absent(mark);
  request.add_steps()->mutable_put()->set_key(mark);
  v1::Entry* const entry = request.add_steps()->mutable_put();
  entry->set_key("count");
  entry->set_value(absl::StrCat(count));
  return request;
}

bool AlarmLoad::IsExpected(const Stubs& stubs, const v1::WatchAlarmsResponse& delivery) {
  const std::string& object = delivery.object().name();
  {
    std::lock_guard lock(mutex_);
    Alarm& alarm = alarms_[object];
    if (alarm.scheduled_us == Micros(delivery.scheduled_time())) {
      if (std::exchange(alarm.delivered, true)) ++redelivered_;
      return true;
    }
  }
  if (watchers_ == Watchers::kOne || !IsStale(Fail(stubs, delivery).status)) {
    Differ(absl::StrCat("an alarm of ", object, " came that is not set, or has come"));
  }
  return false;
}

Reply<v1::AcknowledgeAlarmResponse> AlarmLoad::Fail(const Stubs& stubs, const v1::WatchAlarmsResponse& delivery) {
  v1::AcknowledgeAlarmRequest request;
  *request.mutable_object() = delivery.object();
  request.set_delivery_token(delivery.delivery_token());
  request.mutable_error()->set_code(grpc::StatusCode::INTERNAL);
  return Call(stubs, &Stubs::objects, &ObjectService::Stub::AcknowledgeAlarm, request);
}

bool AlarmLoad::Handle(const Stubs& stubs, const v1::WatchAlarmsResponse& delivery, bool* acknowledged) {
  const std::string& object = delivery.object().name();
  const int64_t scheduled_us = Micros(delivery.scheduled_time());
  const int64_t early_us = scheduled_us - absl::ToUnixMicros(absl::Now());
  if (early_us > 0) Differ(absl::StrCat("the alarm of ", object, " came ", early_us, " us early"));
  if (!IsExpected(stubs, delivery)) return true;
  if (scheduled_us % kFailedOneIn == 0 && delivery.retry_count() == 0) {
    const auto reply = Fail(stubs, delivery);
    return reply.ok() || IsStale(reply.status);
  }
  v1::GetEntriesRequest get;
  *get.mutable_object() = delivery.object();
  get.add_keys("count");
  const auto found = Call(stubs, &Stubs::objects, &ObjectService::Stub::GetEntries, get);
  if (!found.ok()) {
    std::lock_guard lock(mutex_);
    ++interrupted_;
    return false;
  }
  int64_t count = 0;
  if (found->entries_size() == 1) (void)absl::SimpleAtoi(found->entries(0).value(), &count);
  const v1::ApplyBatchRequest request = Acknowledgement(delivery, count + 1);
  const auto reply = Call(stubs, &Stubs::objects, &ObjectService::Stub::ApplyBatch, request);
  if (reply.ok()) {
    Handled(object);
    *acknowledged = true;
  } else if (ReasonOf(reply.status).empty()) {
    std::lock_guard lock(mutex_);
    ++interrupted_;
    unanswered_ = request;
    return false;
  } else if (!IsStale(reply.status)) {
    Differ(absl::StrCat("the alarm of ", object, " could not be acknowledged: ", reply.status.error_message()));
  }
  return true;
}

std::vector<std::string> AlarmLoad::Verify(const Stubs& stubs) {
  repeated_ += sets_.Repeat(stubs);
  for (std::string& difference : std::exchange(sets_.differences, {})) Differ(difference);
  if (const auto request = std::exchange(unanswered_, std::nullopt)) {
    ++repeated_;
    const auto reply = Call(stubs, &Stubs::objects, &ObjectService::Stub::ApplyBatch, *request);
    if (reply.ok()) {
      Handled(request->object().name());
    } else if (!IsStale(reply.status)) {
      Differ(absl::StrCat("the acknowledgement of ", request->object().name(),
                          " failed when it came again: ", reply.status.error_message()));
    }
  }
  for (const auto& [object, alarm] : alarms_) {
    v1::ListEntriesRequest list;
    list.mutable_object()->set_name(object);
    list.set_page_size(1000);
    list.set_prefix("count");
    const auto found = Call(stubs, &Stubs::objects, &ObjectService::Stub::ListEntries, list);
    int64_t count = 0;
    if (found->entries_size() == 1) (void)absl::SimpleAtoi(found->entries(0).value(), &count);
    if (!found.ok() || count != alarm.count) {
      Differ(absl::StrCat(object, " has counted ", count, " alarms; ", alarm.count, " were acknowledged"));
    }
    v1::DescribeObjectRequest describe;
    describe.mutable_object()->set_name(object);
    const auto described = Call(stubs, &Stubs::objects, &ObjectService::Stub::DescribeObject, describe);
    if (described->key_count() != alarm.count + (alarm.count > 0 ? 1 : 0)) {
      Differ(absl::StrCat(object, " has ", described->key_count(), " keys after ", alarm.count, " alarms"));
    }
  }
  return std::exchange(differences_, {});
}

int64_t AlarmLoad::outstanding() {
  std::lock_guard lock(mutex_);
  int64_t count = 0;
  for (const auto& [object, alarm] : alarms_) count += alarm.scheduled_us ? 1 : 0;
  return count;
}

std::string AlarmLoad::DescribeOutstanding() {
  std::lock_guard lock(mutex_);
  std::string text;
  for (const auto& [object, alarm] : alarms_) {
    if (!alarm.scheduled_us) continue;
    absl::StrAppend(&text, " ", object, " (due ", (absl::ToUnixMicros(absl::Now()) - *alarm.scheduled_us) / 1000,
                    " ms ago, ", alarm.delivered ? "delivered" : "not delivered", ")");
  }
  return text;
}

void AlarmLoad::Handled(const std::string& object) {
  std::lock_guard lock(mutex_);
  ++handled_;
  ++alarms_[object].count;
  alarms_[object].scheduled_us.reset();
}

void AlarmLoad::Differ(const std::string& what) {
  std::lock_guard lock(mutex_);
  differences_.push_back(what);
}

}  // namespace holdfast::testing
