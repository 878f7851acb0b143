// Calls to the server with the load loop's transports: a fixed number of calls, and the calls that clients of each
// class make most.

#ifndef HOLDFAST_TESTS_BENCH_SCALE_CALLS_H_
#define HOLDFAST_TESTS_BENCH_SCALE_CALLS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "tests/bench/grpc_transport.h"
#include "tests/bench/load.h"

namespace holdfast::bench {

// The address, the number of channels, and the number of calls at a time.
struct Line {
  std::string address;
  int channels = 4;
  int slots = 256;
};

// Returns a transport. Use: Calls<Service>(line, &Service::Stub::PrepareAsyncMethod, fill).
template <typename Service, typename Request, typename Response>
std::unique_ptr<Transport> Calls(const Line& line,
                                 std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Service::Stub::*prepare)(
                                     grpc::ClientContext*, const Request&, grpc::CompletionQueue*),
                                 std::type_identity_t<std::function<void(int64_t, Request*)>> fill,
                                 std::type_identity_t<std::function<bool(const Response&)>> accept = {}) {
  return std::make_unique<UnaryTransport<Service, Request, Response>>(line.address, line.channels, line.slots, prepare,
                                                                      std::move(fill), std::move(accept));
}

// Makes `count` calls, `slots` at a time. Failures are counted as in load.h.
LoadResult RunCalls(Transport* transport, int slots, int64_t count);
// Makes the calls as RunCalls does, and exits the program where one fails.
LoadResult MustRunCalls(const std::string& what, Transport* transport, int slots, int64_t count);

// Passes calls on to another transport, and records the longest call and the longest gap between successes.
class Watched final : public Transport {
 public:
  Watched(std::unique_ptr<Transport> transport, int slots)
      : transport_(std::move(transport)), begun_(static_cast<size_t>(slots)) {}

  void Begin(int slot, int64_t number) override;
  void Poll(absl::Time until, Sink* sink) override;

  absl::Duration longest_call() const { return longest_call_; }
  // The longest time between one success and the next.
  absl::Duration longest_gap() const { return longest_gap_; }

 private:
  const std::unique_ptr<Transport> transport_;
  std::vector<absl::Time> begun_;
  absl::Time last_success_ = absl::InfinitePast();
  absl::Duration longest_call_;
  absl::Duration longest_gap_;
};

enum class Kind { kCounter, kRateLimiter, kUserCache, kBatchProcessor, kEntries, kSql };
inline constexpr Kind kKinds[] = {Kind::kCounter,        Kind::kRateLimiter, Kind::kUserCache,
                                  Kind::kBatchProcessor, Kind::kEntries,     Kind::kSql};
const char* NameOf(Kind kind);
std::string ObjectName(Kind kind, int64_t object);

struct ChangeOptions {
  // Chooses the object of the `number`th call.
  std::function<int64_t(int64_t number)> object;
  absl::Duration limit_window = absl::Hours(1);
  // Each call has a request_id.
  bool request_ids = false;
};
// Makes the change that clients of the class make most; the first change makes the object. Each `number` is used once.
std::unique_ptr<Transport> Changes(Kind kind, const Line& line, ChangeOptions options);
// Returns the bytes that one such change means to its client: the keys and values that it gives, without the object's
// name.
int64_t LogicalBytesOf(Kind kind);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_SCALE_CALLS_H_
