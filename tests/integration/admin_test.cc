// AdminService of the real server, beside calls on objects.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "holdfast/v1/admin_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"
#include "tests/unit/storage/files.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class AdminTest : public ::testing::Test {
 protected:
  void Start(const std::string& config = "") {
    server_ = std::make_unique<ServerProcess>(directory_.path() + "/data", config);
    const auto channel = server_->NewChannel();
    admin_ = v1::AdminService::NewStub(channel);
    counters_ = v1::CounterService::NewStub(channel);
    objects_ = v1::ObjectService::NewStub(channel);
  }
  void Increment(const std::string& ns, const std::string& name, int times = 1) {
    v1::IncrementRequest request;
    request.mutable_object()->set_namespace_(ns);
    request.mutable_object()->set_name(name);
    request.set_amount(1);
    for (int i = 0; i < times; ++i) {
      const auto reply = Invoke(*counters_, &v1::CounterService::Stub::Increment, request);
      ASSERT_TRUE(reply.ok()) << reply.status.error_message();
    }
  }
  // Writes objects of some hundred KiB together.
  void Fill(int objects) {
    for (int i = 0; i < objects; ++i) {
      v1::PutEntriesRequest request;
      request.mutable_object()->set_name(absl::StrCat("large-", i));
      for (int key = 0; key < 8; ++key) {
        v1::Entry* const entry = request.add_entries();
        entry->set_key(absl::StrCat("k", key));
        for (int part = 0; part < 1'000; ++part)
          absl::StrAppend(entry->mutable_value(), i * 7919 + key * 31 + part, ",");
      }
      ASSERT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::PutEntries, request).ok());
    }
  }
  v1::GetStatusResponse Status() {
    const auto reply = Invoke(*admin_, &v1::AdminService::Stub::GetStatus, v1::GetStatusRequest());
    EXPECT_TRUE(reply.ok()) << reply.status.error_message();
    return reply.response;
  }
  // Reads a stream of replies to its end; returns the last one.
  template <typename Response, typename Reader>
  Response LastOf(Reader reader, grpc::Status* status, int* replies = nullptr) {
    Response last;
    Response response;
    while (reader->Read(&response)) {
      last = response;
      if (replies != nullptr) ++*replies;
    }
    *status = reader->Finish();
    return last;
  }
  void CompactStore() {
    grpc::ClientContext context;
    grpc::Status status;
    const auto last =
        LastOf<v1::CompactStoreResponse>(admin_->CompactStore(&context, v1::CompactStoreRequest()), &status);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(last.done());
    EXPECT_GT(last.families(), 0);
    EXPECT_EQ(last.families_done(), last.families());
  }
  std::vector<std::string> Tables() const {
    std::vector<std::string> tables;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path() + "/data")) {
      if (entry.path().extension() == ".sst") tables.push_back(entry.path());
    }
    return tables;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::unique_ptr<v1::CounterService::Stub> counters_;
  std::unique_ptr<v1::ObjectService::Stub> objects_;
};

TEST_F(AdminTest, TheStatusTellsHowTheServerIs) {
  Start("actors { executors: 2 }");
  Increment("default", "a", 5);
  // The load may be as it was read up to a moment ago, before the first call came.
  v1::GetStatusResponse status = Status();
  const absl::Time until = absl::Now() + absl::Seconds(10);
  while (status.calls().in_progress() == 0 && absl::Now() < until) status = Status();
  EXPECT_EQ(status.version(), "0.1.0");
  EXPECT_EQ(status.storage_format(), 4);
  EXPECT_EQ(status.shard_count(), 256);
  EXPECT_FALSE(status.draining());
  ASSERT_EQ(status.executors_size(), 2);
  int64_t active = 0;
  for (const v1::ExecutorStatus& executor : status.executors()) {
    EXPECT_FALSE(executor.unresponsive());
    active += executor.active_objects();
  }
  EXPECT_EQ(active, 1);
  EXPECT_GE(status.calls().ended(), 5);
  EXPECT_GE(status.calls().in_progress(), 1) << "this call";
  EXPECT_GE(status.commits().commits(), 5);
  EXPECT_EQ(status.commits().failed(), 0);
  EXPECT_GT(status.commits().log_bytes(), 0);
  EXPECT_GT(status.disk().free_bytes(), 0);
  EXPECT_GT(status.families().used_max(), 0);
  ASSERT_GT(status.memory_size(), 5);
  EXPECT_EQ(status.memory(0).owner(), "process");
  EXPECT_GT(status.memory(0).bytes(), 1 << 20);
}

