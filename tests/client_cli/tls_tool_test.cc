#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/client_cli/tls_fixture.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TlsToolTest : public ToolTest, protected TlsFixture {
 protected:
  Result Get(const std::string& address, std::vector<std::string> options) {
    options.insert(options.begin(), {"counter", "get", "a", "--retries", "0", "--server", address});
    return Tool(std::move(options));
  }
  void ExpectFailed(const std::string& address, const std::vector<std::string>& options, const std::string& error) {
    const Result result = Get(address, options);
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, "holdfast: " + error + "\n");
  }
  // Writes a client's certificate and key, and returns the options that name them.
  std::vector<std::string> OptionsOf(const Certificate& own) {
    return {"--tls-ca",   ca_file_,
            "--tls-cert", folder_.Write("own.crt", own.certificate),
            "--tls-key",  folder_.Write("own.key", own.key)};
  }
};

TEST_F(TlsToolTest, TlsByOptionsVariablesAndContexts) {
  const auto server = Serve(authority_.Issue({.names = "DNS:db.example"}), authority_.pem());
  const Certificate own = authority_.Issue();
  std::vector<std::string> options = OptionsOf(own);
  options.insert(options.end(), {"--tls-server-name", "db.example"});
  EXPECT_EQ(Get(server->address(), options).out, "7\n");

  setenv("HOLDFAST_TLS_CA", ca_file_.c_str(), 1);
  setenv("HOLDFAST_TLS_CERT", folder_.path("own.crt").c_str(), 1);
  setenv("HOLDFAST_TLS_KEY", folder_.path("own.key").c_str(), 1);
  setenv("HOLDFAST_TLS_SERVER_NAME", "db.example", 1);
  EXPECT_EQ(Get(server->address(), {}).out, "7\n");
  for (const char* const name : {"CA", "CERT", "KEY", "SERVER_NAME"}) {
    unsetenv(absl::StrCat("HOLDFAST_TLS_", name).c_str());
  }

  setenv("HOLDFAST_CONFIG", folder_.path("config").c_str(), 1);
  options.insert(options.end(), {"context", "set", "db", "--server", server->address()});
  EXPECT_EQ(Tool(options).status, 0);
  EXPECT_EQ(Tool({"counter", "get", "a", "--context", "db"}).out, "7\n");
}

TEST_F(TlsToolTest, ATokenByOptionVariableAndContext) {
  const auto server = Serve(authority_.Issue());
  const std::string token = folder_.Write("token", "hf_abc\n");
  EXPECT_EQ(Get(server->address(), {"--tls-ca", ca_file_, "--token-file", token}).out, "7\n");
  setenv("HOLDFAST_TOKEN_FILE", token.c_str(), 1);
  const Result result = Get(server->address(), {"--tls-ca", ca_file_});
  EXPECT_EQ(result.out, "7\n");
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(server->authorizations(), ElementsAre("Bearer hf_abc", "Bearer hf_abc"));
}

TEST_F(TlsToolTest, ATokenThatOthersMayReadIsWarnedOf) {
  const auto server = Serve(authority_.Issue());
  const std::string token = folder_.Write("token", "hf_abc\n");
  chmod(token.c_str(), 0644);
  const Result result = Get(server->address(), {"--tls-ca", ca_file_, "--token-file", token});
  EXPECT_EQ(result.out, "7\n");
  EXPECT_EQ(result.err, absl::StrCat("holdfast: warning: other users may read the token file '", token, "'; chmod 600 ",
                                     token, "\n"));
  EXPECT_EQ(Get(server->address(), {"--tls-ca", ca_file_, "--token-file", token, "--json"}).err, "");
}

TEST_F(TlsToolTest, WhatCannotBeUsedIsBadUsage) {
  const std::string token = folder_.Write("token", "hf_abc\n");
  ExpectUsage({"counter", "get", "a", "--server", "db.example:1", "--token-file", token},
              "a token is not sent to db.example:1 without TLS: whoever reads it on its way can use it");
  ExpectUsage({"counter", "get", "a", "--token-file", folder_.path("none")},
              "the token file '" + folder_.path("none") + "' can't be read");
  ExpectUsage({"counter", "get", "a", "--tls-ca", folder_.path("none")},
              "the authority file '" + folder_.path("none") + "' can't be read");
  ExpectUsage({"counter", "get", "a", "--tls-key", folder_.path("none")},
              "the key '" + folder_.path("none") + "' needs its certificate");
}

TEST_F(TlsToolTest, WhyAServerIsNotTrusted) {
  const std::vector<std::string> trust = {"--tls-ca", ca_file_};
  const auto untrusted = Serve(other_authority_.Issue());
  ExpectFailed(untrusted->address(), trust,
               absl::StrCat("FAILED_PRECONDITION: the certificate of ", untrusted->address(),
                            " is signed by CN = other authority, which is no authority of '", ca_file_, "'"));
  ExpectFailed(untrusted->address(), {"--tls"},
               absl::StrCat("FAILED_PRECONDITION: the certificate of ", untrusted->address(),
                            " is signed by CN = other authority, which is no authority of this system; --tls-ca names "
                            "others"));
  const absl::Time end = absl::FromUnixSeconds(1'700'000'000);
  const auto expired = Serve(authority_.Issue({.not_before = end - absl::Hours(1), .not_after = end}));
  ExpectFailed(expired->address(), trust,
               absl::StrCat("FAILED_PRECONDITION: the certificate of ", expired->address(),
                            " has expired: it ended at 2023-11-14T22:13:20Z"));
  const absl::Time begin = absl::FromUnixSeconds(4'000'000'000);
  const auto future = Serve(authority_.Issue({.not_before = begin, .not_after = begin + absl::Hours(1)}));
  ExpectFailed(future->address(), trust,
               absl::StrCat("FAILED_PRECONDITION: the certificate of ", future->address(),
                            " is not valid yet: it begins at 2096-10-02T07:06:40Z"));
  const auto named = Serve(authority_.Issue({.names = "DNS:db.example,DNS:*.db.example,IP:10.0.0.1"}));
  ExpectFailed(named->address(), trust,
               absl::StrCat("FAILED_PRECONDITION: the certificate of ", named->address(),
                            " is not for the name '127.0.0.1' but for db.example, *.db.example, 10.0.0.1; "
                            "--tls-server-name says which one it must have"));
  const auto open = ServeInTheOpen();
  ExpectFailed(open->address(), trust, absl::StrCat("FAILED_PRECONDITION: ", open->address(), " does not speak TLS"));
}

TEST_F(TlsToolTest, WhyAServerHangsUp) {
  const auto server = Serve(authority_.Issue());
  EXPECT_THAT(Get(server->address(), {}).err,
              HasSubstr(absl::StrCat("; ", server->address(), " speaks TLS: give --tls, or --tls-ca FILE")));
  const auto asking = Serve(authority_.Issue(), authority_.pem());
  EXPECT_THAT(
      Get(asking->address(), {"--tls-ca", ca_file_}).err,
      HasSubstr(absl::StrCat("; ", asking->address(), " wants a certificate of the client: --tls-cert and --tls-key")));
  EXPECT_THAT(
      Get(asking->address(), OptionsOf(other_authority_.Issue())).err,
      HasSubstr(absl::StrCat("; ", asking->address(), " refuses the client's certificate '", folder_.path("own.crt"),
                             "': it is not signed by an authority that the server trusts, or not valid by the "
                             "server's clock")));
  EXPECT_EQ(Get(asking->address(), OptionsOf(authority_.Issue())).out, "7\n");
}

}  // namespace
}  // namespace holdfast::client
