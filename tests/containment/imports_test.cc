// Clients send files as databases. A file that is costly to check holds up nobody's SQL, and an import that stalls is
// ended.

#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/containment/containment.h"

namespace holdfast::testing {
namespace {

class ImportsTest : public ContainmentTest {
 protected:
  using Writer = std::unique_ptr<grpc::ClientWriter<v1::ImportSqlRequest>>;

  // Returns a database file of SQLite's, made by these statements.
  std::string MakeFile(const std::vector<std::string>& statements) {
    const std::string path = directory_.path() + "/file.db";
    std::filesystem::remove(path);
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
    for (const std::string& sql : statements) {
      EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    }
    sqlite3_close(db);
    std::ifstream file(path, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }

  // Returns a file whose check computes generated columns for minutes.
  std::string CostlyFile() {
    std::string value = "a";
    for (int i = 0; i < 11; ++i) value = absl::StrCat("hex(", value, ")");
    std::string columns;
    for (int i = 0; i < 20; ++i) absl::StrAppend(&columns, ", g", i, " AS (", value, ") NOT NULL");
    return MakeFile(
        {"CREATE TABLE t(a)",
         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) INSERT INTO t SELECT i FROM n",
         "PRAGMA writable_schema=ON", absl::StrCat("UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a", columns, ")'")});
  }

