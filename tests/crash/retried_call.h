// A request with a request_id. It is sent until it is answered, in one life of the server or the next, and is then sent
// again, which must give the same reply and have no effect.

#ifndef HOLDFAST_TESTS_CRASH_RETRIED_CALL_H_
#define HOLDFAST_TESTS_CRASH_RETRIED_CALL_H_

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {

// The services of one life of a server, or of a node of a cluster.
struct Stubs {
  explicit Stubs(const ServerProcess& server) : Stubs(server.NewChannel()) {}
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : objects(v1::ObjectService::NewStub(channel)),
        counters(v1::CounterService::NewStub(channel)),
        batches(v1::BatchProcessorService::NewStub(channel)),
        limits(v1::RateLimiterService::NewStub(channel)) {}

  std::unique_ptr<v1::ObjectService::Stub> objects;
  std::unique_ptr<v1::CounterService::Stub> counters;
  std::unique_ptr<v1::BatchProcessorService::Stub> batches;
  std::unique_ptr<v1::RateLimiterService::Stub> limits;
  // The longest time that an attempt of a call may take.
  std::chrono::milliseconds attempt_max = std::chrono::seconds(20);
  // Returns where to send a call again that has failed, when it is time for it; null if there will be no other answer.
  // `since` is the time since it was first sent. Without this function, a call is sent once.
  std::function<const Stubs*(const grpc::Status& failure, absl::Duration since)> again = nullptr;
};

// Calls a method of the stub that is this member of Stubs, again as `stubs` says.
template <typename Stub, typename Request, typename Response>
Reply<Response> Call(const Stubs& stubs, std::unique_ptr<Stub> Stubs::*stub,
                     grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                     const Request& request) {
  const absl::Time began = absl::Now();
  const Stubs* target = &stubs;
  while (true) {
    Reply<Response> reply = Invoke(*(target->*stub), method, request, target->attempt_max);
    if (reply.ok() || target->again == nullptr) return reply;
    target = target->again(reply.status, absl::Now() - began);
    if (target == nullptr) return reply;
  }
}

struct RetriedCall {
  struct Answer {
    grpc::Status status;
    std::string reply;
  };
  std::string what;
  std::function<Answer(const Stubs&)> send;
  // Called once, with the first reply.
  std::function<void(const Answer&)> done;
};

// Makes a RetriedCall: `stub` is a member of Stubs, and `done` takes the typed reply.
template <typename Stub, typename Request, typename Response>
RetriedCall MakeRetried(std::unique_ptr<Stub> Stubs::*stub,
                        grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                        const Request& request, std::function<void(const Response&)> done) {
  RetriedCall call;
  call.what = absl::StrCat(request.GetTypeName(), " ", request.request_id(), " of ", request.object().name());
  call.send = [stub, method, request](const Stubs& stubs) -> RetriedCall::Answer {
    const auto reply = Call(stubs, stub, method, request);
    return {reply.status, reply.response.SerializeAsString()};
  };
  call.done = [done = std::move(done)](const RetriedCall::Answer& answer) {
    Response response;
    response.ParseFromString(answer.reply);
    done(response);
  };
  return call;
}

// The calls of one caller, made one after the other.
class RetriedCalls {
 public:
  // Returns false if there was no answer; then none will come from this life of the server.
  bool Send(const Stubs& stubs, RetriedCall call) {
    RetriedCall::Answer answer = call.send(stubs);
    if (!answer.status.ok() && ReasonOf(answer.status).empty()) {
      unanswered_ = std::move(call);
      return false;
    }
    Answered(std::move(call), std::move(answer));
    return true;
  }

  // Sends the unanswered call again, and then the last few answered ones; returns how many were sent. Call this in the
  // next life.
  int Repeat(const Stubs& stubs) {
    int sent = 0;
    if (auto call = std::exchange(unanswered_, std::nullopt)) {
      ++sent;
      if (!Send(stubs, *std::move(call))) differences.push_back("no answer from a server that runs");
    }
    for (const auto& [call, first] : answered_) {
      ++sent;
      const RetriedCall::Answer again = call.send(stubs);
      if (!again.status.ok() || again.reply != first.reply) {
        differences.push_back(
            absl::StrCat(call.what, " was answered otherwise when it came again: ", again.status.error_message()));
      }
    }
    return sent;
  }

  std::vector<std::string> differences;

 private:
  static constexpr size_t kRememberedMax = 4;

  void Answered(RetriedCall call, RetriedCall::Answer answer) {
    if (!answer.status.ok()) {
      differences.push_back(absl::StrCat(call.what, " failed: ", answer.status.error_message()));
      return;
    }
    call.done(answer);
    answered_.emplace_back(std::move(call), std::move(answer));
    if (answered_.size() > kRememberedMax) answered_.pop_front();
  }

  std::optional<RetriedCall> unanswered_;
  std::deque<std::pair<RetriedCall, RetriedCall::Answer>> answered_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CRASH_RETRIED_CALL_H_
