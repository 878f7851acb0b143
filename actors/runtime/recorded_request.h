// A request with a request_id, seen as its record names it; the record makes a retry safe. The code that delivers the
// request makes it.

#ifndef HOLDFAST_ACTORS_RUNTIME_RECORDED_REQUEST_H_
#define HOLDFAST_ACTORS_RUNTIME_RECORDED_REQUEST_H_

#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::actors {

class RecordedRequest {
 public:
  virtual absl::string_view request_id() const = 0;
  // Returns the full name of the method, such as "holdfast.v1.CounterService.Increment".
  virtual absl::string_view method() const = 0;
  // Returns a hash that is equal for equal requests.
  virtual std::string Hash() const = 0;
  // Returns the reply as it is recorded: equal bytes for equal replies.
  virtual std::string SerializeReply() const = 0;
  // Takes the recorded reply of an earlier request as the reply of this one, which repeats it. Returns false if the
  // bytes do not parse.
  virtual bool ParseReply(absl::string_view bytes) = 0;

 protected:
  ~RecordedRequest() = default;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_RECORDED_REQUEST_H_
