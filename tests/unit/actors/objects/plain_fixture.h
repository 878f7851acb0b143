// A fixture for the tests of class Object: its calls, and clients that watch for alarms.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_PLAIN_FIXTURE_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_PLAIN_FIXTURE_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/objects/plain_object.h"
#include "actors/wire/wire_time.h"
#include "tests/unit/actors/node_test.h"
#include "tests/unit/actors/objects/from_wire.h"

namespace holdfast::actors {

class PlainObjectTest : public NodeTest {
 protected:
  struct Delivered {
    std::string name;
    std::string token;
    absl::Time time;
    absl::Time scheduled_time;
    absl::Time lease_expire_time;
    int32_t retry_count;

    friend void PrintTo(const Delivered& one, std::ostream* out) {
      *out << one.name << " at " << one.time << " for " << one.scheduled_time << " retry " << one.retry_count;
    }
  };
  // The deliveries to one client, or to several clients together.
  using Deliveries = std::vector<Delivered>;

  PlainObjectTest() { classes = {&PlainObject::Class()}; }

  // --- Keys
  std::shared_ptr<Sent<v1::PutEntriesResponse>> SendPut(const std::string& name, const std::string& key,
                                                        const std::string& value) {
    v1::PutEntriesRequest request;
    v1::Entry* const entry = request.add_entries();
    entry->set_key(key);
    entry->set_value(value);
    return Send(name, &PlainObject::PutEntries, request);
  }
  void Put(const std::string& name, const std::string& key, const std::string& value) {
    auto sent = SendPut(name, key, value);
    node->Settle();
    EXPECT_TRUE(sent->ok());
  }
  std::optional<v1::Entry> Get(const std::string& name, const std::string& key) {
    v1::GetEntriesRequest request;
    request.add_keys(key);
    auto sent = SendTo<PlainObject>(PlainObject::Class(), name, &PlainObject::GetEntries, request);
    node->Settle();
    EXPECT_TRUE(sent->ok());
    if (sent->response.entries().empty()) return std::nullopt;
    return sent->response.entries(0);
  }
  std::string ValueOf(const std::string& name, const std::string& key) {
    const auto entry = Get(name, key);
    return entry ? entry->value() : "";
  }
  absl::Status DeleteAll(const std::string& name, bool keep_alarm = false) {
    auto sent = SendDeleteAll(PlainObject::Class(), name, keep_alarm);
    node->Settle();
    return *sent->status;
  }

  // --- The alarm
  std::shared_ptr<Sent<v1::SetAlarmResponse>> SendSetAlarm(const std::string& name, absl::Time time) {
    v1::SetAlarmRequest request;
    SetTimestamp(absl::ToUnixMicros(time), request.mutable_scheduled_time());
    return Send(name, &PlainObject::SetAlarm, request);
  }
  void SetAlarm(const std::string& name, absl::Time time) {
    auto sent = SendSetAlarm(name, time);
    node->Settle();
    EXPECT_TRUE(sent->ok());
  }
  void DeleteAlarm(const std::string& name) {
    EXPECT_TRUE(Ask(name, &PlainObject::DeleteAlarm, v1::DeleteAlarmRequest())->ok());
  }
  std::optional<absl::Time> AlarmOf(const std::string& name) {
    auto sent = SendTo<PlainObject>(PlainObject::Class(), name, &PlainObject::GetAlarm, v1::GetAlarmRequest());
    node->Settle();
    EXPECT_TRUE(sent->ok());
    if (!sent->response.has_scheduled_time()) return std::nullopt;
    return FromWire(sent->response.scheduled_time());
  }
  std::shared_ptr<Sent<v1::AcknowledgeAlarmResponse>> SendAcknowledge(const std::string& name, const std::string& token,
                                                                      bool failed = false) {
    v1::AcknowledgeAlarmRequest request;
    request.set_delivery_token(token);
    if (failed) request.mutable_error()->set_code(13);
    return Send(name, &PlainObject::AcknowledgeAlarm, request);
  }
  absl::Status Acknowledge(const std::string& name, const std::string& token, bool failed = false) {
    auto sent = SendAcknowledge(name, token, failed);
    node->Settle();
    return *sent->status;
  }
  absl::Status Fail(const std::string& name, const std::string& token) { return Acknowledge(name, token, true); }
  std::shared_ptr<Sent<v1::ExtendAlarmLeaseResponse>> Extend(const std::string& name, const std::string& token,
                                                             absl::Duration lease) {
    v1::ExtendAlarmLeaseRequest request;
    request.set_delivery_token(token);
    SetDuration(absl::ToInt64Microseconds(lease), request.mutable_lease());
    return Ask(name, &PlainObject::ExtendAlarmLease, request);
  }

