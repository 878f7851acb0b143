// The TLS of the HTTP port: the files of `tls`, as the gRPC port has them, in OpenSSL's form.
//
// Refresh reads the files again. If they have changed and belong together, connections from then on have the new ones;
// otherwise the old ones stay. There is no resumption of sessions: each connection shows its certificate anew.
//
// Threading: Open once; Refresh on one thread at a time; current() on any.

#ifndef HOLDFAST_SERVICE_HTTP_TLS_CONTEXTS_H_
#define HOLDFAST_SERVICE_HTTP_TLS_CONTEXTS_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "holdfast/config/v1/config.pb.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class TlsContexts {
 public:
  // An error names the setting and the file.
  static absl::StatusOr<std::unique_ptr<TlsContexts>> Open(const config::v1::TlsConfig& config);
  TlsContexts(const TlsContexts&) = delete;
  TlsContexts& operator=(const TlsContexts&) = delete;

  // Returns an error if the files have changed and can't be used; it is the same each time until they change again.
  absl::Status Refresh();
  std::shared_ptr<SSL_CTX> current() const;

 private:
  struct Files {
    std::string certificate;
    std::string key;
    std::string client_ca;  // "" without one
    friend bool operator==(const Files&, const Files&) = default;
  };

  explicit TlsContexts(const config::v1::TlsConfig& config) : config_(config) {}
  absl::StatusOr<Files> Read() const;
  absl::StatusOr<std::shared_ptr<SSL_CTX>> Make(const Files& files) const;

  const config::v1::TlsConfig config_;
  Files files_;  // those that were looked at last
  absl::Status last_;
  mutable Mutex mutex_;
  std::shared_ptr<SSL_CTX> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_TLS_CONTEXTS_H_
