// The usage of namespaces, and their quotas.

#include "storage/node/namespace_usage.h"

#include <gtest/gtest.h>

namespace holdfast::storage {
namespace {

using Reached = NamespaceUsage::Reached;

TEST(NamespaceUsageTest, WithoutQuotasNothingIsReached) {
  NamespaceUsage usage;
  usage.Add("a", 1000, 1000);
  EXPECT_EQ(usage.Check("a", true, 1'000'000), Reached::kNo);
}

TEST(NamespaceUsageTest, ObjectsAndBytes) {
  NamespaceUsage usage;
  usage.SetQuotas({{"a", {.objects_max = 2, .bytes_max = 100}}, {"", {.objects_max = 1}}, {"free", {}}});
  EXPECT_EQ(usage.Check("a", true, 100), Reached::kNo);
  EXPECT_EQ(usage.Check("a", true, 101), Reached::kBytes);
  usage.Add("a", 1, 60);
  usage.Add("a", 1, 40);
  EXPECT_EQ(usage.Check("a", true, 0), Reached::kObjects);
  EXPECT_EQ(usage.Check("a", false, 0), Reached::kNo);
  EXPECT_EQ(usage.Check("a", false, 1), Reached::kBytes);
  EXPECT_EQ(usage.Check("a", false, -10), Reached::kNo);
  usage.Add("a", -1, -60);
  EXPECT_EQ(usage.Check("a", true, 60), Reached::kNo);
  EXPECT_EQ(usage.Check("b", true, 1'000), Reached::kNo);
  usage.Add("b", 1, 0);
  EXPECT_EQ(usage.Check("b", true, 0), Reached::kObjects);
  usage.Add("free", 10, 10);
  EXPECT_EQ(usage.Check("free", true, 10), Reached::kNo);
}

TEST(NamespaceUsageTest, ANamespaceWithoutObjectsIsForgotten) {
  NamespaceUsage usage;
  usage.Add("a", 1, 60);
  usage.Add("a", -1, -50);
  EXPECT_EQ(usage.Of("a").objects, 0);
  EXPECT_EQ(usage.Of("a").bytes, 0);
}

}  // namespace
}  // namespace holdfast::storage
