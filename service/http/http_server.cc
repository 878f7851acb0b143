#include "service/http/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <future>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "service/http/byte_stream.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

using config::v1::Config;

constexpr char kContentType[] = "content-type";
constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
// The loops look this often whether something takes too long.
constexpr absl::Duration kLookStep = absl::Milliseconds(100);
constexpr int kLooksPerRefresh = 10;
// Finish looks this often whether connections have ended. Only the thread that shuts the server down sleeps there.
constexpr absl::Duration kFinishStep = absl::Milliseconds(2);
// The pages of the console take nothing from elsewhere and are shown in no page of others.
constexpr char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri "
    "'none'; form-action 'none'; frame-ancestors 'none'";

SessionLimits LimitsOf(const Config& config) {
  const auto& http = config.http();
  return {.header_bytes_max = static_cast<size_t>(http.header_bytes_max()),
          .body_bytes_max = static_cast<size_t>(config.server().message_bytes_max()) + kEnvelopeBytes,
          .head_time_max = absl::Milliseconds(http.head_time_limit_ms()),
          .body_time_max = absl::Milliseconds(http.body_time_limit_ms()),
          .idle_time_max = absl::Milliseconds(http.idle_timeout_ms()),
          .send_time_max = absl::Milliseconds(config.server().reply_time_limit_ms())};
}

// Has the system ask a silent connection now and then whether its client is there, as gRPC asks with pings. A network
// may lose a client without a word, and then a stream would stay.
void KeepAlive(const config::v1::ServerConfig& config, int fd) {
  constexpr int kProbes = 3;
  const auto seconds = [](int64_t ms) { return static_cast<int>(std::max<int64_t>(1, ms / 1000)); };
  const std::tuple<int, int, int> options[] = {
      {SOL_SOCKET, SO_KEEPALIVE, 1},
      {IPPROTO_TCP, TCP_KEEPIDLE, seconds(config.keepalive_interval_ms())},
      {IPPROTO_TCP, TCP_KEEPINTVL, seconds(config.keepalive_timeout_ms() / kProbes)},
      {IPPROTO_TCP, TCP_KEEPCNT, kProbes},
      {IPPROTO_TCP, TCP_USER_TIMEOUT, config.keepalive_timeout_ms()},
  };
  // A socket of another kind has none of these.
  for (const auto& [level, name, value] : options) (void)setsockopt(fd, level, name, &value, sizeof(value));
}

void RespondText(Session* session, int status, Headers headers, absl::string_view text) {
  headers.emplace_back(kContentType, kText);
  session->Respond(status, headers, absl::StrCat(text, "\n"));
}

std::unique_ptr<ByteStream> StreamOf(int fd, SSL_CTX* context) {
  return context == nullptr ? PlainStream(fd) : TlsStream(fd, context);
}

bool IsRead(const RequestHead& head) { return head.method == "GET" || head.method == "HEAD"; }

// Answers a GET of the metrics, which are made on the side thread.
class MetricsExchange final : public Exchange, public std::enable_shared_from_this<MetricsExchange> {
 public:
  MetricsExchange(SideThread* side, const std::function<std::string()>* page, std::shared_ptr<Session> session)
      : side_(side), page_(page), session_(std::move(session)) {}

  void OnBody(std::string) override {
    const bool taken = side_->Run([self = shared_from_this()]() mutable {
      std::string page = (*self->page_)();
      Loop* const loop = self->session_->loop();
      loop->Post([self = std::move(self), page = std::move(page)]() mutable {
        self->session_->Respond(200, {{kContentType, kMetricsType}, {"cache-control", "no-store"}}, page);
      });
    });
    if (!taken) RespondText(session_.get(), 503, {}, "too many requests for metrics wait");
  }
  void Fail(const absl::Status& why) override {
    RespondText(session_.get(), HttpStatusOf(why.code()), {}, why.message());
  }

 private:
  SideThread* const side_;
  const std::function<std::string()>* const page_;
  const std::shared_ptr<Session> session_;
};

}  // namespace

