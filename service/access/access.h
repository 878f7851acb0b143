// Decides who a caller is, what he may do and how often, by the configuration of one moment.
//
// A call brings credentials: a client certificate, which TLS has checked, and a bearer token, which is one of the token
// file or a JWT. Each gives a principal; if both are there they must give the same one. The policy says what the
// principal may do. An Access never changes: when a file or the configuration does, a new one takes its place
// (access_files.h), and a call that began under the old one ends under it.
//
// A caller who was identified is remembered for his next call, at most kCallersMax of them: a signature costs 30 to 150
// us to check. It is found again by a SHA-256 of the credentials, and holds no longer than the credentials themselves.
// Signatures that are not right are bounded by failed_checks.h.
//
// Threading: any thread. Errors say to a client what is missing, and never what is wrong with the credentials that he
// gave; that goes to `why`, for the log of those who run the server.

#ifndef HOLDFAST_SERVICE_ACCESS_ACCESS_H_
#define HOLDFAST_SERVICE_ACCESS_ACCESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/executor/clock.h"
#include "service/access/failed_checks.h"
#include "service/access/jwt.h"
#include "service/access/policy.h"
#include "service/access/principal.h"
#include "service/access/quotas.h"
#include "service/access/tokens.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

// The credentials that a call brings. The texts are those of the call.
struct Credentials {
  // The name in the client's certificate; "" without a certificate, or if it has no name that can be a principal.
  std::string certificate;
  // The values of "authorization" in the metadata of the call.
  std::vector<absl::string_view> authorization;
  // The values of "holdfast-forwarded", with which a node of a cluster sends a request on.
  std::vector<absl::string_view> forwarded;
  // The address from which it comes, as gRPC spells it.
  absl::string_view peer = {};
};

// A caller whose credentials were good, with his rights by the Access that has checked them.
struct Caller {
  Identity identity;  // expires with the first of his credentials
  Rights rights;
  uint64_t generation;  // of the Access that has checked his credentials
};

class Access {
 public:
  struct Parts {
    // Calls need credentials. Without this there are only quotas.
    bool authenticates = true;
    Tokens tokens;
    std::optional<JwtVerifier> jwt;
    Policy policy;
    // Their buckets begin full with each Access. Null: there are none.
    std::unique_ptr<Quotas> quotas;
    // The bound of failed_checks.h, and its clock.
    int64_t failed_checks_per_second_max = INT64_MAX;
    std::function<absl::Time()> steady = actors::SteadyNow;
  };
  static constexpr size_t kCallersMax = 4096;

  // `generation` tells one Access of a server from another.
  Access(Parts parts, uint64_t generation)
      : parts_(std::move(parts)), generation_(generation), failed_checks_(parts_.failed_checks_per_second_max) {}
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;

  uint64_t generation() const { return generation_; }
  bool authenticates() const { return parts_.authenticates; }
  // Returns the quotas of namespaces; null if there are none.
  Quotas* quotas() const { return parts_.quotas.get(); }
  // Returns the caller. UNAUTHENTICATED (CREDENTIALS_MISSING, CREDENTIALS_INVALID) otherwise, or RESOURCE_EXHAUSTED
  // (SERVER_OVERLOADED) with RetryInfo if too many checks for this address have failed; `why` gets the reason for the
  // log, which contains no secret.
  absl::StatusOr<std::shared_ptr<const Caller>> Identify(const Credentials& credentials, absl::Time now,
                                                         std::string* why) const;

 private:
  // Checks the credentials. An error is for the log.
  absl::StatusOr<Identity> Check(const Credentials& credentials, absl::Time now) const;
  absl::StatusOr<Identity> CheckBearer(absl::string_view authorization, absl::Time now) const;
  // Returns whether the check of the credentials takes that of a signature.
  bool HasSignature(const Credentials& credentials) const;

  const Parts parts_;
  const uint64_t generation_;
  mutable FailedChecks failed_checks_;
  mutable Mutex mutex_;
  // Callers that were identified before, by a hash of their credentials. All are dropped when there is no room.
  mutable absl::flat_hash_map<std::string, std::shared_ptr<const Caller>> callers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_ACCESS_H_
