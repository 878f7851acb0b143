#include "service/call/forward.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/call/metadata_text.h"
#include "service/call/reply_wire.h"
#include "service/call/status.h"

namespace holdfast::service {
namespace {

// The metadata that belongs to the trace of the request.
constexpr const char* kTraceKeys[] = {"traceparent", "tracestate"};

// The initial metadata that says which shards a reply is about: a digit for each, 0 or 1.
constexpr char kShardsKey[] = "holdfast-shards";

storage::ShardSet ShardsOf(const grpc::ClientContext& context) {
  const auto& metadata = context.GetServerInitialMetadata();
  const auto found = metadata.find(kShardsKey);
  storage::ShardSet shards;
  if (found == metadata.end() || found->second.size() != shards.size()) return shards;
  for (size_t i = 0; i < shards.size(); ++i) shards[i] = found->second.data()[i] == '1';
  return shards;
}

}  // namespace

void MarkShards(const storage::ShardSet& shards, grpc::ServerContext* call) {
  std::string digits(shards.size(), '0');
  for (size_t i = 0; i < shards.size(); ++i) digits[i] = shards[i] ? '1' : '0';
  call->AddInitialMetadata(kShardsKey, digits);
}

std::unique_ptr<grpc::ClientContext> ContextToPeer(const grpc::ServerContext& call, const Peer& peer) {
  std::unique_ptr<grpc::ClientContext> context = grpc::ClientContext::FromServerContext(call);
  context->AddMetadata(kForwardedKey, peer.secret());
  for (const char* key : kTraceKeys) {
    const auto [begin, end] = call.client_metadata().equal_range(key);
    for (auto it = begin; it != end; ++it) {
      std::string value(it->second.data(), it->second.size());
      if (IsMetadataText(value)) context->AddMetadata(key, value);
    }
  }
  return context;
}

std::string PathOf(const std::string& method) {
  const size_t dot = method.rfind('.');
  return absl::StrCat("/", method.substr(0, dot), "/", method.substr(dot + 1));
}

absl::Status FromPeer(const Peer& peer, const grpc::Status& status) {
  absl::Status outcome = FromGrpc(status);
  if (outcome.ok() || !status.error_details().empty()) return outcome;
  if (absl::IsCancelled(outcome) && peer.gone()) {
    return absl::UnavailableError(absl::StrCat("from the node ", peer.node(), ": it has left the cluster"));
  }
  return absl::Status(outcome.code(), absl::StrCat("from the node ", peer.node(), ": ", outcome.message()));
}

Forward::Forward(const grpc::ServerContext& call, const std::shared_ptr<Peer>& peer, Done done)
    : peer_(peer, ContextToPeer(call, *peer)), done_(std::move(done)) {}

void Forward::Send(const grpc::ServerContext& call, std::shared_ptr<Peer> peer, const std::string& method,
                   const grpc::ByteBuffer& request, CompletionQueueExecutor* executor, Done done,
                   absl::Duration time_max) {
  auto* const forward = new Forward(call, peer, std::move(done));
  // The earlier of this deadline and that of the client counts.
  if (time_max < absl::InfiniteDuration()) {
    forward->peer_.context()->set_deadline(absl::ToChronoTime(absl::Now() + time_max));
    forward->timed_ = true;
  }
  forward->reader_ =
      forward->peer_.stub().PrepareUnaryCall(forward->peer_.context(), PathOf(method), request, executor->queue());
  forward->reader_->StartCall();
  forward->reader_->Finish(&forward->outcome_.reply, &forward->status_, forward->Tag());
}

void Forward::OnEvent(bool) {
  outcome_.status = FromPeer(*peer_, status_);
  if (timed_ && status_.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    outcome_.status = absl::UnavailableError(absl::StrCat("the node ", peer_->node(), " has not answered in time"));
  }
  if (status_.ok()) outcome_.shards = ShardsOf(*peer_.context());
  outcome_.replayed = status_.ok() && peer_.context()->GetServerInitialMetadata().contains(kReplayedKey);
  Done done = std::move(done_);
  Outcome outcome = std::move(outcome_);
  delete this;
  done(std::move(outcome));
}

}  // namespace holdfast::service
