// The bytes of a connection, plain or through TLS. Nothing here blocks: an operation that can't go on says what it
// waits for, and is called again.
//
// With TLS an idle connection has none of OpenSSL's buffers (SSL_MODE_RELEASE_BUFFERS), so that many of them are cheap.
//
// Threading: one thread. Ownership: the descriptor is the caller's, and outlives the stream.

#ifndef HOLDFAST_SERVICE_HTTP_BYTE_STREAM_H_
#define HOLDFAST_SERVICE_HTTP_BYTE_STREAM_H_

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::service {

class ByteStream {
 public:
  enum class Next {
    kDone,      // the operation has ended; so many bytes
    kReadable,  // wait until the socket has something to read
    kWritable,  // wait until the socket takes something
    kEnd,       // the client sends nothing more; it may still read
    kBroken,    // the connection is of no use any more
  };
  struct Outcome {
    Next next;
    size_t bytes = 0;
  };

  virtual ~ByteStream() = default;

  // Speaks TLS until both sides know each other. Called first, until it is done.
  virtual Outcome Handshake() = 0;
  // Reads at least one byte into the space, or writes at least one of the bytes.
  virtual Outcome Read(char* space, size_t bytes) = 0;
  virtual Outcome Write(absl::string_view bytes) = 0;
  // Says that nothing more is sent. The client may still send.
  virtual void EndWriting() = 0;
  // Returns the name in the client's certificate, as credentials.h tells it of gRPC's; "" without one. Call it after
  // the handshake.
  virtual std::string CertificateName() const = 0;
};

std::unique_ptr<ByteStream> PlainStream(int fd);
// Null if OpenSSL has no memory for it.
std::unique_ptr<ByteStream> TlsStream(int fd, SSL_CTX* context);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_BYTE_STREAM_H_
