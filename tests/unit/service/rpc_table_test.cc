#include "service/rpcs/rpc_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "actors/objects/rate_limiter.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "service/rpcs/rpc_rows.h"

namespace holdfast::service {
namespace {

using actors::RateLimiter;

constexpr char kCheckLimit[] = "holdfast.v1.RateLimiterService.CheckLimit";
constexpr char kResetLimit[] = "holdfast.v1.RateLimiterService.ResetLimit";

RpcTable::Service RateLimits() {
  RpcRows<v1::RateLimiterService> rows;
  rows.Unary<&RateLimiter::CheckLimit>("CheckLimit", Verb::kWrite, &RateLimiter::Class());
  rows.Unary<&RateLimiter::CheckLimits>("CheckLimits", Verb::kWrite, &RateLimiter::Class());
  rows.Unary<&RateLimiter::ResetLimit>("ResetLimit", Verb::kWrite, &RateLimiter::Class());
  return rows.Take();
}

absl::Status Check(RpcTable::Service service) {
  RpcTable table;
  table.Add(std::move(service));
  return table.CheckComplete();
}

TEST(RpcTable, AServiceWithARowAndAVerbForEachMethodIsComplete) {
  RpcTable::Service limits = RateLimits();
  EXPECT_EQ(limits.name, "holdfast.v1.RateLimiterService");
  ASSERT_EQ(limits.rows.size(), 3u);
  EXPECT_EQ(limits.rows[0].method, kCheckLimit);
  EXPECT_EQ(Check(std::move(limits)), absl::OkStatus());
}

TEST(RpcTable, AMethodWithoutARowIsNamed) {
  RpcTable::Service limits = RateLimits();
  limits.rows.pop_back();
  EXPECT_EQ(Check(std::move(limits)),
            absl::InternalError(std::string("method ") + kResetLimit + " has no row in the table of RPCs"));
}

TEST(RpcTable, AMethodWithoutAVerbIsNamed) {
  RpcTable::Service limits = RateLimits();
  limits.rows.back().verb.reset();
  EXPECT_EQ(Check(std::move(limits)),
            absl::InternalError(std::string("method ") + kResetLimit + " has no verb in the table of RPCs"));
}

TEST(RpcTable, AMistypedMethodLeavesTheRightOneWithoutARow) {
  RpcTable::Service limits = RateLimits();
  limits.rows.front().method += "s2";
  EXPECT_EQ(Check(std::move(limits)),
            absl::InternalError(std::string("method ") + kCheckLimit + " has no row in the table of RPCs"));
}

TEST(RpcTable, TwoRowsOfOneMethodAreRefused) {
  RpcTable::Service limits = RateLimits();
  RpcTable::Row second = limits.rows.back();
  second.verb = Verb::kRead;
  limits.rows.push_back(second);
  EXPECT_EQ(Check(std::move(limits)), absl::InternalError("service holdfast.v1.RateLimiterService has 4 rows in the "
                                                          "table of RPCs for 3 methods"));
}

TEST(RpcTable, EveryServiceIsLookedAt) {
  RpcTable table;
  table.Add(RateLimits());
  table.Add({"holdfast.v1.NoService", std::make_unique<v1::RateLimiterService::AsyncService>(), {}});
  EXPECT_EQ(table.service_names(),
            (std::vector<std::string>{"holdfast.v1.RateLimiterService", "holdfast.v1.NoService"}));
  EXPECT_EQ(table.CheckComplete(), absl::InternalError("service holdfast.v1.NoService has no descriptor"));
}

}  // namespace
}  // namespace holdfast::service
