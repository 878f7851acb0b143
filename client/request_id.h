// Makes request ids, by which the server recognizes a repeated request; types.proto describes their guarantees.

#ifndef HOLDFAST_CLIENT_REQUEST_ID_H_
#define HOLDFAST_CLIENT_REQUEST_ID_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace holdfast::client {

// Returns 128 random bits as 32 hexadecimal digits. Any thread may call it.
std::string NewRequestId();

// A request that has an id, or a batch of such requests.
template <class Request>
concept HasRequestId = requires(Request request) { request.mutable_request_id(); };
template <class Request>
concept HasItemsWithRequestIds = requires(Request request) { request.mutable_increments(0)->mutable_request_id(); };
template <class Request>
concept TakesRequestIds = HasRequestId<Request> || HasItemsWithRequestIds<Request>;

// Gives a new id to the request, or to each item of a batch, that has none yet.
template <TakesRequestIds Request>
void FillRequestIds(Request& request) {
  if constexpr (HasRequestId<Request>) {
    if (request.request_id().empty()) request.set_request_id(NewRequestId());
  } else {
    for (auto& item : *request.mutable_increments()) FillRequestIds(item);
  }
}

// Sets ids that are the same each time for the same `id`: the request gets `id` itself, and the items of a batch get
// ID-0, ID-1 and so on.
template <TakesRequestIds Request>
void SetRequestIds(Request& request, absl::string_view id) {
  if constexpr (HasRequestId<Request>) {
    request.set_request_id(std::string(id));
  } else {
    int number = 0;
    for (auto& item : *request.mutable_increments()) SetRequestIds(item, absl::StrCat(id, "-", number++));
  }
}

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_REQUEST_ID_H_
