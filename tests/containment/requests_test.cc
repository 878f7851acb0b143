// Requests that are not valid messages, or that are made to be costly to parse.

#include <grpcpp/generic/generic_stub.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/containment/containment.h"
#include "tests/containment/wire_client.h"

namespace holdfast::testing {
namespace {

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

class RequestsTest : public ContainmentTest {
 protected:
  // Calls "/package.Service/Method" with these bytes as its request.
  static grpc::Status CallWith(grpc::GenericStub& stub, const std::string& path, const std::string& bytes,
                               grpc_compression_algorithm compression = GRPC_COMPRESS_NONE) {
    grpc::ClientContext context;
    context.set_compression_algorithm(compression);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    grpc::CompletionQueue queue;
    const grpc::ByteBuffer request = BufferOf(bytes);
    const auto call = stub.PrepareUnaryCall(&context, path, request, &queue);
    call->StartCall();
    grpc::ByteBuffer reply;
    grpc::Status status;
    void* tag = nullptr;
    bool ok = false;
    call->Finish(&reply, &status, nullptr);
    queue.Next(&tag, &ok);
    return status;
  }
};

// gRPC unpacks a message before it looks at its size: 256 KiB would become 256 MiB.
TEST_F(RequestsTest, CompressedMessagesAreRefusedBeforeTheyAreUnpacked) {
  Start();
  grpc::GenericStub stub(server_->NewChannel());
  const int64_t before = MemoryMiB(server_->pid());
  const std::string zeros(256 << 20, '\0');
  for (const grpc_compression_algorithm algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    const grpc::Status status = CallWith(stub, "/holdfast.v1.CounterService/Increment", zeros, algorithm);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
    EXPECT_EQ(status.error_message().find("unpack"), std::string::npos);
  }
  EXPECT_LT(ProcessStatus(server_->pid(), "VmHWM") / 1024 - before, 30);
}

// The time that the client allows in metadata goes up to 99,999,999 hours.
TEST_F(RequestsTest, AClientMayWaitForCenturies) {
  Start();
  for (const char* timeout : {"999999H", "1500000H", "2070001H", "2562047H", "99999999H"}) {
    WireClient client(server_->address());
    client.Greet();
    v1::IncrementRequest request;
    request.mutable_object()->set_name("patient");
    request.set_amount(1);
    client.Send(client.Open("/holdfast.v1.CounterService/Increment", {{"grpc-timeout", timeout}}), request);
    std::string trailers;
    for (const absl::Time until = absl::Now() + absl::Seconds(20); trailers.empty() && absl::Now() < until;) {
      for (const WireClient::Frame& frame : client.Read(absl::Seconds(1), 1)) {
        if (frame.type == WireClient::kHeaders && (frame.flags & WireClient::kEndStream) != 0) trailers = frame.payload;
      }
    }
    EXPECT_NE(trailers.find("grpc-status\x01"
                            "0"),
              std::string::npos)
        << timeout << " " << absl::CHexEscape(trailers);
  }
}

TEST_F(RequestsTest, BytesThatAreNoMessageAreRefusedByName) {
  Start();
  grpc::GenericStub stub(server_->NewChannel());
  // Two requests, a small and a large one, end before their last field does; the third has a name that is not UTF-8.
  const std::string large = std::string(100'000, '\0') + "\x0a\x7f";
  for (const std::string& bytes : {std::string("\x0a\x7f"), large, std::string("\x0a\x03\x12\x01\xff", 5)}) {
    for (const char* path :
         {"/holdfast.v1.CounterService/Increment", "/holdfast.v1.CounterService/BatchIncrement",
          "/holdfast.v1.ObjectService/ListObjects", "/holdfast.v1.ObjectService/WatchAlarms",
          "/holdfast.v1.ObjectService/ExportSql", "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}) {
      if (bytes.size() == 5 && std::string(path).find("Increment") == std::string::npos) continue;
      const grpc::Status status = CallWith(stub, path, bytes);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << path << ", " << bytes.size();
      EXPECT_EQ(FieldOf(status), "request") << path << ", " << bytes.size();
    }
  }
  EXPECT_LT(ServeVictim(), kSoon);
}

// The request has two million empty entries in 4 MB. When such requests were parsed on the executor, 64 of them held
// others up for 5 s.
TEST_F(RequestsTest, CostlyRequestsDoNotHoldUpOthers) {
  Start();
  std::string costly = "\x0a\x03\x12\x01x";
  while (costly.size() < 4'000'000) costly.append("\x1a\0", 2);
  std::atomic<bool> stop = false;
  std::vector<std::thread> clients;
  for (int connection = 0; connection < 4; ++connection) {
    const auto channel = server_->NewChannel();
    for (int i = 0; i < 8; ++i) {
      clients.emplace_back([&costly, &stop, channel] {
        grpc::GenericStub stub(channel);
        while (!stop) (void)CallWith(stub, "/holdfast.v1.ObjectService/PutEntries", costly);
      });
    }
  }
  const absl::Time until = absl::Now() + absl::Seconds(4);
  while (absl::Now() < until) EXPECT_LT(ServeVictim(), kSoon);
  stop = true;
  for (std::thread& client : clients) client.join();
  // A request takes 160 MiB once it is parsed.
  EXPECT_LT(MemoryMiB(server_->pid()), 1500);
}

}  // namespace
}  // namespace holdfast::testing
