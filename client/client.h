// A connection to one Holdfast server: deadlines, retries and errors, the same for every method.
//
//   holdfast::client::Client client({.address = "127.0.0.1:50051"});
//   holdfast::v1::GetValueRequest request;
//   request.mutable_object()->set_name("visits");
//   absl::StatusOr<holdfast::v1::GetValueResponse> reply =
//       client.Call(CallKind::kIdempotent, &holdfast::v1::CounterService::Stub::GetValue, request);

#ifndef HOLDFAST_CLIENT_CLIENT_H_
#define HOLDFAST_CLIENT_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/direct_routes.h"
#include "client/request_id.h"
#include "client/retry.h"
#include "client/shard.h"
#include "client/stubs.h"
#include "client/tls.h"
#include "client/token_file.h"

namespace holdfast::client {

struct ClientOptions {
  // A gRPC target: HOST:PORT, unix:PATH, dns:///NAME:PORT.
  std::string address = "127.0.0.1:50051";
  // The time limit of a call, with all its attempts and waits. 1 ms to 24 h; clamped.
  absl::Duration timeout = absl::Seconds(10);
  RetryOptions retry;
  // Absent: the connection is not encrypted.
  std::optional<TlsOptions> tls = {};
  // The bearer token of each call, e.g. TokenFromFile(path); empty: none. Without TLS the address must be local
  // (IsLocal in address.h), since whoever reads a token can use it.
  TokenSource token = {};
  // A connection of its own, also where another client of this process has one to the same server. Without it they
  // share one, and with it the server's bound on the calls of a connection.
  bool own_connection = false;
  // A cluster's client: calls for one object go to the node of the object, over connections of their own, as far as the
  // server tells the map of the cluster (direct_routes.h). Whatever can't go there goes to `address`: while there is no
  // map, or no connection to the node stands, and for the rest of a call whose node was UNAVAILABLE. The other nodes
  // get the same token, and must have certificates that `tls` trusts; without TLS only local ones get a token.
  bool direct = false;
};

// The reason why a call may be repeated. Both kinds are retried as `retry` says.
enum class CallKind {
  // The call by itself: reads, a peek at a limit, PassivateObject.
  kIdempotent,
  // The request_id of the call. An empty one is filled in at random, in BatchIncrement for each item, if the call may
  // be retried at all. A mutation is retried for 5 minutes at most, which is within the time for which the server keeps
  // records.
  kMutation,
};

// Ownership: a client owns its channel and stubs. It is neither copied nor moved, and must outlive its calls.
//
// Threading: any thread may call any method, which blocks until the reply.
//
// TLS: the client's certificate and its token are its identity, and the server may want both, one or none. An option
// that can't be used (a file that can't be read, a token that would be sent in the open) fails each call with
// INVALID_ARGUMENT, and FAILED_PRECONDITION without a reason says that the server is not the one that is meant; both
// before anything is sent.
//
// Errors: a call returns the server's error, with the google.rpc details as payloads (status.h); UNAVAILABLE if there
// is no connection; DEADLINE_EXCEEDED if the timeout passed. When no retry is left, it returns the last attempt's
// error. A mutation returns an earlier attempt's error instead if that attempt may have happened and the last error
// says nothing of it (docs/retries.md); the message then ends with the last attempt's. OutcomeUnknown (status.h)
// therefore tells whether a failed mutation may have happened in any of its attempts.
class Client {
 public:
  // The client connects on its first call.
  explicit Client(ClientOptions options);
  // Uses a channel that is made elsewhere, with credentials of its own; the options address, tls, token and direct are
  // not used.
  Client(ClientOptions options, std::shared_ptr<grpc::Channel> channel);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Returns the error of options that can't be used, which each call would return.
  const absl::Status& Usable() const { return unusable_; }

  // Waits until calls go to the nodes of their objects, or it is known that they can't. Returns whether they do. A
  // program that ends after a few calls begins with this; others need not wait.
  bool AwaitDirect(absl::Duration timeout) const { return routes_ != nullptr && routes_->Await(timeout); }

  // Calls a unary method of one of the stubs.
  template <class Stub, class Request, class Response>
  absl::StatusOr<Response> Call(CallKind kind,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    RetryOptions retry = options_.retry;
    const Request* sent = &request;
    Request with_ids;
    if (kind == CallKind::kMutation) {
      if constexpr (TakesRequestIds<Request>) {
        if (retry.retries != 0) {
          with_ids = request;
          FillRequestIds(with_ids);
          sent = &with_ids;
        }
      } else {
        retry.retries = 0;
      }
    }
    Response response;
    const std::optional<uint32_t> shard = routes_ == nullptr ? std::nullopt : ShardOfRequest<Stub>(request);
    absl::Status status = Run(kind, retry, shard, [&](grpc::ClientContext* context, const Stubs& stubs) {
      response.Clear();
      return (stubs.Get<Stub>().*method)(context, *sent, &response);
    });
    if (!status.ok()) return status;
    return response;
  }

