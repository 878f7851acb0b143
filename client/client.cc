#include "client/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "client/address.h"
#include "client/status.h"

namespace holdfast::client {
namespace {

// Returns the time of a clock that never steps; its zero means nothing.
absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

ClientOptions Clamped(ClientOptions options) {
  options.timeout = std::clamp(options.timeout, absl::Milliseconds(1), absl::Hours(24));
  return options;
}

// Makes the credentials of the channels, or sets `unusable`, with credentials that are never used.
std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(const ClientOptions& options, absl::Status* unusable) {
  if (options.tls.has_value()) {
    const absl::StatusOr<TlsFiles> files = ReadTlsFiles(*options.tls, absl::Now());
    if (files.ok()) return TlsCredentials(*files);
    *unusable = files.status();
  } else if (options.token && !IsLocal(options.address)) {
    *unusable = absl::InvalidArgumentError(absl::StrCat("a token is not sent to ", options.address,
                                                        " without TLS: whoever reads it on its way can use it"));
  }
  return grpc::InsecureChannelCredentials();
}

// Takes what belongs to a connection of our own out of the options of a channel that is made elsewhere.
ClientOptions WithoutCredentials(ClientOptions options) {
  options.tls = std::nullopt;
  options.token = nullptr;
  return options;
}

// The time after its first attempt within which a mutation may be sent again. The server keeps the record of a request
// for 10 minutes by default, and after that would carry the request out a second time.
constexpr absl::Duration kReplayWindow = absl::Minutes(5);

// Returns whether the server gives this reason only after it has looked for a record of the request_id and found none,
// or another request's. DATA_CORRUPT and SCHEMA_NEWER are not among these reasons: the object can't be loaded, so the
// server has not looked. Nor are INVALID_FIELD and CLASS_READ_ONLY, which a server with another configuration may give
// to a request that was carried out before.
bool IsToldAfterTheRecord(absl::string_view reason) {
  constexpr absl::string_view kReasons[] = {"NOT_FOUND",           "REQUEST_ID_REUSED",    "ETAG_MISMATCH",
                                            "PRECONDITION_FAILED", "SQL_CONSTRAINT",       "SQL_ERROR",
                                            "SCHEMA_CHANGED",      "ALARM_DELIVERY_STALE", "OBJECT_QUOTA",
                                            "COUNTER_OVERFLOW",    "SQL_TIME_LIMIT",       "RESPONSE_TOO_LARGE"};
  return std::find(std::begin(kReasons), std::end(kReasons), reason) != std::end(kReasons);
}

// Returns whether the error of an attempt tells the outcome of earlier attempts with the same request_id, or leaves its
// own outcome open.
bool TellsOfEarlierAttempts(const absl::Status& failure) {
  return OutcomeUnknown(failure) || IsToldAfterTheRecord(ReasonOf(failure));  // with the first, neither is known
}

// Returns the earlier attempt's error, which leaves the outcome open, with the message of the last attempt added.
absl::Status StillUnknown(const absl::Status& unknown, const absl::Status& last) {
  absl::Status status(unknown.code(), absl::StrCat(unknown.message(), "; the last attempt: ",
                                                   last.ToString(absl::StatusToStringMode::kWithNoExtraData)));
  unknown.ForEachPayload([&](absl::string_view type, const absl::Cord& detail) { status.SetPayload(type, detail); });
  return status;
}

}  // namespace

Client::Client(ClientOptions options)
    : options_(Clamped(std::move(options))),
      credentials_(MakeCredentials(options_, &unusable_)),
      channel_(NewChannel(options_.address)),
      stubs_(channel_),
      routes_(!options_.direct || !unusable_.ok()
                  ? nullptr
                  : std::make_unique<DirectRoutes>(
                        channel_, [this](grpc::ClientContext* context) { return Prepare(context); },
                        [this](const std::string& address) -> std::shared_ptr<grpc::Channel> {
                          const bool open = options_.token && !options_.tls.has_value() && !IsLocal(address);
                          return open ? nullptr : NewChannel(address);
                        })) {}

Client::Client(ClientOptions options, std::shared_ptr<grpc::Channel> channel)
    : options_(WithoutCredentials(Clamped(std::move(options)))), channel_(std::move(channel)), stubs_(channel_) {}

std::shared_ptr<grpc::Channel> Client::NewChannel(const std::string& address) const {
  grpc::ChannelArguments arguments;
  // gRPC answers from its own connection backoff without trying; it must not be longer than ours, or our retries would
  // all fail within one pause.
  const auto backoff_ms =
      static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(options_.retry.backoff_initial), 1, 1000));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, backoff_ms);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  if (options_.own_connection) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (!options_.tls.has_value() && options_.token) {
    // A proxy that the environment names would see it.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  }
  if (options_.tls.has_value() && !options_.tls->server_name.empty()) {
    arguments.SetSslTargetNameOverride(options_.tls->server_name);
  }
  return grpc::CreateCustomChannel(address, credentials_, arguments);
}

