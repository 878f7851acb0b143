#include "client/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace holdfast::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(AddressTest, OnlyWhatCannotLeaveTheMachineIsLocal) {
  for (const std::string target :
       {"127.0.0.1:50051", "127.0.0.1", "127.255.0.9:1", "localhost:50051", "LOCALHOST", "[::1]:50051", "[::1]", "::1",
        "unix:/run/holdfast", "unix:holdfast", "unix:///run/holdfast", "unix-abstract:holdfast",
        "dns:///localhost:50051", "dns:///127.0.0.1", "dns:localhost:1", "dns://8.8.8.8/localhost:1",
        "ipv4:127.0.0.1:1", "ipv4:127.0.0.1:1,127.0.0.2:1", "ipv6:[::1]:1"}) {
    EXPECT_TRUE(IsLocal(target)) << target;
  }
  for (const std::string target : {"",
                                   ":50051",
                                   "0.0.0.0:50051",
                                   "10.0.0.1:50051",
                                   "128.0.0.1",
                                   "127.0.0.1.example:50051",
                                   "127.1:50051",
                                   "2130706433:50051",
                                   "localhost.example:1",
                                   "notlocalhost",
                                   "example:50051",
                                   "[::]:1",
                                   "[::ffff:10.0.0.1]:1",
                                   "[::1",
                                   "dns:///example:1",
                                   "dns://127.0.0.1/example:1",
                                   "dns://127.0.0.1",
                                   "ipv4:127.0.0.1:1,10.0.0.1:1",
                                   "ipv4:",
                                   "ipv4:127.0.0.1:1,",
                                   "ipv6:[::2]:1",
                                   "xds:///127.0.0.1:1",
                                   "vsock:127.0.0.1",
                                   "http://127.0.0.1:50051",
                                   "user@127.0.0.1:1",
                                   "127.0.0.1:1@example:2",
                                   "127.0.0.1%2eexample:1"}) {
    // An IPv6 address whose bracket is missing is still only that address.
    EXPECT_EQ(IsLocal(target), target == "[::1") << target;
  }
}

TEST(AddressTest, HostsAndPorts) {
  EXPECT_THAT(HostPorts("a:1"), ElementsAre("a:1"));
  EXPECT_THAT(HostPorts("dns:///a:1"), ElementsAre("a:1"));
  EXPECT_THAT(HostPorts("ipv4:1.2.3.4:1,1.2.3.5:1"), ElementsAre("1.2.3.4:1", "1.2.3.5:1"));
  EXPECT_THAT(HostPorts("unix:/a"), IsEmpty());
  EXPECT_THAT(HostPorts("xds:///a"), IsEmpty());
  EXPECT_EQ(HostOf("a:1"), "a");
  EXPECT_EQ(HostOf("a"), "a");
  EXPECT_EQ(HostOf("[::2]:1"), "::2");
  EXPECT_EQ(HostOf("::2"), "::2");
}

}  // namespace
}  // namespace holdfast::client