HttpServer::HttpServer(const Config& config, HttpServices services)
    : config_(config),
      services_(std::move(services)),
      limits_(LimitsOf(config)),
      cors_(config.http(), config.has_tls()),
      metrics_method_{.name = "http.metrics", .verb = Verb::kRead},
      services_method_{.name = "http.services", .verb = Verb::kRead},
      connections_(config.http().connections_max()) {}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const Config& config, HttpServices services) {
  std::unique_ptr<HttpServer> server(new HttpServer(config, std::move(services)));
  for (const Method& method : server->services_.methods) {
    const auto* const descriptor = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(method.name);
    if (descriptor == nullptr) return absl::InternalError(absl::StrCat("method ", method.name, " has no descriptor"));
    server->methods_.emplace(absl::StrCat("/", descriptor->service()->full_name(), "/", descriptor->name()),
                             HttpMethod{.method = method, .descriptor = descriptor});
  }
  if (config.has_tls()) {
    auto tls = TlsContexts::Open(config.tls());
    if (!tls.ok()) return tls.status();
    server->tls_ = *std::move(tls);
  }
  server->backend_ = std::make_unique<Backend>(server->services_.channel(), server->services_.secret);
  server->connect_ = {.backend = server->backend_.get(),
                      .gate = server->services_.gate,
                      .parser = server->services_.parser,
                      .message_bytes_max = static_cast<size_t>(config.server().message_bytes_max())};
  for (int i = 0; i < config.http().threads(); ++i) {
    server->lanes_.push_back(std::make_unique<Lane>(absl::StrCat("http-", i)));
  }
  // The threads read lanes_, so that it is whole before the first of them begins.
  for (const auto& lane : server->lanes_) {
    lane->loop.Start(kLookStep, [server = server.get(), lane = lane.get(), looks = 0]() mutable {
      server->Look(lane);
      if (lane == server->lanes_.front().get() && ++looks % kLooksPerRefresh == 0) server->RefreshTls();
    });
  }
  return server;
}

HttpServer::~HttpServer() {
  for (const auto& lane : lanes_) lane->loop.Stop();
}

void HttpServer::RefreshTls() {
  if (tls_ == nullptr) return;
  side_.Run([this] {
    const absl::Status status = tls_->Refresh();
    std::string problem(status.message());
    if (!status.ok() && problem != tls_problem_) Log(LogLevel::kWarning, "http_tls_not_changed", {{"error", problem}});
    tls_problem_ = std::move(problem);
  });
}

void HttpServer::Accept(int fd, std::string peer) {
  KeepAlive(config_.server(), fd);
  open_.fetch_add(1, std::memory_order_relaxed);
  Lane* const lane = lanes_[next_.fetch_add(1, std::memory_order_relaxed) % lanes_.size()].get();
  lane->loop.Post([this, lane, fd, peer = std::move(peer)]() mutable {
    auto session = std::make_shared<Session>(limits_, this, &lane->loop, fd, std::move(peer), StreamOf,
                                             tls_ == nullptr ? nullptr : tls_->current());
    lane->sessions.insert(session);
    session->Start();
  });
}

void HttpServer::Look(Lane* lane) {
  const absl::Time now = services_.clock->Steady();
  for (const auto& session : lane->sessions) session->Look(now);
  open_.fetch_sub(static_cast<int64_t>(absl::erase_if(
                      lane->sessions, [](const std::shared_ptr<Session>& session) { return session->closed(); })),
                  std::memory_order_relaxed);
}

void HttpServer::CloseIdle() {
  for (const auto& lane : lanes_) {
    // A call that has not seen the drain began before this work.
    std::promise<void> done;
    lane->loop.Post([&done, lane = lane.get()] {
      for (const auto& session : lane->sessions) session->CloseIfIdle();
      done.set_value();
    });
    done.get_future().wait();
  }
}

void HttpServer::Finish(absl::Duration time_max) {
  const auto wait = [&] {
    const absl::Time until = actors::SteadyNow() + time_max;
    while (open_ > 0 && actors::SteadyNow() < until) absl::SleepFor(kFinishStep);  // a loop tells of no end
  };
  wait();
  for (const auto& lane : lanes_) {
    lane->loop.Post([lane = lane.get()] {
      for (const auto& session : lane->sessions) session->Gone();
    });
  }
  wait();
  for (const auto& lane : lanes_) lane->loop.Stop();
  backend_ = nullptr;
}

void HttpServer::CountAnswer(int status) {
  const auto answer = static_cast<size_t>(status / 100);
  answers_[answer < answers_.size() ? answer : 0].fetch_add(1, std::memory_order_relaxed);
}

void HttpServer::CountBytes(size_t received, size_t sent) {
  if (received > 0) received_bytes_.fetch_add(received, std::memory_order_relaxed);
  if (sent > 0) sent_bytes_.fetch_add(sent, std::memory_order_relaxed);
}