absl::Status Client::Prepare(grpc::ClientContext* context) const {
  if (!unusable_.ok()) return unusable_;
  if (!options_.token) return absl::OkStatus();
  const absl::StatusOr<std::string> token = options_.token();
  if (!token.ok()) return token.status();
  if (!IsBearerToken(*token)) return absl::InvalidArgumentError("the token is not one word of printable ASCII");
  context->AddMetadata("authorization", absl::StrCat("Bearer ", *token));
  return absl::OkStatus();
}

absl::Status Client::Outcome(const grpc::Status& status) const {
  absl::Status outcome = FromGrpcStatus(status);
  return options_.tls.has_value() ? ExplainTlsFailure(outcome, *options_.tls, options_.address) : outcome;
}

absl::Status Client::Try(DirectRoute* route, absl::Time deadline, Attempt attempt) const {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + (deadline - SteadyNow())));
  if (absl::Status status = Prepare(&context); !status.ok()) return status;
  if (route == nullptr) return Outcome(attempt(&context, stubs_));
  route->Begin(&context);
  const grpc::Status status = attempt(&context, route->stubs());
  route->End(&context);
  if (status.error_code() == grpc::StatusCode::CANCELLED && route->left()) {
    return absl::UnavailableError(absl::StrCat("the node ", route->node(), " has left the cluster during the call"));
  }
  return FromGrpcStatus(status);
}

absl::Status Client::Run(CallKind kind, const RetryOptions& retry, std::optional<uint32_t> shard, Attempt attempt) {
  const absl::Time start = SteadyNow();
  const absl::Time deadline = start + options_.timeout;
  absl::InsecureBitGen random;
  const absl::Time again_until = kind == CallKind::kMutation ? std::min(deadline, start + kReplayWindow) : deadline;
  RetrySchedule schedule(retry, again_until, random);
  absl::Status unknown;  // the error of an earlier attempt at a mutation, which may have happened
  bool direct = shard.has_value();
  while (true) {
    const std::shared_ptr<DirectRoute> route = direct ? routes_->Find(*shard) : nullptr;
    const absl::Status status = Try(route.get(), deadline, attempt);
    if (status.ok()) return status;
    if (route != nullptr && absl::IsUnavailable(status) && SteadyNow() < again_until) {
      direct = false;
      // The ordinary way is open at once, unless the call may have happened and must not happen twice.
      const bool maybe = kind == CallKind::kMutation && OutcomeUnknown(status);
      if (!maybe || retry.retries != 0) {
        if (maybe) unknown = status;
        continue;
      }
    }
    const std::optional<absl::Duration> wait = schedule.Next(status, SteadyNow());
    if (!wait.has_value()) {
      return unknown.ok() || TellsOfEarlierAttempts(status) ? status : StillUnknown(unknown, status);
    }
    if (kind == CallKind::kMutation && OutcomeUnknown(status)) unknown = status;
    // The caller's thread sleeps through the backoff, since it waits for the outcome anyway. gRPC makes a broken
    // connection anew only while somebody waits for it, and no call does during the pause.
    const absl::Time next = SteadyNow() + *wait;
    channel_->WaitForConnected(absl::ToChronoTime(absl::Now() + *wait));
    absl::SleepFor(next - SteadyNow());
  }
}

