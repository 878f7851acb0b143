// Asks an object of class Object for the tables of its SQL database, which DescribeObject tells.

#ifndef HOLDFAST_ACTORS_OBJECTS_DESCRIBE_SQL_H_
#define HOLDFAST_ACTORS_OBJECTS_DESCRIBE_SQL_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "actors/delivery.h"
#include "actors/objects/plain_object.h"
#include "actors/task.h"

namespace holdfast::actors {

// Deletes itself. `response` lives until `done` is called, on the object's executor.
class DescribeSql final : public Delivery {
 public:
  DescribeSql(v1::DescribeObjectResponse* response, absl::AnyInvocable<void(const absl::Status&)> done)
      : response_(response), done_(std::move(done)) {}

  Task<absl::Status> Run(Object& object) override { return static_cast<PlainObject&>(object).DescribeSql(response_); }
  void Done(const absl::Status& status) override {
    done_(status);
    delete this;
  }

 private:
  v1::DescribeObjectResponse* const response_;
  absl::AnyInvocable<void(const absl::Status&)> done_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_DESCRIBE_SQL_H_
