// RestoreObject brings single objects back out of the backups of the real server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "holdfast/v1/admin_service.grpc.pb.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "tests/integration/object_file.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;

// The objects, one of each class.
const std::map<std::string, std::string> kClassOf = {{"counter", "Counter"},
                                                     {"limits", "RateLimiter"},
                                                     {"batch", "BatchProcessor"},
                                                     {"users", "UserCache"},
                                                     {"plain", "Object"}};

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(absl::ToUnixSeconds(time));
  timestamp.set_nanos(static_cast<int32_t>((absl::ToUnixMicros(time) % 1'000'000) * 1000));
  return timestamp;
}
absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

class RestoreObjectTest : public ::testing::Test {
 protected:
  void Start(const std::string& backup = "", const std::string& config = "") {
    server_ = nullptr;
    server_ = std::make_unique<ServerProcess>(
        directory_.path() + "/data",
        absl::StrCat("backup { directory: '", directory_.path(), "/backups' ", backup, " } ", config));
    const auto channel = server_->NewChannel();
    admin_ = v1::AdminService::NewStub(channel);
    counters_ = v1::CounterService::NewStub(channel);
    limits_ = v1::RateLimiterService::NewStub(channel);
    batches_ = v1::BatchProcessorService::NewStub(channel);
    users_ = v1::UserCacheService::NewStub(channel);
    objects_ = v1::ObjectService::NewStub(channel);
  }

  // Changes the object of each class; every call leaves them different.
  void Change() {
    ++changes_;
    v1::IncrementRequest increment;
    increment.mutable_object()->set_name("counter");
    increment.set_amount(7);
    EXPECT_TRUE(Invoke(*counters_, &v1::CounterService::Stub::Increment, increment).ok());
    v1::CheckLimitRequest check;
    check.mutable_object()->set_name("limits");
    check.mutable_check()->set_key("k");
    check.mutable_check()->set_limit(1000);
    check.mutable_check()->mutable_window()->set_seconds(3600);
    EXPECT_TRUE(Invoke(*limits_, &v1::RateLimiterService::Stub::CheckLimit, check)->allowed());
    v1::ConfigureBatchRequest configure;
    configure.mutable_object()->set_name("batch");
    configure.mutable_config()->mutable_delay()->set_seconds(3600);
    EXPECT_TRUE(Invoke(*batches_, &v1::BatchProcessorService::Stub::ConfigureBatch, configure).ok());
    v1::AddItemsRequest add;
    add.mutable_object()->set_name("batch");
    add.add_items(absl::StrCat("item ", changes_));
    EXPECT_TRUE(Invoke(*batches_, &v1::BatchProcessorService::Stub::AddItems, add).ok());
    v1::UpdateUserRequest update;
    update.mutable_object()->set_name("users");
    update.set_allow_missing(true);
    update.mutable_user()->set_id("u");
    update.mutable_user()->set_name(absl::StrCat("Name ", changes_));
    EXPECT_TRUE(Invoke(*users_, &v1::UserCacheService::Stub::UpdateUser, update).ok());
    v1::PutEntriesRequest put;
    put.mutable_object()->set_name("plain");
    for (int i = 0; i < 100; ++i) {
      v1::Entry* const entry = put.add_entries();
      entry->set_key(absl::StrCat("key", i));
      entry->set_value(std::string(3000, static_cast<char>(i + changes_)));
    }
    EXPECT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::PutEntries, put).ok());
    v1::ExecuteSqlRequest sql;
    sql.mutable_object()->set_name("plain");
    sql.add_statements()->set_sql("CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b TEXT)");
    sql.add_statements()->set_sql(
        "INSERT INTO t (b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
        "SELECT 'row ' || i FROM n");
    EXPECT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::ExecuteSql, sql).ok());
    v1::SetAlarmRequest alarm;
    alarm.mutable_object()->set_name("plain");
    alarm.mutable_delay()->set_seconds(3600 + changes_);
    EXPECT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::SetAlarm, alarm).ok());
  }

  std::string File(const std::string& name, const std::string& object_class) {
    const auto [status, file] = FileOf(*objects_, IdOf(name, object_class));
    EXPECT_TRUE(status.ok()) << status.error_message();
    return file;
  }
  std::map<std::string, std::string> Files() {
    std::map<std::string, std::string> files;
    for (const auto& [name, object_class] : kClassOf) files[name] = File(name, object_class);
    return files;
  }

  v1::BackupSummary BackUp() {
    const auto begun = Invoke(*admin_, &v1::AdminService::Stub::CreateBackup, v1::CreateBackupRequest());
    EXPECT_TRUE(begun.ok()) << begun.status.error_message();
    const absl::Time until = absl::Now() + absl::Seconds(20);
    v1::ListBackupsResponse listed;
    do {
      listed = Invoke(*admin_, &v1::AdminService::Stub::ListBackups, v1::ListBackupsRequest()).response;
    } while ((listed.progress().number() < begun->number() || !listed.progress().step().empty()) &&
             absl::Now() < until);
    EXPECT_EQ(listed.progress().error(), "");
    return listed.backups_size() == 0 ? v1::BackupSummary() : listed.backups(listed.backups_size() - 1);
  }

  static v1::RestoreObjectRequest Of(const std::string& name, const std::string& object_class, bool replace = false) {
    v1::RestoreObjectRequest request;
    *request.mutable_object() = IdOf(name, object_class);
    request.set_replace(replace);
    return request;
  }
  Reply<v1::RestoreObjectResponse> Restore(const v1::RestoreObjectRequest& request) {
    return Invoke(*admin_, &v1::AdminService::Stub::RestoreObject, request);
  }
  int64_t Counter(const std::string& name) {
    v1::GetValueRequest get;
    get.mutable_object()->set_name(name);
    return Invoke(*counters_, &v1::CounterService::Stub::GetValue, get)->value();
  }
  // Returns the files of the directories of the data and of the backups, without those that come and go with the work
  // of the store.
  std::vector<std::string> Directories() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_.path())) {
      if (entry.is_directory()) found.push_back(entry.path().string());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  TemporaryDirectory directory_;
  int changes_ = 0;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::unique_ptr<v1::CounterService::Stub> counters_;
  std::unique_ptr<v1::RateLimiterService::Stub> limits_;
  std::unique_ptr<v1::BatchProcessorService::Stub> batches_;
  std::unique_ptr<v1::UserCacheService::Stub> users_;
  std::unique_ptr<v1::ObjectService::Stub> objects_;
};

