// The state after a kill of the server, or after a failure of its disk, has every acknowledged write.

#include <signal.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/blackbox/watcher.h"

namespace holdfast::blackbox {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using CounterStub = v1::CounterService::Stub;

constexpr char kAtOnce[] = "set_alarm { at { seconds: 1 } }";
const absl::Time kPast = absl::FromUnixSeconds(1);

TEST_F(KillBehaviour, AnAcknowledgedWriteSurvivesAKill) {
  constexpr int kThreads = 4;
  std::atomic<bool> stop = false;
  std::atomic<int> acknowledged = 0;
  std::vector<std::set<std::string>> keys(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; !stop; ++j) {
        const std::string key = absl::StrCat(i, "-", j);
        if (!Put(absl::StrCat("o", i % 2), key, key).ok()) continue;
        keys[i].insert(key);
        ++acknowledged;
      }
    });
  }
  WaitUntil([&] { return acknowledged >= 100; });
  Kill();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  Start();
  for (int i = 0; i < kThreads; ++i) {
    std::set<std::string> there;
    for (const auto& [key, value] : All(absl::StrCat("o", i % 2))) {
      EXPECT_EQ(key, value);
      there.insert(key);
    }
    for (const std::string& key : keys[i]) EXPECT_THAT(there, Contains(key));
  }
}

