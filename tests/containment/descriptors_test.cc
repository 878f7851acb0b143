// The process does not run out of descriptors, neither by tables of the store nor by connections.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/containment/containment.h"
#include "tests/containment/wire_client.h"

namespace holdfast::testing {
namespace {

ServerProgram WithOpenFiles(int open_files_max) {
  ServerProgram program = Holdfastd();
  program.open_files_max = open_files_max;
  return program;
}

std::string RandomBytes(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// Not all of the 520 objects have a family of their own; each family has tables of its own.
TEST_F(ContainmentTest, ManyTablesFitIntoTheUsualLimitOnOpenFiles) {
  Start("storage { memtable_bytes: 33554432 wal_bytes_max: 33554432 }", WithOpenFiles(1024));
  constexpr int kObjects = 520;
  constexpr int kWriters = 16;
  constexpr int kPutsEach = 500;
  std::atomic<int> failed = 0;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
      for (int i = 0; i < kPutsEach; ++i) {
        const int put = writer * kPutsEach + i;
        v1::PutEntriesRequest request;
        request.mutable_object()->set_name(absl::StrCat("object-", put % kObjects));
        v1::Entry* const entry = request.add_entries();
        entry->set_key(absl::StrCat("k", put));
        entry->set_value(RandomBytes(100 << 10, static_cast<uint64_t>(put)));
        if (!Invoke(*stub, &v1::ObjectService::Stub::PutEntries, request).ok()) ++failed;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(failed, 0);
  EXPECT_LT(Descriptors(server_->pid()), 1024);
  EXPECT_LT(ServeVictim(), kSoon);
  EXPECT_EQ(server_->Terminate(), 0);
}

TEST_F(ContainmentTest, IdleConnectionsLeaveRoomForTheStoreAndForOthers) {
  Start("", WithOpenFiles(1024));
  std::vector<std::unique_ptr<WireClient>> idle;
  for (int i = 0; i < 1200; ++i) idle.push_back(std::make_unique<WireClient>(server_->address()));
  const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
  for (int i = 0; i < 40; ++i) {
    v1::PutEntriesRequest request;
    request.mutable_object()->set_name("big");
    v1::Entry* const entry = request.add_entries();
    entry->set_key(absl::StrCat("k", i));
    entry->set_value(RandomBytes(1 << 20, static_cast<uint64_t>(i)));
    ASSERT_TRUE(Invoke(*stub, &v1::ObjectService::Stub::PutEntries, request).ok());
  }
  EXPECT_LT(Descriptors(server_->pid()), 900);
  EXPECT_LT(ServeVictim(), kSoon);
}

TEST_F(ContainmentTest, AConnectionInUseIsNotClosedForIdleOnes) {
  Start("server { connections_max: 20 }");
  const auto stub = v1::CounterService::NewStub(server_->NewChannel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  const auto stream = stub->StreamIncrement(&context);
  v1::StreamIncrementRequest request;
  request.mutable_increment()->mutable_object()->set_name("used");
  request.mutable_increment()->set_amount(1);
  v1::StreamIncrementResponse response;
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));

  std::vector<std::unique_ptr<WireClient>> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(std::make_unique<WireClient>(server_->address()));
    idle.back()->Greet();
  }
  EXPECT_LT(ServeVictim(), kSoon);
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  EXPECT_EQ(response.result().response().value(), 2);
  int open = 0;
  for (const auto& client : idle) {
    (void)client->Read(absl::Milliseconds(20));
    open += client->closed() ? 0 : 1;
  }
  EXPECT_LE(open, 19);
  EXPECT_GT(open, 0);
}

TEST_F(ContainmentTest, AConnectionThatSaysNothingIsClosed) {
  Start("server { handshake_time_limit_ms: 300 }");
  WireClient silent(server_->address());
  (void)silent.Read(absl::Seconds(10));
  EXPECT_TRUE(silent.closed());
  EXPECT_LT(ServeVictim(), kSoon);
}

TEST_F(ContainmentTest, WhenAllConnectionsHaveCallsANewOneIsClosed) {
  Start("server { connections_max: 5 }");
  std::vector<std::unique_ptr<WireClient>> busy;
  v1::StreamIncrementRequest request;
  request.mutable_increment()->mutable_object()->set_name("x");
  for (int i = 0; i < 5; ++i) {
    busy.push_back(std::make_unique<WireClient>(server_->address()));
    busy.back()->Greet();
    busy.back()->Send(busy.back()->Open("/holdfast.v1.CounterService/StreamIncrement"), request, /*end=*/false);
    // The call has begun once its result has come.
    ASSERT_TRUE(busy.back()->ReadUntil(WireClient::kData, absl::Seconds(10)));
  }
  WireClient late(server_->address());
  late.Greet();
  (void)late.Read(absl::Seconds(5));
  EXPECT_TRUE(late.closed());
  // There is room again when the calls have ended.
  busy.clear();
  const auto stub = v1::CounterService::NewStub(server_->NewChannel());
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::IncrementResponse response;
  EXPECT_TRUE(stub->Increment(&context, request.increment(), &response).ok());
}

TEST_F(ContainmentTest, TooLowALimitOnOpenFilesStopsTheStartAndSaysWhatIsNeeded) {
  const auto exit = ServerProcess::RunToEnd({"--listen", "127.0.0.1:0", "--data-dir", directory_.path() + "/data"},
                                            WithOpenFiles(256));
  EXPECT_EQ(exit.status, 1);
  EXPECT_NE(exit.output.find("256 open files; at least"), std::string::npos) << exit.output;
}

}  // namespace
}  // namespace holdfast::testing