TEST_F(RestoreObjectTest, EachClassIsBroughtBackWhole) {
  Start();
  Change();
  const auto then = Files();
  const v1::BackupSummary backup = BackUp();
  Change();
  const auto now = Files();
  for (const auto& [name, object_class] : kClassOf) {
    SCOPED_TRACE(name);
    ASSERT_NE(now.at(name), then.at(name));
    const auto refused = Restore(Of(name, object_class));
    EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::ABORTED) << refused.status.error_message();
    EXPECT_EQ(ReasonOf(refused.status), "PRECONDITION_FAILED");
    EXPECT_EQ(File(name, object_class), now.at(name)) << "nothing was done";

    v1::RestoreObjectRequest as = Of(name, object_class);
    as.set_target_name(name + "-then");
    EXPECT_TRUE(Restore(as).ok());
    EXPECT_EQ(File(name + "-then", object_class), then.at(name));
    EXPECT_EQ(File(name, object_class), now.at(name));

    const auto restored = Restore(Of(name, object_class, /*replace=*/true));
    EXPECT_TRUE(restored.ok()) << restored.status.error_message();
    EXPECT_EQ(File(name, object_class), then.at(name));
    EXPECT_EQ(restored->backup_id(), backup.id());
    EXPECT_EQ(restored->restored_to().ShortDebugString(), backup.create_time().ShortDebugString());
    EXPECT_GT(restored->bytes(), 0);
  }
  EXPECT_THAT(server_->Log(), HasSubstr("event=object_restored"));
  // They work, and are durable.
  Change();
  const auto changed = Files();
  server_->Kill();
  Start();
  EXPECT_EQ(Files(), changed);
}