  // Calls a method with a stream of replies of one of the stubs, such as Scrub. `on_reply` gets each reply on the
  // caller's thread; it returns false to end the call, which then returns OK. The call has no timeout and is not
  // retried.
  template <class Stub, class Request, class Response>
  absl::Status Read(std::unique_ptr<grpc::ClientReader<Response>> (Stub::*method)(grpc::ClientContext*, const Request&),
                    const Request& request, std::type_identity_t<absl::FunctionRef<bool(const Response&)>> on_reply) {
    grpc::ClientContext context;
    if (absl::Status status = Prepare(&context); !status.ok()) return status;
    auto stream = (stubs_.Get<Stub>().*method)(&context, request);
    Response reply;
    bool ended = false;
    while (stream->Read(&reply)) {
      if (ended || on_reply(reply)) continue;
      ended = true;
      context.TryCancel();
    }
    const absl::Status status = Outcome(stream->Finish());
    return ended ? absl::OkStatus() : status;
  }

  // Makes one StreamIncrement. It is pipelined: requests are sent without waiting for earlier results, as far as the
  // server's flow control lets them.
  //
  // `next` fills in the next request, which it gets cleared, or returns false at the end. It runs on a thread of its
  // own, and should not block, since the call ends only after it. `result` gets the results in the order of the
  // requests, on the caller's thread; it returns false to cancel the rest, and the call is then CANCELLED. Neither is
  // called after the return. An item's error is part of its result and does not end the stream. The call is not
  // retried, and fills in no request_id. It is an error if the stream ends with fewer results than requests; a request
  // without a result may have happened.
  absl::Status StreamIncrement(absl::FunctionRef<bool(v1::IncrementRequest*)> next,
                               absl::FunctionRef<bool(const v1::IncrementResult&)> result);

  // Watches for alarms. `on_alarm` gets each delivery on the caller's thread; it returns false to end the watch, which
  // then returns OK. Any other end is an error, after which the caller may watch again (RetrySchedule in retry.h tells
  // how long to wait before). Deliveries that are out stay leased. `on_alarm` may make calls with this client, e.g.
  // AcknowledgeAlarm. The watch has no timeout, and does not notice a connection that dies silently.
  absl::Status WatchAlarms(const v1::WatchAlarmsRequest& request,
                           absl::FunctionRef<bool(const v1::WatchAlarmsResponse&)> on_alarm);

  // Exports a SQL database: `on_chunk` gets the file in parts, on the caller's thread; if it returns false, the call is
  // CANCELLED. The call has no timeout beside the server's, and is not retried.
  absl::Status ExportSql(const v1::ExportSqlRequest& request, absl::FunctionRef<bool(const std::string&)> on_chunk);
  // Imports a SQL database: `next` fills in the next part, at most 1 MiB, or returns false at the end of the file. The
  // call has no timeout beside the server's, and is not retried. To repeat it safely, give the header a request_id.
  absl::StatusOr<v1::ImportSqlResponse> ImportSql(const v1::ImportSqlHeader& header,
                                                  absl::FunctionRef<bool(std::string*)> next);
  // The same for a whole object, as a file.
  absl::Status ExportObject(const v1::ExportObjectRequest& request,
                            absl::FunctionRef<bool(const std::string&)> on_chunk);
  absl::StatusOr<v1::ImportObjectResponse> ImportObject(const v1::ImportObjectHeader& header,
                                                        absl::FunctionRef<bool(std::string*)> next);

 private:
  template <typename Request, typename Response>
  using ReadingMethod = std::unique_ptr<grpc::ClientReader<Response>> (v1::ObjectService::Stub::*)(grpc::ClientContext*,
                                                                                                   const Request&);
  template <typename Request, typename Response>
  using WritingMethod = std::unique_ptr<grpc::ClientWriter<Request>> (v1::ObjectService::Stub::*)(grpc::ClientContext*,
                                                                                                  Response*);
  using Attempt = absl::FunctionRef<grpc::Status(grpc::ClientContext*, const Stubs&)>;

  // The calls that move a file in chunks.
  template <typename Request, typename Response>
  absl::Status ReadChunks(ReadingMethod<Request, Response> method, const Request& request,
                          absl::FunctionRef<bool(const std::string&)> on_chunk);
  template <typename Request, typename Response, typename Header>
  absl::StatusOr<Response> WriteChunks(WritingMethod<Request, Response> method, const Header& header,
                                       absl::FunctionRef<bool(std::string*)> next);
  std::shared_ptr<grpc::Channel> NewChannel(const std::string& address) const;
  // Returns the error of options that can't be used; otherwise gives the call its token.
  absl::Status Prepare(grpc::ClientContext* context) const;
  // Converts the outcome of a call, with a sentence in place of gRPC's words for what TLS refuses.
  absl::Status Outcome(const grpc::Status& status) const;
  // `shard` is that of the call's object, if the call may go to its node.
  absl::Status Run(CallKind kind, const RetryOptions& retry, std::optional<uint32_t> shard, Attempt attempt);
  // Makes one attempt, to a node or, if `route` is null, the ordinary way.
  absl::Status Try(DirectRoute* route, absl::Time deadline, Attempt attempt) const;

  const ClientOptions options_;
  absl::Status unusable_;                                        // why the options can't be used
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;  // null: the channel is made elsewhere
  const std::shared_ptr<grpc::Channel> channel_;
  const Stubs stubs_;
  const std::unique_ptr<DirectRoutes> routes_;  // null: all calls go the ordinary way
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_CLIENT_H_
