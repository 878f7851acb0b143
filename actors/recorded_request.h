// A request that carries a request_id, as its record names it: what makes a retry safe. Made by who delivers it.

#ifndef HOLDFAST_ACTORS_RECORDED_REQUEST_H_
#define HOLDFAST_ACTORS_RECORDED_REQUEST_H_

#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::actors {

class RecordedRequest {
 public:
  virtual absl::string_view request_id() const = 0;
  // "holdfast.v1.CounterService.Increment".
  virtual absl::string_view method() const = 0;
  // Equal for equal requests.
  virtual std::string Hash() const = 0;
  // The reply, as it is recorded; and back, false if the bytes are none.
  virtual std::string SerializeReply() const = 0;
  virtual bool ParseReply(absl::string_view bytes) = 0;

 protected:
  ~RecordedRequest() = default;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RECORDED_REQUEST_H_