TEST_F(RestoreObjectTest, WithTheArchiveEachMomentIsBroughtBack) {
  Start("archive_log: true");
  Change();
  BackUp();
  std::vector<std::pair<absl::Time, std::map<std::string, std::string>>> moments;
  for (int i = 0; i < 4; ++i) {
    Change();
    moments.emplace_back(absl::Now(), Files());
    if (i == 1) {
      server_->Kill();
      Start("archive_log: true");
    }
  }
  Change();
  for (const auto& [time, files] : moments) {
    for (const auto& [name, object_class] : kClassOf) {
      SCOPED_TRACE(name);
      v1::RestoreObjectRequest request = Of(name, object_class, /*replace=*/true);
      *request.mutable_at() = ToTimestamp(time);
      request.set_target_name("copy");
      const auto restored = Restore(request);
      ASSERT_TRUE(restored.ok()) << restored.status.error_message();
      EXPECT_EQ(File("copy", object_class), files.at(name));
      EXPECT_EQ(restored->restored_to().ShortDebugString(), request.at().ShortDebugString());
    }
  }
  // A moment that is not yet: up to now.
  const absl::Time before = absl::Now();
  v1::RestoreObjectRequest request = Of("plain", "", /*replace=*/true);
  *request.mutable_at() = ToTimestamp(before + absl::Hours(1));
  request.set_target_name("copy");
  const auto restored = Restore(request);
  ASSERT_TRUE(restored.ok()) << restored.status.error_message();
  EXPECT_EQ(File("copy", "Object"), File("plain", "Object"));
  EXPECT_GE(FromTimestamp(restored->restored_to()), before - absl::Milliseconds(1));
  EXPECT_LE(FromTimestamp(restored->restored_to()), absl::Now());
}

TEST_F(RestoreObjectTest, ErrorsSayWhatIsWrong) {
  Start();
  const auto none = Restore(Of("counter", "Counter"));
  EXPECT_EQ(none.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(none.status.error_message(), HasSubstr("there is no backup yet"));
  Change();
  const v1::BackupSummary backup = BackUp();

  v1::RestoreObjectRequest old = Of("counter", "Counter");
  *old.mutable_at() = ToTimestamp(FromTimestamp(backup.create_time()) - absl::Hours(1));
  const auto too_old = Restore(old);
  EXPECT_EQ(FieldOf(too_old.status), "at");
  EXPECT_THAT(too_old.status.error_message(),
              HasSubstr(absl::StrCat(
                  "the oldest is of ",
                  absl::FormatTime("%Y-%m-%dT%H:%M:%E*S", FromTimestamp(backup.create_time()), absl::UTCTimeZone()))));
  old.mutable_at()->set_nanos(-1);
  EXPECT_EQ(FieldOf(Restore(old).status), "at");
  const auto absent = Restore(Of("absent", "Counter"));
  EXPECT_EQ(absent.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonOf(absent.status), "NOT_FOUND");
  EXPECT_THAT(absent.status.error_message(), HasSubstr(absl::StrCat("by the backup ", backup.id(), " of ")));
  EXPECT_EQ(FieldOf(Restore(Of("", "Counter")).status), "object.name");
  EXPECT_EQ(FieldOf(Restore(Of("counter", "Nothing")).status), "object.object_class");
  v1::RestoreObjectRequest long_name = Of("counter", "Counter");
  long_name.set_target_name(std::string(513, 'n'));
  EXPECT_EQ(FieldOf(Restore(long_name).status), "target_name");
  EXPECT_EQ(FieldOf(Restore(v1::RestoreObjectRequest()).status), "object");

  server_ = std::make_unique<ServerProcess>(directory_.path() + "/other", "", "-other");
  admin_ = v1::AdminService::NewStub(server_->NewChannel());
  const auto not_configured = Restore(Of("counter", "Counter"));
  EXPECT_EQ(not_configured.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(not_configured.status), "PRECONDITION_FAILED");
}

TEST_F(RestoreObjectTest, ARepeatedRequestIsCarriedOutOnce) {
  Start();
  Change();
  BackUp();
  Change();
  v1::RestoreObjectRequest request = Of("counter", "Counter", /*replace=*/true);
  request.set_request_id("once");
  const auto first = Restore(request);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(Counter("counter"), 7);
  Change();
  const auto again = Restore(request);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->ShortDebugString(), first->ShortDebugString());
  EXPECT_EQ(Counter("counter"), 14) << "the second one only repeats the reply";
  request.set_target_name("other");
  EXPECT_TRUE(Restore(request).ok()) << "another object has records of its own";
}

