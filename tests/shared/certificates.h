// Certificates of a test, made by OpenSSL in this process: an authority, and what it signs.

#ifndef HOLDFAST_TESTS_SHARED_CERTIFICATES_H_
#define HOLDFAST_TESTS_SHARED_CERTIFICATES_H_

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace holdfast::testing {

// Both are PEM.
struct Certificate {
  std::string certificate;
  std::string key;
};

struct CertificateOptions {
  std::string common_name = "localhost";
  // In the form of OpenSSL's subjectAltName: "DNS:localhost,IP:127.0.0.1,URI:spiffe://example/a". Empty: none.
  std::string names = "DNS:localhost,IP:127.0.0.1";
  absl::Time not_before = absl::Now() - absl::Hours(1);
  absl::Time not_after = absl::Now() + absl::Hours(1);
};

class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& common_name = "test authority") : key_(NewKey()) {
    certificate_ = Made({.common_name = common_name, .names = ""}, key_.get(), nullptr, true);
  }

  // Returns the authority's own certificate.
  std::string pem() const { return Pem(certificate_.get()); }

  Certificate Issue(const CertificateOptions& options = {}) const {
    const Key key = NewKey();
    return {Pem(Made(options, key.get(), certificate_.get(), false).get()), Pem(key.get())};
  }

 private:
  template <auto kFree>
  struct Free {
    void operator()(auto* object) const { kFree(object); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
  using X509Ptr = std::unique_ptr<X509, Free<X509_free>>;
  using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;

  static void Require(bool holds) {
    if (!holds) std::abort();
  }
  static Key NewKey() { return Key(EVP_EC_gen("P-256")); }

  static void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    Require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
  }

  // Makes a certificate of `key`, signed by this authority. Without an issuer it is the authority's own.
  X509Ptr Made(const CertificateOptions& options, EVP_PKEY* key, X509* issuer, bool is_authority) const {
    X509Ptr made(X509_new());
    X509* const certificate = made.get();
    if (issuer == nullptr) issuer = certificate;
    X509_set_version(certificate, 2);  // version 3
    static long serial = 0;
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(options.common_name.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    ASN1_TIME_set(X509_getm_notBefore(certificate), absl::ToTimeT(options.not_before));
    ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(options.not_after));
    X509_set_pubkey(certificate, key);
    AddExtension(certificate, issuer, NID_basic_constraints, is_authority ? "critical,CA:TRUE" : "CA:FALSE");
    AddExtension(certificate, issuer, NID_subject_key_identifier, "hash");
    if (!options.names.empty()) AddExtension(certificate, issuer, NID_subject_alt_name, options.names);
    Require(X509_sign(certificate, key_.get(), EVP_sha256()) > 0);
    return made;
  }

  static std::string Text(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return std::string(data, static_cast<size_t>(size));
  }
  static std::string Pem(X509* certificate) {
    const Bio bio(BIO_new(BIO_s_mem()));
    Require(PEM_write_bio_X509(bio.get(), certificate) == 1);
    return Text(bio.get());
  }
  static std::string Pem(EVP_PKEY* key) {
    const Bio bio(BIO_new(BIO_s_mem()));
    Require(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
    return Text(bio.get());
  }

  Key key_;
  X509Ptr certificate_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_SHARED_CERTIFICATES_H_
