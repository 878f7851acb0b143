#include "client/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "tests/client_cli/tls_fixture.h"

namespace holdfast::client {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TlsTest : public ::testing::Test, protected TlsFixture {
 protected:
  static absl::StatusOr<v1::GetValueResponse> Get(const std::string& address, const std::optional<TlsOptions>& tls,
                                                  TokenSource token = {}) {
    Client client({.address = address, .timeout = absl::Seconds(5), .tls = tls, .token = std::move(token)});
    v1::GetValueRequest request;
    request.mutable_object()->set_name("a");
    return client.Call(CallKind::kIdempotent, &v1::CounterService::Stub::GetValue, request);
  }
  static TokenSource Fixed(const std::string& token) {
    return [token]() -> absl::StatusOr<std::string> { return token; };
  }
  // Expects the call to be refused with this sentence at once, and not after its retries.
  static void ExpectRefused(const std::string& address, const TlsOptions& tls, const std::string& sentence) {
    const absl::Time start = absl::Now();
    const auto reply = Get(address, tls);
    EXPECT_EQ(reply.status().code(), absl::StatusCode::kFailedPrecondition) << reply.status();
    EXPECT_EQ(reply.status().message(), sentence);
    EXPECT_LT(absl::Now() - start, absl::Seconds(4));
  }
  std::string FileProblem(const TlsOptions& options, absl::Time now = absl::Now()) {
    const absl::StatusOr<TlsFiles> files = ReadTlsFiles(options, now);
    EXPECT_TRUE(files.ok() || files.status().code() == absl::StatusCode::kInvalidArgument);
    return std::string(files.status().message());
  }
};

TEST_F(TlsTest, AServerOfATrustedAuthorityAnswers) {
  const auto server = Serve(authority_.Issue());
  const auto reply = Get(server->address(), TlsOptions{.ca_file = ca_file_});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->value(), 7);
  EXPECT_THAT(server->authorizations(), ElementsAre(""));
}

TEST_F(TlsTest, AnAuthorityFileMayHoldSeveral) {
  const auto server = Serve(authority_.Issue());
  const std::string both = folder_.Write("both.crt", other_authority_.pem() + authority_.pem());
  EXPECT_TRUE(Get(server->address(), TlsOptions{.ca_file = both}).ok());
}

TEST_F(TlsTest, AServerThatIsNotTrustedIsRefused) {
  const auto untrusted = Serve(other_authority_.Issue());
  const auto expired = Serve(authority_.Issue({.not_after = absl::Now() - absl::Minutes(1)}));
  const auto future = Serve(authority_.Issue({.not_before = absl::Now() + absl::Minutes(1)}));
  for (const auto* const server : {&untrusted, &expired, &future}) {
    ExpectRefused((*server)->address(), {.ca_file = ca_file_},
                  absl::StrCat("the certificate of ", (*server)->address(),
                               " is not trusted: it is not signed by an authority of '", ca_file_,
                               "', has expired, or is not valid yet"));
    EXPECT_THAT((*server)->authorizations(), ElementsAre());
  }
  ExpectRefused(untrusted->address(), {},
                absl::StrCat("the certificate of ", untrusted->address(),
                             " is not trusted: it is not signed by an authority of this system, has expired, or is not "
                             "valid yet"));
}

TEST_F(TlsTest, TheNameMustBeTheServers) {
  const auto server = Serve(authority_.Issue({.names = "DNS:db.example"}));
  ExpectRefused(server->address(), {.ca_file = ca_file_},
                absl::StrCat("the certificate of ", server->address(),
                             " is not for the name '127.0.0.1': use an address that it names, or give a name of it as "
                             "the TLS server name"));
  ExpectRefused(
      server->address(), {.ca_file = ca_file_, .server_name = "db2.example"},
      absl::StrCat("the certificate of ", server->address(),
                   " is not for the name 'db2.example': use an address that it names, or give a name of it as "
                   "the TLS server name"));
  EXPECT_TRUE(Get(server->address(), TlsOptions{.ca_file = ca_file_, .server_name = "db.example"}).ok());
}

TEST_F(TlsTest, AServerInTheOpenIsToldApart) {
  const auto server = ServeInTheOpen();
  ExpectRefused(server->address(), {.ca_file = ca_file_}, server->address() + " does not speak TLS");
}