  static bool WriteHeader(grpc::ClientWriter<v1::ImportSqlRequest>& writer, const std::string& object,
                          const std::string& ns = "") {
    v1::ImportSqlRequest request;
    request.mutable_header()->mutable_object()->set_namespace_(ns);
    request.mutable_header()->mutable_object()->set_name(object);
    return writer.Write(request);
  }
  grpc::Status Import(const std::string& object, const std::string& file, const std::string& ns = "") {
    const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
    grpc::ClientContext context;
    v1::ImportSqlResponse response;
    const Writer writer = stub->ImportSql(&context, &response);
    WriteHeader(*writer, object, ns);
    constexpr size_t kChunkBytes = 1 << 20;
    v1::ImportSqlRequest request;
    for (size_t at = 0; at < file.size(); at += kChunkBytes) {
      request.set_chunk(file.substr(at, kChunkBytes));
      if (!writer->Write(request)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }
};

TEST_F(ImportsTest, FilesThatAreCostlyToCheckHoldUpNobody) {
  const std::string file = CostlyFile();
  Start("sql { transfer_time_limit_ms: 5000 }");
  std::vector<std::thread> imports;
  for (int i = 0; i < 2; ++i) imports.emplace_back([&, i] { (void)Import(absl::StrCat("costly-", i), file); });

  const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
  const auto execute = [&](const std::string& sql) {
    v1::ExecuteSqlRequest request;
    request.mutable_object()->set_name("victim");
    request.add_statements()->set_sql(sql);
    const absl::Time began = absl::Now();
    const auto reply = Invoke(*stub, &v1::ObjectService::Stub::ExecuteSql, request);
    EXPECT_TRUE(reply.ok()) << reply.status.error_message();
    return absl::Now() - began;
  };
  EXPECT_LT(execute("CREATE TABLE t(a)"), kSoon);
  const absl::Time until = absl::Now() + absl::Seconds(5);
  while (absl::Now() < until) EXPECT_LT(execute("SELECT count(*) FROM t WHERE a LIKE '%x%'"), absl::Seconds(1));
  for (std::thread& import : imports) import.join();
}

TEST_F(ImportsTest, FilesThatAreCostlyToCheckHoldUpNoOtherImport) {
  const std::string costly = CostlyFile();
  const std::string small = MakeFile({"CREATE TABLE t(a)", "INSERT INTO t VALUES (1)"});
  Start("sql { transfer_time_limit_ms: 8000 }");
  std::vector<std::thread> imports;
  std::vector<grpc::Status> ends(4);
  for (size_t i = 0; i < ends.size(); ++i) {
    imports.emplace_back([&, i] { ends[i] = Import(absl::StrCat("costly-", i), costly); });
  }
  const absl::Time until = absl::Now() + absl::Seconds(5);
  for (int i = 0; absl::Now() < until; ++i) {
    const absl::Time began = absl::Now();
    const grpc::Status status = Import(absl::StrCat("small-", i), small);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_LT(absl::Now() - began, kSoon);
  }
  for (std::thread& import : imports) import.join();
  for (const grpc::Status& status : ends) EXPECT_FALSE(status.ok());
}

TEST_F(ImportsTest, OneThatStallsIsEnded) {
  Start("sql { transfer_idle_limit_ms: 300 temp_bytes_of_all_max: 4194304 }");
  const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
  grpc::ClientContext context;
  v1::ImportSqlResponse response;
  const Writer writer = stub->ImportSql(&context, &response);
  ASSERT_TRUE(WriteHeader(*writer, "stalled"));
  v1::ImportSqlRequest request;
  request.set_chunk(std::string(3 << 20, 'x'));
  ASSERT_TRUE(writer->Write(request));
  // The rest of the file never comes, and yet the call ends.
  const grpc::Status status = writer->Finish();
  EXPECT_FALSE(status.ok());
  // The temporary space that the import held is free again.
  const std::string file = MakeFile({"CREATE TABLE t(a)", "INSERT INTO t VALUES (zeroblob(2000000))"});
  EXPECT_TRUE(Import("next", file).ok());
}

TEST_F(ImportsTest, OneImportLeavesRoomForSorts) {
  Start("sql { temp_bytes_of_all_max: 4194304 }");
  const grpc::Status status = Import("greedy", std::string(3'500'000, 'x'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), "OBJECT_QUOTA");
  // Two imports that would fit one after the other do not fit together; the second may be tried again.
  const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
  grpc::ClientContext context;
  v1::ImportSqlResponse response;
  const Writer first = stub->ImportSql(&context, &response);
  v1::ImportSqlRequest request;
  request.set_chunk(std::string(3'000'000, 'x'));
  ASSERT_TRUE(WriteHeader(*first, "first") && first->Write(request));
  grpc::Status second;
  const absl::Time until = absl::Now() + absl::Seconds(10);
  do {
    second = Import("second", std::string(3'000'000, 'x'));
  } while (ReasonOf(second) != "SERVER_OVERLOADED" && absl::Now() < until);
  EXPECT_EQ(ReasonOf(second), "SERVER_OVERLOADED") << second.error_message();
  EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(second).has_retry_delay());
  context.TryCancel();
}

TEST_F(ImportsTest, ANamespaceThatTakesAllItMayLeavesRoomForOthers) {
  Start("sql { imports_max: 3 namespace_imports_max: 2 }");
  const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<Writer> writers;
  std::vector<v1::ImportSqlResponse> responses(2);
  for (size_t i = 0; i < responses.size(); ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    writers.push_back(stub->ImportSql(contexts.back().get(), &responses[i]));
    ASSERT_TRUE(WriteHeader(*writers.back(), absl::StrCat("open-", i), i == 0 ? "" : "default"));
  }
  const std::string file = MakeFile({"CREATE TABLE t(a)"});
  // A third import is refused once the first two have begun.
  grpc::Status status;
  const absl::Time until = absl::Now() + absl::Seconds(10);
  do {
    status = Import("late", file);
  } while (ReasonOf(status) != "SERVER_OVERLOADED" && absl::Now() < until);
  EXPECT_EQ(ReasonOf(status), "SERVER_OVERLOADED");
  EXPECT_NE(status.error_message().find("sql.namespace_imports_max"), std::string::npos) << status.error_message();
  EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(status).has_retry_delay());
  status = Import("o", file, "other");
  EXPECT_TRUE(status.ok()) << status.error_message();
  contexts[0]->TryCancel();
  writers[0]->Finish();
  const absl::Time free_until = absl::Now() + absl::Seconds(10);
  do {
    status = Import("late", file);
  } while (!status.ok() && absl::Now() < free_until);
  EXPECT_TRUE(status.ok()) << status.error_message();
  contexts[1]->TryCancel();
}

TEST_F(ImportsTest, TooManyAreRefused) {
  Start("sql { imports_max: 2 }");
  const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<Writer> writers;
  std::vector<v1::ImportSqlResponse> responses(2);
  for (int i = 0; i < 2; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    writers.push_back(stub->ImportSql(contexts.back().get(), &responses[static_cast<size_t>(i)]));
    ASSERT_TRUE(WriteHeader(*writers.back(), absl::StrCat("open-", i)));
  }
  // Both imports have begun when a third is refused.
  grpc::Status status;
  const absl::Time until = absl::Now() + absl::Seconds(10);
  do {
    status = Import("late", "x");
  } while (ReasonOf(status) != "SERVER_OVERLOADED" && absl::Now() < until);
  EXPECT_EQ(ReasonOf(status), "SERVER_OVERLOADED");
  EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(status).has_retry_delay());
  for (auto& context : contexts) context->TryCancel();
}

}  // namespace
}  // namespace holdfast::testing
