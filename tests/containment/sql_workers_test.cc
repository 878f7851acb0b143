// Long SQL of one client holds up nobody else.

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/containment/containment.h"

namespace holdfast::testing {
namespace {

constexpr char kEndless[] = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT max(x) FROM c";
// The limits are short, so that the tests are over soon: with the defaults the last statement ends after 23 s.
constexpr char kShort[] = "actors { turn_timeout_ms: 8000 } sql { time_limit_ms: 2000 }";

class SqlWorkersTest : public ContainmentTest {
 protected:
  Reply<v1::ExecuteSqlResponse> Execute(v1::ObjectService::Stub& stub, const std::string& object,
                                        const std::vector<std::string>& statements, const std::string& ns = "") {
    v1::ExecuteSqlRequest request;
    request.mutable_object()->set_namespace_(ns);
    request.mutable_object()->set_name(object);
    for (const std::string& sql : statements) request.add_statements()->set_sql(sql);
    return Invoke(stub, &v1::ObjectService::Stub::ExecuteSql, request, std::chrono::seconds(120));
  }
  // Begins `count` endless statements, each on an object and a connection of its own.
  void BeginEndless(int count, const std::string& ns = "") {
    for (int i = 0; i < count; ++i) {
      endless_.emplace_back([this, i, ns] {
        const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
        const auto reply = Execute(*stub, absl::StrCat("endless-", i), {kEndless}, ns);
        std::lock_guard lock(mutex_);
        ++ended_[ReasonOf(reply.status)];
        if (ReasonOf(reply.status) == "SERVER_OVERLOADED") {
          EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(reply.status).has_retry_delay());
        }
      });
    }
  }
  void MakeVictim() {
    const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
    const auto made = Execute(*stub, "victim",
                              {"CREATE TABLE t(a)",
                               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 3000) "
                               "INSERT INTO t SELECT 'hello ' || i FROM n"});
    ASSERT_TRUE(made.ok()) << made.status.error_message();
  }
  // Runs `count` queries that need a worker, each followed by a read of a key. Returns the longest time of such a pair.
  absl::Duration Query(int count) {
    const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
    absl::Duration longest;
    for (int i = 0; i < count; ++i) {
      const absl::Time began = absl::Now();
      const auto reply = Execute(*stub, "victim", {"SELECT count(*) FROM t WHERE a LIKE '%ell%'"});
      EXPECT_TRUE(reply.ok()) << reply.status.error_message();
      v1::GetEntriesRequest get;
      get.mutable_object()->set_name("victim");
      get.add_keys("k");
      EXPECT_TRUE(Invoke(*stub, &v1::ObjectService::Stub::GetEntries, get).ok());
      longest = std::max(longest, absl::Now() - began);
    }
    return longest;
  }
  void JoinEndless() {
    for (std::thread& thread : endless_) thread.join();
    endless_.clear();
  }

  std::vector<std::thread> endless_;
  std::mutex mutex_;
  std::map<std::string, int> ended_;  // by reason
};

TEST_F(SqlWorkersTest, FortyEndlessStatementsHoldUpNobody) {
  Start(kShort);
  MakeVictim();
  BeginEndless(40);
  absl::SleepFor(absl::Milliseconds(500));  // all statements are on their threads by then
  EXPECT_LT(Query(20), absl::Seconds(1));
  EXPECT_LT(ServeVictim(), absl::Seconds(1));
  JoinEndless();
  EXPECT_EQ(ended_["SQL_TIME_LIMIT"] + ended_["SERVER_OVERLOADED"], 40);
  EXPECT_EQ(ended_["OBJECT_RESET"], 0);
}

TEST_F(SqlWorkersTest, ANamespaceThatTakesAllItMayLeavesRoomForOthers) {
  Start(kShort);
  MakeVictim();
  BeginEndless(100, "greedy");
  absl::SleepFor(absl::Milliseconds(500));
  EXPECT_LT(Query(20), absl::Seconds(1));
  JoinEndless();
  EXPECT_EQ(ended_["SQL_TIME_LIMIT"] + ended_["SERVER_OVERLOADED"], 100);
  EXPECT_GE(ended_["SERVER_OVERLOADED"], 52);
}

TEST_F(SqlWorkersTest, AStopEndsStatementsWithinTheTimeOfTheDrain) {
  Start("server { drain_timeout_ms: 2000 }");
  BeginEndless(60);
  absl::SleepFor(absl::Milliseconds(500));
  const absl::Time began = absl::Now();
  EXPECT_EQ(server_->Terminate(), 0);
  EXPECT_LT(absl::Now() - began, absl::Seconds(6));
  JoinEndless();
}

}  // namespace
}  // namespace holdfast::testing