TEST_F(TlsTest, AClientsCertificateIsItsIdentity) {
  const auto server = Serve(authority_.Issue(), authority_.pem());
  const Certificate own = authority_.Issue({.common_name = "shop-web", .names = ""});
  const TlsOptions tls = {.ca_file = ca_file_,
                          .certificate_file = folder_.Write("own.crt", own.certificate),
                          .key_file = folder_.Write("own.key", own.key)};
  const auto reply = Get(server->address(), tls);
  EXPECT_TRUE(reply.ok()) << reply.status();
  EXPECT_FALSE(Get(server->address(), TlsOptions{.ca_file = ca_file_}).ok());
}

TEST_F(TlsTest, ATokenGoesWithEachCall) {
  const auto server = Serve(authority_.Issue());
  EXPECT_TRUE(Get(server->address(), TlsOptions{.ca_file = ca_file_}, Fixed("hf_abc")).ok());
  EXPECT_THAT(server->authorizations(), ElementsAre("Bearer hf_abc"));
}

TEST_F(TlsTest, ATokenIsNeverSentInTheOpenButToThisMachine) {
  const auto server = ServeInTheOpen();
  EXPECT_TRUE(Get(server->address(), std::nullopt, Fixed("hf_abc")).ok());
  EXPECT_THAT(server->authorizations(), ElementsAre("Bearer hf_abc"));
  const auto refused = Get("holdfast.example:50051", std::nullopt, Fixed("hf_abc"));
  EXPECT_EQ(refused.status(), absl::InvalidArgumentError("a token is not sent to holdfast.example:50051 without TLS: "
                                                         "whoever reads it on its way can use it"));
}

TEST_F(TlsTest, AProxyOfTheEnvironmentDoesNotSeeTheToken) {
  const auto server = ServeInTheOpen();
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  EXPECT_TRUE(Get(server->address(), std::nullopt, Fixed("hf_abc")).ok());
  unsetenv("http_proxy");
}

TEST_F(TlsTest, ATokenThatCannotBeSentFailsTheCall) {
  const auto server = Serve(authority_.Issue());
  const TlsOptions tls = {.ca_file = ca_file_};
  for (const std::string token : {"", "a b", "a\nb", "a\r\nx: y", "\xC3\xA9"}) {
    EXPECT_EQ(Get(server->address(), tls, Fixed(token)).status(),
              absl::InvalidArgumentError("the token is not one word of printable ASCII"));
  }
  const auto failing = []() -> absl::StatusOr<std::string> { return absl::InvalidArgumentError("no token today"); };
  EXPECT_EQ(Get(server->address(), tls, failing).status(), absl::InvalidArgumentError("no token today"));
  EXPECT_THAT(server->authorizations(), ElementsAre());
}

TEST_F(TlsTest, StreamsCarryTheTokenToo) {
  const auto server = Serve(authority_.Issue());
  Client client({.address = server->address(),
                 .timeout = absl::Seconds(5),
                 .tls = TlsOptions{.ca_file = ca_file_},
                 .token = Fixed("hf_abc")});
  client.StreamIncrement([](v1::IncrementRequest*) { return false; }, [](const v1::IncrementResult&) { return true; })
      .IgnoreError();
  client.WatchAlarms({}, [](const v1::WatchAlarmsResponse&) { return false; }).IgnoreError();
  client.ExportSql({}, [](const std::string&) { return true; }).IgnoreError();
  client.ImportSql({}, [](std::string*) { return false; }).IgnoreError();
  EXPECT_EQ(server->authorizations().size(), 4u);
  EXPECT_THAT(server->authorizations(), Each("Bearer hf_abc"));
}

