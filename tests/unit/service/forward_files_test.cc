// Calls on one object that are no turns of it, and files of objects on streams, through either of two nodes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/unit/service/two_nodes.h"

namespace holdfast::service {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ForwardFilesTest : public TwoNodesTest {
 protected:
  std::unique_ptr<v1::ObjectService::Stub> Stub(size_t node) { return v1::ObjectService::NewStub(channels_[node]); }

  static std::string ObjectOf(size_t node) { return NameOf(node, "Object", 0); }

  struct File {
    absl::Status status;
    std::string bytes;
    int chunks = 0;
  };
  template <typename Reader, typename Response>
  static File ReadAll(Reader* reader, Response response) {
    File file;
    for (; reader->Read(&response); ++file.chunks) file.bytes += response.chunk();
    file.status = FromGrpc(reader->Finish());
    return file;
  }
  File ExportSql(size_t node, const std::string& name) {
    grpc::ClientContext context;
    v1::ExportSqlRequest request;
    request.mutable_object()->set_name(name);
    return ReadAll(Stub(node)->ExportSql(&context, request).get(), v1::ExportSqlResponse());
  }
  File ExportObject(size_t node, const std::string& name) {
    grpc::ClientContext context;
    v1::ExportObjectRequest request;
    request.mutable_object()->set_name(name);
    return ReadAll(Stub(node)->ExportObject(&context, request).get(), v1::ExportObjectResponse());
  }

