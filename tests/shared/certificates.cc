#include "tests/shared/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_join.h"

namespace holdfast::testing {
namespace {

// A test can do nothing about an OpenSSL that does not make certificates.
void Must(bool ok) {
  if (ok) return;
  std::fputs("OpenSSL does not make a certificate\n", stderr);
  std::abort();
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  Must(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

template <typename Write>
std::string Pem(Write write) {
  BIO* const out = BIO_new(BIO_s_mem());
  Must(write(out) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(out);
  return text;
}

}  // namespace

CertificateAuthority::Key CertificateAuthority::NewKey() { return Key(EVP_EC_gen("P-256")); }

std::string CertificateAuthority::ToPem(X509* certificate) {
  return Pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate); });
}

CertificateAuthority::Certificate CertificateAuthority::Make(const CertificateNames& names, EVP_PKEY* key,
                                                             absl::Duration valid_from, absl::Duration valid_until) {
  Certificate certificate(X509_new());
  Must(certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1);
  uint64_t serial = 0;
  Must(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) == 1);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), absl::ToInt64Seconds(valid_from));
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), absl::ToInt64Seconds(valid_until));
  Must(X509_set_pubkey(certificate.get(), key) == 1);
  Must(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                                  reinterpret_cast<const unsigned char*>(names.common_name.c_str()), -1, -1, 0) == 1);
  return certificate;
}

CertificateAuthority::CertificateAuthority(const std::string& name) : key_(NewKey()) {
  certificate_ = Make({name}, key_.get(), -absl::Hours(1), absl::Hours(24));
  X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
  AddExtension(certificate_.get(), certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(certificate_.get(), certificate_.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  Must(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) > 0);
  pem_ = ToPem(certificate_.get());
}

KeyPair CertificateAuthority::Issue(const CertificateNames& names, absl::Duration valid_from,
                                    absl::Duration valid_until) const {
  const Key key = NewKey();
  const Certificate certificate = Make(names, key.get(), valid_from, valid_until);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
  if (!names.alternatives.empty()) {
    AddExtension(certificate.get(), certificate_.get(), NID_subject_alt_name, absl::StrJoin(names.alternatives, ","));
  }
  Must(X509_sign(certificate.get(), key_.get(), EVP_sha256()) > 0);
  return {ToPem(certificate.get()), Pem([&](BIO* out) {
            return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

}  // namespace holdfast::testing
