// Servers with TLS, and the files of clients that may or may not talk to them.

#ifndef HOLDFAST_TESTS_CLIENT_CLI_TLS_FIXTURE_H_
#define HOLDFAST_TESTS_CLIENT_CLI_TLS_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "holdfast/v1/counter_service.pb.h"
#include "tests/client_cli/fake_server.h"
#include "tests/client_cli/temp_folder.h"
#include "tests/shared/certificates.h"

namespace holdfast::client {

class TlsFixture {
 protected:
  using Certificate = holdfast::testing::Certificate;

  // Starts a server that answers CounterService/GetValue with 7. With `client_authority` it wants a certificate of it.
  static std::unique_ptr<FakeServer> Serve(const Certificate& certificate, const std::string& client_authority = "") {
    grpc::SslServerCredentialsOptions options(client_authority.empty()
                                                  ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                                  : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_key_cert_pairs.push_back({certificate.key, certificate.certificate});
    options.pem_root_certs = client_authority;
    return std::make_unique<FakeServer>(0, Prepare, grpc::SslServerCredentials(options));
  }
  static std::unique_ptr<FakeServer> ServeInTheOpen() { return std::make_unique<FakeServer>(0, Prepare); }

  static void Prepare(FakeServer& server) {
    server.On<v1::GetValueRequest, v1::GetValueResponse>("/holdfast.v1.CounterService/GetValue",
                                                         [](const v1::GetValueRequest&, v1::GetValueResponse* reply) {
                                                           reply->set_value(7);
                                                           return grpc::Status::OK;
                                                         });
  }

  TempFolder folder_;
  holdfast::testing::CertificateAuthority authority_;
  holdfast::testing::CertificateAuthority other_authority_{"other authority"};
  const std::string ca_file_ = folder_.Write("ca.crt", authority_.pem());
  const std::string other_ca_file_ = folder_.Write("other.crt", other_authority_.pem());
};

}  // namespace holdfast::client

#endif  // HOLDFAST_TESTS_CLIENT_CLI_TLS_FIXTURE_H_
