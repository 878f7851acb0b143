// The identity that a policy speaks of: the name of a token, the subject of a JWT, or the name in a certificate. Names
// of all three kinds share one space: who may issue one kind can name any principal.

#ifndef HOLDFAST_SERVICE_ACCESS_PRINCIPAL_H_
#define HOLDFAST_SERVICE_ACCESS_PRINCIPAL_H_

#include <compare>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/credentials.h"

namespace holdfast::service {

// A legal name (IsPrincipal in proto/credentials.h). It is safe to log: printable ASCII, at most 200 bytes.
class Principal {
 public:
  // Returns nullopt if this is no legal name.
  static std::optional<Principal> Parse(absl::string_view name) {
    if (!IsPrincipal(name)) return std::nullopt;
    return Principal(std::string(name));
  }

  const std::string& name() const { return name_; }

  friend auto operator<=>(const Principal&, const Principal&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const Principal& principal) {
    return H::combine(std::move(hash), principal.name_);
  }
  friend std::ostream& operator<<(std::ostream& out, const Principal& principal) { return out << principal.name_; }

 private:
  explicit Principal(std::string name) : name_(std::move(name)) {}

  std::string name_;
};

// The outcome of a credential that was accepted.
struct Identity {
  Principal principal;
  // The credential is refused from this instant on; InfiniteFuture if it does not expire.
  absl::Time expires = absl::InfiniteFuture();

  friend bool operator==(const Identity&, const Identity&) = default;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_PRINCIPAL_H_
