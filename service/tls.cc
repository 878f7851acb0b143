#include "service/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/access/small_file.h"

namespace holdfast::service {
namespace {

using config::v1::Config;
using config::v1::TlsConfig;

constexpr size_t kFileBytesMax = 1 << 20;
constexpr unsigned int kReadAgainSeconds = 1;

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Source = std::unique_ptr<BIO, Free<BIO_free_all>>;

Source SourceOf(const std::string& text) { return Source(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// OpenSSL would ask at the terminal.
int NoPassphrase(char*, int, int, void*) { return 0; }

absl::Status Problem(absl::string_view setting, absl::string_view path, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("tls.", setting, ": ", path, ": ", problem));
}

absl::StatusOr<std::string> Read(absl::string_view setting, const std::string& path) {
  absl::StatusOr<std::string> text = ReadSmallFile(path, kFileBytesMax);
  if (text.ok()) return text;
  return absl::Status(text.status().code(), absl::StrCat("tls.", setting, ": ", path, ": ", text.status().message()));
}

// Reads the first certificate of a file.
absl::StatusOr<Certificate> ReadCertificate(absl::string_view setting, const std::string& path) {
  const absl::StatusOr<std::string> text = Read(setting, path);
  if (!text.ok()) return text.status();
  Certificate certificate(PEM_read_bio_X509(SourceOf(*text).get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  if (certificate == nullptr) return Problem(setting, path, "has no certificate in PEM form");
  return certificate;
}

absl::StatusOr<PrivateKey> ReadKey(absl::string_view setting, const std::string& path) {
  const absl::StatusOr<std::string> text = Read(setting, path);
  if (!text.ok()) return text.status();
  PrivateKey key(PEM_read_bio_PrivateKey(SourceOf(*text).get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  if (key == nullptr) return Problem(setting, path, "has no private key in PEM form without a passphrase");
  return key;
}

absl::Status CheckFiles(const TlsConfig& tls) {
  const absl::StatusOr<Certificate> certificate = ReadCertificate("certificate_file", tls.certificate_file());
  if (!certificate.ok()) return certificate.status();
  const absl::StatusOr<PrivateKey> key = ReadKey("private_key_file", tls.private_key_file());
  if (!key.ok()) return key.status();
  const bool match = X509_check_private_key(certificate->get(), key->get()) == 1;
  ERR_clear_error();
  if (!match) {
    return Problem("private_key_file", tls.private_key_file(),
                   absl::StrCat("is not the key of the certificate in ", tls.certificate_file()));
  }
  if (X509_cmp_current_time(X509_get0_notAfter(certificate->get())) < 0) {
    return Problem("certificate_file", tls.certificate_file(), "the certificate has expired");
  }
  if (tls.client_ca_file().empty()) return absl::OkStatus();
  return ReadCertificate("client_ca_file", tls.client_ca_file()).status();
}

}  // namespace

absl::Status CheckTlsSettings(const Config& config) {
  if (!config.has_tls()) return absl::OkStatus();
  const TlsConfig& tls = config.tls();
  if (tls.certificate_file().empty()) return absl::InvalidArgumentError("tls.certificate_file: is missing");
  if (tls.private_key_file().empty()) return absl::InvalidArgumentError("tls.private_key_file: is missing");
  if (tls.require_client_certificate() && tls.client_ca_file().empty()) {
    return absl::InvalidArgumentError("tls.client_ca_file: is missing, and client certificates are required");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ListenerCredentials(const Config& config) {
  if (!config.has_tls()) return grpc::InsecureServerCredentials();
  const TlsConfig& tls = config.tls();
  if (absl::Status status = CheckFiles(tls); !status.ok()) return status;
  namespace tls_api = grpc::experimental;
  // An empty path of authorities is none.
  tls_api::TlsServerCredentialsOptions options(std::make_shared<tls_api::FileWatcherCertificateProvider>(
      tls.private_key_file(), tls.certificate_file(), tls.client_ca_file(), kReadAgainSeconds));
  options.watch_identity_key_cert_pairs();
  if (!tls.client_ca_file().empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(tls.require_client_certificate()
                                      ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                      : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls_api::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> PeerCredentials(const Config& config) {
  const std::string& ca_file = config.postgres().cluster().ca_file();
  if (ca_file.empty()) return grpc::InsecureChannelCredentials();
  namespace tls_api = grpc::experimental;
  tls_api::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<tls_api::FileWatcherCertificateProvider>(
      config.tls().private_key_file(), config.tls().certificate_file(), ca_file, kReadAgainSeconds));
  options.watch_identity_key_cert_pairs();
  options.watch_root_certs();
  return tls_api::TlsCredentials(options);
}

}  // namespace holdfast::service
