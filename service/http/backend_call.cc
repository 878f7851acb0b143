#include "service/http/backend_call.h"

#include <grpcpp/support/slice.h>
#include <pthread.h>

#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "service/call/http_origin.h"
#include "service/call/status.h"
#include "service/call/tag_order.h"

namespace holdfast::service {
namespace {

// Metadata of gRPC itself, which tell what is told in another way, and of this server's nodes among themselves.
bool IsInternal(absl::string_view name) {
  return absl::StartsWith(name, "grpc-") || absl::StartsWith(name, ":") || name == "content-type" ||
         name == "user-agent" || name == "holdfast-shards";
}

Metadata Copied(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  Metadata copied;
  for (const auto& [name, value] : metadata) {
    if (IsInternal({name.data(), name.size()})) continue;
    copied.emplace_back(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
  }
  return copied;
}

}  // namespace

Metadata BackendCall::Leading() const { return Copied(context_.GetServerInitialMetadata()); }
Metadata BackendCall::Trailing() const { return Copied(context_.GetServerTrailingMetadata()); }

void BackendCall::Begin(grpc::GenericStub* stub, grpc::CompletionQueue* queue, const CallRequest& request,
                        const std::string& secret) {
  self_ = shared_from_this();
  many_ = request.stream;
  for (const auto& [name, value] : request.metadata) context_.AddMetadata(name, value);
  context_.AddMetadata(kHttpSecretKey, secret);
  context_.AddMetadata(kHttpPeerKey, request.peer);
  context_.AddMetadata(kHttpCertificateKey, request.certificate);
  if (request.timeout < absl::InfiniteDuration()) {
    context_.set_deadline(absl::ToChronoTime(absl::Now() + request.timeout));
  }
  // The metadata leave with the request.
  context_.set_initial_metadata_corked(true);
  stream_ = stub->PrepareCall(&context_, request.path, queue);
  stream_->StartCall(nullptr);
  const grpc::Slice slice(request.message);
  stream_->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), GiveTag(&send_));
  if (many_) {
    stream_->ReadInitialMetadata(GiveTag(&headers_));
  } else {
    stream_->Read(&reply_, GiveTag(&read_));
  }
}

void BackendCall::ReadNext() {
  if (std::exchange(asked_, true)) return;
  stream_->Read(&reply_, GiveTag(&read_));
}

void BackendCall::Cancel() {
  cancelled_ = true;
  context_.TryCancel();
  // gRPC tells the outcome of a stream to one who reads.
  if (many_) ReadNext();
}

bool BackendCall::Wanted() {
  asked_ = false;
  if (cancelled_ && many_) ReadNext();
  return !cancelled_;
}

void BackendCall::DeliverHeaders() {
  if (Wanted()) receiver_->OnHeaders();
}

void BackendCall::Deliver(const grpc::ByteBuffer& reply) {
  if (Wanted()) receiver_->OnReply(reply);
}

void BackendCall::Ended(Step step, bool ok) {
  switch (step) {
    case Step::kSend:
      sent_ = true;
      break;
    case Step::kHeaders:
      // Without any, the next read tells that the call has ended.
      loop_->Post([call = self_] { call->DeliverHeaders(); });
      break;
    case Step::kRead:
      if (ok) {
        grpc::ByteBuffer reply;
        reply.Swap(&reply_);
        loop_->Post([call = self_, reply] { call->Deliver(reply); });
      }
      if (!ok || !many_) stream_->Finish(&status_, GiveTag(&finish_));
      break;
    case Step::kFinish:
      finished_ = true;
      loop_->Post([call = self_] {
        call->receiver_->OnEnd(FromGrpc(call->status_));
        call->receiver_ = nullptr;
      });
      break;
  }
  if (sent_ && finished_) {
    // It may be the last that keeps the call.
    const std::shared_ptr<BackendCall> last = std::move(self_);
  }
}

Backend::Backend(const std::shared_ptr<grpc::Channel>& channel, std::string secret)
    : secret_(std::move(secret)), stub_(channel), thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), "http-calls");
}

Backend::~Backend() {
  queue_.Shutdown();
  thread_.join();
}

std::shared_ptr<BackendCall> Backend::Start(const CallRequest& request, Loop* loop,
                                            std::shared_ptr<BackendCall::Receiver> receiver) {
  auto call = std::make_shared<BackendCall>(loop, std::move(receiver));
  call->Begin(&stub_, &queue_, request, secret_);
  return call;
}

void Backend::Run() {
  void* tag;
  bool ok;
  while (queue_.Next(&tag, &ok)) {
    TakeTag(tag);
    auto* const operation = static_cast<BackendCall::Operation*>(tag);
    operation->call->Ended(operation->step, ok);
  }
}

}  // namespace holdfast::service
