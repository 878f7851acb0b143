#include "actors/runtime/request_queue.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/string_view.h"
#include "actors/runtime/recorded_request.h"

namespace holdfast::actors {
namespace {

// Returns whether one of the turns is of a request with this id.
bool HasId(const std::vector<Delivery*>& turns, absl::string_view request_id) {
  return std::any_of(turns.begin(), turns.end(), [&](Delivery* turn) {
    RecordedRequest* const recorded = turn->recorded();
    return recorded != nullptr && recorded->request_id() == request_id;
  });
}

}  // namespace

Delivery* RequestQueue::Next(const std::vector<Delivery*>& turns, absl::FunctionRef<void(Delivery*)> refuse) {
  for (auto it = repeated_.begin(); it != repeated_.end(); ++it) {
    Delivery* const request = *it;
    if (HasId(turns, request->recorded()->request_id())) continue;
    repeated_.erase(it);
    return request;
  }
  while (Delivery* const request = mailbox_.Pop()) {
    RecordedRequest* const recorded = request->recorded();
    if (recorded == nullptr || !HasId(turns, recorded->request_id())) return request;
    const size_t bytes = std::accumulate(repeated_.begin(), repeated_.end(), request->bytes,
                                         [](size_t sum, const Delivery* other) { return sum + other->bytes; });
    if (repeated_.size() < limits_->requests_max && (repeated_.empty() || bytes <= limits_->bytes_max)) {
      repeated_.push_back(request);
    } else {
      refuse(request);
    }
  }
  return nullptr;
}

}  // namespace holdfast::actors
