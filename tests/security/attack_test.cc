// Attacks of somebody who has no rights, or not these, over TLS against the real server; and changes of certificates,
// tokens and rules while it serves.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "proto/credentials.h"
#include "tests/integration/rpc.h"
#include "tests/security/any_call.h"
#include "tests/security/secure_server.h"
#include "tests/unit/service/jwt_signer.h"
#include "tests/unit/storage/files.h"

namespace holdfast::testing {
namespace {

using service::JwtSigner;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kAll[] = "authorization { rule { principal: 'web' verb: READ verb: WRITE } }\n";
constexpr absl::Duration kChangeMax = absl::Seconds(2);

// Calls Increment with these credentials.
grpc::Status Increment(const std::shared_ptr<grpc::Channel>& channel, const std::vector<std::string>& authorizations,
                       const std::string& ns = "") {
  auto stub = v1::CounterService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  for (const std::string& value : authorizations) context.AddMetadata("authorization", value);
  v1::IncrementRequest request;
  request.mutable_object()->set_namespace_(ns);
  request.mutable_object()->set_name("attacked");
  v1::IncrementResponse response;
  return stub->Increment(&context, request, &response);
}

std::string Bearer(const std::string& token) { return "Bearer " + token; }

// A client learns that its credentials are not valid, and nothing more.
void ExpectInvalid(const grpc::Status& status) {
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << status.error_message();
  EXPECT_EQ(ReasonOf(status), "CREDENTIALS_INVALID");
  EXPECT_EQ(status.error_message(), "the credentials of the call are not valid here");
}

// Waits until `done` holds; returns the time that this took. No event tells when a server has read its files again.
absl::Duration Until(const std::function<bool()>& done) {
  const absl::Time begin = absl::Now();
  while (!done() && absl::Now() - begin < absl::Seconds(20)) absl::SleepFor(absl::Milliseconds(20));
  return absl::Now() - begin;
}

int ConnectTo(const std::string& address) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<uint16_t>(port));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

class AttackTest : public ::testing::Test {
 protected:
  void Start(SecureServer::Options options) {
    if (options.rules.empty()) options.rules = kAll;
    if (options.tokens.empty()) options.tokens = TokenLine("web", token_);
    server_ = std::make_unique<SecureServer>(options);
  }