absl::Status Client::StreamIncrement(absl::FunctionRef<bool(v1::IncrementRequest*)> next,
                                     absl::FunctionRef<bool(const v1::IncrementResult&)> result) {
  grpc::ClientContext context;
  if (absl::Status status = Prepare(&context); !status.ok()) return status;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.timeout));
  auto stream = stubs_.Get<v1::CounterService::Stub>().StreamIncrement(&context);

  // The writer owns these until it is joined.
  int64_t sent = 0;
  bool all_sent = false;
  std::thread writer([&] {
    v1::StreamIncrementRequest request;
    while (!all_sent) {
      request.Clear();
      if (!next(request.mutable_increment())) {
        all_sent = true;
      } else if (stream->Write(request)) {
        ++sent;
      } else {
        break;  // the call has ended; Finish tells why
      }
    }
    stream->WritesDone();
  });

  int64_t received = 0;
  bool cancelled = false;
  v1::StreamIncrementResponse response;
  while (stream->Read(&response)) {
    ++received;
    if (!cancelled && !result(response.result())) {
      cancelled = true;
      context.TryCancel();
    }
  }
  writer.join();
  const absl::Status status = Outcome(stream->Finish());
  if (cancelled) return absl::CancelledError("cancelled by the caller");
  if (status.ok() && (received != sent || !all_sent)) {
    return absl::InternalError(absl::StrCat("the stream ended with ", received, " results for ", sent,
                                            all_sent ? " requests" : " requests and more to send"));
  }
  return status;
}

absl::Status Client::WatchAlarms(const v1::WatchAlarmsRequest& request,
                                 absl::FunctionRef<bool(const v1::WatchAlarmsResponse&)> on_alarm) {
  grpc::ClientContext context;
  if (absl::Status status = Prepare(&context); !status.ok()) return status;
  auto stream = stubs_.Get<v1::ObjectService::Stub>().WatchAlarms(&context, request);
  v1::WatchAlarmsResponse alarm;
  while (stream->Read(&alarm)) {
    if (on_alarm(alarm)) continue;
    context.TryCancel();
    while (stream->Read(&alarm)) {
    }
    stream->Finish();
    return absl::OkStatus();
  }
  const absl::Status status = Outcome(stream->Finish());
  return status.ok() ? absl::InternalError("the server ended the watch, which has no end of its own") : status;
}

template <typename Request, typename Response>
absl::Status Client::ReadChunks(ReadingMethod<Request, Response> method, const Request& request,
                                absl::FunctionRef<bool(const std::string&)> on_chunk) {
  grpc::ClientContext context;
  if (absl::Status status = Prepare(&context); !status.ok()) return status;
  auto stream = (stubs_.Get<v1::ObjectService::Stub>().*method)(&context, request);
  Response part;
  bool cancelled = false;
  while (stream->Read(&part)) {
    if (cancelled || on_chunk(part.chunk())) continue;
    cancelled = true;
    context.TryCancel();
  }
  const absl::Status status = Outcome(stream->Finish());
  return cancelled ? absl::CancelledError("cancelled by the caller") : status;
}

template <typename Request, typename Response, typename Header>
absl::StatusOr<Response> Client::WriteChunks(WritingMethod<Request, Response> method, const Header& header,
                                             absl::FunctionRef<bool(std::string*)> next) {
  grpc::ClientContext context;
  if (absl::Status status = Prepare(&context); !status.ok()) return status;
  Response response;
  auto stream = (stubs_.Get<v1::ObjectService::Stub>().*method)(&context, &response);
  Request part;
  *part.mutable_header() = header;
  // If a write fails, the call has ended; Finish tells why.
  while (stream->Write(part) && next(part.mutable_chunk())) {
  }
  stream->WritesDone();
  if (absl::Status status = Outcome(stream->Finish()); !status.ok()) return status;
  return response;
}

absl::Status Client::ExportSql(const v1::ExportSqlRequest& request,
                               absl::FunctionRef<bool(const std::string&)> on_chunk) {
  return ReadChunks<v1::ExportSqlRequest, v1::ExportSqlResponse>(&v1::ObjectService::Stub::ExportSql, request,
                                                                 on_chunk);
}

absl::StatusOr<v1::ImportSqlResponse> Client::ImportSql(const v1::ImportSqlHeader& header,
                                                        absl::FunctionRef<bool(std::string*)> next) {
  return WriteChunks<v1::ImportSqlRequest, v1::ImportSqlResponse>(&v1::ObjectService::Stub::ImportSql, header, next);
}

absl::Status Client::ExportObject(const v1::ExportObjectRequest& request,
                                  absl::FunctionRef<bool(const std::string&)> on_chunk) {
  return ReadChunks<v1::ExportObjectRequest, v1::ExportObjectResponse>(&v1::ObjectService::Stub::ExportObject, request,
                                                                       on_chunk);
}

absl::StatusOr<v1::ImportObjectResponse> Client::ImportObject(const v1::ImportObjectHeader& header,
                                                              absl::FunctionRef<bool(std::string*)> next) {
  return WriteChunks<v1::ImportObjectRequest, v1::ImportObjectResponse>(&v1::ObjectService::Stub::ImportObject, header,
                                                                        next);
}

}  // namespace holdfast::client
