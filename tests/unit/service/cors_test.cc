#include "service/http/cors.h"

#include <gtest/gtest.h>

#include <map>

namespace holdfast::service {
namespace {

RequestHead Head(const std::map<std::string, std::string>& fields, const std::string& method = "POST") {
  RequestHead head;
  head.method = method;
  for (const auto& [name, value] : fields) head.fields.emplace_back(name, value);
  return head;
}

config::v1::HttpConfig Config(const std::string& listen = "127.0.0.1:8080") {
  config::v1::HttpConfig config;
  config.set_listen(listen);
  config.mutable_cors()->set_max_age_ms(60'000);
  return config;
}

std::map<std::string, std::string> Map(const Headers& headers) { return {headers.begin(), headers.end()}; }

TEST(Cors, OnThisMachineWithoutTlsOnlyItsNamesAreTaken) {
  const Cors cors(Config(), /*has_tls=*/false);
  for (const char* host : {"localhost", "localhost:8080", "LOCALHOST:1", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080",
                           "[::1]", "app.localhost:8080"}) {
    EXPECT_TRUE(cors.MayBeNamed(Head({{"host", host}}))) << host;
  }
  for (const char* host : {"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example",
                           "notlocalhost", "10.0.0.1", ""}) {
    EXPECT_FALSE(cors.MayBeNamed(Head({{"host", host}}))) << host;
  }
  EXPECT_TRUE(cors.MayBeNamed(Head({})));
}

TEST(Cors, OtherNamesAreTakenWithTlsOrElsewhereOrBySetting) {
  const RequestHead head = Head({{"host", "api.example.com:443"}});
  EXPECT_TRUE(Cors(Config(), /*has_tls=*/true).MayBeNamed(head));
  EXPECT_TRUE(Cors(Config("0.0.0.0:8080"), /*has_tls=*/false).MayBeNamed(head));
  config::v1::HttpConfig named = Config();
  named.add_allowed_host("API.example.com");
  EXPECT_TRUE(Cors(named, /*has_tls=*/false).MayBeNamed(head));
  EXPECT_TRUE(Cors(named, /*has_tls=*/false).MayBeNamed(Head({{"host", "localhost"}})));
  EXPECT_FALSE(Cors(named, /*has_tls=*/true).MayBeNamed(Head({{"host", "other.example.com"}})));
}

TEST(Cors, PagesOfOtherOriginsNeedLeave) {
  config::v1::HttpConfig config = Config();
  const Cors none(config, false);
  EXPECT_TRUE(none.MayCall(Head({{"host", "localhost:8080"}})));
  EXPECT_TRUE(none.MayCall(Head({{"host", "localhost:8080"}, {"origin", "http://localhost:8080"}})));
  EXPECT_TRUE(none.MayCall(Head({{"host", "a.example"}, {"origin", "https://a.example"}})));
  for (const char* origin : {"https://evil.example", "null", "", "http://localhost:8081", "localhost:8080"}) {
    const RequestHead head = Head({{"host", "localhost:8080"}, {"origin", origin}});
    EXPECT_FALSE(none.MayCall(head)) << origin;
    EXPECT_FALSE(Map(none.ForAnswer(head)).contains("access-control-allow-origin")) << origin;
  }
  config.mutable_cors()->add_allowed_origin("https://app.example");
  const Cors some(config, false);
  const RequestHead app = Head({{"host", "localhost:8080"}, {"origin", "https://app.example"}});
  EXPECT_TRUE(some.MayCall(app));
  EXPECT_EQ(Map(some.ForAnswer(app)), (std::map<std::string, std::string>{
                                          {"vary", "origin"}, {"access-control-allow-origin", "https://app.example"}}));
  EXPECT_FALSE(some.MayCall(Head({{"host", "localhost:8080"}, {"origin", "https://app.example.evil"}})));
  config.mutable_cors()->add_allowed_origin("*");
  const Cors any(config, false);
  EXPECT_TRUE(any.MayCall(Head({{"host", "localhost:8080"}, {"origin", "null"}})));
  EXPECT_EQ(Map(any.ForAnswer(app))["access-control-allow-origin"], "*");
}

TEST(Cors, APageThatIsNotNamedNeedsLeaveTooUnlessAPersonFollowsItsLink) {
  const Cors cors(Config(), /*has_tls=*/false);
  for (const char* site : {"cross-site", "same-site"}) {
    EXPECT_FALSE(cors.MayCall(Head({{"sec-fetch-site", site}, {"sec-fetch-mode", "no-cors"}}))) << site;
    EXPECT_TRUE(cors.MayCall(Head({{"sec-fetch-site", site}, {"sec-fetch-mode", "navigate"}}))) << site;
  }
  for (const char* site : {"none", "same-origin"}) EXPECT_TRUE(cors.MayCall(Head({{"sec-fetch-site", site}}))) << site;
  config::v1::HttpConfig any = Config();
  any.mutable_cors()->add_allowed_origin("*");
  EXPECT_TRUE(Cors(any, /*has_tls=*/false).MayCall(Head({{"sec-fetch-site", "cross-site"}})));
}

TEST(Cors, APreflightIsAnsweredWithWhatMayBeSent) {
  config::v1::HttpConfig config = Config();
  config.mutable_cors()->add_allowed_origin("https://app.example");
  config.mutable_cors()->add_allowed_header("x-tenant");
  const Cors cors(config, false);
  const RequestHead head =
      Head({{"host", "localhost:8080"}, {"origin", "https://app.example"}, {"access-control-request-method", "POST"}},
           "OPTIONS");
  EXPECT_TRUE(Cors::IsPreflight(head));
  EXPECT_FALSE(Cors::IsPreflight(Head({{"origin", "https://app.example"}}, "OPTIONS")));
  const auto headers = Map(cors.ForPreflight(head));
  EXPECT_EQ(headers.at("access-control-allow-origin"), "https://app.example");
  EXPECT_EQ(headers.at("access-control-allow-methods"), "GET, POST");
  EXPECT_EQ(headers.at("access-control-max-age"), "60");
  EXPECT_NE(headers.at("access-control-allow-headers").find("connect-protocol-version"), std::string::npos);
  EXPECT_NE(headers.at("access-control-allow-headers").find("x-tenant"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::service