  const std::string token_ = *NewToken();
  std::unique_ptr<SecureServer> server_;
};

TEST_F(AttackTest, TokensThatAreNotThese) {
  const std::string expired = *NewToken();
  Start({.tokens = TokenLine("web", token_) + TokenLine("old", expired, "2020-01-01T00:00:00Z")});
  const auto channel = server_->Channel();
  ASSERT_TRUE(Increment(channel, {Bearer(token_)}).ok());
  ExpectInvalid(Increment(channel, {Bearer(expired)}));
  ExpectInvalid(Increment(channel, {Bearer(*NewToken())}));
  ExpectInvalid(Increment(channel, {Bearer(absl::AsciiStrToUpper(token_))}));
  ExpectInvalid(Increment(channel, {Bearer(absl::AsciiStrToLower(token_))}));
  ExpectInvalid(Increment(channel, {Bearer(token_.substr(1))}));
  ExpectInvalid(Increment(channel, {Bearer(token_ + "A")}));
  ExpectInvalid(Increment(channel, {Bearer(std::string(8 << 10, 'a'))}));
  ExpectInvalid(Increment(channel, {token_}));
  ExpectInvalid(Increment(channel, {"Basic " + token_}));
  ExpectInvalid(Increment(channel, {"Bearer"}));
  // The hash in the file is no token.
  ExpectInvalid(Increment(channel, {Bearer(TokenLine("web", token_).substr(4, 64))}));
  ExpectInvalid(Increment(channel, {Bearer(token_), Bearer(token_)}));
  ExpectInvalid(Increment(channel, {Bearer(token_), Bearer(*NewToken())}));
  const grpc::Status none = Increment(channel, {});
  EXPECT_EQ(none.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(ReasonOf(none), "CREDENTIALS_MISSING");
  // A call that is refused costs the connection nothing.
  EXPECT_TRUE(Increment(channel, {Bearer(token_)}).ok());
  EXPECT_THAT(server_->process().Log(), Not(HasSubstr("hf_")));
}

TEST_F(AttackTest, MetadataOverItsBoundNeverArrives) {
  Start({});
  const auto channel = server_->Channel();
  const grpc::Status status = Increment(channel, {Bearer(std::string(64 << 10, 'a'))});
  EXPECT_THAT(status.error_code(), AnyOf(grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::UNAVAILABLE));
  EXPECT_TRUE(Increment(server_->Channel(), {Bearer(token_)}).ok());
}

TEST_F(AttackTest, WebTokensThatAreForged) {
  const JwtSigner key("ES256");
  const JwtSigner rsa("RS256");
  nlohmann::json keys = {{"keys", {key.PublicJwk(), rsa.PublicJwk()}}};
  keys["keys"][0]["kid"] = "a";
  keys["keys"][1]["kid"] = "b";
  Start({.authentication = "issuer: 'https://id.example' audience: 'holdfast'", .keys = keys.dump()});
  const auto channel = server_->Channel();
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  const nlohmann::json good = {{"iss", "https://id.example"}, {"aud", "holdfast"}, {"sub", "web"}, {"exp", now + 300}};
  const auto with = [&](const char* name, const nlohmann::json& value) {
    nlohmann::json claims = good;
    claims[name] = value;
    return claims;
  };
  const nlohmann::json header = {{"alg", "ES256"}, {"kid", "a"}};
  ASSERT_TRUE(Increment(channel, {Bearer(key.Sign(good, header))}).ok());
  ASSERT_TRUE(Increment(channel, {Bearer(rsa.Sign(good, {{"alg", "RS256"}, {"kid", "b"}}))}).ok());
  ExpectInvalid(Increment(channel, {Bearer(key.Sign(with("exp", now - 61), header))}));
  ExpectInvalid(Increment(channel, {Bearer(key.Sign(with("nbf", now + 90), header))}));
  ExpectInvalid(Increment(channel, {Bearer(key.Sign(with("aud", "other"), header))}));
  ExpectInvalid(Increment(channel, {Bearer(key.Sign(with("iss", "https://id.example.org"), header))}));
  ExpectInvalid(Increment(channel, {Bearer(key.Sign(with("sub", 7), header))}));
  ExpectInvalid(Increment(channel, {Bearer(JwtSigner("ES256").Sign(good, header))}));
  ExpectInvalid(Increment(
      channel, {Bearer(JwtSigner::Encode("{\"alg\":\"none\"}") + "." + JwtSigner::Encode(good.dump()) + ".")}));
  ExpectInvalid(
      Increment(channel, {Bearer(JwtSigner::SignHs256(rsa.PublicPem(), {{"alg", "HS256"}, {"kid", "b"}}, good))}));
  ExpectInvalid(Increment(channel, {Bearer(rsa.Sign(good, {{"alg", "RS256"}, {"kid", "a"}}))}));
  // A principal without a rule is known, and may do nothing.
  EXPECT_EQ(Increment(channel, {Bearer(key.Sign(with("sub", "somebody"), header))}).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

// A client that sends made-up signatures takes a bounded part of a core, and nobody else's calls.
TEST_F(AttackTest, AFloodOfForgedTokensIsRefusedWithoutChecks) {
  const JwtSigner key("ES256");
  const JwtSigner other("ES256");
  nlohmann::json keys = {{"keys", {key.PublicJwk()}}};
  Start({.authentication = "issuer: 'https://id.example' audience: 'holdfast'", .keys = keys.dump()});
  const auto channel = server_->Channel();
  const auto claims = [](const std::string& name) {
    return nlohmann::json{{"iss", "https://id.example"},
                          {"aud", "holdfast"},
                          {"sub", name},
                          {"exp", absl::ToUnixSeconds(absl::Now()) + 300}};
  };
  const std::string known = Bearer(key.Sign(claims("web"), {{"alg", "ES256"}}));
  ASSERT_TRUE(Increment(channel, {known}).ok());
  constexpr int kForged = 2'000;
  std::vector<std::string> forged;
  forged.reserve(kForged);
  for (int i = 0; i < kForged; ++i) {
    forged.push_back(Bearer(other.Sign(claims(absl::StrCat("web", i)), {{"alg", "ES256"}})));
  }
  int invalid = 0;
  int refused = 0;
  const absl::Time begin = absl::Now();
  for (const std::string& token : forged) {
    const grpc::Status status = Increment(channel, {token});
    if (status.error_code() == grpc::StatusCode::UNAUTHENTICATED) ++invalid;
    if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) ++refused;
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  std::printf("%d forged tokens in %.2f s: %d were checked, %d were refused without a check\n", kForged, seconds,
              invalid, refused);
  EXPECT_EQ(invalid + refused, kForged);
  EXPECT_LE(invalid, 50 * (static_cast<int>(seconds) + 2));
  EXPECT_TRUE(Increment(channel, {known}).ok()) << "a caller who was identified goes on";
  // Anybody else from there has to wait for a second at most.
  const std::string fresh = Bearer(key.Sign(claims("web"), {{"alg", "ES256"}, {"typ", "JWT"}}));
  EXPECT_LT(Until([&] { return Increment(channel, {fresh}).ok(); }), absl::Seconds(3));
}

TEST_F(AttackTest, CertificatesThatAreNotThese) {
  Start({.rules = "authorization { rule { principal: 'spiffe://example/web' verb: WRITE } }",
         .client_certificates = true,
         .require_client_certificate = true});
  const CertificateOptions names{.common_name = "web", .names = "URI:spiffe://example/web"};
  const auto dated = [&](absl::Duration from, absl::Duration to) {
    CertificateOptions options = names;
    options.not_before = absl::Now() + from;
    options.not_after = absl::Now() + to;
    return options;
  };
  EXPECT_TRUE(Increment(server_->Channel(server_->client_authority().Issue(names)), {}).ok());
  const auto expect_no_connection = [](const std::shared_ptr<grpc::Channel>& channel) {
    EXPECT_EQ(Increment(channel, {}).error_code(), grpc::StatusCode::UNAVAILABLE);
  };
  expect_no_connection(server_->Channel());
  expect_no_connection(server_->Channel(CertificateAuthority("another authority").Issue(names)));
  // The server's own authority makes no clients.
  expect_no_connection(server_->Channel(server_->authority().Issue(names)));
  const Certificate expired = server_->client_authority().Issue(dated(-absl::Hours(2), -absl::Hours(1)));
  expect_no_connection(server_->Channel(expired));
  expect_no_connection(server_->Channel(server_->client_authority().Issue(dated(absl::Hours(1), absl::Hours(2)))));
  // A client does not talk to a server of another name, or of another authority.
  const Certificate good = server_->client_authority().Issue(names);
  expect_no_connection(server_->ChannelWith(server_->authority().pem(), good, "elsewhere"));
  expect_no_connection(server_->ChannelWith(CertificateAuthority("another").pem(), good));
  // Only a URI is a URI.
  const Certificate pretender = server_->client_authority().Issue({.common_name = "spiffe://example/web", .names = ""});
  EXPECT_EQ(Increment(server_->Channel(pretender), {}).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(AttackTest, ACertificateAndATokenMustAgree) {
  Start({.client_certificates = true});
  const auto web = server_->Channel(server_->client_authority().Issue({.common_name = "ignored", .names = "DNS:web"}));
  EXPECT_TRUE(Increment(web, {}).ok());
  EXPECT_TRUE(Increment(web, {Bearer(token_)}).ok());
  const auto by_common_name = server_->Channel(server_->client_authority().Issue({.common_name = "web", .names = ""}));
  EXPECT_TRUE(Increment(by_common_name, {}).ok());
  const auto other = server_->Channel(server_->client_authority().Issue({.common_name = "other", .names = ""}));
  ExpectInvalid(Increment(other, {Bearer(token_)}));
  EXPECT_EQ(Increment(other, {}).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(Increment(server_->Channel(), {Bearer(token_)}).ok());
}

TEST_F(AttackTest, ATokenThatIsRemovedStopsWorking) {
  const std::string other = *NewToken();
  Start({.tokens = TokenLine("web", token_) + TokenLine("other", other)});
  const auto channel = server_->Channel();
  ASSERT_TRUE(Increment(channel, {Bearer(token_)}).ok());
  // A stream that is open ends, too.
  grpc::ClientContext context;
  SetToken(token_, &context);
  auto objects = v1::ObjectService::NewStub(channel);
  auto watch = objects->WatchAlarms(&context, v1::WatchAlarmsRequest());
  watch->WaitForInitialMetadata();

  server_->Replace("tokens", TokenLine("other", other));
  const absl::Duration took = Until([&] { return !Increment(channel, {Bearer(token_)}).ok(); });
  EXPECT_LT(took, kChangeMax);
  ExpectInvalid(Increment(channel, {Bearer(token_)}));
  v1::WatchAlarmsResponse response;
  EXPECT_FALSE(watch->Read(&response));
  ExpectInvalid(watch->Finish());
  std::printf("a token that was removed from the file was refused after %.2f s\n", absl::ToDoubleSeconds(took));

  // A file that is not valid changes nothing, and the log says so.
  server_->Replace("tokens", TokenLine("web", token_) + "nonsense\n");
  EXPECT_LT(Until([&] { return server_->process().Log().find("event=access_not_changed") != std::string::npos; }),
            kChangeMax);
  ExpectInvalid(Increment(channel, {Bearer(token_)}));
  server_->Replace("tokens", TokenLine("web", token_));
  server_->process().Signal(SIGHUP);
  EXPECT_LT(Until([&] { return Increment(channel, {Bearer(token_)}).ok(); }), kChangeMax);
}

// Whatever a call was decided by, it was one set of rules: of its two items exactly one is allowed.
TEST_F(AttackTest, NoCallIsDecidedByAMixtureOfRules) {
  const std::string rules_a = "authorization { rule { principal: 'web' namespace: 'a' verb: WRITE } }\n";
  const std::string rules_b = "authorization { rule { principal: 'web' namespace: 'b' verb: WRITE } }\n";
  Start({.rules = rules_a});
  std::atomic<bool> ended = false;
  std::atomic<int> by_a = 0;
  std::atomic<int> by_b = 0;
  std::atomic<int> mixed = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      auto stub = v1::CounterService::NewStub(server_->Channel());
      v1::BatchIncrementRequest request;
      for (int item = 0; item < 32; ++item) {
        auto* const object = request.add_increments()->mutable_object();
        object->set_namespace_(item % 2 == 0 ? "a" : "b");
        object->set_name(absl::StrCat("mixed", item));
      }
      while (!ended) {
        grpc::ClientContext context;
        SetToken(token_, &context);
        v1::BatchIncrementResponse response;
        const grpc::Status status = stub->BatchIncrement(&context, request, &response);
        ASSERT_TRUE(status.ok()) << status.error_message();
        int allowed[2] = {0, 0};
        for (int item = 0; item < response.results_size(); ++item)
          allowed[item % 2] += response.results(item).has_response();
        if (allowed[0] == 16 && allowed[1] == 0) {
          ++by_a;
        } else if (allowed[0] == 0 && allowed[1] == 16) {
          ++by_b;
        } else {
          ++mixed;
        }
      }
    });
  }
  for (int i = 0; i < 40; ++i) {
    server_->SetRules(i % 2 == 0 ? rules_b : rules_a);
    server_->process().Signal(SIGHUP);
    // Calls go on under each set of rules for a moment.
    absl::SleepFor(absl::Milliseconds(25));
  }
  ended = true;
  for (std::thread& client : clients) client.join();
  std::printf("40 changes of the rules: %d calls by one, %d by the other, %d by a mixture\n", by_a.load(), by_b.load(),
              mixed.load());
  EXPECT_EQ(mixed, 0);
  EXPECT_GT(by_a, 0);
  EXPECT_GT(by_b, 0);
}

TEST_F(AttackTest, ANewCertificateEndsNoCall) {
  Start({});
  const auto channel = server_->Channel();
  ASSERT_TRUE(Increment(channel, {Bearer(token_)}).ok());
  grpc::ClientContext context;
  SetToken(token_, &context);
  auto objects = v1::ObjectService::NewStub(channel);
  auto watch = objects->WatchAlarms(&context, v1::WatchAlarmsRequest());
  watch->WaitForInitialMetadata();
  // A new authority takes the place of the old one, with a certificate of its own.
  const CertificateAuthority next("next authority");
  const Certificate pair = next.Issue({.names = "DNS:localhost"});
  server_->Replace("server.key", pair.key);
  server_->Replace("server.crt", pair.certificate);
  const absl::Duration took =
      Until([&] { return Increment(server_->ChannelWith(next.pem(), std::nullopt), {Bearer(token_)}).ok(); });
  EXPECT_LT(took, absl::Seconds(5));
  EXPECT_EQ(Increment(server_->Channel(), {Bearer(token_)}).error_code(), grpc::StatusCode::UNAVAILABLE);
  // The connection of before goes on, with its stream.
  EXPECT_TRUE(Increment(channel, {Bearer(token_)}).ok());
  context.TryCancel();
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
  std::printf("a new certificate was served after %.2f s\n", absl::ToDoubleSeconds(took));
}

// TLS below 1.2 and bytes that are no TLS find no server; nor does a handshake that goes no further.
TEST_F(AttackTest, ConnectionsThatAreNoConnections) {
  Start({.rules = absl::StrCat(kAll, "server { handshake_time_limit_ms: 1000 }")});
  const std::string& address = server_->process().address();
  const auto handshake = [&](int version_max) {
    SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, version_max);
    const unsigned char protocols[] = {2, 'h', '2'};
    SSL_CTX_set_alpn_protos(context, protocols, sizeof(protocols));
    SSL* const ssl = SSL_new(context);
    const int fd = ConnectTo(address);
    SSL_set_fd(ssl, fd);
    const bool ok = SSL_connect(ssl) == 1;
    // A client may not begin a second handshake on the connection.
    bool renegotiated = false;
    if (ok && SSL_version(ssl) == TLS1_2_VERSION && SSL_renegotiate(ssl) == 1) {
      SSL_do_handshake(ssl);
      char byte;
      while (SSL_read(ssl, &byte, 1) > 0) {
      }
      renegotiated = SSL_renegotiate_pending(ssl) == 0;
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    EXPECT_FALSE(renegotiated);
    return ok;
  };
  EXPECT_TRUE(handshake(TLS1_3_VERSION));
  EXPECT_TRUE(handshake(TLS1_2_VERSION));
  EXPECT_FALSE(handshake(TLS1_1_VERSION));
  EXPECT_FALSE(handshake(TLS1_VERSION));
  // These send nothing, or a little, and wait: the server closes them.
  std::vector<int> waiting;
  for (const std::string& begin :
       {std::string(), std::string("\x16\x03\x01", 3), std::string("PRI * HTTP/2.0\r\n\r\n")}) {
    waiting.push_back(ConnectTo(address));
    ASSERT_GE(waiting.back(), 0);
    ASSERT_EQ(write(waiting.back(), begin.data(), begin.size()), static_cast<ssize_t>(begin.size()));
  }
  for (const int fd : waiting) {
    char bytes[256];
    ssize_t got;
    while ((got = read(fd, bytes, sizeof(bytes))) > 0) {
    }
    EXPECT_TRUE(got == 0 || errno == ECONNRESET);
    close(fd);
  }
  EXPECT_TRUE(Increment(server_->Channel(), {Bearer(token_)}).ok());
}

TEST_F(AttackTest, TenThousandIdleConnections) {
  Start({});
  const auto channel = server_->Channel();
  ASSERT_TRUE(Increment(channel, {Bearer(token_)}).ok());
  // A client that has calls meanwhile keeps its connection. This thread often waits for the system's queue of
  // connections, so the client has one of its own.
  std::atomic<bool> ended = false;
  int calls = 0;
  std::thread client([&] {
    for (; !ended; ++calls) {
      const grpc::Status status = Increment(channel, {Bearer(token_)});
      EXPECT_TRUE(status.ok()) << status.error_message();
    }
  });
  std::deque<int> idle;
  int connected = 0;
  for (int i = 0; i < 10'000; ++i) {
    const int fd = ConnectTo(server_->process().address());
    if (fd < 0) continue;
    ++connected;
    idle.push_back(fd);
    // This process keeps no more than it has descriptors for; the server has let go of the oldest long since.
    if (idle.size() > 2'000) {
      close(idle.front());
      idle.pop_front();
    }
  }
  ended = true;
  client.join();
  EXPECT_TRUE(Increment(server_->Channel(), {Bearer(token_)}).ok());
  for (const int fd : idle) close(fd);
  std::printf("%d idle connections: %d calls of a client meanwhile, none failed\n", connected, calls);
}

TEST_F(AttackTest, ListsAndWatchesShowOnlyWhatMayBeRead) {
  const std::string all = *NewToken();
  Start({.rules = "authorization { rule { principal: 'web' namespace: 'shop' object_class: 'Counter' verb: READ }\n"
                  "  rule { principal: 'all' verb: READ verb: WRITE } }",
         .tokens = TokenLine("web", token_) + TokenLine("all", all)});
  const auto channel = server_->Channel();
  auto objects = v1::ObjectService::NewStub(channel);
  ASSERT_TRUE(Increment(channel, {Bearer(all)}, "shop").ok());
  ASSERT_TRUE(Increment(channel, {Bearer(all)}, "other").ok());
  {
    grpc::ClientContext context;
    SetToken(all, &context);
    v1::PutEntriesRequest put;
    put.mutable_object()->set_namespace_("shop");
    put.mutable_object()->set_name("hidden");
    put.add_entries()->set_key("k");
    v1::PutEntriesResponse response;
    ASSERT_TRUE(objects->PutEntries(&context, put, &response).ok());
  }
  const auto list = [&](const std::string& token, const std::string& ns, std::vector<std::string>* names) {
    grpc::ClientContext context;
    SetToken(token, &context);
    v1::ListObjectsRequest request;
    request.set_namespace_(ns);
    v1::ListObjectsResponse response;
    const grpc::Status status = objects->ListObjects(&context, request, &response);
    for (const auto& object : response.objects()) names->push_back(object.object().name());
    return status;
  };
  std::vector<std::string> names;
  EXPECT_TRUE(list(token_, "shop", &names).ok());
  EXPECT_THAT(names, ::testing::ElementsAre("attacked"));
  const grpc::Status denied = list(token_, "other", &names);
  EXPECT_EQ(denied.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  const auto info = DetailOf<google::rpc::ErrorInfo>(denied);
  EXPECT_EQ(info.reason(), "PERMISSION_DENIED");
  EXPECT_EQ(info.metadata().at("verb"), "READ");
  EXPECT_EQ(info.metadata().at("namespace"), "other");
  EXPECT_EQ(info.metadata().at("principal"), "web");
  names.clear();
  EXPECT_TRUE(list(all, "shop", &names).ok());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("attacked", "hidden"));
}

TEST_F(AttackTest, SqlThatReadsOnly) {
  const std::string all = *NewToken();
  Start({.rules = "authorization { rule { principal: 'web' verb: READ } rule { principal: 'all' verb: WRITE } }",
         .tokens = TokenLine("web", token_) + TokenLine("all", all)});
  auto objects = v1::ObjectService::NewStub(server_->Channel());
  const auto execute = [&](const std::string& token, const std::string& sql, bool read_only,
                           v1::ExecuteSqlResponse* response) {
    grpc::ClientContext context;
    SetToken(token, &context);
    v1::ExecuteSqlRequest request;
    request.mutable_object()->set_name("sql");
    request.add_statements()->set_sql(sql);
    request.set_read_only(read_only);
    return objects->ExecuteSql(&context, request, response);
  };
  v1::ExecuteSqlResponse response;
  ASSERT_TRUE(
      execute(all, "CREATE TABLE t (a); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1)", false, &response).ok());
  EXPECT_EQ(execute(token_, "SELECT * FROM t", false, &response).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(execute(all, "SELECT * FROM t", true, &response).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  response.Clear();
  EXPECT_TRUE(execute(token_, "SELECT * FROM t", true, &response).ok());
  EXPECT_EQ(response.results(0).rows_size(), 1);
  for (const char* sql : {"INSERT INTO t VALUES (2)", "DELETE FROM t", "DROP TABLE t", "CREATE TABLE u (a)",
                          "BEGIN; DELETE FROM t; COMMIT", "SELECT 1; UPDATE t SET a = 3", "VACUUM", "REINDEX",
                          "PRAGMA user_version = 3", "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
                          "INSERT INTO t VALUES (4) RETURNING a", "PRAGMA foreign_keys = OFF; BEGIN; COMMIT"}) {
    const grpc::Status status = execute(token_, sql, true, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << sql << ": " << status.error_message();
    EXPECT_EQ(ReasonOf(status), "SQL_ERROR") << sql;
  }
  response.Clear();
  EXPECT_TRUE(execute(token_, "SELECT a FROM t", true, &response).ok());
  ASSERT_EQ(response.results(0).rows_size(), 1);
  EXPECT_EQ(response.results(0).rows(0).values(0).integer(), 1);
}

TEST_F(AttackTest, QuotasOfANamespace) {
  Start({.rules = absl::StrCat(kAll, "namespace { name: 'shop' requests_per_second: 1 burst: 3 }")});
  const auto channel = server_->Channel();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Increment(channel, {Bearer(token_)}, "shop").ok());
  const grpc::Status status = Increment(channel, {Bearer(token_)}, "shop");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), "NAMESPACE_QUOTA");
  EXPECT_EQ(DetailOf<google::rpc::QuotaFailure>(status).violations(0).subject(), "namespace:shop");
  EXPECT_LE(DetailOf<google::rpc::RetryInfo>(status).retry_delay().seconds(), 1);
  EXPECT_TRUE(Increment(channel, {Bearer(token_)}, "other").ok());
}

TEST_F(AttackTest, TheAuditLogSaysWhoWasRefused) {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/audit.log";
  Start({.rules = absl::StrCat("authorization { rule { principal: 'web' namespace: 'shop' verb: WRITE } }\n",
                               "audit { file: '", path, "' writes_of_namespace: 'sh*' }")});
  const auto channel = server_->Channel();
  EXPECT_TRUE(Increment(channel, {Bearer(token_)}, "shop").ok());
  EXPECT_EQ(Increment(channel, {Bearer(token_)}, "other").error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ExpectInvalid(Increment(channel, {Bearer(*NewToken())}, "shop"));
  server_->Replace("tokens", TokenLine("other", token_));
  server_->process().Signal(SIGHUP);
  EXPECT_LT(Until([&] { return storage::ReadFile(path).find("\"event\":\"access\"") != std::string::npos; }),
            kChangeMax);
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 4u);
  for (const auto& line : lines) EXPECT_TRUE(line.contains("time"));
  EXPECT_EQ(lines[0]["event"], "write");
  EXPECT_EQ(lines[0]["principal"], "web");
  EXPECT_EQ(lines[0]["namespace"], "shop");
  EXPECT_EQ(lines[0]["method"], "holdfast.v1.CounterService.Increment");
  EXPECT_THAT(lines[0]["peer"].get<std::string>(), HasSubstr("ipv4:127.0.0.1:"));
  EXPECT_EQ(lines[1]["event"], "refused");
  EXPECT_EQ(lines[1]["reason"], "PERMISSION_DENIED");
  EXPECT_EQ(lines[1]["namespace"], "other");
  EXPECT_EQ(lines[2]["event"], "refused");
  EXPECT_FALSE(lines[2].contains("principal"));
  EXPECT_EQ(lines[3]["event"], "access");
  EXPECT_EQ(lines[3]["reason"], "changed");
  EXPECT_THAT(storage::ReadFile(path), Not(HasSubstr("hf_")));
  EXPECT_THAT(storage::ReadFile(path), Not(HasSubstr("attacked")));
}

TEST_F(AttackTest, HealthIsOpenAndReflectionIsNot) {
  const auto reflection = [&] {
    const auto* const method = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
        "grpc.reflection.v1.ServerReflection.ServerReflectionInfo");
    const AnyRequest request = MakeRequest(*method, "", "");
    return CallAny(server_->Channel(), *method, *request.message, "", std::chrono::seconds(20)).status.error_code();
  };
  Start({});
  auto health = grpc::health::v1::Health::NewStub(server_->Channel());
  EXPECT_EQ(Invoke(*health, &grpc::health::v1::Health::Stub::Check, {})->status(),
            grpc::health::v1::HealthCheckResponse::SERVING);
  EXPECT_EQ(reflection(), grpc::StatusCode::UNAUTHENTICATED);
  Start({.rules = absl::StrCat(kAll, "reflection: false")});
  EXPECT_EQ(reflection(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace holdfast::testing
