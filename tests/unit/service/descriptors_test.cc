#include "service/descriptors.h"

#include <gtest/gtest.h>

#include "service/call/connections.h"

namespace holdfast::service {
namespace {

using config::v1::Config;

int64_t Sum(const Config& config) {
  return kDescriptorReserve + static_cast<int64_t>(Connections::kClosingMax) + config.server().connections_max() +
         config.sql().temp_files_max() + config.storage().open_tables_max();
}

TEST(Descriptors, TheDefaultsHoldWhereThereAreEnough) {
  Config config;
  ASSERT_TRUE(DivideDescriptors(1 << 20, &config).ok());
  EXPECT_EQ(config.server().connections_max(), 1000);
  EXPECT_EQ(config.sql().temp_files_max(), 256);
  EXPECT_EQ(config.storage().open_tables_max(), 4096);
}

TEST(Descriptors, EachPartFitsWhateverTheLimit) {
  for (int64_t limit = 448; limit < 8000; ++limit) {
    Config config;
    ASSERT_TRUE(DivideDescriptors(limit, &config).ok()) << limit;
    EXPECT_LE(Sum(config), limit);
    EXPECT_GE(config.server().connections_max(), 64);
    EXPECT_GE(config.sql().temp_files_max(), 32);
    EXPECT_GE(config.storage().open_tables_max(), 128);
  }
}

TEST(Descriptors, WhatIsSetIsKeptAndTheRestFitsBesideIt) {
  Config config;
  config.mutable_server()->set_connections_max(700);
  ASSERT_TRUE(DivideDescriptors(1100, &config).ok());
  EXPECT_EQ(config.server().connections_max(), 700);
  EXPECT_LE(Sum(config), 1100);
}

TEST(Descriptors, EachFurtherDatabaseHasItsConnectionsTwice) {
  Config config;
  config.mutable_postgres()->set_read_connections_max(10);
  config.mutable_postgres()->set_walk_connections_max(6);
  for (int i = 0; i < 3; ++i) config.mutable_postgres()->add_database();
  EXPECT_FALSE(DivideDescriptors(448 + 2 * 2 * 20 - 1, &config).ok());
  EXPECT_TRUE(DivideDescriptors(448 + 2 * 2 * 20, &config).ok());
}

TEST(Descriptors, TooFewAreRefusedWithTheNumberNeeded) {
  Config config;
  EXPECT_EQ(DivideDescriptors(447, &config).message().substr(0, 66),
            "the process may have 447 open files; at least 448 are needed. Rais");
  config.mutable_server()->set_connections_max(10'000);
  const absl::Status status = DivideDescriptors(4096, &config);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("at least 10384 are needed"), absl::string_view::npos) << status.message();
}

}  // namespace
}  // namespace holdfast::service
