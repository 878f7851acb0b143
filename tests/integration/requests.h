// Shorthands for requests in tests. They do not need gRPC, so that unit tests of the classes may use them too.

#ifndef HOLDFAST_TESTS_INTEGRATION_REQUESTS_H_
#define HOLDFAST_TESTS_INTEGRATION_REQUESTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "holdfast/v1/object_service.pb.h"
#include "holdfast/v1/sql.pb.h"

namespace holdfast::testing {

// Returns a request on an object of class "Object", or of the class that the service implies.
template <typename Request>
Request For(const std::string& name) {
  Request request;
  request.mutable_object()->set_name(name);
  return request;
}
template <typename Request>
Request For(const std::string& name, const std::string& object_class) {
  Request request = For<Request>(name);
  request.mutable_object()->set_object_class(object_class);
  return request;
}

// A migration of a schema, with statements that have no parameters.
struct MigrationStep {
  int64_t version;
  std::vector<std::string> statements;
  bool foreign_keys_off = false;
};

// Appends the migrations to those of the request. In this namespace, v1 alone may be the test server's package.
inline void AddMigrations(const std::vector<MigrationStep>& steps, ::holdfast::v1::MigrateSchemaRequest* request) {
  for (const MigrationStep& step : steps) {
    ::holdfast::v1::Migration* const migration = request->add_migrations();
    migration->set_version(step.version);
    migration->set_foreign_keys_off(step.foreign_keys_off);
    for (const std::string& sql : step.statements) migration->add_statements()->set_sql(sql);
  }
}

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_INTEGRATION_REQUESTS_H_
