#include "service/http/byte_stream.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "absl/strings/match.h"
#include "service/call/credentials.h"

namespace holdfast::service {
namespace {

using Next = ByteStream::Next;
using Outcome = ByteStream::Outcome;

int IntOf(size_t bytes) { return static_cast<int>(std::min<size_t>(bytes, std::numeric_limits<int>::max())); }

class Plain final : public ByteStream {
 public:
  explicit Plain(int fd) : fd_(fd) {}

  Outcome Handshake() override { return {Next::kDone}; }
  Outcome Read(char* space, size_t bytes) override {
    ssize_t got;
    do {
      got = recv(fd_, space, bytes, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got > 0) return {Next::kDone, static_cast<size_t>(got)};
    if (got == 0) return {Next::kEnd};
    return {errno == EAGAIN || errno == EWOULDBLOCK ? Next::kReadable : Next::kBroken};
  }
  Outcome Write(absl::string_view bytes) override {
    ssize_t sent;
    do {
      sent = send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return {Next::kDone, static_cast<size_t>(sent)};
    return {errno == EAGAIN || errno == EWOULDBLOCK ? Next::kWritable : Next::kBroken};
  }
  void EndWriting() override { shutdown(fd_, SHUT_WR); }
  std::string CertificateName() const override { return ""; }

 private:
  const int fd_;
};

// Returns the first name of this kind among the alternative names of a certificate; "" if there is none.
std::string FirstAlternative(const GENERAL_NAMES* names, int kind) {
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names, i);
    if (name->type != kind) continue;
    const ASN1_STRING* const text = name->d.ia5;
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), static_cast<size_t>(ASN1_STRING_length(text))};
  }
  return "";
}

std::string CommonName(const X509* certificate) {
  const X509_NAME* const subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return "";
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) return "";
  std::string name(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return name;
}

class Tls final : public ByteStream {
 public:
  Tls(SSL* ssl, int fd) : ssl_(ssl), fd_(fd) {}
  ~Tls() override { SSL_free(ssl_); }

  Outcome Handshake() override { return Ended(SSL_accept(ssl_)); }
  Outcome Read(char* space, size_t bytes) override { return Ended(SSL_read(ssl_, space, IntOf(bytes))); }
  Outcome Write(absl::string_view bytes) override { return Ended(SSL_write(ssl_, bytes.data(), IntOf(bytes.size()))); }
  void EndWriting() override {
    if (!broken_) SSL_shutdown(ssl_);
    ERR_clear_error();
    shutdown(fd_, SHUT_WR);
  }

  std::string CertificateName() const override {
    X509* const certificate = SSL_get0_peer_certificate(ssl_);
    if (certificate == nullptr) return "";
    auto* const names =
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    const std::string uri = FirstAlternative(names, GEN_URI);
    std::string name = uri.empty() ? FirstAlternative(names, GEN_DNS) : uri;
    if (name.empty()) name = CommonName(certificate);
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return uri.empty() && absl::StrContains(name, kUriMark) ? "" : name;
  }

 private:
  Outcome Ended(int result) {
    if (result > 0) return {Next::kDone, static_cast<size_t>(result)};
    const int error = SSL_get_error(ssl_, result);
    ERR_clear_error();
    if (error == SSL_ERROR_WANT_READ) return {Next::kReadable};
    if (error == SSL_ERROR_WANT_WRITE) return {Next::kWritable};
    if (error == SSL_ERROR_ZERO_RETURN) return {Next::kEnd};
    // After this OpenSSL sends nothing more.
    broken_ = true;
    return {Next::kBroken};
  }

  SSL* const ssl_;
  const int fd_;
  bool broken_ = false;
};

}  // namespace

std::unique_ptr<ByteStream> PlainStream(int fd) { return std::make_unique<Plain>(fd); }

std::unique_ptr<ByteStream> TlsStream(int fd, SSL_CTX* context) {
  SSL* const ssl = SSL_new(context);
  if (ssl == nullptr || SSL_set_fd(ssl, fd) != 1) {
    SSL_free(ssl);
    ERR_clear_error();
    return nullptr;
  }
  return std::make_unique<Tls>(ssl, fd);
}

}  // namespace holdfast::service