TEST_F(AdminTest, TheBusiestObjectsComeFirst) {
  Start("actors { executors: 2 }");
  for (int i = 0; i < 30; ++i) Increment("default", absl::StrCat("idle-", i));
  Increment("shop", "busy", 40);
  Fill(1);
  v1::ListHotObjectsRequest request;
  request.set_limit(3);
  auto reply = Invoke(*admin_, &v1::AdminService::Stub::ListHotObjects, request);
  ASSERT_TRUE(reply.ok()) << reply.status.error_message();
  ASSERT_EQ(reply->objects_size(), 3);
  EXPECT_EQ(reply->objects(0).object().namespace_(), "shop");
  EXPECT_EQ(reply->objects(0).object().object_class(), "Counter");
  EXPECT_EQ(reply->objects(0).object().name(), "busy");
  EXPECT_EQ(reply->objects(0).requests(), 40);
  EXPECT_EQ(reply->objects(0).error_max(), 0);
  request.set_order(v1::HOT_ORDER_BYTES_WRITTEN);
  reply = Invoke(*admin_, &v1::AdminService::Stub::ListHotObjects, request);
  ASSERT_GE(reply->objects_size(), 1);
  EXPECT_EQ(reply->objects(0).object().name(), "large-0");
  EXPECT_GT(reply->objects(0).bytes_written(), 20'000);
  request.set_limit(-1);
  EXPECT_EQ(FieldOf(Invoke(*admin_, &v1::AdminService::Stub::ListHotObjects, request).status), "limit");
  request.set_limit(0);
  request.set_order(static_cast<v1::HotOrder>(9));
  EXPECT_EQ(FieldOf(Invoke(*admin_, &v1::AdminService::Stub::ListHotObjects, request).status), "order");
}

TEST_F(AdminTest, TheNamespacesAreListedWithTheirObjectsPageByPage) {
  Start();
  for (int i = 0; i < 7; ++i) Increment("a", absl::StrCat(i));
  Increment("b", "x");
  for (int i = 0; i < 3; ++i) Increment("c", absl::StrCat(i));
  v1::ListNamespacesRequest request;
  request.set_page_size(2);
  auto reply = Invoke(*admin_, &v1::AdminService::Stub::ListNamespaces, request);
  ASSERT_TRUE(reply.ok()) << reply.status.error_message();
  ASSERT_EQ(reply->namespaces_size(), 2);
  EXPECT_EQ(reply->namespaces(0).namespace_(), "a");
  EXPECT_EQ(reply->namespaces(0).objects(), 7);
  EXPECT_GT(reply->namespaces(0).size_bytes(), 0);
  EXPECT_EQ(reply->namespaces(1).namespace_(), "b");
  EXPECT_EQ(reply->namespaces(1).objects(), 1);
  request.set_page_token(reply->next_page_token());
  reply = Invoke(*admin_, &v1::AdminService::Stub::ListNamespaces, request);
  ASSERT_EQ(reply->namespaces_size(), 1);
  EXPECT_EQ(reply->namespaces(0).namespace_(), "c");
  EXPECT_EQ(reply->namespaces(0).objects(), 3);
  EXPECT_EQ(reply->next_page_token(), "");
  request.set_page_token("garbled");
  EXPECT_EQ(FieldOf(Invoke(*admin_, &v1::AdminService::Stub::ListNamespaces, request).status), "page_token");
  request.set_page_size(-1);
  EXPECT_EQ(FieldOf(Invoke(*admin_, &v1::AdminService::Stub::ListNamespaces, request).status), "page_size");
}

TEST_F(AdminTest, TheAlarmsAreListedByTheirTimesPageByPage) {
  Start();
  for (const int hours : {3, 1, 2}) {
    v1::SetAlarmRequest request;
    request.mutable_object()->set_namespace_("shop");
    request.mutable_object()->set_name(absl::StrCat("in ", hours));
    request.mutable_delay()->set_seconds(hours * 3600);
    ASSERT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::SetAlarm, request).ok());
  }
  v1::ListAlarmsRequest request;
  request.set_page_size(2);
  auto reply = Invoke(*admin_, &v1::AdminService::Stub::ListAlarms, request);
  ASSERT_TRUE(reply.ok()) << reply.status.error_message();
  ASSERT_EQ(reply->alarms_size(), 2);
  EXPECT_EQ(reply->alarms(0).object().namespace_(), "shop");
  EXPECT_EQ(reply->alarms(0).object().object_class(), "Object");
  EXPECT_EQ(reply->alarms(0).object().name(), "in 1");
  EXPECT_EQ(reply->alarms(1).object().name(), "in 2");
  EXPECT_NEAR(static_cast<double>(reply->alarms(1).due_time().seconds() - reply->alarms(0).due_time().seconds()), 3600,
              60);
  request.set_page_token(reply->next_page_token());
  reply = Invoke(*admin_, &v1::AdminService::Stub::ListAlarms, request);
  ASSERT_EQ(reply->alarms_size(), 1);
  EXPECT_EQ(reply->alarms(0).object().name(), "in 3");
  EXPECT_EQ(reply->next_page_token(), "");
  request.set_page_token("garbled");
  EXPECT_EQ(FieldOf(Invoke(*admin_, &v1::AdminService::Stub::ListAlarms, request).status), "page_token");
  request.set_page_size(-1);
  EXPECT_EQ(FieldOf(Invoke(*admin_, &v1::AdminService::Stub::ListAlarms, request).status), "page_size");
}