bool HttpServer::AddBodyBytes(int64_t more) {
  const int64_t before = body_bytes_.fetch_add(more, std::memory_order_relaxed);
  if (more <= 0 || before + more <= config_.http().body_bytes_of_all_max()) return true;
  body_bytes_.fetch_sub(more, std::memory_order_relaxed);
  return false;
}

HttpLoad HttpServer::load() const {
  HttpLoad load{.connections = open_, .received_bytes = received_bytes_, .sent_bytes = sent_bytes_};
  for (size_t i = 0; i < load.answers.size(); ++i) load.answers[i] = answers_[i];
  return load;
}

std::shared_ptr<Exchange> HttpServer::Route(const std::shared_ptr<Session>& session, const RequestHead& head) {
  if (!cors_.MayBeNamed(head)) {
    RespondText(session.get(), 421, {},
                "Host: is no name of this machine; allow it with http.allowed_host, or serve with TLS");
    return nullptr;
  }
  const Headers headers = cors_.ForAnswer(head);
  if (Cors::IsPreflight(head)) {
    session->Respond(204, cors_.ForPreflight(head), "");
    return nullptr;
  }
  if (!cors_.MayCall(head)) {
    RespondText(session.get(), 403, headers, "Origin: pages of it may not call this server (http.cors.allowed_origin)");
    return nullptr;
  }
  const auto method = methods_.find(head.path);
  if (method != methods_.end()) return ConnectExchange::Begin(connect_, method->second, session, head, headers);

  const bool is_page = head.path == "/metrics" || head.path == "/healthz" || head.path == "/readyz";
  const ConsoleFile* const file = services_.find_file == nullptr ? nullptr : services_.find_file(head.path);
  if ((is_page || file != nullptr) && !IsRead(head)) {
    Headers allow = headers;
    allow.emplace_back("allow", "GET, HEAD");
    RespondText(session.get(), 405, std::move(allow), "this page is read with GET");
    return nullptr;
  }
  if (head.path == "/metrics") {
    if (!AdmitReader(metrics_method_, session, head, headers)) return nullptr;
    return std::make_shared<MetricsExchange>(&side_, &services_.metrics, session);
  }
  if (head.path == "/healthz") {
    RespondText(session.get(), 200, headers, "ok");
  } else if (head.path == "/readyz") {
    const bool ready = !services_.gate->draining() && services_.ready();
    RespondText(session.get(), ready ? 200 : 503, headers, ready ? "ready" : "not ready");
  } else if (file != nullptr) {
    if (file->for_readers && !AdmitReader(services_method_, session, head, headers)) return nullptr;
    SendFile(session, head, *file);
  } else {
    Headers json = headers;
    json.emplace_back(kContentType, "application/json");
    session->Respond(404, json, ErrorJson(absl::UnimplementedError("there is no method of this path")));
  }
  return nullptr;
}

bool HttpServer::AdmitReader(const Method& page, const std::shared_ptr<Session>& session, const RequestHead& head,
                             const Headers& headers) {
  const std::vector<std::string> authorization = head.All("authorization");
  const auto credentials = [&] {
    Credentials given;
    given.certificate = session->certificate();
    for (const std::string& value : authorization) given.authorization.emplace_back(value);
    return given;
  };
  CallGate::Lease lease;
  absl::Status status =
      services_.gate->Admit(page, CallGate::Shape::kSingle, session->peer(), /*bytes=*/0, &lease, credentials);
  if (status.ok()) status = services_.gate->AdmitTarget(page, Target::Server(), &lease, credentials);
  if (status.ok()) return true;
  Headers more = headers;
  if (absl::IsUnauthenticated(status)) more.emplace_back("www-authenticate", "Bearer");
  RespondText(session.get(), HttpStatusOf(status.code()), std::move(more), status.message());
  return false;
}

void HttpServer::SendFile(const std::shared_ptr<Session>& session, const RequestHead& head,
                          const ConsoleFile& file) const {
  Headers headers = {{"etag", std::string(file.etag)},
                     {"cache-control", "no-cache"},
                     {"content-security-policy", kPolicy},
                     {"referrer-policy", "no-referrer"},
                     {"cross-origin-opener-policy", "same-origin"},
                     {"cross-origin-resource-policy", "same-origin"}};
  const auto known = head.Find("if-none-match");
  if (known && absl::StrContains(*known, absl::string_view(file.etag.data(), file.etag.size())))
    return session->Respond(304, headers, "");
  headers.emplace_back(kContentType, std::string(file.content_type));
  session->Respond(200, headers, "", absl::string_view(file.body.data(), file.body.size()));
}

}  // namespace holdfast::service
