// A fixture for the tests of class Object's SQL.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_PLAIN_SQL_FIXTURE_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_PLAIN_SQL_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/unit/actors/objects/plain_fixture.h"

namespace holdfast::actors {

class PlainSqlFixture : public PlainObjectTest {
 protected:
  static v1::ExecuteSqlRequest Request(const std::vector<std::string>& statements) {
    v1::ExecuteSqlRequest request;
    for (const std::string& sql : statements) request.add_statements()->set_sql(sql);
    return request;
  }
  absl::Status Do(const std::string& name, const std::vector<std::string>& statements) {
    return *Ask(name, &PlainObject::ExecuteSql, Request(statements))->status;
  }
  // Returns the rows of a query, with their values joined by '|'.
  std::vector<std::string> Rows(const std::string& name, const std::string& query) {
    const auto asked = Ask(name, &PlainObject::ExecuteSql, Request({query}));
    EXPECT_TRUE(asked->ok()) << *asked->status;
    std::vector<std::string> rows;
    if (!asked->ok()) return rows;
    for (const v1::SqlRow& row : asked->response.results(0).rows()) {
      rows.push_back(absl::StrJoin(row.values(), "|", [](std::string* out, const v1::SqlValue& value) {
        switch (value.kind_case()) {
          case v1::SqlValue::kInteger:
            return absl::StrAppend(out, value.integer());
          case v1::SqlValue::kReal:
            return absl::StrAppend(out, value.real());
          case v1::SqlValue::kText:
            return absl::StrAppend(out, value.text());
          case v1::SqlValue::kBlob:
            return absl::StrAppend(out, "x'", value.blob(), "'");
          case v1::SqlValue::KIND_NOT_SET:
            return absl::StrAppend(out, "NULL");
        }
      }));
    }
    return rows;
  }
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_PLAIN_SQL_FIXTURE_H_
