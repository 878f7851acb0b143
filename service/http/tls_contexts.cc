#include "service/http/tls_contexts.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "service/access/small_file.h"

namespace holdfast::service {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;
// Those that gRPC takes with TLS 1.2: all with forward secrecy and authenticated encryption.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES256-GCM-SHA384";
// In the form of ALPN: each name behind its length.
constexpr unsigned char kProtocols[] = "\x08http/1.1";

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Source = std::unique_ptr<BIO, Free<BIO_free_all>>;

Source SourceOf(const std::string& text) { return Source(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// OpenSSL would ask at the terminal.
int NoPassphrase(char*, int, int, void*) { return 0; }

// A client that offers other protocols only is served all the same: it may not know what ALPN is for.
int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                   unsigned int offered_size, void*) {
  unsigned char* out = nullptr;
  if (SSL_select_next_proto(&out, size, kProtocols, sizeof(kProtocols) - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *chosen = out;
  return SSL_TLSEXT_ERR_OK;
}

absl::Status Problem(absl::string_view setting, absl::string_view path, absl::string_view problem) {
  ERR_clear_error();
  return absl::InvalidArgumentError(absl::StrCat("tls.", setting, ": ", path, ": ", problem));
}

// Uses the certificates of a chain: the first is the server's own.
bool UseChain(SSL_CTX* context, const std::string& pem) {
  const Source source = SourceOf(pem);
  const Certificate own(PEM_read_bio_X509(source.get(), nullptr, NoPassphrase, nullptr));
  if (own == nullptr || SSL_CTX_use_certificate(context, own.get()) != 1) return false;
  while (X509* const issuer = PEM_read_bio_X509(source.get(), nullptr, NoPassphrase, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, issuer) != 1) {
      X509_free(issuer);
      return false;
    }
  }
  return true;
}

// Trusts the authorities of a file for the certificates of clients.
bool UseAuthorities(SSL_CTX* context, const std::string& pem) {
  const Source source = SourceOf(pem);
  int count = 0;
  while (true) {
    const Certificate authority(PEM_read_bio_X509(source.get(), nullptr, NoPassphrase, nullptr));
    if (authority == nullptr) return count > 0;
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1 ||
        SSL_CTX_add_client_CA(context, authority.get()) != 1) {
      return false;
    }
    ++count;
  }
}

}  // namespace

absl::StatusOr<TlsContexts::Files> TlsContexts::Read() const {
  Files files;
  const std::pair<const std::string*, std::string*> parts[] = {{&config_.certificate_file(), &files.certificate},
                                                               {&config_.private_key_file(), &files.key},
                                                               {&config_.client_ca_file(), &files.client_ca}};
  for (const auto& [path, text] : parts) {
    if (path->empty()) continue;
    absl::StatusOr<std::string> read = ReadSmallFile(*path, kFileBytesMax);
    if (!read.ok())
      return absl::Status(read.status().code(), absl::StrCat("tls: ", *path, ": ", read.status().message()));
    *text = *std::move(read);
  }
  return files;
}

absl::StatusOr<std::shared_ptr<SSL_CTX>> TlsContexts::Make(const Files& files) const {
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (context == nullptr) return absl::ResourceExhaustedError("tls: OpenSSL has no memory");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  if (SSL_CTX_set_cipher_list(context.get(), kCiphers) != 1) return absl::InternalError("tls: no cipher is known");
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseProtocol, nullptr);
  if (!UseChain(context.get(), files.certificate)) {
    return Problem("certificate_file", config_.certificate_file(), "has no certificates that can be used");
  }
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(SourceOf(files.key).get(), nullptr, NoPassphrase, nullptr);
  const bool used = key != nullptr && SSL_CTX_use_PrivateKey(context.get(), key) == 1;
  EVP_PKEY_free(key);
  if (!used || SSL_CTX_check_private_key(context.get()) != 1) {
    return Problem("private_key_file", config_.private_key_file(), "is no key of the certificate");
  }
  if (!files.client_ca.empty()) {
    if (!UseAuthorities(context.get(), files.client_ca)) {
      return Problem("client_ca_file", config_.client_ca_file(), "has no certificates that can be used");
    }
    SSL_CTX_set_verify(context.get(),
                       SSL_VERIFY_PEER | (config_.require_client_certificate() ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       nullptr);
  }
  ERR_clear_error();
  return context;
}

absl::StatusOr<std::unique_ptr<TlsContexts>> TlsContexts::Open(const config::v1::TlsConfig& config) {
  std::unique_ptr<TlsContexts> contexts(new TlsContexts(config));
  if (absl::Status status = contexts->Refresh(); !status.ok()) return status;
  return contexts;
}

absl::Status TlsContexts::Refresh() {
  absl::StatusOr<Files> files = Read();
  if (!files.ok()) return files.status();
  if (*files == files_) return last_;
  absl::StatusOr<std::shared_ptr<SSL_CTX>> made = Make(*files);
  files_ = *std::move(files);
  last_ = made.status();
  if (!made.ok()) return last_;
  MutexLock lock(&mutex_);
  current_ = *std::move(made);
  return absl::OkStatus();
}

std::shared_ptr<SSL_CTX> TlsContexts::current() const {
  MutexLock lock(&mutex_);
  return current_;
}

}  // namespace holdfast::service
