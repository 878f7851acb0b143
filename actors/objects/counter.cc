#include "actors/objects/counter.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "holdfast/storage/v1/storage.pb.h"

namespace holdfast::actors {
namespace {

constexpr char kValueKey[] = "value";
constexpr char kUniqueKey[] = "unique";

absl::Status Overflow(absl::string_view what) {
  return Error(absl::StatusCode::kOutOfRange, v1::ERROR_REASON_COUNTER_OVERFLOW, what);
}

}  // namespace

const ObjectClass& Counter::Class() {
  static const auto* const object_class = new ObjectClass{.name = "Counter", .make = Make<Counter>};
  return *object_class;
}

Task<absl::Status> Counter::Load() {
  auto value_bytes = co_await storage().Get(kValueKey);
  if (!value_bytes.ok()) co_return value_bytes.status();
  auto unique_bytes = co_await storage().Get(kUniqueKey);
  if (!unique_bytes.ok()) co_return unique_bytes.status();

  storage::v1::CounterState value;
  storage::v1::UniqueNumberState unique;
  if (!value.ParseFromString(value_bytes->value_or("")) || !unique.ParseFromString(unique_bytes->value_or(""))) {
    co_return absl::DataLossError("the counter's state is garbled");
  }
  value_ = value.value();
  next_unique_ = unique.next();
  if (*value_bytes) value_bytes_ = (*value_bytes)->size();
  if (*unique_bytes) unique_bytes_ = (*unique_bytes)->size();
  co_return absl::OkStatus();
}

absl::Status Counter::SetValue(int64_t value) {
  storage::v1::CounterState state;
  state.set_value(value);
  value_ = value;
  return Store(kValueKey, state.SerializeAsString(), &value_bytes_);
}

absl::Status Counter::Store(absl::string_view key, std::string record, std::optional<size_t>* stored_bytes) {
  const std::optional<size_t> replaced_bytes = std::exchange(*stored_bytes, record.size());
  return storage().Write(key, std::move(record), replaced_bytes);
}

Task<absl::Status> Counter::Increment(const v1::IncrementRequest& request, v1::IncrementResponse* response) {
  const int64_t amount = request.has_amount() ? request.amount() : 1;
  int64_t value;
  if (__builtin_add_overflow(value_, amount, &value)) {
    co_return Overflow(absl::StrCat(value_, " + ", amount, " does not fit an int64; the value is unchanged"));
  }
  absl::Status status;
  if (amount != 0) status = SetValue(value);
  response->set_value(value);
  co_return status;
}

Task<absl::Status> Counter::GetValue(const v1::GetValueRequest&, v1::GetValueResponse* response) {
  response->set_value(value_);
  co_return absl::OkStatus();
}

Task<absl::Status> Counter::GetUniqueNumber(const v1::GetUniqueNumberRequest&, v1::GetUniqueNumberResponse* response) {
  if (next_unique_ == std::numeric_limits<int64_t>::max()) co_return Overflow("all unique numbers have been given");
  response->set_number(next_unique_++);
  storage::v1::UniqueNumberState state;
  state.set_next(next_unique_);
  co_return Store(kUniqueKey, state.SerializeAsString(), &unique_bytes_);
}

Task<absl::Status> Counter::ResetCounter(const v1::ResetCounterRequest& request, v1::ResetCounterResponse* response) {
  response->set_previous_value(value_);
  co_return SetValue(request.value());
}

}  // namespace holdfast::actors
