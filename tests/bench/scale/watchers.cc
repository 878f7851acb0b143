#include "tests/bench/scale/watchers.h"

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "tests/bench/grpc_transport.h"

namespace holdfast::bench {
namespace {

constexpr int kOutstanding = 1000;
constexpr absl::Duration kLease = absl::Minutes(15);

struct Acknowledgement {
  grpc::ClientContext context;
  v1::AcknowledgeAlarmRequest request;
  v1::AcknowledgeAlarmResponse response;
};

}  // namespace

struct Watchers::Stream {
  std::unique_ptr<v1::ObjectService::Stub> stub;
  grpc::ClientContext context;
  std::thread thread;
};

Watchers::Watchers(const std::string& address, int count, int64_t objects) : seen_(static_cast<size_t>(objects)) {
  for (const auto& channel : Connect(address, count)) {
    Stream* const stream = streams_.emplace_back(std::make_unique<Stream>()).get();
    stream->stub = v1::ObjectService::NewStub(channel);
    stream->thread = std::thread([this, stream] { Read(stream); });
  }
}

Watchers::~Watchers() {
  while (under_way_ > 0) absl::SleepFor(absl::Milliseconds(10));
  for (const auto& stream : streams_) stream->context.TryCancel();
  for (const auto& stream : streams_) stream->thread.join();
  while (under_way_ > 0) absl::SleepFor(absl::Milliseconds(10));
}

void Watchers::Read(Stream* stream) {
  v1::WatchAlarmsRequest request;
  request.set_max_outstanding(kOutstanding);
  request.mutable_lease()->set_seconds(absl::ToInt64Seconds(kLease));
  const auto reader = stream->stub->WatchAlarms(&stream->context, request);
  v1::WatchAlarmsResponse alarm;
  while (reader->Read(&alarm)) OnAlarm(stream, alarm);
  (void)reader->Finish();
}

void Watchers::OnAlarm(Stream* stream, const v1::WatchAlarmsResponse& alarm) {
  const int64_t now_us = absl::ToUnixMicros(absl::Now());
  const int64_t scheduled_us = alarm.scheduled_time().seconds() * 1'000'000 + alarm.scheduled_time().nanos() / 1000;
  if (now_us < scheduled_us) ++early_;
  const absl::string_view name = alarm.object().name();
  size_t number = 0;
  if (!absl::SimpleAtoi(name.substr(name.rfind('-') + 1), &number) || number >= seen_.size()) return;
  if (seen_[number].exchange(true)) {
    ++repeated_;
  } else {
    ++objects_;
  }
  last_us_ = now_us;
  auto* const call = new Acknowledgement;
  *call->request.mutable_object() = alarm.object();
  call->request.set_delivery_token(alarm.delivery_token());
  ++under_way_;
  stream->stub->async()->AcknowledgeAlarm(&call->context, &call->request, &call->response,
                                          [this, call](const grpc::Status& status) {
                                            if (!status.ok()) ++failed_;
                                            delete call;
                                            --under_way_;
                                          });
}

}  // namespace holdfast::bench
