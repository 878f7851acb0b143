// WatchAlarms: which watcher gets which alarm, and when.

#include <grpcpp/create_channel.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/blackbox/watcher.h"

namespace holdfast::blackbox {
namespace {

class Watches : public ScriptedBehaviour {
 protected:
  std::unique_ptr<Watcher> Watch(const v1::WatchAlarmsRequest& request = {}) {
    return std::make_unique<Watcher>(channel_, request);
  }
  std::unique_ptr<Watcher> WatchPrefix(const std::string& prefix) {
    v1::WatchAlarmsRequest request;
    request.set_name_prefix(prefix);
    return Watch(request);
  }
  grpc::Status Acknowledge(const Watcher::Delivery& delivery) {
    return Call(&ObjectStub::AcknowledgeAlarm, Acknowledgement(delivery)).status;
  }
  const absl::Time past = absl::FromUnixSeconds(1);
};

INSTANTIATE_TEST_SUITE_P(Stores, Watches, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Watches, AnAlarmIsDeliveredWhenItIsDue) {
  auto watcher = Watch();
  const absl::Time due = absl::FromUnixMicros(absl::ToUnixMicros(ServerNow())) + absl::Hours(1);
  ASSERT_TRUE(IsOk(SetAlarm("o", due)));
  // The barrier is an alarm that is due now; nothing comes before it.
  ASSERT_TRUE(IsOk(SetAlarm("barrier", past)));
  const auto barrier = watcher->Next();
  EXPECT_EQ(barrier.object().name(), "barrier");
  ASSERT_TRUE(IsOk(Acknowledge(barrier)));
  AdvanceTo(due - absl::Milliseconds(300));
  const auto delivery = watcher->Next();
  const absl::Time now = ServerNow();
  EXPECT_GE(now, due);
  EXPECT_EQ(delivery.object().name(), "o");
  EXPECT_EQ(delivery.object().namespace_(), "default");
  EXPECT_EQ(delivery.object().object_class(), "Object");
  EXPECT_EQ(FromProto(delivery.scheduled_time()), due);
  EXPECT_EQ(delivery.retry_count(), 0);
  EXPECT_NE(delivery.delivery_token(), "");
  EXPECT_GE(FromProto(delivery.lease_expire_time()), due + absl::Seconds(30));
  EXPECT_LE(FromProto(delivery.lease_expire_time()), now + absl::Seconds(30));
}

TEST_P(Watches, APrefixAndANamespaceSelect) {
  auto mail = WatchPrefix("mail/");
  auto all = WatchPrefix("other");
  v1::WatchAlarmsRequest elsewhere;
  elsewhere.set_namespace_("tenant-2");
  auto tenant = Watch(elsewhere);
  ASSERT_TRUE(IsOk(SetAlarm("mail", past)));
  ASSERT_TRUE(IsOk(SetAlarm("mail0", past)));
  auto request = For<v1::SetAlarmRequest>("mail/tenant");
  request.mutable_object()->set_namespace_("tenant-2");
  *request.mutable_scheduled_time() = ToProto(past);
  ASSERT_TRUE(IsOk(Call(&ObjectStub::SetAlarm, request)));
  ASSERT_TRUE(IsOk(SetAlarm("mail/1", past)));
  ASSERT_TRUE(IsOk(SetAlarm("other", past)));
  EXPECT_EQ(mail->Next().object().name(), "mail/1");
  EXPECT_EQ(all->Next().object().name(), "other");
  const auto delivery = tenant->Next();
  EXPECT_EQ(delivery.object().name(), "mail/tenant");
  EXPECT_EQ(delivery.object().namespace_(), "tenant-2");
  EXPECT_TRUE(IsOk(Acknowledge(delivery)));
  EXPECT_EQ(AlarmOf("mail"), past);  // nobody watches it
  EXPECT_TRUE(mail->empty() && all->empty() && tenant->empty());
}

TEST_P(Watches, MaxOutstandingHoldsTheOthersBack) {
  v1::WatchAlarmsRequest request;
  request.set_max_outstanding(2);
  for (const char* name : {"a", "b", "c", "d"}) ASSERT_TRUE(IsOk(SetAlarm(name, past)));
  auto watcher = Watch(request);
  const auto first = watcher->Next();
  const auto second = watcher->Next();
  EXPECT_NE(first.object().name(), second.object().name());
  EXPECT_NE(first.delivery_token(), second.delivery_token());
  // The other two alarms wait, and no attempt of theirs counts.
  int waiting = 0;
  for (const char* name : {"a", "b", "c", "d"}) waiting += AlarmOf(name) == past;
  EXPECT_EQ(waiting, 2);
  EXPECT_TRUE(watcher->empty());
  ASSERT_TRUE(IsOk(Acknowledge(first)));
  const auto third = watcher->Next();
  EXPECT_EQ(third.retry_count(), 0);
  EXPECT_TRUE(watcher->empty());
  ASSERT_TRUE(IsOk(Acknowledge(second)));
  ASSERT_TRUE(IsOk(Acknowledge(third)));
  EXPECT_TRUE(IsOk(Acknowledge(watcher->Next())));
}

TEST_P(Watches, TheDefaultIsSixteenOutstanding) {
  for (int i = 0; i < 18; ++i) ASSERT_TRUE(IsOk(SetAlarm(absl::StrCat("o", i), past)));
  auto watcher = Watch();
  std::vector<Watcher::Delivery> out;
  for (int i = 0; i < 16; ++i) out.push_back(watcher->Next());
  int waiting = 0;
  for (int i = 0; i < 18; ++i) waiting += AlarmOf(absl::StrCat("o", i)).has_value();
  EXPECT_EQ(waiting, 2);
  ASSERT_TRUE(IsOk(Acknowledge(out[3])));
  watcher->Next();
  EXPECT_TRUE(watcher->empty());
}

TEST_P(Watches, AFrozenWatcherKeepsNoAlarmTwice) {
  v1::WatchAlarmsRequest request;
  request.mutable_lease()->set_seconds(20);
  auto frozen = Watch(request);
  auto other = Watch();
  frozen->AwaitBegin();
  other->AwaitBegin();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(IsOk(SetAlarm(absl::StrCat("o", i), past)));
  const auto acknowledge = [&](int count, int retries) {
    for (int i = 0; i < count; ++i) {
      const auto delivery = other->Next();
      EXPECT_EQ(delivery.retry_count(), retries);
      EXPECT_TRUE(IsOk(Acknowledge(delivery)));
    }
  };
  acknowledge(10, 0);
  EXPECT_EQ(frozen->size(), 10u);
  Advance(absl::Seconds(20));  // the leases expire
  Advance(absl::Seconds(3));
  acknowledge(10, 1);
  EXPECT_EQ(frozen->size(), 10u);
}

TEST_P(Watches, AWatcherThatGoesLeavesItsDeliveriesLeased) {
  auto gone = Watch();
  ASSERT_TRUE(IsOk(SetAlarm("a", past)));
  ASSERT_TRUE(IsOk(SetAlarm("b", past)));
  const auto one = gone->Next();
  const auto two = gone->Next();
  gone->Cancel();
  EXPECT_EQ(gone->End().error_code(), grpc::StatusCode::CANCELLED);
  auto watcher = Watch();
  ASSERT_TRUE(IsOk(SetAlarm("barrier", past)));
  const auto barrier = watcher->Next();
  EXPECT_EQ(barrier.object().name(), "barrier");
  EXPECT_TRUE(IsOk(Acknowledge(barrier)));
  EXPECT_TRUE(IsOk(Acknowledge(one)));
  // The lease expires, which counts as a failed attempt, and then the retry is due.
  Advance(absl::Seconds(34));
  const auto again = watcher->Next();
  EXPECT_EQ(again.object().name(), two.object().name());
  EXPECT_EQ(again.retry_count(), 1);
  EXPECT_TRUE(watcher->empty());
}

TEST_P(Watches, OnlyObjectsOfClassObjectAreDelivered) {
  auto watcher = Watch();
  ASSERT_TRUE(IsOk(Run("scripted", {"set_alarm { at { seconds: 1 } }"})));
  Notes("scripted", "alarm", 1);
  ASSERT_TRUE(IsOk(SetAlarm("barrier", past)));
  EXPECT_EQ(watcher->Next().object().name(), "barrier");
}

TEST_P(Watches, TooManyWatchersAreToldSo) {
  Start("server { alarm_watchers_max: 1 }");
  auto watcher = Watch();
  ASSERT_TRUE(IsOk(SetAlarm("o", past)));
  const auto delivery = watcher->Next();
  EXPECT_TRUE(Fails(Watch()->End(), grpc::StatusCode::RESOURCE_EXHAUSTED, "SERVER_OVERLOADED"));
  watcher->Cancel();
  watcher->End();
  ASSERT_TRUE(IsOk(Acknowledge(delivery)));
  ASSERT_TRUE(IsOk(SetAlarm("p", past)));
  WaitUntil([&] {
    watcher = Watch();
    WaitUntil([&] { return !watcher->empty() || watcher->ended(); });
    return !watcher->empty();
  });
  EXPECT_EQ(watcher->Next().object().name(), "p");
}

// The deliveries that wait for a client that does not read are bounded, although deliveries end and others take their
// places.
TEST_P(Watches, AClientThatDoesNotReadGetsNoMoreThanMayBeOutstanding) {
  constexpr int kObjects = 200;
  constexpr int kRounds = 10;
  std::vector<std::string> names;
  for (int i = 0; i < kObjects; ++i) names.push_back(absl::StrCat(std::string(500, 'n'), i));
  for (const std::string& name : names) ASSERT_TRUE(IsOk(SetAlarm(name, past)));
  v1::WatchAlarmsRequest request;
  request.set_max_outstanding(kObjects);
  // The connection buffers little.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16 << 10);
  v1::ObjectService::Stub stub(
      grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  const auto reader = stub.WatchAlarms(&context, request);
  WaitUntil([&] { return !AlarmOf(names.front()) && !AlarmOf(names.back()); });
  // All leases expire, and all retries are due; one delivery at a time is on its way.
  for (int round = 0; round < kRounds; ++round) Advance(absl::Minutes(2));
  server_->Signal(SIGTERM);
  int deliveries = 0;
  for (v1::WatchAlarmsResponse delivery; reader->Read(&delivery);) ++deliveries;
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  // The client reads the deliveries that wait, and those on their way.
  EXPECT_GE(deliveries, kObjects);
  EXPECT_LE(deliveries, kObjects + 2 * kRounds);
}

TEST_P(Watches, GarbledRequestsAreRefused) {
  const auto refused = [&](const std::string& field, auto change) {
    v1::WatchAlarmsRequest request;
    change(&request);
    return IsInvalid(Watch(request)->End(), field);
  };
  EXPECT_TRUE(refused("namespace", [](auto* request) { request->set_namespace_("Upper"); }));
  EXPECT_TRUE(refused("max_outstanding", [](auto* request) { request->set_max_outstanding(-1); }));
  EXPECT_TRUE(refused("max_outstanding", [](auto* request) { request->set_max_outstanding(1001); }));
  EXPECT_TRUE(refused("lease", [](auto* request) { request->mutable_lease()->set_nanos(99'999'999); }));
  EXPECT_TRUE(refused("lease", [](auto* request) { request->mutable_lease()->set_seconds(901); }));
  EXPECT_TRUE(refused("lease", [](auto* request) { request->mutable_lease()->set_seconds(-1); }));
  v1::WatchAlarmsRequest request;
  request.set_max_outstanding(1000);
  request.mutable_lease()->set_seconds(900);
  ASSERT_TRUE(IsOk(SetAlarm("o", past)));
  EXPECT_EQ(Watch(request)->Next().object().name(), "o");
}

}  // namespace
}  // namespace holdfast::blackbox