TEST_F(AdminTest, TheLogLevelIsSetWhileTheServerRuns) {
  Start("log_slow_call_ms: 0");
  Increment("default", "a");
  EXPECT_THAT(server_->Log(), Not(HasSubstr("event=call_slow")));
  v1::SetLogLevelRequest request;
  request.set_level(v1::LOG_LEVEL_DEBUG);
  auto reply = Invoke(*admin_, &v1::AdminService::Stub::SetLogLevel, request);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->previous_level(), v1::LOG_LEVEL_INFO);
  Increment("default", "a");
  EXPECT_THAT(server_->Log(), HasSubstr("event=call_slow"));
  reply = Invoke(*admin_, &v1::AdminService::Stub::SetLogLevel, request);
  EXPECT_EQ(reply->previous_level(), v1::LOG_LEVEL_DEBUG);
  request.set_level(v1::LOG_LEVEL_UNSPECIFIED);
  EXPECT_EQ(FieldOf(Invoke(*admin_, &v1::AdminService::Stub::SetLogLevel, request).status), "level");
}

TEST_F(AdminTest, AHistoryIsThereFromTheStart) {
  Start();
  EXPECT_TRUE(Invoke(*admin_, &v1::AdminService::Stub::GetHistory, v1::GetHistoryRequest()).ok());
}

TEST_F(AdminTest, AScrubOfASoundStoreReadsAllOfItWhileItServes) {
  Start("storage { fold_interval_ms: 10 }");
  Fill(20);
  CompactStore();
  grpc::ClientContext context;
  grpc::Status status;
  v1::ScrubRequest request;
  request.set_bytes_per_second(1 << 30);
  const auto last = LastOf<v1::ScrubResponse>(admin_->Scrub(&context, request), &status);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(last.done());
  EXPECT_GT(last.bytes(), 0);
  EXPECT_EQ(last.bytes_done(), last.bytes());
  EXPECT_EQ(last.damaged_count(), 0);
  request.set_bytes_per_second(-1);
  grpc::ClientContext again;
  LastOf<v1::ScrubResponse>(admin_->Scrub(&again, request), &status);
  EXPECT_EQ(FieldOf(status), "bytes_per_second");
}

TEST_F(AdminTest, AScrubNamesDamagedTables) {
  Start("storage { fold_interval_ms: 10 }");
  Fill(20);
  CompactStore();
  const std::vector<std::string> tables = Tables();
  ASSERT_FALSE(tables.empty());
  for (const std::string& table : tables) {
    storage::FlipBit(table, storage::ReadFile(table).size() / 2, 3);
  }
  grpc::ClientContext context;
  grpc::Status status;
  v1::ScrubRequest request;
  request.set_bytes_per_second(1 << 30);
  const auto last = LastOf<v1::ScrubResponse>(admin_->Scrub(&context, request), &status);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_GE(last.damaged_count(), 1);
  ASSERT_GE(last.damaged_tables_size(), 1);
  EXPECT_THAT(last.damaged_tables(0).table(), HasSubstr(".sst"));
  EXPECT_THAT(server_->Log(), HasSubstr("event=table_damaged"));
}

