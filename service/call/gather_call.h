// A call with one request and one reply that all nodes of a cluster answer together: ListObjects, ListHotObjects,
// GetStatus. A server alone answers it by itself.
//
// The node that the client is connected to sends the request on to all others, each of which answers for itself alone,
// and merges their answers with its own. A node that fails, or does not answer within kAnswerTimeMax, fails the call
// with an error that names it, unless the method takes errors for answers: there is never a silent part of an answer.
//
// Answers of a method that is kWhole are about the objects of the shards that a node owned from its beginning to its
// end; each answer says which (kShardsKey). While a shard is on its way from one node to another, or that of a dead
// node, no node owns it: the question is asked again, at most kAgainMax times, and then the call ends with WRONG_OWNER.
//
// Bounds: an answer is one reply; those of all nodes are in memory together.

#ifndef HOLDFAST_SERVICE_CALL_GATHER_CALL_H_
#define HOLDFAST_SERVICE_CALL_GATHER_CALL_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/wire/errors.h"
#include "service/call/direct_call.h"
#include "service/call/forward.h"
#include "service/call/reply_call.h"
#include "service/call/routing.h"
#include "storage/store/shard_set.h"

namespace holdfast::service {

// The answer of another node.
template <typename Response>
struct PeerAnswer {
  std::string node;
  absl::Status status;
  Response response;
};

enum class GatherKind {
  kAll,          // every node answers, or the call fails
  kWhole,        // and the answers are about all shards
  kTakesErrors,  // errors are answers, too
};

template <typename Request, typename Response>
struct GatherMethod {
  RawMethod raw;
  // Answers for this node, as DirectMethod has it. `shards`: the objects that the answer is about; all, if the method
  // is not kWhole.
  void (*handle)(Endpoint* endpoint, Admission admit, const storage::ShardSet& shards, const Request& request,
                 Response* response, DirectDone done);
  // Adds the answers of other nodes to that of this one. On the endpoint's executor.
  absl::Status (*merge)(const Endpoint& endpoint, Admission admit, const Request& request,
                        std::vector<PeerAnswer<Response>> others, Response* response);
  GatherKind kind;
};

template <typename Request, typename Response>
class GatherCall final : public ReplyCall<Request, Response> {
 public:
  static constexpr absl::Duration kAnswerTimeMax = absl::Seconds(5);
  static constexpr int kAgainMax = 10;
  static constexpr absl::Duration kAgainAfter = absl::Milliseconds(100);

  static void Post(const GatherMethod<Request, Response>* row, Endpoint* endpoint) { new GatherCall(row, endpoint); }

 private:
  using Method = GatherMethod<Request, Response>;

  GatherCall(const Method* row, Endpoint* endpoint)
      : ReplyCall<Request, Response>(&row->raw, endpoint), row_(row), routing_(endpoint, &this->lease_) {}

  void PostNext() override { Post(row_, this->endpoint_); }
  bool whole() const { return row_->kind == GatherKind::kWhole && this->endpoint_->placement != nullptr; }

  absl::Status Begin() override {
    Ask();
    return absl::OkStatus();
  }

  // Asks this node, then the others.
  void Ask() {
    if (!whole()) return AskFor(storage::ShardSet().set());
    this->endpoint_->router->AskOwned([this](const storage::ShardSet& shards) {
      this->endpoint_->executor->Post([this, shards] { AskFor(shards); });
    });
  }
  void AskFor(const storage::ShardSet& shards) {
    shards_ = shards;
    // One for this node, and one for this function.
    left_ = 2;
    status_ = absl::OkStatus();
    row_->handle(
        this->endpoint_, [this](const Target& target) { return this->AdmitTarget(target); }, shards_, this->request(),
        this->response_,
        [this](const absl::Status& status) {
          status_ = status;
          OneAnswered();
        });
    // The other nodes trust this one, so they are not asked for what the caller may not have: the gate is asked first.
    const bool refused = left_.load(std::memory_order_acquire) == 1 && !status_.ok();
    if (routing_.spreads() && !refused) AskOthers();
    OneAnswered();
  }

  void AskOthers() {
    std::vector<std::shared_ptr<Peer>> peers = this->endpoint_->placement->Peers();
    others_ = std::vector<PeerAnswer<Response>>(peers.size());
    left_.fetch_add(static_cast<int>(peers.size()), std::memory_order_relaxed);
    for (size_t i = 0; i < peers.size(); ++i) {
      others_[i].node = peers[i]->node();
      Forward::Send(
          this->context_, std::move(peers[i]), row_->raw.name(), ToWire(this->request()), this->endpoint_->executor,
          [this, i](Forward::Outcome outcome) { OnOther(&others_[i], std::move(outcome)); }, kAnswerTimeMax);
    }
  }
  void OnOther(PeerAnswer<Response>* answer, Forward::Outcome outcome) {
    answer->status = std::move(outcome.status);
    if (answer->status.ok()) {
      bytes_ += outcome.reply.Length();
      answer->status = this->lease_.ReserveReply(bytes_);
    }
    if (answer->status.ok() &&
        !grpc::SerializationTraits<Response>::Deserialize(&outcome.reply, &answer->response).ok()) {
      answer->status = absl::InternalError("the reply of another node is not one of this method");
    }
    others_shards_ |= outcome.shards;
    OneAnswered();
  }

  // Any thread.
  void OneAnswered() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (!whole()) return End();
    this->endpoint_->router->AskOwned([this](const storage::ShardSet& shards) {
      shards_ &= shards;
      End();
    });
  }
  void End() {
    this->endpoint_->executor->Post([this] { EndHere(); });
  }
  void EndHere() {
    absl::Status status = status_;
    if (row_->kind != GatherKind::kTakesErrors) {
      for (const auto& other : others_) status.Update(other.status);
    }
    if (status.ok() && whole() && routing_.spreads() && !(shards_ | others_shards_).all()) {
      if (again_++ < kAgainMax) return AskAgain();
      status = actors::Retryable(absl::StatusCode::kUnavailable, v1::ERROR_REASON_WRONG_OWNER,
                                 "some objects are on their way to another node", absl::Seconds(1));
    }
    if (status.ok() && routing_.spreads()) {
      status = row_->merge(
          *this->endpoint_, [this](const Target& target) { return this->AdmitTarget(target); }, this->request(),
          std::move(others_), this->response_);
    }
    if (status.ok() && whole() && this->lease_.forwarded()) MarkShards(shards_, &this->context_);
    this->Finish(status.ok() ? this->ReserveReply() : status);
  }
  void AskAgain() {
    this->response_->Clear();
    others_.clear();
    others_shards_.reset();
    bytes_ = 0;
    this->endpoint_->executor->After(kAgainAfter, [this] { Ask(); });
  }

  const Method* const row_;
  const Routing routing_;
  storage::ShardSet shards_;  // those that the answer of this node is about
  storage::ShardSet others_shards_;
  absl::Status status_;  // of the answer of this node
  std::vector<PeerAnswer<Response>> others_;
  size_t bytes_ = 0;  // of the answers of other nodes
  std::atomic<int> left_ = 0;
  int again_ = 0;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_GATHER_CALL_H_
