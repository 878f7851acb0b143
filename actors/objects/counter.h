// Counters and unique numbers. The class shows three patterns: state that is loaded once and lives in memory
// (blockConcurrencyWhile), unique numbers (the input gate), and writes without waiting (the output gate).
//
// The value is read before the first request and kept in a member. An increment changes the member and writes it, and
// waits for nothing; the reply is held until the write is durable, and a thousand increments in one commit are one
// write. Since turns do not interleave, no two of them read the same number.

#ifndef HOLDFAST_ACTORS_OBJECTS_COUNTER_H_
#define HOLDFAST_ACTORS_OBJECTS_COUNTER_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "holdfast/v1/counter_service.pb.h"

namespace holdfast::actors {

class Counter : public Object {
 public:
  using Object::Object;
  static const ObjectClass& Class();

  Task<absl::Status> Load() override;
  Task<absl::Status> Increment(const v1::IncrementRequest& request, v1::IncrementResponse* response);
  Task<absl::Status> GetValue(const v1::GetValueRequest& request, v1::GetValueResponse* response);
  Task<absl::Status> GetUniqueNumber(const v1::GetUniqueNumberRequest& request, v1::GetUniqueNumberResponse* response);
  Task<absl::Status> ResetCounter(const v1::ResetCounterRequest& request, v1::ResetCounterResponse* response);

  size_t MemoryBytes() const override { return sizeof(*this); }

 private:
  absl::Status SetValue(int64_t value);
  absl::Status Store(absl::string_view key, std::string record, std::optional<size_t>* stored_bytes);

  int64_t value_ = 0;
  int64_t next_unique_ = 0;
  // The sizes of the two stored records; absent: the record is not stored.
  std::optional<size_t> value_bytes_;
  std::optional<size_t> unique_bytes_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_COUNTER_H_
