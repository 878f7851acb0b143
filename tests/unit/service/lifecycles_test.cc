// Every kind of call in a whole server, in orders that chance makes: clients that finish, stop reading, cancel, or are
// there while the server drains. Each call has one outcome that its client can tell apart, and leaves nothing behind.

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "service/config.h"
#include "service/server.h"
#include "storage/store/memory_store.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/temp_dir.h"

namespace holdfast::service {
namespace {

using storage::Random;
using ::testing::AnyOf;

constexpr int kClients = 4;
constexpr int kCallsOfAClient = 12;

class LifecyclesTest : public testing::Test {
 protected:
  void Start() {
    config::v1::Config config;
    config.set_listen("127.0.0.1:0");
    config.set_data_dir(dir_.path());
    config.mutable_server()->set_calls_max(2 * kClients);
    config.mutable_server()->set_streams_max(kClients);
    config.mutable_server()->set_drain_timeout_ms(2000);
    ASSERT_EQ(CompleteConfig(&config), absl::OkStatus());
    Extension extension;
    extension.open_store = [](const config::v1::Config&) -> absl::StatusOr<std::unique_ptr<storage::Store>> {
      return std::make_unique<storage::MemoryStore>();
    };
    auto server = Server::Start(
        config, [](const absl::Status& status) { ADD_FAILURE() << status; }, std::move(extension));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
  }

  // Makes one call of a random kind, and perhaps cancels it in the middle.
  grpc::Status OneCall(Random& random) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const bool cancels = random.OneIn(2);
    const auto middle = [&] {
      if (cancels && random.OneIn(2)) context.TryCancel();
    };
    switch (random.Below(8)) {
      case 0:
        return Unary(context, random);
      case 1:
        return Batch(context, random);
      case 2:
        return Stream(context, random, middle);
      case 3:
        return WatchAlarms(context, middle);
      case 4:
        return WatchHealth(context, middle);
      case 5:
        return Reflect(context, random, middle);
      case 6:
        return Export(context, random, middle);
      default:
        return Import(context, random, middle);
    }
  }

  static std::string Name(Random& random) { return absl::StrCat("o", random.Below(3)); }

