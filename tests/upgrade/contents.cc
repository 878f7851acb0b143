#include "tests/upgrade/contents.h"

#include <grpcpp/channel.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "tests/integration/requests.h"
#include "tests/integration/rpc.h"

namespace holdfast::testing {
namespace {

using Objects = v1::ObjectService::Stub;
using Counters = v1::CounterService::Stub;
using Batches = v1::BatchProcessorService::Stub;
using Users = v1::UserCacheService::Stub;
using Limits = v1::RateLimiterService::Stub;

constexpr int kPacked = 20;
constexpr int kLargeRows = 300;
constexpr int kBallastTimes = 40;
constexpr int64_t kDaySeconds = 24 * 60 * 60;
// 2100-01-01T00:00:00Z
constexpr int64_t kFarAlarmSeconds = 4'102'444'800;

// A client whose calls must succeed, except those of Try().
class Client {
 public:
  explicit Client(const ServerProcess& server) : channel_(server.NewChannel()) {}

  template <typename Base, typename Request, typename Response>
  Reply<Response> Try(grpc::Status (Base::*method)(grpc::ClientContext*, const Request&, Response*),
                      const Request& request) {
    Base stub(channel_);
    return Invoke(stub, method, request);
  }
  template <typename Base, typename Request, typename Response>
  Response Call(grpc::Status (Base::*method)(grpc::ClientContext*, const Request&, Response*), const Request& request) {
    const Reply<Response> reply = Try(method, request);
    EXPECT_TRUE(reply.ok()) << reply.status.error_message() << " for " << request.ShortDebugString();
    return reply.response;
  }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
};

template <typename Request>
Request Change(const std::string& name, const std::string& request_id) {
  auto request = For<Request>(name);
  request.set_request_id(request_id);
  return request;
}

std::string LargeValue(int i) { return std::string(8'000, static_cast<char>('a' + i % 26)); }

std::string BallastValue(int i) { return std::string(1'000'000, static_cast<char>('a' + i % 26)); }

void Execute(Client& client, const std::string& name, const std::vector<std::string>& statements) {
  auto request = For<v1::ExecuteSqlRequest>(name);
  for (const std::string& sql : statements) request.add_statements()->set_sql(sql);
  client.Call(&Objects::ExecuteSql, request);
}

// Returns the first row, with '|' between its values.
std::string Row(Client& client, const std::string& name, const std::string& sql) {
  auto request = For<v1::ExecuteSqlRequest>(name);
  request.add_statements()->set_sql(sql);
  const auto response = client.Call(&Objects::ExecuteSql, request);
  if (response.results_size() == 0 || response.results(0).rows_size() == 0) return "";
  return absl::StrJoin(response.results(0).rows(0).values(), "|", [](std::string* out, const v1::SqlValue& value) {
    absl::StrAppend(out, value.has_integer() ? absl::StrCat(value.integer()) : value.text());
  });
}

v1::MigrateSchemaRequest Migrations(const std::string& name) {
  auto request = For<v1::MigrateSchemaRequest>(name);
  AddMigrations({{1,
                  {"CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)",
                   "CREATE TABLE posts(u INTEGER REFERENCES users(id) ON DELETE CASCADE, text TEXT)"}},
                 {2, {"ALTER TABLE users ADD COLUMN email TEXT", "CREATE INDEX posts_u ON posts(u)"}}},
                &request);
  return request;
}

void SetAlarm(Client& client, const std::string& name, int64_t seconds) {
  auto request = For<v1::SetAlarmRequest>(name);
  request.mutable_scheduled_time()->set_seconds(seconds);
  client.Call(&Objects::SetAlarm, request);
}

v1::CheckLimitRequest LimitOf(v1::RateLimitAlgorithm algorithm) {
  auto request = For<v1::CheckLimitRequest>("limits");
  request.mutable_check()->set_key("key");
  request.mutable_check()->set_limit(10);
  request.mutable_check()->mutable_window()->set_seconds(366 * kDaySeconds);
  request.mutable_check()->set_algorithm(algorithm);
  return request;
}

// --- SQL

void WriteSql(Client& client, const std::string& name) {
  client.Call(&Objects::MigrateSchema, Migrations(name));
  Execute(client, name,
          {"INSERT INTO users(id, name) VALUES (1, 'Ada'), (2, 'Grace')",
           "INSERT INTO posts VALUES (1, 'first'), (1, 'second'), (2, 'third')",
           "CREATE VIRTUAL TABLE words USING fts5(text)", "INSERT INTO words VALUES ('the quick brown fox')",
           "UPDATE users SET email = 'ada@example.org' WHERE id = 1", "DELETE FROM posts WHERE text = 'second'"});
}

void CheckSql(Client& client, const std::string& name) {
  SCOPED_TRACE(name);
  EXPECT_EQ(Row(client, name, "PRAGMA quick_check"), "ok");
  EXPECT_EQ(Row(client, name, "SELECT group_concat(id || name || coalesce(email, '-')) FROM users"),
            "1Adaada@example.org,2Grace-");
  EXPECT_EQ(Row(client, name, "SELECT group_concat(u || text) FROM posts"), "1first,2third");
  EXPECT_EQ(Row(client, name, "SELECT text FROM words('quick')"), "the quick brown fox");
  EXPECT_EQ(Row(client, name, "SELECT count(*) FROM sqlite_schema WHERE name = '_meta_migrations'"), "0");

  // An object from before there were hashes gets those of the list.
  v1::MigrateSchemaRequest list = Migrations(name);
  const auto migrated = client.Call(&Objects::MigrateSchema, list);
  EXPECT_EQ(migrated.version_before(), 2);
  EXPECT_EQ(migrated.version_after(), 2);
  EXPECT_EQ(Row(client, name, "SELECT group_concat(version) FROM _meta_migrations"), "1,2");
  v1::MigrateSchemaRequest edited = list;
  edited.mutable_migrations(0)->mutable_statements(0)->set_sql("CREATE TABLE users(id INTEGER PRIMARY KEY)");
  EXPECT_EQ(ReasonOf(client.Try(&Objects::MigrateSchema, edited).status), "SCHEMA_CHANGED");

  AddMigrations({{3,
                  {"CREATE TABLE n(id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT)",
                   "INSERT INTO n SELECT * FROM users", "DROP TABLE users", "ALTER TABLE n RENAME TO users"},
                  /*foreign_keys_off=*/true}},
                &list);
  EXPECT_EQ(client.Call(&Objects::MigrateSchema, list).version_after(), 3);
  EXPECT_EQ(Row(client, name, "SELECT count(*) FROM posts"), "2");
  EXPECT_EQ(Row(client, name, "SELECT group_concat(version) FROM _meta_migrations"), "1,2,3");
  Execute(client, name, {"DELETE FROM users WHERE id = 1"});
  EXPECT_EQ(Row(client, name, "SELECT group_concat(u || text) FROM posts"), "2third");
}

// --- Keys

void WriteKeys(Client& client) {
  for (int i = 0; i < kPacked; ++i) {
    auto put = Change<v1::PutEntriesRequest>(absl::StrCat("packed", i), absl::StrCat("put", i));
    for (int k = 0; k < 3; ++k) {
      v1::Entry* const entry = put.add_entries();
      entry->set_key(absl::StrCat("key", k));
      entry->set_value(absl::StrCat("value ", i, " ", k));
    }
    client.Call(&Objects::PutEntries, put);
  }
  auto remove = For<v1::DeleteEntriesRequest>("packed0");
  remove.add_keys("key1");
  client.Call(&Objects::DeleteEntries, remove);
  // This object has over 1 MiB.
  for (int i = 0; i < kLargeRows; ++i) {
    auto put = For<v1::PutEntriesRequest>("large");
    v1::Entry* const entry = put.add_entries();
    entry->set_key(absl::StrCat("key", i));
    entry->set_value(LargeValue(i));
    client.Call(&Objects::PutEntries, put);
  }
}

std::string ValueOf(Client& client, const std::string& name, const std::string& key) {
  auto get = For<v1::GetEntriesRequest>(name);
  get.add_keys(key);
  const auto response = client.Call(&Objects::GetEntries, get);
  return response.entries_size() == 0 ? "(none)" : response.entries(0).value();
}

void CheckKeys(Client& client) {
  for (int i = 0; i < kPacked; ++i) {
    for (int k = 0; k < 3; ++k) {
      EXPECT_EQ(ValueOf(client, absl::StrCat("packed", i), absl::StrCat("key", k)),
                i == 0 && k == 1 ? "(none)" : absl::StrCat("value ", i, " ", k));
    }
  }
  for (int i = 0; i < kLargeRows; ++i) EXPECT_EQ(ValueOf(client, "large", absl::StrCat("key", i)), LargeValue(i));
  EXPECT_EQ(ValueOf(client, "ballast", "k"), BallastValue(kBallastTimes - 1));
  auto put = For<v1::PutEntriesRequest>("packed0");
  put.add_entries()->set_key("new");
  client.Call(&Objects::PutEntries, put);
  EXPECT_EQ(ValueOf(client, "packed0", "new"), "");
  EXPECT_EQ(client.Call(&Objects::DescribeObject, For<v1::DescribeObjectRequest>("packed0")).key_count(), 3);
  EXPECT_EQ(client.Call(&Objects::DescribeObject, For<v1::DescribeObjectRequest>("large")).key_count(), kLargeRows);
}

// --- The built-in classes

void WriteClasses(Client& client) {
  for (int i = 1; i <= 3; ++i) {
    auto increment = Change<v1::IncrementRequest>("hits", absl::StrCat("increment", i));
    increment.set_amount(i * 1000);
    client.Call(&Counters::Increment, increment);
    client.Call(&Counters::GetUniqueNumber, For<v1::GetUniqueNumberRequest>("hits"));
  }

  auto configure = For<v1::ConfigureBatchRequest>("batch");
  configure.mutable_config()->mutable_delay()->set_seconds(366 * kDaySeconds);
  configure.mutable_config()->mutable_retention()->set_seconds(366 * kDaySeconds);
  client.Call(&Batches::ConfigureBatch, configure);
  auto add = For<v1::AddItemsRequest>("batch");
  add.add_items("one");
  add.add_items("two");
  client.Call(&Batches::AddItems, add);
  client.Call(&Batches::FlushBatch, For<v1::FlushBatchRequest>("batch"));
  add.clear_items();
  add.add_items("pending");
  client.Call(&Batches::AddItems, add);

  for (int i = 0; i < 5; ++i) {
    auto update = For<v1::UpdateUserRequest>("users");
    update.set_allow_missing(true);
    update.mutable_user()->set_id(absl::StrCat("u", i));
    update.mutable_user()->set_name(absl::StrCat("name ", i));
    auto& attributes = *update.mutable_user()->mutable_attributes()->mutable_fields();
    attributes["number"].set_number_value(i + 0.5);
    (*attributes["nested"].mutable_struct_value()->mutable_fields())["flag"].set_bool_value(true);
    client.Call(&Users::UpdateUser, update);
  }
  auto remove = For<v1::DeleteUserRequest>("users");
  remove.set_id("u4");
  client.Call(&Users::DeleteUser, remove);

  for (const auto algorithm : {v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG, v1::RATE_LIMIT_ALGORITHM_GCRA,
                               v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW}) {
    for (int i = 0; i < 3; ++i) client.Call(&Limits::CheckLimit, LimitOf(algorithm));
  }
}

void CheckClasses(Client& client) {
  EXPECT_EQ(client.Call(&Counters::GetValue, For<v1::GetValueRequest>("hits")).value(), 6000);
  EXPECT_EQ(client.Call(&Counters::GetUniqueNumber, For<v1::GetUniqueNumberRequest>("hits")).number(), 3);
  EXPECT_EQ(client.Call(&Counters::Increment, For<v1::IncrementRequest>("hits")).value(), 6001);

  // Pending items are processed, and processed ones are removed, a year after they were written. The check must hold
  // before that and after it, since the store grows old.
  client.Call(&Batches::FlushBatch, For<v1::FlushBatchRequest>("batch"));
  std::map<int64_t, std::string> processed;
  const auto listed = client.Call(&Batches::ListProcessedItems, For<v1::ListProcessedItemsRequest>("batch"));
  for (const auto& item : listed.items()) {
    processed[item.sequence()] = item.item();
  }
  ASSERT_FALSE(processed.empty());
  const int64_t first = processed.begin()->first;
  const std::vector<std::string> items = {"one", "two", "pending"};
  for (const auto& [sequence, item] : processed) {
    const size_t index = items.size() - processed.size() + static_cast<size_t>(sequence - first);
    ASSERT_LT(index, items.size());
    EXPECT_EQ(item, items[index]);
  }
  auto add = For<v1::AddItemsRequest>("batch");
  add.add_items("new");
  EXPECT_EQ(client.Call(&Batches::AddItems, add).first_sequence(), processed.rbegin()->first + 1);

  const auto users = client.Call(&Users::ListUsers, For<v1::ListUsersRequest>("users"));
  ASSERT_EQ(users.users_size(), 4);
  for (int i = 0; i < 4; ++i) {
    const v1::User& user = users.users(i);
    EXPECT_EQ(user.id(), absl::StrCat("u", i));
    EXPECT_EQ(user.name(), absl::StrCat("name ", i));
    EXPECT_EQ(user.attributes().fields().at("number").number_value(), i + 0.5);
    EXPECT_TRUE(user.attributes().fields().at("nested").struct_value().fields().at("flag").bool_value());
    // The etag is a hash of the row as it is stored.
    auto update = For<v1::UpdateUserRequest>("users");
    *update.mutable_user() = user;
    update.mutable_user()->set_email("new@example.org");
    EXPECT_EQ(client.Call(&Users::UpdateUser, update).user().email(), "new@example.org");
  }

  // The windows are over a year after the store was written, so both cases must pass.
  for (const auto algorithm : {v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG, v1::RATE_LIMIT_ALGORITHM_GCRA,
                               v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW}) {
    const auto checked = client.Call(&Limits::CheckLimit, LimitOf(algorithm));
    EXPECT_TRUE(checked.allowed());
    EXPECT_GE(checked.remaining(), 6);
    EXPECT_LE(checked.remaining(), 9);
  }
}

// --- Alarms

void CheckAlarms(Client& client) {
  const auto alarm = client.Call(&Objects::GetAlarm, For<v1::GetAlarmRequest>("far-alarm"));
  EXPECT_EQ(alarm.scheduled_time().seconds(), kFarAlarmSeconds);
  Objects stub(client.channel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::WatchAlarmsRequest watch;
  const auto reader = stub.WatchAlarms(&context, watch);
  v1::WatchAlarmsResponse delivery;
  ASSERT_TRUE(reader->Read(&delivery)) << "an alarm that was due is not delivered";
  EXPECT_EQ(delivery.object().name(), "due-alarm");
  EXPECT_EQ(delivery.scheduled_time().seconds(), 1);
  auto acknowledge = For<v1::AcknowledgeAlarmRequest>("due-alarm");
  acknowledge.set_delivery_token(delivery.delivery_token());
  client.Call(&Objects::AcknowledgeAlarm, acknowledge);
  context.TryCancel();
  while (reader->Read(&delivery)) {
  }
  (void)reader->Finish();
}

void CheckCatalog(Client& client) {
  std::map<std::string, int> objects;
  v1::ListObjectsRequest list;
  list.set_page_size(7);
  do {
    const auto page = client.Call(&Objects::ListObjects, list);
    for (const v1::ObjectSummary& summary : page.objects()) ++objects[summary.object().object_class()];
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  // Class Object has the packed objects, a large one, the ballast, two with SQL, and two with alarms; the deleted one
  // is gone.
  EXPECT_EQ(objects,
            (std::map<std::string, int>{
                {"Object", kPacked + 6}, {"Counter", 1}, {"BatchProcessor", 1}, {"UserCache", 1}, {"RateLimiter", 1}}));
}

}  // namespace

void WriteContents(const ServerProcess& server) {
  Client client(server);
  WriteKeys(client);
  WriteSql(client, "sql");
  WriteSql(client, "sql-large");
  Execute(client, "sql-large",
          {"CREATE TABLE large(v)",
           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
           "INSERT INTO large SELECT printf('%.*c', 8000, 'x') FROM n"});
  auto put = For<v1::PutEntriesRequest>("deleted");
  put.add_entries()->set_key("k");
  client.Call(&Objects::PutEntries, put);
  // The ballast makes the log long enough for the server to write tables when it ends.
  auto ballast = For<v1::PutEntriesRequest>("ballast");
  ballast.add_entries()->set_key("k");
  for (int i = 0; i < kBallastTimes; ++i) {
    ballast.mutable_entries(0)->set_value(BallastValue(i));
    client.Call(&Objects::PutEntries, ballast);
  }
  SetAlarm(client, "far-alarm", 1);
}

void WriteMore(const ServerProcess& server) {
  Client client(server);
  // These updates store some pages as patches.
  for (int i = 1; i <= 5; ++i) {
    Execute(client, "sql-large", {absl::StrCat("UPDATE large SET v = 'small' WHERE rowid = ", i)});
  }
  WriteClasses(client);
  SetAlarm(client, "far-alarm", kFarAlarmSeconds);
  SetAlarm(client, "due-alarm", 1);
  client.Call(&Objects::DeleteAll, For<v1::DeleteAllRequest>("deleted"));
}

void CheckContents(const ServerProcess& server) {
  Client client(server);
  CheckCatalog(client);
  CheckKeys(client);
  CheckSql(client, "sql");
  EXPECT_EQ(Row(client, "sql-large", "SELECT count(*), sum(length(v)) FROM large"),
            absl::StrCat("300|", 295 * 8000 + 25));
  CheckSql(client, "sql-large");
  CheckClasses(client);
  CheckAlarms(client);
}

}  // namespace holdfast::testing
