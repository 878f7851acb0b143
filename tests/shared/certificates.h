// A certificate authority for tests: it makes certificates of servers and clients, valid or not as a test wants them.

#ifndef HOLDFAST_TESTS_SHARED_CERTIFICATES_H_
#define HOLDFAST_TESTS_SHARED_CERTIFICATES_H_

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace holdfast::testing {

// A certificate and its key, as PEM.
struct KeyPair {
  std::string certificate;
  std::string private_key;
};

struct CertificateNames {
  std::string common_name;
  std::vector<std::string> alternatives = {};  // as OpenSSL spells them: "DNS:localhost", "URI:spiffe://a/b"
};

class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name);

  // The authority's own certificate, as PEM.
  const std::string& certificate() const { return pem_; }
  // Makes a certificate with a new P-256 key. Times are relative to now.
  KeyPair Issue(const CertificateNames& names, absl::Duration valid_from = -absl::Hours(1),
                absl::Duration valid_until = absl::Hours(24)) const;

 private:
  template <auto kFree>
  struct Free {
    template <typename T>
    void operator()(T* object) const {
      kFree(object);
    }
  };
  using Certificate = std::unique_ptr<X509, Free<X509_free>>;
  using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

  static Key NewKey();
  static std::string ToPem(X509* certificate);
  // Makes a certificate that is not signed yet.
  static Certificate Make(const CertificateNames& names, EVP_PKEY* key, absl::Duration valid_from,
                          absl::Duration valid_until);

  Key key_;
  Certificate certificate_;
  std::string pem_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_SHARED_CERTIFICATES_H_
