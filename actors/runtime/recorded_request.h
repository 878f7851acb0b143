// A request that carries a request_id, as its record names it: what makes a retry safe. Made by who delivers it.

#ifndef HOLDFAST_ACTORS_RUNTIME_RECORDED_REQUEST_H_
#define HOLDFAST_ACTORS_RUNTIME_RECORDED_REQUEST_H_

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
  // The reply, as it is recorded: equal bytes for equal replies.
  virtual std::string SerializeReply() const = 0;
  // Takes the recorded reply as that of this request, which is a repeat of one that was answered. False if the bytes
  // are no such reply.
  virtual bool ParseReply(absl::string_view bytes) = 0;

 protected:
  ~RecordedRequest() = default;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_RECORDED_REQUEST_H_