TEST_F(KillBehaviour, AlarmAndPutAreOneAtomicCommit) {
  // Each batch writes the same value to both, so that they agree after a kill at any time.
  const absl::Time base = absl::FromUnixSeconds(4'000'000'000);
  std::atomic<int> acknowledged = -1;
  for (int round = 0; round < 3; ++round) {
    std::atomic<bool> stop = false;
    const int begin = acknowledged + 1;
    std::thread writer([&] {
      for (int i = begin; !stop; ++i) {
        auto batch = For<v1::ApplyBatchRequest>("o");
        auto* const put = batch.add_steps()->mutable_put();
        put->set_key("n");
        put->set_value(absl::StrCat(i));
        *batch.add_steps()->mutable_set_alarm() = ToProto(base + absl::Seconds(i));
        if (!Call(&ObjectStub::ApplyBatch, batch).ok()) return;
        acknowledged = i;
      }
    });
    WaitUntil([&] { return acknowledged >= begin + 20; });
    Kill();
    stop = true;
    writer.join();
    Start();
    const auto value = Get("o", "n");
    ASSERT_TRUE(value.has_value());
    EXPECT_GE(std::stoi(*value), acknowledged.load());
    EXPECT_EQ(AlarmOf("o"), base + absl::Seconds(std::stoi(*value)));
    acknowledged = std::stoi(*value);
  }
}

TEST_F(KillBehaviour, ADescriptionSaysTheSameAfterAKill) {
  using BatchStub = v1::BatchProcessorService::Stub;
  auto configure = For<v1::ConfigureBatchRequest>("mail");
  configure.mutable_config()->mutable_delay()->set_seconds(3600);
  ASSERT_TRUE(IsOk(Call(&BatchStub::ConfigureBatch, configure)));
  auto add = For<v1::AddItemsRequest>("mail");
  add.add_items("an item");
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(IsOk(Call(&BatchStub::AddItems, add)));
  auto before = Describe("mail", "BatchProcessor");
  ASSERT_THAT(before.tables(), SizeIs(1));
  EXPECT_EQ(before.tables(0).row_count(), 100);
  Kill();
  Start();
  const auto after = Describe("mail", "BatchProcessor");
  // Only the activation state differs: DescribeObject does not load the object.
  EXPECT_EQ(after.activation_state(), v1::ACTIVATION_STATE_INACTIVE);
  before.set_activation_state(v1::ACTIVATION_STATE_INACTIVE);
  EXPECT_EQ(after.ShortDebugString(), before.ShortDebugString());
}

TEST_F(KillBehaviour, ARequestSentAgainAfterAKillIsDoneOnce) {
  auto request = For<v1::IncrementRequest>("n");
  request.set_request_id("1");
  const auto first = Call(&CounterStub::Increment, request);
  ASSERT_TRUE(IsOk(first));
  auto remove = For<v1::DeleteEntriesRequest>("o");
  remove.add_keys("a");
  remove.set_request_id("1");
  ASSERT_TRUE(IsOk(Put("o", "a", "1")));
  ASSERT_EQ(Call(&ObjectStub::DeleteEntries, remove)->deleted_count(), 1);
  Kill();
  Start();
  const auto again = Call(&CounterStub::Increment, request);
  ASSERT_TRUE(IsOk(again));
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  EXPECT_EQ(Call(&CounterStub::GetValue, For<v1::GetValueRequest>("n"))->value(), 1);
  ASSERT_TRUE(IsOk(Put("o", "a", "2")));
  EXPECT_EQ(Call(&ObjectStub::DeleteEntries, remove)->deleted_count(), 1);
  EXPECT_EQ(Get("o", "a"), "2");
  request.set_amount(2);
  EXPECT_TRUE(
      Fails(Call(&CounterStub::Increment, request).status, grpc::StatusCode::ALREADY_EXISTS, "REQUEST_ID_REUSED"));
}

TEST_F(KillBehaviour, AClientThatRetriesThroughAKillCountsEach) {
  // Each increment is sent with an id until it is answered, whatever happens to the server meanwhile.
  constexpr int kIncrements = 60;
  std::mutex mutex;  // the client has no channel while the server is started
  std::atomic<int> done = 0;
  std::thread client([&] {
    for (int i = 0; i < kIncrements; ++i) {
      auto request = For<v1::IncrementRequest>("n");
      request.set_request_id(absl::StrCat(i));
      WaitUntil([&] {
        std::lock_guard lock(mutex);
        const auto reply = Call(&CounterStub::Increment, request);
        if (reply.ok()) EXPECT_EQ(reply->value(), i + 1);
        return reply.ok();
      });
      ++done;
    }
  });
  for (int at : {15, 40}) {
    WaitUntil([&] { return done >= at; });
    Kill();
    std::lock_guard lock(mutex);
    Start();
  }
  client.join();
  EXPECT_EQ(Call(&CounterStub::GetValue, For<v1::GetValueRequest>("n"))->value(), kIncrements);
}

TEST_F(ScriptedKillBehaviour, AnOverdueAlarmFiresAfterARestart) {
  ASSERT_TRUE(IsOk(Run("o", {"set_alarm { in { seconds: 3600 } }"})));
  const auto due = AlarmOf("o", "Scripted");
  Kill();
  Start("", {"--advance-s", "7200"});
  advanced_ = absl::Hours(2);
  const auto runs = Notes("o", "alarm", 1);
  ASSERT_THAT(runs, SizeIs(1));
  EXPECT_EQ(FromProto(runs[0].scheduled_time()), due);
  EXPECT_EQ(runs[0].retry_count(), 0);
  WaitUntil([&] { return AlarmOf("o", "Scripted") == std::nullopt; });
}

TEST_F(ScriptedKillBehaviour, AKillInTheMiddleOfAnAlarmFiresItAgain) {
  SetAlarmScripts("o", {{"put { key: \"a\" value: \"1\" }", "note: \"waits\"", "await_signal: \"never\""}});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  Notes("o", "waits", 1);
  Kill();
  Start();
  const auto runs = Notes("o", "alarm", 1);
  ASSERT_THAT(runs, SizeIs(1));
  EXPECT_EQ(FromProto(runs[0].scheduled_time()), kPast);
  EXPECT_THAT(All("o", "Scripted"), IsEmpty());
  WaitUntil([&] { return AlarmOf("o", "Scripted") == std::nullopt; });
}

TEST_F(ScriptedKillBehaviour, ARestartForgetsNoAttempts) {
  const std::vector<std::string> fails = {"fail { code: 10 message: \"on purpose\" }"};
  SetAlarmScripts("o", {fails, fails, fails});
  ASSERT_TRUE(IsOk(Run("o", {kAtOnce})));
  Notes("o", "alarm", 1);
  Advance(absl::Seconds(3));
  Notes("o", "alarm", 2);
  // The failure is committed when GetAlarm returns the alarm again.
  WaitUntil([&] { return AlarmOf("o", "Scripted").has_value(); });
  const absl::Time failed = ServerNow();
  Kill();
  Start("", {"--advance-s", absl::StrCat(absl::ToDoubleSeconds(advanced_))});
  AdvanceTo(failed + absl::Seconds(6));
  const auto runs = Notes("o", "alarm", 1);
  ASSERT_THAT(runs, SizeIs(1));
  EXPECT_EQ(runs[0].retry_count(), 2);
}

TEST_F(ScriptedKillBehaviour, ADeliveryOutlivesAKill) {
  auto watcher = std::make_unique<Watcher>(channel_, v1::WatchAlarmsRequest());
  ASSERT_TRUE(IsOk(SetAlarm("o", kPast)));
  ASSERT_TRUE(IsOk(SetAlarm("p", kPast)));
  auto delivery = watcher->Next();
  auto other = watcher->Next();
  if (delivery.object().name() != "o") std::swap(delivery, other);
  Kill();
  Start();
  watcher = std::make_unique<Watcher>(channel_, v1::WatchAlarmsRequest());
  EXPECT_EQ(AlarmOf("o"), std::nullopt);
  // The token is still valid and the lease is still held.
  EXPECT_TRUE(IsOk(Call(&ObjectStub::AcknowledgeAlarm, Acknowledgement(delivery))));
  ASSERT_TRUE(IsOk(SetAlarm("barrier", kPast)));
  const auto barrier = watcher->Next();
  EXPECT_EQ(barrier.object().name(), "barrier");
  EXPECT_TRUE(IsOk(Call(&ObjectStub::AcknowledgeAlarm, Acknowledgement(barrier))));
  // The lease expires, which counts as a failed attempt.
  Advance(absl::Seconds(34));
  const auto again = watcher->Next();
  EXPECT_EQ(again.object().name(), "p");
  EXPECT_EQ(again.retry_count(), 1);
  EXPECT_TRUE(Fails(Call(&ObjectStub::AcknowledgeAlarm, Acknowledgement(other)).status, grpc::StatusCode::ABORTED,
                    "ALARM_DELIVERY_STALE"));
  Kill();
  Start("", {"--advance-s", "100"});
  advanced_ = absl::Seconds(100);
  watcher = std::make_unique<Watcher>(channel_, v1::WatchAlarmsRequest());
  const auto third = watcher->Next();
  EXPECT_EQ(third.object().name(), "p");
  EXPECT_EQ(third.retry_count(), 2);
}

TEST_F(KillBehaviour, TheSizeOfAnObjectOutlivesAKill) {
  const std::string config = "storage { object_bytes_max: 100000 }";
  Start(config);
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(IsOk(Put("o", absl::StrCat(i), std::string(9'999, 'v'))));
  EXPECT_EQ(Describe("o").summary().size_bytes(), 90'000);
  Kill();
  Start(config);
  EXPECT_EQ(Describe("o").summary().size_bytes(), 90'000);
  EXPECT_EQ(Describe("o").key_count(), 9);
  EXPECT_TRUE(Fails(Put("o", "a", std::string(20'000, 'v')), grpc::StatusCode::RESOURCE_EXHAUSTED, "OBJECT_QUOTA"));
  EXPECT_TRUE(IsOk(Put("o", "1", "")));
  EXPECT_EQ(Describe("o").summary().size_bytes(), 80'001);
}

TEST_F(KillBehaviour, AnObjectThatIsPassivatedAndWrittenWhileItMovesLosesNothing) {
  constexpr int kLarge = 24;
  Start("storage { column_families_max: 0 }");
  const auto large = [](int i) { return std::string(1 << 20, static_cast<char>('a' + i)); };
  for (int i = 0; i < kLarge; ++i) ASSERT_TRUE(IsOk(Put("o", absl::StrCat("large", i), large(i))));
  EXPECT_EQ(Describe("o").placement(), v1::PLACEMENT_PACKED);
  Kill();
  // Now the object may have a family of its own.
  Start("storage { column_families_max: 8 }");
  std::atomic<bool> stop = false;
  std::atomic<int> written = 0;
  std::thread writer([&] {
    for (; !stop; ++written) {
      EXPECT_TRUE(IsOk(Put("o", {{"n", absl::StrCat(written.load())}, {absl::StrCat("small", written % 50), "1"}})));
    }
  });
  std::thread passivater([&] {
    while (!stop) {
      EXPECT_TRUE(IsOk(Call(&ObjectStub::PassivateObject, For<v1::PassivateObjectRequest>("o"))));
    }
  });
  WaitUntil([&] { return Describe("o").placement() == v1::PLACEMENT_OWN_COLUMN_FAMILY && written > 50; });
  stop = true;
  writer.join();
  passivater.join();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Get("o", "n"), absl::StrCat(written - 1));
    for (int i = 0; i < kLarge; ++i) EXPECT_TRUE(Get("o", absl::StrCat("large", i)) == large(i)) << i;
    EXPECT_EQ(Describe("o").key_count(), kLarge + 1 + 50);
    Kill();
    Start("storage { column_families_max: 8 }");
  }
}

TEST_F(KillBehaviour, AServerThatDrainsEndsItsWatches) {
  Watcher watcher(channel_, v1::WatchAlarmsRequest());
  ASSERT_TRUE(IsOk(SetAlarm("o", kPast)));
  const auto delivery = watcher.Next();
  EXPECT_EQ(server_->Terminate(), 0);
  EXPECT_TRUE(Fails(watcher.End(), grpc::StatusCode::UNAVAILABLE, "DRAINING"));
  Start();
  EXPECT_EQ(AlarmOf("o"), std::nullopt);  // still leased
  EXPECT_TRUE(IsOk(Call(&ObjectStub::AcknowledgeAlarm, Acknowledgement(delivery))));
}

// The disk fails; the failed commit is on disk or not, by the parameter.
class BrokenDisk : public ScriptedKillBehaviour, public ::testing::WithParamInterface<bool> {};

INSTANTIATE_TEST_SUITE_P(Disk, BrokenDisk, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Applied" : "NotApplied"; });

TEST_P(BrokenDisk, AFailedCommitShowsNoSuccessToAnyone) {
  ASSERT_TRUE(IsOk(Put("o", "a", "old")));
  ASSERT_TRUE(IsOk(Run("scripted", {"increment: \"n\""})));
  FailCommits(GetParam());
  // The test runs writers, and readers that could see the writes.
  std::vector<std::future<grpc::Status>> writes;
  std::vector<std::future<Reply<v1::GetEntriesResponse>>> reads;
  auto get = For<v1::GetEntriesRequest>("o");
  get.add_keys("a");
  for (int i = 0; i < 10; ++i) {
    writes.push_back(std::async(std::launch::async, [&] { return Put("o", "a", "new"); }));
    writes.push_back(std::async(std::launch::async, [&] { return Run("scripted", {"increment: \"n\""}).status; }));
    reads.push_back(Send(&ObjectStub::GetEntries, get));
  }
  int told = 0;
  for (auto& write : writes) {
    const grpc::Status status = write.get();
    EXPECT_FALSE(status.ok());
    if (ReasonOf(status) == "OUTCOME_UNKNOWN") {
      EXPECT_TRUE(Fails(status, grpc::StatusCode::UNAVAILABLE, "OUTCOME_UNKNOWN"));
      ++told;
    }
  }
  EXPECT_GT(told, 0);
  for (auto& read : reads) {
    const auto reply = read.get();
    if (reply.ok()) EXPECT_EQ(reply->entries(0).value(), "old");
  }
  EXPECT_EQ(server_->Wait(), -SIGALRM);
  Start();
  EXPECT_THAT(Get("o", "a"), ::testing::AnyOf("old", "new"));
  if (!GetParam()) {
    EXPECT_EQ(Get("o", "a"), "old");
    EXPECT_EQ(Run("scripted", {"get: \"n\""})->results(0).value(), "1");
  }
}

}  // namespace
}  // namespace holdfast::blackbox
