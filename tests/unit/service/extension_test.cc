// An Extension is checked when the server starts, before anything is opened.

#include "service/rpcs/extension.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "holdfast/v1/counter_service.grpc.pb.h"
#include "service/config.h"
#include "service/server.h"

namespace holdfast::service {
namespace {

// Returns the error of a start with one service of the program's own, whose only row is `row`.
absl::Status StartWith(RpcTable::Row row) {
  config::v1::Config config;
  EXPECT_EQ(CompleteConfig(&config), absl::OkStatus());
  Extension extension;
  RpcTable::Service service{
      v1::CounterService::service_full_name(), std::make_unique<v1::CounterService::AsyncService>(), {}};
  service.rows.push_back(std::move(row));
  extension.services.push_back(std::move(service));
  extension.open_store = [](const config::v1::Config&) -> absl::StatusOr<std::unique_ptr<storage::Store>> {
    return absl::UnknownError("the store was opened");
  };
  return Server::Start(
             config, [](const absl::Status&) {}, std::move(extension))
      .status();
}

TEST(Extension, TheStartFailsWhereAMethodHasNoRow) {
  EXPECT_EQ(StartWith({"holdfast.v1.CounterService.Increment", Verb::kWrite, [](Endpoint*) {}}),
            absl::InternalError("method holdfast.v1.CounterService.GetValue has no row in the table of RPCs"));
}

TEST(Extension, TheStartFailsWhereAMethodHasNoVerb) {
  EXPECT_EQ(StartWith({"holdfast.v1.CounterService.Increment", std::nullopt, [](Endpoint*) {}}),
            absl::InternalError("method holdfast.v1.CounterService.Increment has no verb in the table of RPCs"));
}

}  // namespace
}  // namespace holdfast::service
