// The tool `holdfast` with a real server: a token from its making to its end, certificates, and a context.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/integration/server_process.h"
#include "tests/security/secure_server.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kRules[] =
    "authorization {"
    " rule { principal: 'shop-web' namespace: 'shop' verb: READ verb: WRITE }"
    " rule { principal: 'spiffe://example/shop/*' namespace: 'shop' verb: READ } }";
constexpr absl::Duration kChangeMax = absl::Seconds(10);  // two seconds on a machine that does nothing else

class ToolTest : public ::testing::Test {
 protected:
  // Returns the output of the tool, with its errors if `errors` says so.
  std::string Tool(const std::string& arguments, bool errors = true) const {
    const std::string command = absl::StrCat("HOLDFAST_CONFIG=", directory_.path(), "/config " HOLDFAST_TOOL " ",
                                             arguments, errors ? " 2>&1" : " 2>/dev/null");
    FILE* const pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return "popen failed";
    std::string out;
    for (int c; (c = std::fgetc(pipe)) != EOF;) out += static_cast<char>(c);
    pclose(pipe);
    return out;
  }
  // Writes a file that only this user may read, and returns its path.
  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = absl::StrCat(directory_.path(), "/", name);
    FILE* const file = std::fopen(path.c_str(), "w");
    EXPECT_EQ(std::fwrite(text.data(), 1, text.size(), file), text.size());
    std::fclose(file);
    chmod(path.c_str(), 0600);
    return path;
  }
  // Returns the options of a connection to the server.
  std::string Connection(SecureServer& server, const std::string& ns = "shop") const {
    return absl::StrCat("--server ", server.process().address(), " --tls-server-name localhost --tls-ca ",
                        Write("ca.crt", server.authority().pem()), " --namespace ", ns, " ");
  }

  TemporaryDirectory directory_;
};

TEST_F(ToolTest, ATokenLetsItsBearerInUntilItsLineIsRemoved) {
  // One run gives both: the token on the output, the line on the standard error.
  const std::string both = Tool("token new shop-web");
  const size_t end = both.find('\n');
  const std::string token_file = Write("shop-web.token", both.substr(0, end));
  const std::string line = both.substr(both.rfind("shop-web "));
  SecureServer server({.rules = kRules, .tokens = line});
  const std::string increment = " counter increment visits --token-file " + token_file;
  const std::string call = Connection(server) + increment;
  EXPECT_EQ(Tool(call), "1\n");
  EXPECT_THAT(Tool(Connection(server) + " counter get visits"), HasSubstr("(CREDENTIALS_MISSING)"));
  EXPECT_THAT(Tool(Connection(server, "other") + increment), HasSubstr("(PERMISSION_DENIED)"));

  server.Replace("tokens", "# nobody\n");
  const absl::Time begin = absl::Now();
  std::string answer;
  do {
    answer = Tool(call);
  } while (answer.find("holdfast:") == std::string::npos && absl::Now() - begin < kChangeMax);
  EXPECT_EQ(answer,
            "holdfast: UNAUTHENTICATED: the credentials of the call are not valid here (CREDENTIALS_INVALID)\n");
  server.Replace("tokens", line);
  while (Tool(call).find("holdfast:") != std::string::npos && absl::Now() - begin < 2 * kChangeMax) {
  }
  EXPECT_THAT(Tool(call, false), ::testing::MatchesRegex("[0-9]+\n"));
}

TEST_F(ToolTest, ACertificateInAContext) {
  SecureServer server({.rules = kRules, .tokens = "# nobody\n", .client_certificates = true});
  const Certificate own = server.client_authority().Issue({.names = "URI:spiffe://example/shop/report"});
  EXPECT_THAT(Tool(absl::StrCat("context set shop ", Connection(server), " --tls-cert ",
                                Write("own.crt", own.certificate), " --tls-key ", Write("own.key", own.key))),
              HasSubstr("context shop is set"));
  EXPECT_THAT(Tool("context use shop"), HasSubstr("context shop is current"));
  EXPECT_EQ(Tool("counter get visits"), "0\n");
  EXPECT_EQ(Tool("counter increment visits"),
            "holdfast: PERMISSION_DENIED: spiffe://example/shop/report has no right to WRITE on objects of the class "
            "Counter in the namespace \"shop\" (PERMISSION_DENIED)\n");
  // A certificate of an authority that is not the clients': the server says nothing, and the tool finds out why.
  const Certificate other = server.authority().Issue({.names = "URI:spiffe://example/shop/report"});
  EXPECT_THAT(Tool(absl::StrCat("counter get visits --retries 0 --tls-cert ", Write("other.crt", other.certificate),
                                " --tls-key ", Write("other.key", other.key))),
              HasSubstr("refuses the client's certificate"));
}

}  // namespace
}  // namespace holdfast::testing
