// The texts of HTTP that are the same in every answer: reason phrases and dates.

#ifndef HOLDFAST_SERVICE_HTTP_HTTP_STATUS_H_
#define HOLDFAST_SERVICE_HTTP_HTTP_STATUS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace holdfast::service {

// Returns the phrase behind a status; "" for one that this server does not send.
inline absl::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

// Returns an instant as the field Date has it: "Fri, 02 Jan 2026 03:04:05 GMT".
inline std::string HttpDate(absl::Time time) {
  return absl::FormatTime("%a, %d %b %E4Y %H:%M:%S GMT", time, absl::UTCTimeZone());
}

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_HTTP_STATUS_H_