TEST_F(AdminTest, OneScrubOrCompactionAtATime) {
  Start("storage { fold_interval_ms: 10 }");
  Fill(30);
  CompactStore();
  v1::ScrubRequest slow;
  slow.set_bytes_per_second(1);
  auto context = std::make_unique<grpc::ClientContext>();
  auto reader = admin_->Scrub(context.get(), slow);
  v1::ScrubResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_FALSE(response.done());

  grpc::Status status;
  {
    grpc::ClientContext second;
    LastOf<v1::CompactStoreResponse>(admin_->CompactStore(&second, v1::CompactStoreRequest()), &status);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(ReasonOf(status), "PRECONDITION_FAILED");
  }
  // Calls go on meanwhile.
  Increment("default", "beside", 10);

  // A call that is cancelled makes room for the next.
  context->TryCancel();
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (!status.ok() && absl::Now() < until) {
    grpc::ClientContext third;
    LastOf<v1::CompactStoreResponse>(admin_->CompactStore(&third, v1::CompactStoreRequest()), &status);
  }
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(AdminTest, ADrainEndsAScrub) {
  Start("storage { fold_interval_ms: 10 }");
  Fill(30);
  CompactStore();
  v1::ScrubRequest slow;
  slow.set_bytes_per_second(1);
  grpc::ClientContext context;
  auto reader = admin_->Scrub(&context, slow);
  v1::ScrubResponse response;
  ASSERT_TRUE(reader->Read(&response));
  server_->Signal(SIGTERM);
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(ReasonOf(reader->Finish()), "DRAINING");
  EXPECT_EQ(server_->Wait(), 0);
}

TEST_F(AdminTest, ABackupOnRequest) {
  using Stub = v1::AdminService::Stub;
  Start();
  const auto refused = Invoke(*admin_, &Stub::CreateBackup, v1::CreateBackupRequest());
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(refused.status), "PRECONDITION_FAILED");
  EXPECT_EQ(Invoke(*admin_, &Stub::ListBackups, v1::ListBackupsRequest()).status.error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  server_.reset();

  Start(absl::StrCat("backup { directory: '", directory_.path(), "/backups' }"));
  EXPECT_EQ(Invoke(*admin_, &Stub::ListBackups, v1::ListBackupsRequest())->backups_size(), 0);
  Increment("shop", "saved", 7);
  const auto begun = Invoke(*admin_, &Stub::CreateBackup, v1::CreateBackupRequest());
  ASSERT_TRUE(begun.ok()) << begun.status.error_message();
  // ListBackups is the way to learn that a backup has ended.
  const absl::Time until = absl::Now() + absl::Seconds(20);
  v1::ListBackupsResponse listed;
  do {
    listed = Invoke(*admin_, &Stub::ListBackups, v1::ListBackupsRequest()).response;
  } while ((listed.progress().number() < begun->number() || !listed.progress().step().empty()) && absl::Now() < until);
  EXPECT_EQ(listed.progress().error(), "");
  ASSERT_EQ(listed.backups_size(), 1);
  EXPECT_GT(listed.backups(0).size_bytes(), 0);
  Increment("shop", "saved");
  server_->Kill();

  const auto exit = ServerProcess::RunToEnd(
      {"--restore", directory_.path() + "/backups", "--data-dir", directory_.path() + "/restored"});
  EXPECT_EQ(exit.status, 0) << exit.output;
  const ServerProcess restored(directory_.path() + "/restored");
  auto counters = v1::CounterService::NewStub(restored.NewChannel());
  v1::GetValueRequest get;
  get.mutable_object()->set_namespace_("shop");
  get.mutable_object()->set_name("saved");
  EXPECT_EQ(Invoke(*counters, &v1::CounterService::Stub::GetValue, get)->value(), 7);
}

}  // namespace
}  // namespace holdfast::testing