  grpc::Status Unary(grpc::ClientContext& context, Random& random) {
    v1::IncrementRequest request;
    v1::IncrementResponse response;
    request.mutable_object()->set_name(Name(random));
    return v1::CounterService::NewStub(channel_)->Increment(&context, request, &response);
  }
  grpc::Status Batch(grpc::ClientContext& context, Random& random) {
    v1::BatchIncrementRequest request;
    v1::BatchIncrementResponse response;
    for (uint64_t i = 0; i <= random.Below(20); ++i) request.add_increments()->mutable_object()->set_name(Name(random));
    return v1::CounterService::NewStub(channel_)->BatchIncrement(&context, request, &response);
  }
  grpc::Status Stream(grpc::ClientContext& context, Random& random, const std::function<void()>& middle) {
    auto stub = v1::CounterService::NewStub(channel_);
    auto stream = stub->StreamIncrement(&context);
    v1::StreamIncrementRequest request;
    v1::StreamIncrementResponse response;
    for (uint64_t i = random.Below(20); i > 0; --i) {
      request.mutable_increment()->mutable_object()->set_name(Name(random));
      if (!stream->Write(request)) break;
      if (random.OneIn(2) && !stream->Read(&response)) break;
      if (random.OneIn(8)) middle();
    }
    middle();
    if (random.OneIn(4)) {
      context.TryCancel();
    } else {
      stream->WritesDone();
    }
    while (stream->Read(&response)) {
      if (random.OneIn(8)) context.TryCancel();
    }
    return stream->Finish();
  }
  grpc::Status WatchAlarms(grpc::ClientContext& context, const std::function<void()>& middle) {
    v1::WatchAlarmsRequest request;
    v1::WatchAlarmsResponse response;
    auto stub = v1::ObjectService::NewStub(channel_);
    auto reader = stub->WatchAlarms(&context, request);
    middle();
    reader->WaitForInitialMetadata();
    context.TryCancel();
    while (reader->Read(&response)) {
    }
    return reader->Finish();
  }
  grpc::Status WatchHealth(grpc::ClientContext& context, const std::function<void()>& middle) {
    grpc::health::v1::HealthCheckRequest request;
    grpc::health::v1::HealthCheckResponse response;
    auto stub = grpc::health::v1::Health::NewStub(channel_);
    auto reader = stub->Watch(&context, request);
    middle();
    (void)reader->Read(&response);
    context.TryCancel();
    return reader->Finish();
  }
  grpc::Status Reflect(grpc::ClientContext& context, Random& random, const std::function<void()>& middle) {
    grpc::reflection::v1::ServerReflectionRequest request;
    grpc::reflection::v1::ServerReflectionResponse response;
    request.set_list_services("");
    auto stub = grpc::reflection::v1::ServerReflection::NewStub(channel_);
    auto stream = stub->ServerReflectionInfo(&context);
    for (uint64_t i = random.Below(4); i > 0; --i) {
      if (!stream->Write(request) || !stream->Read(&response)) break;
      middle();
    }
    if (random.OneIn(2)) {
      stream->WritesDone();
    } else {
      context.TryCancel();
    }
    return stream->Finish();
  }
  grpc::Status Export(grpc::ClientContext& context, Random& random, const std::function<void()>& middle) {
    v1::ExportSqlRequest request;
    v1::ExportSqlResponse response;
    request.mutable_object()->set_name(Name(random));
    auto stub = v1::ObjectService::NewStub(channel_);
    auto reader = stub->ExportSql(&context, request);
    middle();
    while (reader->Read(&response)) middle();
    return reader->Finish();
  }
  grpc::Status Import(grpc::ClientContext& context, Random& random, const std::function<void()>& middle) {
    v1::ImportSqlRequest request;
    v1::ImportSqlResponse response;
    auto stub = v1::ObjectService::NewStub(channel_);
    auto writer = stub->ImportSql(&context, &response);
    request.mutable_header()->mutable_object()->set_name(Name(random));
    if (writer->Write(request)) {
      middle();
      request.set_chunk(std::string(random.Below(10'000), 'x'));
      (void)writer->Write(request);
    }
    middle();
    if (random.OneIn(2)) {
      writer->WritesDone();
    } else {
      context.TryCancel();
    }
    return writer->Finish();
  }

  // Some clients make calls one after the other, until they have made theirs.
  void RunClients(Random& random, std::atomic<int>* made) {
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([this, made, seed = random.Bits()] {
        Random own(seed);
        for (int call = 0; call < kCallsOfAClient; ++call) {
          const grpc::Status status = OneCall(own);
          ++*made;
          // An import of bytes that are no database is refused; a server that drains says so, or is gone; a stream
          // that was cancelled keeps its place until the server has heard of it.
          EXPECT_THAT(status.error_code(),
                      AnyOf(grpc::StatusCode::OK, grpc::StatusCode::CANCELLED, grpc::StatusCode::INVALID_ARGUMENT,
                            grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::RESOURCE_EXHAUSTED))
              << status.error_message();
        }
      });
    }
    for (std::thread& client : clients) client.join();
  }

  // As many streams as there may be, all at once: none of those before holds a place.
  void ExpectAllPlacesFree() {
    auto stub = v1::ObjectService::NewStub(channel_);
    struct Watch {
      grpc::ClientContext context;
      std::unique_ptr<grpc::ClientReader<v1::WatchAlarmsResponse>> reader;
    };
    // A call that was cancelled leaves when the server has heard of it.
    const absl::Time until = absl::Now() + absl::Seconds(20);
    for (;;) {
      std::vector<Watch> watches(kClients);
      int open = 0;
      for (Watch& watch : watches) {
        watch.reader = stub->WatchAlarms(&watch.context, v1::WatchAlarmsRequest());
        watch.reader->WaitForInitialMetadata();
      }
      for (Watch& watch : watches) {
        watch.context.TryCancel();
        // One that was refused has ended before.
        open += watch.reader->Finish().error_code() == grpc::StatusCode::CANCELLED ? 1 : 0;
      }
      if (open == kClients) return;
      ASSERT_LT(absl::Now(), until) << "only " << open << " of " << kClients << " places are free";
    }
  }

  storage::TempDir dir_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(LifecyclesTest, CallsInAnyOrderGiveTheirPlacesBack) {
  storage::ForEachSeed(6, [this](Random& random) {
    Start();
    std::atomic<int> made = 0;
    RunClients(random, &made);
    ExpectAllPlacesFree();
    server_->Drain();
    server_.reset();
  });
}

TEST_F(LifecyclesTest, ADrainInTheMiddleOfAnyCallsEndsThemAll) {
  storage::ForEachSeed(6, [this](Random& random) {
    Start();
    std::atomic<int> made = 0;
    const int drains_after = static_cast<int>(random.Below(kClients * kCallsOfAClient * 3 / 4));
    std::thread clients([&] { RunClients(random, &made); });
    while (made < drains_after) std::this_thread::yield();
    server_->Drain();
    server_.reset();
    clients.join();
    EXPECT_EQ(made, kClients * kCallsOfAClient);
  });
}

}  // namespace
}  // namespace holdfast::service
