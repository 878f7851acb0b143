// The HTTP port: every method of the gRPC port over the Connect protocol, /metrics, /healthz, /readyz, and the files of
// the console. It decides nothing by itself: calls go through the call gate like those of the gRPC port.
//
//   Listener -> Accept -> Session (one of a few loops) -> Exchange -> Backend -> gRPC inside the process
//
// Threading: Start, Drain and the destructor on one thread; Accept on the listener's. Ownership: everything in
// HttpServices outlives it. Shutdown: Drain, then the end of the gRPC server, which ends the calls, then the
// destructor. Bounds: connections() of connections; see session.h and connect_exchange.h for those of one.

#ifndef HOLDFAST_SERVICE_HTTP_HTTP_SERVER_H_
#define HOLDFAST_SERVICE_HTTP_HTTP_SERVER_H_

#include <grpcpp/channel.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/console/console_files.h"
#include "service/http/connect_exchange.h"
#include "service/http/cors.h"
#include "service/http/loop.h"
#include "service/http/session.h"
#include "service/http/side_thread.h"
#include "service/http/tls_contexts.h"
#include "service/metrics/node_load.h"

namespace holdfast::service {

struct HttpServices {
  std::vector<Method> methods;  // all that can be called
  // Returns a new channel to the gRPC server, inside the process.
  std::function<std::shared_ptr<grpc::Channel>()> channel;
  // By this the gRPC server knows the calls of this port (call/http_origin.h).
  std::string secret;
  CallGate* gate;
  RequestParser* parser;
  const actors::Clock* clock;
  std::function<std::string()> metrics;  // the page of the metrics; may take a while
  std::function<bool()> ready;           // the server may be sent requests
  // Finds a file by its path; null if there is none. The function itself may be null.
  std::function<const ConsoleFile*(std::string_view path)> find_file;
};

class HttpServer final : public SessionHost {
 public:
  // `config` is complete, and its `http` has an address. An error names the setting.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const config::v1::Config& config, HttpServices services);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer() override;

  // The connections of the port, for its listener.
  Connections* connections() override { return &connections_; }
  // Takes over an accepted socket. `peer` is its address as gRPC spells it.
  void Accept(int fd, std::string peer);
  // From now on each connection ends with its answer.
  void Drain() { draining_ = true; }
  // Ends the connections without a request, and returns when no call begins any more. Called after Drain, when no
  // connection is accepted.
  void CloseIdle();
  // Waits until all connections have ended, at most so long, ends those that are left, which takes as long at most, and
  // ends the threads. The gRPC server must have ended.
  void Finish(absl::Duration time_max);

  // Returns what the metrics tell of the port. Any thread.
  HttpLoad load() const;

 private:
  // A loop with its sessions.
  struct Lane {
    explicit Lane(const std::string& name) : loop(name) {}
    Loop loop;
    absl::flat_hash_set<std::shared_ptr<Session>> sessions;  // the loop's thread only
  };

  HttpServer(const config::v1::Config& config, HttpServices services);

  std::shared_ptr<Exchange> Route(const std::shared_ptr<Session>& session, const RequestHead& head) override;
  CallGate* gate() override { return services_.gate; }
  const actors::Clock& clock() const override { return *services_.clock; }
  bool draining() const override { return draining_.load(std::memory_order_relaxed); }
  void CountAnswer(int status) override;
  void CountBytes(size_t received, size_t sent) override;
  bool AddBodyBytes(int64_t more) override;

  // Ends what has taken too long, and forgets what has ended.
  void Look(Lane* lane);
  void RefreshTls();
  // Returns whether the caller may READ anything, which pages about the server need; otherwise it answers.
  bool AdmitReader(const Method& page, const std::shared_ptr<Session>& session, const RequestHead& head,
                   const Headers& headers);
  void SendFile(const std::shared_ptr<Session>& session, const RequestHead& head, const ConsoleFile& file) const;

  const config::v1::Config config_;
  const HttpServices services_;
  const SessionLimits limits_;
  const Cors cors_;
  const Method metrics_method_;
  const Method services_method_;
  Connections connections_;
  HttpMethods methods_;
  std::unique_ptr<TlsContexts> tls_;  // null: the port speaks no TLS
  std::string tls_problem_;           // what was wrong with the files last. The side thread only
  std::atomic<bool> draining_ = false;
  std::atomic<int64_t> open_ = 0;
  std::array<std::atomic<uint64_t>, HttpLoad::kAnswers> answers_ = {};
  std::atomic<uint64_t> received_bytes_ = 0;
  std::atomic<uint64_t> sent_bytes_ = 0;
  std::atomic<int64_t> body_bytes_ = 0;
  std::atomic<size_t> next_ = 0;  // the lane of the next connection
  std::unique_ptr<Backend> backend_;
  ConnectServices connect_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  SideThread side_;  // ends before the loops that it posts to
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_HTTP_SERVER_H_