TEST_F(RestoreObjectTest, OneAtATimeWithOtherMaintenance) {
  Start("", "storage { fold_interval_ms: 10 }");
  Change();
  BackUp();
  // The tables must have something to check.
  grpc::ClientContext compact;
  v1::CompactStoreResponse compacted;
  auto compaction = admin_->CompactStore(&compact, v1::CompactStoreRequest());
  while (compaction->Read(&compacted)) {
  }
  ASSERT_TRUE(compaction->Finish().ok());
  grpc::ClientContext context;
  v1::ScrubRequest slow;
  slow.set_bytes_per_second(1);
  auto scrub = admin_->Scrub(&context, slow);
  v1::ScrubResponse response;
  ASSERT_TRUE(scrub->Read(&response));
  const auto refused = Restore(Of("counter", "Counter", /*replace=*/true));
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("is under way"));
  context.TryCancel();
  while (scrub->Read(&response)) {
  }
  (void)scrub->Finish();
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (!Restore(Of("counter", "Counter", /*replace=*/true)).ok() && absl::Now() < until) {
  }
  EXPECT_EQ(Counter("counter"), 7);
}

TEST_F(RestoreObjectTest, AKillLeavesAWholeObjectAndNoOtherFiles) {
  Start("archive_log: true");
  Change();
  BackUp();
  const std::string then = File("plain", "Object");
  Change();
  const std::string now = File("plain", "Object");
  const absl::Time at = absl::Now();
  const std::vector<std::string> before = Directories();
  int restored = 0;
  for (int round = 0; round < 12; ++round) {
    std::thread client([this] {
      v1::RestoreObjectRequest request = Of("plain", "", /*replace=*/true);
      (void)Restore(request);
    });
    // The moment of the kill is what the test is about; it goes through the whole of a restore.
    absl::SleepFor(absl::Milliseconds(4 * round));  // each round kills at a later step
    server_->Kill();
    client.join();
    Start("archive_log: true");
    const std::string found = File("plain", "Object");
    EXPECT_TRUE(found == then || found == now) << "round " << round;
    if (found == then) ++restored;
    v1::RestoreObjectRequest back = Of("plain", "", /*replace=*/true);
    *back.mutable_at() = ToTimestamp(at);
    ASSERT_TRUE(Restore(back).ok());
    ASSERT_EQ(File("plain", "Object"), now);
  }
  EXPECT_GT(restored, 0);
  std::vector<std::string> after = Directories();
  // Each start begins an epoch of the archive.
  std::erase_if(after, [&](const std::string& path) {
    return path.find("/archive/") != std::string::npos || std::find(before.begin(), before.end(), path) != before.end();
  });
  EXPECT_THAT(after, ::testing::IsEmpty());
}

TEST_F(RestoreObjectTest, ByTheTool) {
  Start();
  Change();
  BackUp();
  Change();
  const ServerProgram tool{.path = HOLDFAST_TOOL};
  const std::vector<std::string> words = {"admin",   "restore-object", "counter",         "--class",
                                          "Counter", "--server",       server_->address()};
  const auto refused = ServerProcess::RunToEnd(words, tool);
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("is there already"));
  std::vector<std::string> replaces = words;
  replaces.push_back("--replace");
  const auto restored = ServerProcess::RunToEnd(replaces, tool);
  EXPECT_EQ(restored.status, 0) << restored.output;
  EXPECT_THAT(restored.output, HasSubstr("as of 2"));
  EXPECT_EQ(Counter("counter"), 7);
}

}  // namespace
}  // namespace holdfast::testing
