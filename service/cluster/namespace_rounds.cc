#include "service/cluster/namespace_rounds.h"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "service/call/forward.h"
#include "service/call/reply_wire.h"
#include "storage/base/log.h"
#include "storage/store/object_id.h"

namespace holdfast::service {
namespace {

constexpr char kMethod[] = "holdfast.v1.AdminService.ListNamespaceChanges";

absl::Status Garbled() { return absl::InternalError("the answer is not one of a node of this version"); }

}  // namespace

absl::StatusOr<v1::ListNamespaceChangesResponse> NamespaceRounds::AskPeer(
    const std::shared_ptr<Peer>& peer, const v1::ListNamespaceChangesRequest& request) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->AddMetadata(kForwardedKey, peer->secret());
  context->set_deadline(absl::ToChronoTime(absl::Now() + kAnswerTimeMax));
  const PeerCall call(peer, std::move(context));
  grpc::CompletionQueue queue;
  grpc::ByteBuffer reply;
  grpc::Status status;
  const auto reader = call.stub().PrepareUnaryCall(call.context(), PathOf(kMethod), ToWire(request), &queue);
  reader->StartCall();
  reader->Finish(&reply, &status, /*tag=*/nullptr);
  void* tag;
  bool ok;
  (void)queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  if (absl::Status outcome = FromPeer(*call, status); !outcome.ok()) return outcome;
  v1::ListNamespaceChangesResponse response;
  if (!grpc::SerializationTraits<v1::ListNamespaceChangesResponse>::Deserialize(&reply, &response).ok()) {
    return Garbled();
  }
  return response;
}

NamespaceRounds::NamespaceRounds(storage::NamespaceUsage* usage, Owners owners, Ask ask)
    : usage_(usage), owners_(std::move(owners)), ask_(std::move(ask)) {}

void NamespaceRounds::Start() {
  thread_ = std::thread([this] { Work(); });
}

void NamespaceRounds::Stop() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.WakeAll();
  }
  thread_.join();
}

bool NamespaceRounds::ending() {
  MutexLock lock(&mutex_);
  return ending_;
}

void NamespaceRounds::Work() {
  pthread_setname_np(pthread_self(), "namespaces");
  while (!ending()) {
    const auto next = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(kInterval);
    Round();
    MutexLock lock(&mutex_);
    while (!ending_ && changed_.WaitUntil(&mutex_, next)) {
    }
  }
}

void NamespaceRounds::Round() {
  const std::vector<std::shared_ptr<Peer>> peers = owners_();
  std::erase_if(known_, [&](const auto& known) { return std::ranges::find(peers, known.first) == peers.end(); });
  bool whole = true;
  for (const std::shared_ptr<Peer>& peer : peers) {
    if (ending()) return;
    Known& known = known_[peer];
    const absl::Status status = Hear(peer, &known);
    whole &= status.ok();
    if (status.ok() == known.answers) continue;
    known.answers = status.ok();
    Log(status.ok() ? LogLevel::kInfo : LogLevel::kWarning, status.ok() ? "namespaces_told" : "namespaces_not_told",
        {{"node", peer->node()}, {"status", status.ToString()}});
  }
  if (whole) usage_->EndRound(peers.size() + 1);
}

absl::Status NamespaceRounds::Hear(const std::shared_ptr<Peer>& peer, Known* known) {
  v1::ListNamespaceChangesRequest request;
  request.set_run(known->run);
  request.set_since_version(known->version);
  Known heard = *known;
  for (uint32_t part = 0; part < storage::kShardCount; ++part) {
    const absl::StatusOr<v1::ListNamespaceChangesResponse> answer = ask_(peer, request);
    if (!answer.ok()) return answer.status();
    if (part == 0) {
      heard.run = answer->run();
      heard.version = answer->version();
    }
    // A process that was replaced meanwhile has none of what was told before.
    if (answer->run() != heard.run) return absl::UnavailableError("the node was started again");
    for (const v1::ShardNamespaces& told : answer->shards()) {
      if (told.shard() < 0 || told.shard() >= static_cast<int32_t>(storage::kShardCount)) return Garbled();
      storage::NamespaceUsage::ShardNews news = {
          .shard = storage::ShardId(told.shard()), .epoch = told.epoch(), .whole = told.whole(), .namespaces = {}};
      for (const v1::NamespaceSummary& one : told.namespaces()) {
        news.namespaces.push_back({one.namespace_(), {one.objects(), one.size_bytes()}});
      }
      usage_->Hear(news);
    }
    if (answer->next_shard() == 0) {
      *known = heard;
      return absl::OkStatus();
    }
    request.set_first_shard(answer->next_shard());
  }
  return Garbled();
}

}  // namespace holdfast::service
