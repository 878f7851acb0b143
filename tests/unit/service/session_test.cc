#include "service/http/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "actors/executor/clock.h"

namespace holdfast::service {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr CallGate::Limits kGateLimits{
    .calls_max = 10, .streams_max = 10, .bytes_max = 1 << 20, .connection_bytes_max = 1 << 20};
constexpr SessionLimits kLimits{.header_bytes_max = 4096,
                                .body_bytes_max = 1000,
                                .head_time_max = absl::Seconds(10),
                                .body_time_max = absl::Seconds(10),
                                .idle_time_max = absl::Seconds(10),
                                .send_time_max = absl::Seconds(10)};

// Answers with the body of the request, when it is told to.
class Echo : public Exchange {
 public:
  Echo(std::shared_ptr<Session> session, bool stream, std::vector<std::string>* events)
      : session_(std::move(session)), stream_(stream), events_(events) {}
  void OnBody(std::string body) override {
    events_->push_back(absl::StrCat("body ", body));
    body_ = std::move(body);
  }
  void Fail(const absl::Status& why) override { session_->Respond(500, {}, why.message()); }
  bool is_stream() const override { return stream_; }
  void OnGone() override { events_->push_back("gone"); }
  void Answer() { session_->Respond(200, {}, body_); }

 private:
  const std::shared_ptr<Session> session_;
  const bool stream_;
  std::vector<std::string>* const events_;
  std::string body_;
};

// Sessions on a loop, whose requests are answered as `route` says. The test writes all that clients send before the
// loop begins, and reads until the server ends the connection.
class SessionTest : public ::testing::Test, public SessionHost {
 protected:
  SessionTest() {
    route_ = [](const std::shared_ptr<Session>& session, const RequestHead& head) {
      session->Respond(200, {}, absl::StrCat("to ", head.path, "\n"));
      return nullptr;
    };
  }
  ~SessionTest() override {
    loop_.Stop();
    // The loop outlives the sockets. A session and its exchange keep each other until it ends.
    for (const auto& session : sessions_) session->Gone();
    echo_ = nullptr;
    sessions_.clear();
  }

