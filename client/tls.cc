#include "client/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/address.h"
#include "client/files.h"

namespace holdfast::client {
namespace {

constexpr size_t kFileMebibytesMax = 16;  // the authorities of a system are about 0.2 MiB

template <auto kFree>
struct Free {
  void operator()(auto* object) const { kFree(object); }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

// Takes what OpenSSL reports meanwhile off the thread's error queue, which gRPC's TLS uses too.
class ErrorsKeptApart {
 public:
  ErrorsKeptApart() { ERR_set_mark(); }
  ErrorsKeptApart(const ErrorsKeptApart&) = delete;
  ErrorsKeptApart& operator=(const ErrorsKeptApart&) = delete;
  ~ErrorsKeptApart() { ERR_pop_to_mark(); }
};

Bio Memory(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// Returns the first certificate of a PEM file, or nullptr.
X509Ptr FirstCertificate(const std::string& pem) {
  return X509Ptr(PEM_read_bio_X509(Memory(pem).get(), nullptr, nullptr, nullptr));
}

// In place of OpenSSL's own question at the terminal. Records that a passphrase was asked for.
int NoPassphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

absl::Status FileError(absl::string_view what, const std::string& path, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("the ", what, " '", path, "' ", problem));
}

absl::StatusOr<std::string> Read(absl::string_view what, const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, kFileMebibytesMax);
  if (!text.ok()) return absl::InvalidArgumentError(absl::StrCat("the ", what, " ", text.status().message()));
  return text;
}

absl::Status CheckValidity(const TlsOptions& options, X509* certificate, absl::Time now) {
  std::time_t seconds = absl::ToTimeT(now);
  if (X509_cmp_time(X509_get0_notBefore(certificate), &seconds) > 0) {
    return FileError("certificate", options.certificate_file,
                     absl::StrCat("is not valid yet: it begins at ", TimeText(X509_get0_notBefore(certificate))));
  }
  if (X509_cmp_time(X509_get0_notAfter(certificate), &seconds) < 0) {
    return FileError("certificate", options.certificate_file,
                     absl::StrCat("has expired: it ended at ", TimeText(X509_get0_notAfter(certificate))));
  }
  return absl::OkStatus();
}

// Checks the client's own certificate and key.
absl::Status CheckPair(const TlsOptions& options, const TlsFiles& files, absl::Time now) {
  const X509Ptr certificate = FirstCertificate(files.certificate);
  if (certificate == nullptr) return FileError("certificate", options.certificate_file, "has no certificate in PEM");
  bool encrypted = false;
  const Key key(PEM_read_bio_PrivateKey(Memory(files.key).get(), nullptr, NoPassphrase, &encrypted));
  if (encrypted) return FileError("key", options.key_file, "is encrypted; only a key without a passphrase can be used");
  if (key == nullptr) return FileError("key", options.key_file, "has no private key in PEM");
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return FileError("key", options.key_file,
                     absl::StrCat("is not that of the certificate '", options.certificate_file, "'"));
  }
  return CheckValidity(options, certificate.get(), now);
}

}  // namespace

std::string TimeText(const ASN1_TIME* time) {
  std::tm parts;
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable time";
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ", absl::FromTM(parts, absl::UTCTimeZone()), absl::UTCTimeZone());
}

absl::StatusOr<TlsFiles> ReadTlsFiles(const TlsOptions& options, absl::Time now) {
  const ErrorsKeptApart errors;
  TlsFiles files;
  if (!options.ca_file.empty()) {
    absl::StatusOr<std::string> text = Read("authority file", options.ca_file);
    if (!text.ok()) return text.status();
    files.ca = *std::move(text);
    if (FirstCertificate(files.ca) == nullptr) {
      return FileError("authority file", options.ca_file, "has no certificate in PEM");
    }
  }
  if (options.certificate_file.empty() && options.key_file.empty()) return files;
  if (options.key_file.empty()) return FileError("certificate", options.certificate_file, "needs its key");
  if (options.certificate_file.empty()) return FileError("key", options.key_file, "needs its certificate");
  absl::StatusOr<std::string> text = Read("certificate", options.certificate_file);
  if (!text.ok()) return text.status();
  files.certificate = *std::move(text);
  text = Read("key", options.key_file);
  if (!text.ok()) return text.status();
  files.key = *std::move(text);
  if (absl::Status status = CheckPair(options, files, now); !status.ok()) return status;
  return files;
}

std::shared_ptr<grpc::ChannelCredentials> TlsCredentials(const TlsFiles& files) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = files.ca;
  options.pem_cert_chain = files.certificate;
  options.pem_private_key = files.key;
  return grpc::SslCredentials(options);
}

absl::Status ExplainTlsFailure(const absl::Status& failure, const TlsOptions& options, const std::string& address) {
  if (failure.code() != absl::StatusCode::kUnavailable) return failure;
  const absl::string_view text = failure.message();
  std::string sentence;
  if (absl::StrContains(text, "certificate verify failed")) {
    sentence = absl::StrCat("the certificate of ", address, " is not trusted: it is not signed by ",
                            options.ca_file.empty() ? std::string("an authority of this system")
                                                    : absl::StrCat("an authority of '", options.ca_file, "'"),
                            ", has expired, or is not valid yet");
  } else if (absl::StrContains(text, "is not in peer certificate")) {
    const std::vector<std::string> places = HostPorts(address);
    const std::string name = !options.server_name.empty() ? options.server_name
                             : places.empty()             ? address
                                                          : HostOf(places.front());
    sentence = absl::StrCat("the certificate of ", address, " is not for the name '", name,
                            "': use an address that it names, or give a name of it as the TLS server name");
  } else if (absl::StrContains(text, "wrong version number")) {
    sentence = absl::StrCat(address, " does not speak TLS");
  } else {
    return failure;
  }
  return absl::FailedPreconditionError(sentence);
}

}  // namespace holdfast::client