  // --- Clients
  AlarmWatchers::WatcherId Watch(Deliveries* deliveries, AlarmWatchers::Filter filter = {}) {
    if (filter.ns.empty()) filter.ns = "default";
    auto id = node->watchers().Add(std::move(filter), [this, deliveries](const AlarmWatchers::Delivery& delivery) {
      deliveries->push_back({delivery.object.name, delivery.token, clock.Now(),
                             absl::FromUnixMicros(delivery.scheduled_time_us),
                             absl::FromUnixMicros(delivery.lease_expire_time_us), delivery.retry_count});
    });
    EXPECT_TRUE(id.ok());
    node->Settle();
    return *id;
  }
  static AlarmWatchers::Filter Of(const std::string& prefix, int outstanding_max = 16) {
    AlarmWatchers::Filter filter;
    filter.name_prefix = prefix;
    filter.outstanding_max = outstanding_max;
    return filter;
  }

  void SetMany(int count, const std::string& prefix = "object", absl::Time time = absl::InfinitePast()) {
    if (time == absl::InfinitePast()) time = clock.Now();
    for (int i = 0; i < count; ++i) SendSetAlarm(absl::StrCat(prefix, i), time);
    node->Settle();
  }
  // Acknowledges each delivery until no more come.
  std::set<std::string> AcknowledgeAll(Deliveries* deliveries) {
    std::set<std::string> names;
    while (!deliveries->empty()) {
      for (const Delivered& one : std::exchange(*deliveries, {})) {
        EXPECT_TRUE(names.insert(one.name).second) << one.name << " came twice";
        EXPECT_EQ(one.retry_count, 0);
        SendAcknowledge(one.name, one.token);
        node->Settle();
      }
      node->Advance(absl::Seconds(1));
    }
    return names;
  }

  // --- Descriptions
  using Description = std::optional<absl::StatusOr<ObjectDescription>>;

  std::shared_ptr<Description> SendDescribe(const std::string& name) {
    auto description = std::make_shared<Description>();
    node->host().Describe(
        Key(PlainObject::Class(), name), &PlainObject::Class(),
        [description](absl::StatusOr<ObjectDescription> found) { description->emplace(std::move(found)); });
    return description;
  }
  ObjectDescription Describe(const std::string& name) {
    auto description = SendDescribe(name);
    node->Settle();
    EXPECT_TRUE(*description && (*description)->ok());
    return ***description;
  }

  // Expects that the store has no alarm of the object.
  void ExpectNoAlarm(const std::string& name) {
    EXPECT_EQ(AlarmOf(name), std::nullopt);
    EXPECT_TRUE(recording.Dump()["alarms"].empty());
    EXPECT_FALSE(KeysOf(PlainObject::Class(), name).contains(storage::kClientAlarmKey));
  }
};

// One delivery, which most tests of deliveries begin with.
class PlainDeliveryTest : public PlainObjectTest {
 protected:
  // Returns the delivery of an alarm of "a" that is out since now.
  const Delivered& DeliverOne() {
    Start();
    Watch(&deliveries);
    scheduled = clock.Now() + absl::Seconds(1);
    SetAlarm("a", scheduled);
    node->Advance(absl::Seconds(1));
    EXPECT_EQ(deliveries.size(), 1u);
    return deliveries.front();
  }

  Deliveries deliveries;
  absl::Time scheduled;
};

MATCHER(IsStale, "says that the delivery has ended") {
  *result_listener << arg.ToString();
  return arg.code() == absl::StatusCode::kAborted && ReasonOf(arg) == v1::ERROR_REASON_ALARM_DELIVERY_STALE;
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_PLAIN_FIXTURE_H_