  struct Imported {
    absl::Status status;
    int64_t bytes = 0;
    bool replayed = false;
  };
  // Imports a file in chunks of 100,000 bytes.
  template <typename Request, typename Response, typename Begin>
  static Imported Import(const std::string& name, const std::string& file, const std::string& id, Begin begin) {
    grpc::ClientContext context;
    Response response;
    const auto writer = begin(&context, &response);
    Request request;
    request.mutable_header()->mutable_object()->set_name(name);
    request.mutable_header()->set_request_id(id);
    bool open = writer->Write(request);
    for (size_t at = 0; open && at < file.size(); at += 100'000) {
      request.set_chunk(file.substr(at, 100'000));
      open = writer->Write(request);
    }
    writer->WritesDone();
    Imported imported{FromGrpc(writer->Finish())};
    imported.bytes = response.bytes();
    imported.replayed = context.GetServerInitialMetadata().contains("holdfast-replayed");
    return imported;
  }
  Imported ImportSql(size_t node, const std::string& name, const std::string& file, const std::string& id = "") {
    const auto stub = Stub(node);
    return Import<v1::ImportSqlRequest, v1::ImportSqlResponse>(
        name, file, id, [&](auto* context, auto* response) { return stub->ImportSql(context, response); });
  }
  Imported ImportObject(size_t node, const std::string& name, const std::string& file) {
    const auto stub = Stub(node);
    return Import<v1::ImportObjectRequest, v1::ImportObjectResponse>(
        name, file, "", [&](auto* context, auto* response) { return stub->ImportObject(context, response); });
  }

  // Makes a database of several messages: a row has a kilobyte.
  void MakeDatabase(size_t node, const std::string& name, int rows = 1000) {
    grpc::ClientContext context;
    v1::ExecuteSqlRequest request;
    v1::ExecuteSqlResponse response;
    request.mutable_object()->set_name(name);
    request.add_statements()->set_sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)");
    request.add_statements()->set_sql(
        absl::StrCat("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ", rows,
                     ") INSERT INTO t SELECT i, randomblob(1000) FROM n"));
    const grpc::Status status = Stub(node)->ExecuteSql(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
};

TEST_F(ForwardFilesTest, ADatabaseGoesOutAndInThroughEitherNode) {
  Start();
  MakeDatabase(0, ObjectOf(1));
  const File direct = ExportSql(1, ObjectOf(1));
  ASSERT_EQ(direct.status, absl::OkStatus());
  EXPECT_GT(direct.chunks, 3);
  const File file = ExportSql(0, ObjectOf(1));
  ASSERT_EQ(file.status, absl::OkStatus());
  EXPECT_EQ(file.chunks, direct.chunks);
  ASSERT_EQ(file.bytes, direct.bytes);

  const Imported imported = ImportSql(1, ObjectOf(0), file.bytes, "one");
  ASSERT_EQ(imported.status, absl::OkStatus());
  EXPECT_EQ(imported.bytes, static_cast<int64_t>(file.bytes.size()));
  EXPECT_FALSE(imported.replayed);
  EXPECT_EQ(ExportSql(0, ObjectOf(0)).bytes, file.bytes);
  for (size_t node = 0; node < 2; ++node) {
    EXPECT_TRUE(ImportSql(node, ObjectOf(0), file.bytes, "one").replayed);
  }
}

TEST_F(ForwardFilesTest, AnObjectGoesOutAndInThroughEitherNode) {
  Start();
  MakeDatabase(0, ObjectOf(1));
  const File file = ExportObject(0, ObjectOf(1));
  ASSERT_EQ(file.status, absl::OkStatus());
  EXPECT_EQ(file.bytes, ExportObject(1, ObjectOf(1)).bytes);
  ASSERT_EQ(ImportObject(1, ObjectOf(0), file.bytes).status, absl::OkStatus());
  EXPECT_EQ(ExportSql(1, ObjectOf(0)).bytes, ExportSql(0, ObjectOf(1)).bytes);
  // It is there now, and the import does not replace it.
  EXPECT_EQ(ImportObject(1, ObjectOf(0), file.bytes).status, ImportObject(0, ObjectOf(0), file.bytes).status);
}

TEST_F(ForwardFilesTest, AnErrorIsTheSameThroughEitherNode) {
  configure_ = [](config::v1::Config* config) { config->mutable_storage()->set_turn_bytes_max(8 << 20); };
  Start();
  for (size_t node = 0; node < 2; ++node) {
    const absl::Status no_database = ImportSql(node, ObjectOf(1), "this is no database").status;
    EXPECT_EQ(actors::ReasonOf(no_database), v1::ERROR_REASON_SQL_ERROR) << no_database;
    EXPECT_EQ(ImportObject(node, ObjectOf(1), "this is no object").status,
              ImportObject(1, ObjectOf(1), "this is no object").status);
  }
  // The other node ends the call long before the client has sent all.
  const absl::Status refused = ImportObject(0, ObjectOf(1), std::string(20 << 20, 'x')).status;
  EXPECT_EQ(actors::ReasonOf(refused), v1::ERROR_REASON_OBJECT_QUOTA) << refused;
}

TEST_F(ForwardFilesTest, AnExportThatMissesItsObjectBeginsAgain) {
  Start();
  MakeDatabase(1, ObjectOf(1));
  std::atomic<bool> learned = false;
  maps_[0].on_moved = [&] { learned = true; };
  maps_[0].here = [&](storage::ShardId shard) { return !learned || Has(0)(shard); };
  EXPECT_EQ(ExportSql(0, ObjectOf(1)).bytes, ExportSql(1, ObjectOf(1)).bytes);
  EXPECT_TRUE(learned);
  maps_[0].on_moved = nullptr;
  maps_[0].here = [](storage::ShardId) { return false; };
  EXPECT_EQ(actors::ReasonOf(ExportSql(0, ObjectOf(0)).status), v1::ERROR_REASON_WRONG_OWNER);
}

TEST_F(ForwardFilesTest, AClientThatStopsReadingAndGoesEndsTheExport) {
  Start();
  // More than fits into the windows of the two connections.
  MakeDatabase(1, ObjectOf(1), 16'000);
  {
    grpc::ClientContext context;
    v1::ExportSqlRequest request;
    request.mutable_object()->set_name(ObjectOf(1));
    const auto stub = Stub(0);
    const auto reader = stub->ExportSql(&context, request);
    v1::ExportSqlResponse response;
    ASSERT_TRUE(reader->Read(&response));
    AwaitStreams(1, 1);
    context.TryCancel();
  }
  AwaitStreams(1, 0);
  AwaitStreams(0, 0);
}

TEST_F(ForwardFilesTest, AnImportThatWaitsForItsClientEndsInTime) {
  configure_ = [](config::v1::Config* config) { config->mutable_sql()->set_transfer_idle_limit_ms(200); };
  Start();
  grpc::ClientContext context;
  v1::ImportSqlResponse response;
  const auto stub = Stub(0);
  const auto writer = stub->ImportSql(&context, &response);
  v1::ImportSqlRequest request;
  request.mutable_header()->mutable_object()->set_name(ObjectOf(1));
  ASSERT_TRUE(writer->Write(request));
  EXPECT_FALSE(writer->Finish().ok());
  AwaitStreams(1, 0);
  AwaitStreams(0, 0);
}

TEST_F(ForwardFilesTest, ANodeThatIsGoneIsNamed) {
  Start();
  servers_[1]->Drain();
  servers_[1] = nullptr;
  EXPECT_THAT(std::string(ExportSql(0, ObjectOf(1)).status.message()), StartsWith("from the node node-1"));
  EXPECT_THAT(std::string(ImportSql(0, ObjectOf(1), "file").status.message()), StartsWith("from the node node-1"));
}

TEST_F(ForwardFilesTest, AnObjectIsDescribedByTheNodeThatHasIt) {
  Start();
  MakeDatabase(1, ObjectOf(1));
  for (size_t node = 0; node < 2; ++node) {
    grpc::ClientContext context;
    v1::DescribeObjectRequest request;
    v1::DescribeObjectResponse response;
    request.mutable_object()->set_name(ObjectOf(1));
    ASSERT_TRUE(Stub(node)->DescribeObject(&context, request, &response).ok());
    EXPECT_EQ(response.activation_state(), v1::ACTIVATION_STATE_ACTIVE);
    EXPECT_EQ(response.tables_size(), 1);
  }
  // Node 1 would tell of what it does not have.
  grpc::ClientContext context;
  context.AddMetadata(kForwardedKey, kClusterSecret);
  v1::DescribeObjectRequest request;
  v1::DescribeObjectResponse response;
  request.mutable_object()->set_name(ObjectOf(0));
  EXPECT_EQ(actors::ReasonOf(FromGrpc(Stub(1)->DescribeObject(&context, request, &response))),
            v1::ERROR_REASON_WRONG_OWNER);
  // Passivation reaches the object, too.
  grpc::ClientContext passivating;
  v1::PassivateObjectRequest passivate;
  v1::PassivateObjectResponse passivated;
  passivate.mutable_object()->set_name(ObjectOf(1));
  EXPECT_TRUE(Stub(0)->PassivateObject(&passivating, passivate, &passivated).ok());
  for (int i = 0; i < 1000; ++i) {
    grpc::ClientContext again;
    request.mutable_object()->set_name(ObjectOf(1));
    ASSERT_TRUE(Stub(0)->DescribeObject(&again, request, &response).ok());
    if (response.activation_state() == v1::ACTIVATION_STATE_INACTIVE) break;
    absl::SleepFor(absl::Milliseconds(10));  // only asking again tells
  }
  EXPECT_EQ(response.activation_state(), v1::ACTIVATION_STATE_INACTIVE);
}

}  // namespace
}  // namespace holdfast::service