  // Connects a client that has sent these bytes; returns its socket.
  int Connect(absl::string_view bytes) {
    int sockets[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    EXPECT_EQ(write(sockets[0], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    OnLoop([this, fd = sockets[1]] {
      auto session = std::make_shared<Session>(
          kLimits, this, &loop_, fd, absl::StrCat("peer ", sessions_.size()),
          [](int own, SSL_CTX*) { return PlainStream(own); }, nullptr);
      sessions_.push_back(session);
      session->Start();
    });
    return sockets[0];
  }
  void OnLoop(std::function<void()> work) { loop_.Post(std::move(work)); }
  void StartLoop() {
    loop_.Start(absl::Hours(1), [] {});
  }
  // Waits until the loop has done what was posted.
  void Settle() {
    std::promise<void> done;
    loop_.Post([&] { done.set_value(); });
    done.get_future().wait();
  }
  static std::string ReadAll(int fd) {
    std::string all;
    char space[4096];
    for (ssize_t got; (got = read(fd, space, sizeof(space))) > 0;) all.append(space, static_cast<size_t>(got));
    close(fd);
    return all;
  }

  std::shared_ptr<Exchange> Route(const std::shared_ptr<Session>& session, const RequestHead& head) override {
    return route_(session, head);
  }
  CallGate* gate() override { return &gate_; }
  Connections* connections() override { return &connections_; }
  const actors::Clock& clock() const override { return clock_; }
  bool draining() const override { return false; }
  void CountAnswer(int) override {}
  void CountBytes(size_t, size_t) override {}
  bool AddBodyBytes(int64_t more) override {
    if (body_bytes_ + more > 800 && more > 0) return false;
    body_bytes_ += more;
    return true;
  }

  const actors::SystemClock clock_;
  Connections connections_{100};
  CallGate gate_{kGateLimits, &connections_};
  std::function<std::shared_ptr<Exchange>(const std::shared_ptr<Session>&, const RequestHead&)> route_;
  std::vector<std::string> events_;
  std::shared_ptr<Echo> echo_;
  int64_t body_bytes_ = 0;
  Loop loop_{"session"};
  std::vector<std::shared_ptr<Session>> sessions_;
};

std::string Get(absl::string_view path) { return absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: h\r\n\r\n"); }
std::string Post(absl::string_view body) {
  return absl::StrCat("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}

TEST_F(SessionTest, OneWhoSendsManyRequestsAtOnceDelaysNobody) {
  std::string many;
  for (int i = 0; i < 300; ++i) many += Get("/many");
  std::vector<std::string> order;
  route_ = [&](const std::shared_ptr<Session>& session, const RequestHead& head) {
    order.push_back(head.path);
    session->Respond(200, {}, "");
    return nullptr;
  };
  const int first = Connect(many);
  const int second = Connect(Get("/one"));
  shutdown(first, SHUT_WR);
  shutdown(second, SHUT_WR);
  StartLoop();
  EXPECT_THAT(ReadAll(second), HasSubstr("200 OK"));
  ReadAll(first);
  Settle();
  ASSERT_EQ(order.size(), 301u);
  const auto turn = std::find(order.begin(), order.end(), "/one") - order.begin();
  EXPECT_LT(turn, 5);
}

TEST_F(SessionTest, RequestsThatCameTogetherAreAnsweredInTheirOrder) {
  const int client = Connect(Get("/a") + Get("/b") + Get("/c"));
  shutdown(client, SHUT_WR);
  StartLoop();
  const std::string answers = ReadAll(client);
  EXPECT_LT(answers.find("to /a\n"), answers.find("to /b\n"));
  EXPECT_LT(answers.find("to /b\n"), answers.find("to /c\n"));
  EXPECT_NE(answers.find("to /c\n"), std::string::npos);
}

TEST_F(SessionTest, OneWhoSendsNothingMoreGetsHisAnswer) {
  route_ = [&](const std::shared_ptr<Session>& session, const RequestHead&) {
    return echo_ = std::make_shared<Echo>(session, /*stream=*/false, &events_);
  };
  const int client = Connect(Post("hello"));
  shutdown(client, SHUT_WR);
  StartLoop();
  Settle();
  OnLoop([&] { echo_->Answer(); });
  EXPECT_THAT(ReadAll(client), EndsWith("\r\n\r\nhello"));
  Settle();
  EXPECT_THAT(events_, ElementsAre("body hello"));
}

TEST_F(SessionTest, AStreamEndsWithItsClient) {
  route_ = [&](const std::shared_ptr<Session>& session, const RequestHead&) {
    return echo_ = std::make_shared<Echo>(session, /*stream=*/true, &events_);
  };
  // One of them has sent more than is read ahead.
  const int quiet = Connect(Post("quiet"));
  const int loud = Connect(Post("loud") + std::string(2 * Session::kAheadBytes, 'x'));
  shutdown(quiet, SHUT_WR);
  StartLoop();
  EXPECT_EQ(ReadAll(quiet), "");
  EXPECT_EQ(ReadAll(loud), "");
  Settle();
  EXPECT_THAT(events_, ::testing::UnorderedElementsAre("body quiet", "gone", "body loud", "gone"));
}

TEST_F(SessionTest, AStreamOfOneWhoSendsNothingMoreOrMuchMoreDoesNotBegin) {
  route_ = [&](const std::shared_ptr<Session>& session, const RequestHead& head) -> std::shared_ptr<Exchange> {
    if (head.method == "POST") return std::make_shared<Echo>(session, /*stream=*/true, &events_);
    // The rest of what was sent is read before the answer.
    OnLoop([session] { session->Respond(200, {}, "first"); });
    return std::make_shared<Echo>(session, /*stream=*/false, &events_);
  };
  const int ended = Connect(Get("/") + Post("ended"));
  const int loud = Connect(Get("/") + Post("loud") + std::string(2 * Session::kAheadBytes, 'x'));
  shutdown(ended, SHUT_WR);
  StartLoop();
  EXPECT_THAT(ReadAll(ended), EndsWith("first"));
  EXPECT_THAT(ReadAll(loud), EndsWith("first"));
  Settle();
  EXPECT_THAT(events_, ElementsAre("body ", "body ", "gone", "gone"));
}

TEST_F(SessionTest, BodiesOnTheirWayHaveABound) {
  route_ = [&](const std::shared_ptr<Session>& session, const RequestHead&) {
    return echo_ = std::make_shared<Echo>(session, /*stream=*/false, &events_);
  };
  const std::string body(900, 'x');
  const int whole = Connect(Post(body));
  const int part = Connect(Post(body).substr(0, 870));
  StartLoop();
  const std::string refused = ReadAll(part);
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(refused, HasSubstr("http.body_bytes_of_all_max"));
  Settle();
  EXPECT_THAT(events_, ElementsAre(absl::StrCat("body ", body)));
  EXPECT_EQ(body_bytes_, 0);
  close(whole);
}

TEST_F(SessionTest, ConstantBytesComeBehindTheOthersHoweverSlowlyTheyAreRead) {
  static const std::string constant(3 << 20, 'c');
  route_ = [&](const std::shared_ptr<Session>& session, const RequestHead&) {
    session->Respond(200, {}, "own", constant);
    return nullptr;
  };
  const int client = Connect(Get("/"));
  shutdown(client, SHUT_WR);
  StartLoop();
  const std::string answer = ReadAll(client);
  EXPECT_THAT(answer.substr(0, 200), HasSubstr(absl::StrCat("content-length: ", constant.size() + 3)));
  EXPECT_TRUE(absl::EndsWith(answer, absl::StrCat("\r\n\r\nown", constant)));
}

}  // namespace
}  // namespace holdfast::service
