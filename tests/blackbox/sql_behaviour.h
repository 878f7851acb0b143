// A fixture for the tests of SQL.

#ifndef HOLDFAST_TESTS_BLACKBOX_SQL_BEHAVIOUR_H_
#define HOLDFAST_TESTS_BLACKBOX_SQL_BEHAVIOUR_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/rpc/error_details.pb.h"
#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {

class SqlBehaviour : public Behaviour {
 protected:
  static v1::ExecuteSqlRequest Statements(const std::string& name, const std::vector<std::string>& statements) {
    auto request = For<v1::ExecuteSqlRequest>(name);
    for (const std::string& sql : statements) request.add_statements()->set_sql(sql);
    return request;
  }
  Reply<v1::ExecuteSqlResponse> Execute(const std::string& name, const std::vector<std::string>& statements) {
    return Call(&ObjectStub::ExecuteSql, Statements(name, statements));
  }
  // Returns the rows of one statement, with '|' between values.
  std::vector<std::string> Rows(const std::string& name, const std::string& sql) {
    const auto reply = Execute(name, {sql});
    EXPECT_TRUE(IsOk(reply)) << sql;
    std::vector<std::string> rows;
    if (!reply.status.ok()) return rows;
    for (const v1::SqlRow& row : reply.response.results(0).rows()) {
      rows.push_back(absl::StrJoin(row.values(), "|", [](std::string* out, const v1::SqlValue& value) {
        if (value.has_integer()) absl::StrAppend(out, value.integer());
        if (value.has_real()) absl::StrAppend(out, value.real());
        if (value.has_text()) absl::StrAppend(out, value.text());
        if (value.has_blob()) absl::StrAppend(out, value.blob());
      }));
    }
    return rows;
  }

  // --- The database as a file
  std::string Export(const std::string& name) {
    ObjectStub stub(channel_);
    grpc::ClientContext context;
    auto reader = stub.ExportSql(&context, For<v1::ExportSqlRequest>(name));
    v1::ExportSqlResponse part;
    std::string file;
    while (reader->Read(&part)) file += part.chunk();
    EXPECT_TRUE(IsOk(reader->Finish()));
    return file;
  }
  Reply<v1::ImportSqlResponse> Import(const std::string& name, const std::string& file,
                                      const std::string& request_id = "") {
    ObjectStub stub(channel_);
    grpc::ClientContext context;
    Reply<v1::ImportSqlResponse> reply;
    auto writer = stub.ImportSql(&context, &reply.response);
    v1::ImportSqlRequest part;
    part.mutable_header()->mutable_object()->set_name(name);
    part.mutable_header()->set_request_id(request_id);
    bool open = writer->Write(part);
    for (size_t done = 0; open && done < file.size(); done += 100'000) {
      part.set_chunk(file.substr(done, 100'000));
      open = writer->Write(part);
    }
    writer->WritesDone();
    reply.status = writer->Finish();
    return reply;
  }
};

}  // namespace holdfast::blackbox

#endif  // HOLDFAST_TESTS_BLACKBOX_SQL_BEHAVIOUR_H_
