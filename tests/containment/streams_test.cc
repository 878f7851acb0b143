// Calls that are only begun, and streams on which nothing happens, are bounded.

#include <memory>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "tests/containment/containment.h"
#include "tests/containment/wire_client.h"

namespace holdfast::testing {
namespace {

constexpr char kIncrement[] = "/holdfast.v1.CounterService/Increment";

TEST_F(ContainmentTest, HeadersWithoutAMessageAreBoundedPerConnection) {
  Start("server { connection_streams_max: 128 }");
  const int64_t before = MemoryMiB(server_->pid());
  WireClient client(server_->address());
  client.Greet();
  for (int i = 0; i < 3000; ++i) client.Open(kIncrement, {{"x-padding", std::string(6000, 'p')}});
  // The client has opened more streams than it may, so that gRPC closes the connection.
  (void)client.Read(absl::Seconds(20));
  EXPECT_TRUE(client.closed());
  EXPECT_LT(ServeVictim(), kSoon);
  // Without a bound, 3,000 of these calls took 54 MiB.
  EXPECT_LT(MemoryMiB(server_->pid()) - before, 20);
}

// gRPC goes by its settings only once the client has acknowledged them, and before by defaults of its own.
TEST_F(ContainmentTest, BoundsHoldForAClientThatAcknowledgesNothing) {
  Start();
  const int64_t before = MemoryMiB(server_->pid());
  WireClient streams(server_->address());
  streams.Greet({}, /*acknowledges=*/false);
  for (int i = 0; i < 3000; ++i) streams.Open(kIncrement, {{"x-padding", std::string(6000, 'p')}});
  (void)streams.Read(absl::Seconds(20));
  EXPECT_TRUE(streams.closed());
  WireClient fields(server_->address());
  fields.Greet({}, /*acknowledges=*/false);
  const std::vector<std::pair<std::string, std::string>> many(100'000, {"x", ""});
  for (int i = 0; i < 20; ++i) fields.Open(kIncrement, many);
  EXPECT_LT(ServeVictim(), kSoon);
  // Without a bound, these calls took 18 MiB and some 200 MiB.
  EXPECT_LT(ProcessStatus(server_->pid(), "VmHWM") / 1024 - before, 15);
}

// Anybody may watch the health, and a watch lasts. It takes no place from others.
TEST_F(ContainmentTest, WatchesOfStrangersLeaveRoomForOthers) {
  Start("server { connections_max: 30 streams_max: 50 }");
  std::vector<std::unique_ptr<WireClient>> strangers;
  for (int i = 0; i < 60; ++i) {
    strangers.push_back(std::make_unique<WireClient>(server_->address()));
    strangers.back()->Greet();
    strangers.back()->Call("/grpc.health.v1.Health/Watch", grpc::health::v1::HealthCheckRequest());
    (void)strangers.back()->ReadUntil(WireClient::kHeaders, absl::Seconds(2));
  }
  EXPECT_LT(ServeVictim(), kSoon);
  const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  const auto watch = stub->WatchAlarms(&context, v1::WatchAlarmsRequest());
  watch->WaitForInitialMetadata();
  context.TryCancel();
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED) << "neither refused nor too late";
}

// The client keeps to the bounds of a connection, and opens more connections.
TEST_F(ContainmentTest, HeadersWithoutAMessageAreBoundedInAll) {
  Start("server { connections_max: 20 connection_streams_max: 50 }");
  const int64_t before = MemoryMiB(server_->pid());
  std::vector<std::unique_ptr<WireClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<WireClient>(server_->address()));
    clients.back()->Greet();
    for (int call = 0; call < 50; ++call) clients.back()->Open(kIncrement, {{"x-padding", std::string(12'000, 'p')}});
  }
  EXPECT_LT(ServeVictim(), kSoon);
  // 20 x 50 x 28 KiB is 27 MiB; all 5,000 calls would take 140 MiB.
  EXPECT_LT(MemoryMiB(server_->pid()) - before, 60);
}

TEST_F(ContainmentTest, MetadataIsBounded) {
  Start();
  const auto stub = v1::CounterService::NewStub(server_->NewChannel());
  for (const auto& [bytes, code] :
       {std::pair(12'000, grpc::StatusCode::OK), std::pair(20'000, grpc::StatusCode::RESOURCE_EXHAUSTED)}) {
    grpc::ClientContext context;
    context.AddMetadata("x-padding", std::string(static_cast<size_t>(bytes), 'p'));
    v1::IncrementRequest request;
    v1::IncrementResponse response;
    request.mutable_object()->set_name("x");
    EXPECT_EQ(stub->Increment(&context, request, &response).error_code(), code) << bytes;
  }
}

template <typename Reflection, typename Request>
void OpenReflection(const std::shared_ptr<grpc::Channel>& channel, int streams, pid_t pid) {
  const auto stub = Reflection::NewStub(channel);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<decltype(stub->ServerReflectionInfo(nullptr))> open;
  const int64_t threads = Threads(pid);
  for (int i = 0; i < streams; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    open.push_back(stub->ServerReflectionInfo(contexts.back().get()));
    Request request;
    request.set_list_services("");
    ASSERT_TRUE(open.back()->Write(request));
  }
  EXPECT_LE(Threads(pid), threads + 4);
  for (auto& context : contexts) context->TryCancel();
}

TEST_F(ContainmentTest, ReflectionStreamsTakeNoThreads) {
  Start("server { connection_streams_max: 2000 }");
  const auto channel = server_->NewChannel();
  OpenReflection<grpc::reflection::v1::ServerReflection, grpc::reflection::v1::ServerReflectionRequest>(channel, 1000,
                                                                                                        server_->pid());
  OpenReflection<grpc::reflection::v1alpha::ServerReflection, grpc::reflection::v1alpha::ServerReflectionRequest>(
      channel, 1000, server_->pid());
  EXPECT_LT(ServeVictim(), kSoon);
}

TEST_F(ContainmentTest, ReflectionAnswersInBothVersions) {
  Start();
  const auto channel = server_->NewChannel();
  const auto ask = [&](auto stub, auto request, auto response) {
    grpc::ClientContext context;
    const auto stream = stub->ServerReflectionInfo(&context);
    request.set_list_services("");
    EXPECT_TRUE(stream->Write(request) && stream->Read(&response));
    EXPECT_EQ(response.list_services_response().service_size(), 10);
    request.set_file_containing_symbol("holdfast.v1.CounterService.Increment");
    EXPECT_TRUE(stream->Write(request) && stream->Read(&response));
    EXPECT_EQ(response.file_descriptor_response().file_descriptor_proto_size(), 3);
    request.set_file_by_filename("nowhere.proto");
    EXPECT_TRUE(stream->Write(request) && stream->Read(&response));
    EXPECT_EQ(response.error_response().error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(response.original_request().file_by_filename(), "nowhere.proto");
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
  };
  ask(grpc::reflection::v1::ServerReflection::NewStub(channel), grpc::reflection::v1::ServerReflectionRequest(),
      grpc::reflection::v1::ServerReflectionResponse());
  ask(grpc::reflection::v1alpha::ServerReflection::NewStub(channel),
      grpc::reflection::v1alpha::ServerReflectionRequest(), grpc::reflection::v1alpha::ServerReflectionResponse());
}

class StreamsTest : public ContainmentTest {
 protected:
  template <typename Stream>
  void ExpectEndsIdle(Stream& stream) {
    const grpc::Status status = stream->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(ReasonOf(status), "STREAM_IDLE");
    EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(status).has_retry_delay());
  }
};

TEST_F(StreamsTest, AnIdleStreamIsEnded) {
  Start("server { stream_idle_timeout_ms: 300 }");
  const auto channel = server_->NewChannel();
  {
    const auto stub = v1::CounterService::NewStub(channel);
    grpc::ClientContext context;
    const auto stream = stub->StreamIncrement(&context);
    v1::StreamIncrementRequest request;
    request.mutable_increment()->mutable_object()->set_name("x");
    v1::StreamIncrementResponse response;
    ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
    EXPECT_FALSE(stream->Read(&response));
    ExpectEndsIdle(stream);
  }
  {
    const auto stub = grpc::health::v1::Health::NewStub(channel);
    grpc::ClientContext context;
    const auto stream = stub->Watch(&context, grpc::health::v1::HealthCheckRequest());
    grpc::health::v1::HealthCheckResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_FALSE(stream->Read(&response));
    ExpectEndsIdle(stream);
  }
  {
    const auto stub = grpc::reflection::v1::ServerReflection::NewStub(channel);
    grpc::ClientContext context;
    const auto stream = stub->ServerReflectionInfo(&context);
    grpc::reflection::v1::ServerReflectionResponse response;
    EXPECT_FALSE(stream->Read(&response));
    ExpectEndsIdle(stream);
  }
}

TEST_F(StreamsTest, IdleStreamsLeaveRoomForOtherCalls) {
  Start("server { calls_max: 100 streams_max: 20 }");
  const auto channel = server_->NewChannel();
  const auto stub = v1::ObjectService::NewStub(channel);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::WatchAlarmsResponse>>> streams;
  v1::WatchAlarmsResponse response;
  for (int i = 0; i < 20; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(stub->WatchAlarms(contexts.back().get(), v1::WatchAlarmsRequest()));
    streams.back()->WaitForInitialMetadata();
  }
  grpc::ClientContext context;
  const auto late = stub->WatchAlarms(&context, v1::WatchAlarmsRequest());
  EXPECT_FALSE(late->Read(&response));
  const grpc::Status status = late->Finish();
  EXPECT_EQ(ReasonOf(status), "SERVER_OVERLOADED");
  EXPECT_NE(status.error_message().find("server.streams_max"), std::string::npos);
  EXPECT_LT(ServeVictim(), kSoon);
  for (auto& open : contexts) open->TryCancel();
  for (auto& open : streams) EXPECT_EQ(open->Finish().error_code(), grpc::StatusCode::CANCELLED) << "it was refused";
}

TEST_F(StreamsTest, AStreamOfLargeItemsIsBoundedByItsConnection) {
  Start("server { connection_bytes_max: 8388608 }");
  const auto stub = v1::CounterService::NewStub(server_->NewChannel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  const auto stream = stub->StreamIncrement(&context);
  // The item is invalid, as its namespace is far too long, but the server has to keep it to answer it.
  v1::StreamIncrementRequest request;
  request.mutable_increment()->mutable_object()->set_name(std::string(3 << 20, 'n'));
  v1::StreamIncrementResponse response;
  const int64_t before = MemoryMiB(server_->pid());
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(stream->Write(request));
  stream->WritesDone();
  int results = 0;
  while (stream->Read(&response)) ++results;
  EXPECT_EQ(results, 50);
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_LT(MemoryMiB(server_->pid()) - before, 64);
}

}  // namespace
}  // namespace holdfast::testing
