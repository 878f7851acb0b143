#include "client/tls_probe.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/address.h"

namespace holdfast::client {
namespace {

constexpr int kTimeoutSeconds = 2;  // for each step

template <auto kFree>
struct Free {
  void operator()(auto* object) const { kFree(object); }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Connection = std::unique_ptr<SSL, Free<SSL_free>>;
using X509Ptr = std::unique_ptr<X509, Free<X509_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;

// The first fault that OpenSSL found in the server's certificates.
struct Fault {
  int code = X509_V_OK;
  bool is_of_authority = false;
  X509Ptr certificate;
};

// Called by OpenSSL for each certificate. It records the first fault and goes on.
int Record(int good, X509_STORE_CTX* store) {
  if (good == 1) return 1;
  auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* const fault = static_cast<Fault*>(SSL_get_app_data(ssl));
  if (fault->code != X509_V_OK) return 1;
  fault->code = X509_STORE_CTX_get_error(store);
  fault->is_of_authority = X509_STORE_CTX_get_error_depth(store) > 0;
  if (X509* const certificate = X509_STORE_CTX_get_current_cert(store); certificate != nullptr) {
    X509_up_ref(certificate);
    fault->certificate.reset(certificate);
  }
  return 1;
}

std::string IssuerOf(X509* certificate) {
  const std::unique_ptr<BIO, Free<BIO_free_all>> bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_issuer_name(certificate), 0, XN_FLAG_ONELINE);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

// Returns the DNS names and the addresses of a certificate.
std::vector<std::string> NamesOf(X509* certificate) {
  constexpr int kNamesMax = 20;
  std::vector<std::string> result;
  const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names.get());
  for (int i = 0; i < count && i < kNamesMax; ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    const ASN1_STRING* const text = name->type == GEN_DNS || name->type == GEN_IPADD ? name->d.ia5 : nullptr;
    if (text == nullptr) continue;
    const unsigned char* const data = ASN1_STRING_get0_data(text);
    const int size = ASN1_STRING_length(text);
    if (name->type == GEN_DNS) {
      result.emplace_back(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    } else if (char address[INET6_ADDRSTRLEN]; size == 4 || size == 16) {
      result.emplace_back(inet_ntop(size == 4 ? AF_INET : AF_INET6, data, address, sizeof(address)));
    }
  }
  return result;
}

std::string SentenceOf(const Fault& fault, const std::string& address, const std::string& name, const TlsOptions& tls) {
  X509* const certificate = fault.certificate.get();
  if (certificate == nullptr) return "";
  const std::string subject =
      fault.is_of_authority ? absl::StrCat("an authority's certificate of ", address) : "the certificate of " + address;
  switch (fault.code) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return absl::StrCat(subject, " is not valid yet: it begins at ", TimeText(X509_get0_notBefore(certificate)));
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return absl::StrCat(subject, " has expired: it ended at ", TimeText(X509_get0_notAfter(certificate)));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: {
      const std::vector<std::string> names = NamesOf(certificate);
      return absl::StrCat(subject, " is not for the name '", name, "' but for ",
                          names.empty() ? "none" : absl::StrJoin(names, ", "),
                          "; --tls-server-name says which one it must have");
    }
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return absl::StrCat(
          "the certificate of ", address, " is signed by ", IssuerOf(certificate), ", which is no authority of ",
          tls.ca_file.empty() ? "this system; --tls-ca names others" : absl::StrCat("'", tls.ca_file, "'"));
    default:
      return absl::StrCat(subject, " is not trusted: ", X509_verify_cert_error_string(fault.code));
  }
}

// Called by OpenSSL when the server asks for a certificate of the client.
int RecordAsked(SSL*, void* asked) {
  *static_cast<bool*>(asked) = true;
  return 1;
}

// Returns why a server that asked for a certificate of the client hung up. gRPC's servers send no alert before.
std::string WhyRefused(const std::string& address, const TlsOptions& tls) {
  if (tls.certificate_file.empty()) {
    return absl::StrCat(address, " wants a certificate of the client: --tls-cert and --tls-key");
  }
  const std::string refuses = absl::StrCat(address, " refuses the client's certificate '", tls.certificate_file, "': ");
  switch (ERR_GET_REASON(ERR_peek_last_error())) {
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return refuses + "it does not trust its authority";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return refuses + "it has expired";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
      return refuses + "it is revoked";
    default:
      return refuses + "it is not signed by an authority that the server trusts, or not valid by the server's clock";
  }
}

Bio Connect(const std::string& host_port) {
  // OpenSSL wants a port; gRPC takes 443 for none.
  const std::string host = HostOf(host_port);
  const bool has_port = host.size() + (absl::StartsWith(host_port, "[") ? 2 : 0) < host_port.size();
  Bio bio(BIO_new_connect(has_port ? host_port.c_str() : absl::StrCat(host_port, ":443").c_str()));
  if (bio == nullptr || BIO_set_nbio(bio.get(), 1) != 1 || BIO_do_connect_retry(bio.get(), kTimeoutSeconds, -1) != 1) {
    return nullptr;
  }
  // The handshake blocks, for a bounded time.
  const int socket = static_cast<int>(BIO_get_fd(bio.get(), nullptr));
  BIO_socket_nbio(socket, 0);
  const timeval timeout{kTimeoutSeconds, 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  return bio;
}

// Makes the context of a connection with these options.
Context MakeContext(const TlsOptions& tls) {
  Context context(SSL_CTX_new(TLS_client_method()));
  if (tls.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
  } else {
    SSL_CTX_load_verify_locations(context.get(), tls.ca_file.c_str(), nullptr);
  }
  if (!tls.certificate_file.empty()) {
    SSL_CTX_use_certificate_chain_file(context.get(), tls.certificate_file.c_str());
    SSL_CTX_use_PrivateKey_file(context.get(), tls.key_file.c_str(), SSL_FILETYPE_PEM);
  }
  constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(context.get(), kHttp2, sizeof(kHttp2));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, Record);
  return context;
}

std::string Probe(const std::string& host_port, const std::optional<TlsOptions>& options) {
  const TlsOptions tls = options.value_or(TlsOptions());
  Bio bio = Connect(host_port);
  if (bio == nullptr) return "";
  const Context context = MakeContext(tls);
  Fault fault;
  const Connection ssl(SSL_new(context.get()));
  SSL_set_app_data(ssl.get(), &fault);
  bool asked = false;
  SSL_set_cert_cb(ssl.get(), RecordAsked, &asked);
  const std::string name = tls.server_name.empty() ? HostOf(host_port) : tls.server_name;
  in6_addr ignored;
  if (inet_pton(AF_INET, name.c_str(), &ignored) == 1 || inet_pton(AF_INET6, name.c_str(), &ignored) == 1) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), name.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl.get(), name.c_str());
    SSL_set1_host(ssl.get(), name.c_str());
  }
  BIO* const owned = bio.release();
  SSL_set_bio(ssl.get(), owned, owned);
  ERR_clear_error();
  if (SSL_connect(ssl.get()) != 1) return options.has_value() && asked ? WhyRefused(host_port, tls) : "";
  if (!options.has_value()) return absl::StrCat(host_port, " speaks TLS: give --tls, or --tls-ca FILE");
  if (fault.code != X509_V_OK) return SentenceOf(fault, host_port, name, tls);
  // With TLS 1.3 a server looks at the client's certificate after the client is done. If it is content, it sends the
  // settings of HTTP/2 at once.
  char byte;
  errno = 0;
  const bool hung_up = SSL_read(ssl.get(), &byte, 1) != 1 && errno != EAGAIN && errno != EWOULDBLOCK;
  return hung_up && asked ? WhyRefused(host_port, tls) : "";
}

}  // namespace

std::string WhyTlsFails(const std::string& address, const std::optional<TlsOptions>& tls) {
  const std::vector<std::string> places = HostPorts(address);
  if (places.empty()) return "";
  // OpenSSL writes to a socket that the server may have closed.
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  std::string why = Probe(places.front(), tls);
  std::signal(SIGPIPE, before);
  ERR_clear_error();
  return why;
}

}  // namespace holdfast::client
