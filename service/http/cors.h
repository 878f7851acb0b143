// Which pages of browsers may call the server (Cross-Origin Resource Sharing), and under which names it may be called.
//
// A browser lets a page call a server of another origin, and read its answers, only if the server says so. Pages of the
// server's own origin need no leave. The server asks itself, too: a request that a page of another origin has made is
// refused, whatever the browser would do. And where the server has neither TLS nor another address than this machine's,
// it answers only to names of this machine: a page whose name was made to lead here (DNS rebinding) has another one.
//
// Threading: immutable.

#ifndef HOLDFAST_SERVICE_HTTP_CORS_H_
#define HOLDFAST_SERVICE_HTTP_CORS_H_

#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/http/request_reader.h"
#include "service/http/session.h"

namespace holdfast::service {

class Cors {
 public:
  // `has_tls`: the port speaks TLS.
  Cors(const config::v1::HttpConfig& config, bool has_tls);

  // Returns whether the request names this server as it may be named.
  bool MayBeNamed(const RequestHead& head) const;
  // Returns whether the page that has made the request may do so; true for a request of no page.
  bool MayCall(const RequestHead& head) const;

  static bool IsPreflight(const RequestHead& head);
  // The fields of the answer to a preflight, and of other answers. `exposed` are the fields of the answer that the page
  // may read, separated by commas.
  Headers ForPreflight(const RequestHead& head) const;
  Headers ForAnswer(const RequestHead& head) const;
  static void Expose(absl::string_view exposed, Headers* headers);

 private:
  bool IsAllowed(absl::string_view origin) const;

  bool any_origin_ = false;
  absl::flat_hash_set<std::string> origins_;
  bool any_host_ = false;
  absl::flat_hash_set<std::string> hosts_;  // in lower case, without ports
  std::string allowed_headers_;
  std::string max_age_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_CORS_H_