TEST_F(TlsTest, OptionsThatCannotBeUsedFailEachCall) {
  Client client({.tls = TlsOptions{.ca_file = folder_.path("missing")}});
  const absl::Status problem =
      absl::InvalidArgumentError("the authority file '" + folder_.path("missing") + "' can't be read");
  EXPECT_EQ(client.Usable(), problem);
  EXPECT_EQ(client.Call(CallKind::kIdempotent, &v1::CounterService::Stub::GetValue, {}).status(), problem);
  EXPECT_EQ(client.WatchAlarms({}, [](const v1::WatchAlarmsResponse&) { return false; }), problem);
  EXPECT_EQ(client.ExportSql({}, [](const std::string&) { return true; }), problem);
  EXPECT_EQ(client.ImportSql({}, [](std::string*) { return false; }).status(), problem);
  EXPECT_EQ(client.StreamIncrement([](v1::IncrementRequest*) { return false; },
                                   [](const v1::IncrementResult&) { return true; }),
            problem);
}

TEST_F(TlsTest, FilesAreChecked) {
  const absl::Time now = absl::FromUnixSeconds(1'780'000'000);
  const Certificate own = authority_.Issue({.not_before = now, .not_after = now + absl::Hours(1)});
  const std::string certificate = folder_.Write("own.crt", own.certificate);
  const std::string key = folder_.Write("own.key", own.key);
  const std::string other_key = folder_.Write("other.key", authority_.Issue().key);
  const std::string text = folder_.Write("text", "no PEM\n");
  const std::string missing = folder_.path("missing");

  EXPECT_EQ(FileProblem({}), "");
  EXPECT_EQ(FileProblem({.ca_file = ca_file_, .certificate_file = certificate, .key_file = key}, now), "");
  EXPECT_EQ(FileProblem({.ca_file = missing}), "the authority file '" + missing + "' can't be read");
  EXPECT_EQ(FileProblem({.ca_file = folder_.path("")}), "the authority file '" + folder_.path("") + "' can't be read");
  EXPECT_EQ(FileProblem({.ca_file = text}), "the authority file '" + text + "' has no certificate in PEM");
  EXPECT_EQ(FileProblem({.ca_file = key}), "the authority file '" + key + "' has no certificate in PEM");
  EXPECT_EQ(FileProblem({.certificate_file = certificate}), "the certificate '" + certificate + "' needs its key");
  EXPECT_EQ(FileProblem({.key_file = key}), "the key '" + key + "' needs its certificate");
  EXPECT_EQ(FileProblem({.certificate_file = missing, .key_file = key}),
            "the certificate '" + missing + "' can't be read");
  EXPECT_EQ(FileProblem({.certificate_file = certificate, .key_file = missing}),
            "the key '" + missing + "' can't be read");
  EXPECT_EQ(FileProblem({.certificate_file = text, .key_file = key}),
            "the certificate '" + text + "' has no certificate in PEM");
  EXPECT_EQ(FileProblem({.certificate_file = certificate, .key_file = text}),
            "the key '" + text + "' has no private key in PEM");
  EXPECT_EQ(FileProblem({.certificate_file = certificate, .key_file = other_key}, now),
            "the key '" + other_key + "' is not that of the certificate '" + certificate + "'");
  EXPECT_EQ(FileProblem({.certificate_file = certificate, .key_file = key}, now - absl::Seconds(1)),
            "the certificate '" + certificate + "' is not valid yet: it begins at 2026-05-28T20:26:40Z");
  EXPECT_EQ(FileProblem({.certificate_file = certificate, .key_file = key}, now + absl::Hours(2)),
            "the certificate '" + certificate + "' has expired: it ended at 2026-05-28T21:26:40Z");
}

TEST_F(TlsTest, AnEncryptedKeyIsRefusedWithoutAQuestion) {
  const Certificate own = authority_.Issue();
  const std::string certificate = folder_.Write("own.crt", own.certificate);
  const std::unique_ptr<BIO, decltype(&BIO_free)> in(BIO_new_mem_buf(own.key.data(), -1), &BIO_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
  ASSERT_EQ(PEM_write_bio_PrivateKey(out.get(), key.get(), EVP_aes_128_cbc(),
                                     reinterpret_cast<const unsigned char*>("password"), 8, nullptr, nullptr),
            1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  const std::string encrypted = folder_.Write("encrypted.key", std::string(data, static_cast<size_t>(size)));
  EXPECT_EQ(FileProblem({.certificate_file = certificate, .key_file = encrypted}),
            "the key '" + encrypted + "' is encrypted; only a key without a passphrase can be used");
}

}  // namespace
}  // namespace holdfast::client
