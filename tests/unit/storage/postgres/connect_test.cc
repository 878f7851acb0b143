// The server that takes writes is found although others are silent, and a promoted one although it was a standby.

#include "storage/postgres/connect.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/postgres/connection.h"
#include "tests/unit/storage/postgres/test_cluster.h"

namespace holdfast::storage::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Each waiting for a silent host alone would take that long, and tests may take a part of it.
constexpr int kTimeoutSeconds = 40;
constexpr absl::Duration kSoon = absl::Seconds(kTimeoutSeconds / 2);

// Takes connections and says nothing, as a server that hangs.
class SilentHost {
 public:
  SilentHost() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, SOMAXCONN) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      std::perror("a silent host");
      std::abort();
    }
    port_ = ntohs(address.sin_port);
  }
  ~SilentHost() {
    if (client_ >= 0) close(client_);
    close(listener_);
  }
  SilentHost(const SilentHost&) = delete;
  SilentHost& operator=(const SilentHost&) = delete;

  int port() const { return port_; }
  // Returns when it has a client.
  void WaitForClient() { client_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); }

 private:
  const int listener_;
  int port_ = 0;
  int client_ = -1;
};

// A server of PostgreSQL that takes connections on its socket, whose port has this number by name alone.
constexpr int kSocketPort = 5432;

std::string Conninfo(const std::string& hosts, const std::string& ports, int timeout_seconds = kTimeoutSeconds) {
  return absl::StrCat("host=", hosts, " port=", ports,
                      " dbname=postgres user=holdfast password=secret connect_timeout=", timeout_seconds);
}

// The directory of the data of the server that a connection leads to.
std::string DirectoryOf(Connection* connection) {
  connection->Add({"directory", "SELECT current_setting('data_directory')"});
  const TripResult result = connection->Run(Soon());
  return result.ok() ? std::string(result.rows.back().Bytes(0, 0)) : result.message;
}

TEST(ConnectTest, ASilentHostTakesItsHeadStartAlone) {
  SilentHost silent;
  const std::string& directory = SharedServer().directory();
  const std::string conninfo =
      Conninfo(absl::StrCat("127.0.0.1,", directory), absl::StrCat(silent.port(), ",", kSocketPort));
  for (const size_t first_host : {0, 1, 2}) {
    const absl::Time began = absl::Now();
    auto connection = Connection::Open(conninfo, first_host);
    ASSERT_TRUE(connection.ok()) << connection.status();
    EXPECT_LT(absl::Now() - began, kSoon);
    EXPECT_THAT(DirectoryOf(connection->get()), HasSubstr(directory));
  }
}

TEST(ConnectTest, AServerThatBeginsToServeIsFoundWhileAnotherOneIsSilent) {
  SilentHost silent;
  testing_server::PostgresServer server;
  server.Stop();
  const std::string conninfo =
      Conninfo(absl::StrCat(server.directory(), ",127.0.0.1"), absl::StrCat(kSocketPort, ",", silent.port()));
  absl::StatusOr<std::unique_ptr<Connection>> connection = absl::UnknownError("");
  absl::Time connected;
  std::thread client([&] {
    connection = Connection::Open(conninfo);
    connected = absl::Now();
  });
  silent.WaitForClient();  // the other one has said no
  server.Start();
  const absl::Time started = absl::Now();
  client.join();
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_LT(connected - started, kSoon);
}

TEST(ConnectTest, AStandbyIsLeftOut) {
  testing_server::PostgresServer standby({"default_transaction_read_only = on"});
  for (const size_t first_host : {0, 1}) {
    auto connection = Connection::Open(
        Conninfo(absl::StrCat(standby.directory(), ",", SharedServer().directory()), absl::StrCat(kSocketPort)),
        first_host);
    ASSERT_TRUE(connection.ok()) << connection.status();
    EXPECT_THAT(DirectoryOf(connection->get()), HasSubstr(SharedServer().directory()));
  }
}

TEST(ConnectTest, TheFirstOfTwoServersThatFitIsTaken) {
  testing_server::PostgresServer other;
  const std::string conninfo =
      Conninfo(absl::StrCat(other.directory(), ",", SharedServer().directory()), absl::StrCat(kSocketPort));
  for (size_t first_host = 0; first_host < 4; ++first_host) {
    auto connection = Connection::Open(conninfo, first_host);
    ASSERT_TRUE(connection.ok()) << connection.status();
    EXPECT_THAT(DirectoryOf(connection->get()),
                HasSubstr(first_host % 2 == 0 ? other.directory() : SharedServer().directory()));
  }
}

TEST(ConnectTest, NobodyIsWaitedForIfAllSayNo) {
  const absl::Time began = absl::Now();
  const absl::Status status = Connection::Open(Conninfo("/nowhere,127.0.0.1,localhost", "1")).status();
  EXPECT_LT(absl::Now() - began, kSoon);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("127.0.0.1"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
}

TEST(ConnectTest, SilentHostsAreGivenUp) {
  SilentHost silent;
  const absl::Time began = absl::Now();
  const absl::Status status =
      Connection::Open(Conninfo("127.0.0.1,127.0.0.1", absl::StrCat(silent.port()), /*timeout_seconds=*/1)).status();
  EXPECT_GE(absl::Now() - began, absl::Seconds(1));
  EXPECT_LT(absl::Now() - began, kSoon);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat(silent.port())));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
}

TEST(ConnectTest, ListsThatDoNotFitAreAnError) {
  const absl::Status status = Connection::Open(Conninfo("127.0.0.1,127.0.0.1", "1,2,3")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("port"));
}

}  // namespace
}  // namespace holdfast::storage::postgres
