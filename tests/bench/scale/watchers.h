// Clients of WatchAlarms that acknowledge each alarm when it comes, and count the alarms.

#ifndef HOLDFAST_TESTS_BENCH_SCALE_WATCHERS_H_
#define HOLDFAST_TESTS_BENCH_SCALE_WATCHERS_H_

#include <grpcpp/client_context.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "holdfast/v1/object_service.grpc.pb.h"

namespace holdfast::bench {

class Watchers {
 public:
  // There are `objects` objects, whose names end in "-NUMBER".
  Watchers(const std::string& address, int count, int64_t objects);
  // Waits until all acknowledgements have been answered.
  ~Watchers();

  // Objects whose alarm has come.
  int64_t objects() const { return objects_; }
  // Alarms that came before their time by this machine's clock, that came again, and whose acknowledgement failed.
  int64_t early() const { return early_; }
  int64_t repeated() const { return repeated_; }
  int64_t failed() const { return failed_; }
  absl::Time last() const { return absl::FromUnixMicros(last_us_); }

 private:
  struct Stream;
  void Read(Stream* stream);
  void OnAlarm(Stream* stream, const v1::WatchAlarmsResponse& alarm);

  std::vector<std::atomic<bool>> seen_;
  std::atomic<int64_t> objects_{0};
  std::atomic<int64_t> early_{0};
  std::atomic<int64_t> repeated_{0};
  std::atomic<int64_t> failed_{0};
  std::atomic<int64_t> last_us_{0};
  std::atomic<int64_t> under_way_{0};
  std::vector<std::unique_ptr<Stream>> streams_;
};

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_SCALE_WATCHERS_H_
