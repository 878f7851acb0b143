#include "service/rpcs/object_files.h"

#include <grpcpp/support/async_stream.h>
#include <xxhash.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/wire/deterministic.h"
#include "actors/wire/errors.h"
#include "holdfast/v1/object_service.pb.h"
#include "service/call/coroutine_call.h"
#include "service/call/import_places.h"
#include "service/call/reply_wire.h"
#include "service/call/small_request.h"
#include "service/call/status.h"
#include "storage/object/object_image.h"

namespace holdfast::service {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

class ObjectExport final : public CoroutineCall {
 public:
  ObjectExport(const RawMethod* method, Endpoint* endpoint) : CoroutineCall(method, endpoint), writer_(&context_) {
    method->ReceiveReplyStream(&context_, &bytes_, &writer_, endpoint->executor->queue(), Tag());
  }

 private:
  void PostNext() override { PostObjectExport(method_, endpoint_); }
  void Send(const absl::Status& outcome, void* tag) override { writer_.Finish(ToGrpc(outcome), tag); }

  actors::Task<absl::Status> Serve() override {
    v1::ExportObjectRequest request;
    absl::Status status = ParseSmall(&bytes_, &request);
    if (status.ok()) status = Admit(request);
    if (!status.ok()) co_return status;
    storage::ObjectImage image;
    co_await AnyTurn([this, &image](actors::Object& object) {
      return object.Export(*object_.object_class, static_cast<size_t>(endpoint_->object_file_bytes_max), &image);
    });
    if (!outcome().ok()) co_return outcome();
    std::string file;
    co_await Work(endpoint_->reads, [&] { file = storage::EncodeObjectImage(std::exchange(image, {})); });
    if (status = lease_.ReserveReply(file.size() + kChunkBytes); !status.ok()) co_return status;
    for (size_t at = 0; at < file.size(); at += kChunkBytes) {
      if (status = CheckGoesOn(); !status.ok()) co_return status;
      response_.set_chunk(file.substr(at, kChunkBytes));
      const bool sent = co_await Grpc([this](void* tag) {
        BeginSending();
        const grpc::ByteBuffer chunk = ToWire(response_);
        CountSent(chunk.Length());
        writer_.Write(chunk, tag);
      });
      EndSending();
      if (!sent) {
        status = CheckGoesOn();
        co_return status.ok() ? absl::CancelledError("the client is gone") : status;
      }
    }
    co_return absl::OkStatus();
  }

  v1::ExportObjectResponse response_;
  grpc::ServerAsyncWriter<grpc::ByteBuffer> writer_;
};

class ObjectImport final : public CoroutineCall, private actors::RecordedRequest {
 public:
  ObjectImport(const RawMethod* method, Endpoint* endpoint)
      : CoroutineCall(method, endpoint), reader_(&context_), place_(endpoint->imports) {
    method->ReceiveRequestStream(&context_, &reader_, endpoint->executor->queue(), Tag());
  }

 private:
  void PostNext() override { PostObjectImport(method_, endpoint_); }
  void Send(const absl::Status& outcome, void* tag) override {
    if (outcome.ok()) {
      if (replayed_) MarkReplayed(&context_);
      const grpc::ByteBuffer reply = ToWire(response_);
      CountSent(reply.Length());
      reader_.Finish(reply, grpc::Status::OK, tag);
    } else {
      reader_.FinishWithError(ToGrpc(outcome), tag);
    }
  }

  // RecordedRequest.
  absl::string_view request_id() const override { return header_.request_id(); }
  absl::string_view method() const override { return method_->name(); }
  std::string Hash() const override { return hash_; }
  std::string SerializeReply() const override { return actors::SerializeDeterministically(response_); }
  bool ParseReply(absl::string_view bytes) override {
    replayed_ = response_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return replayed_;
  }

  actors::Task<absl::Status> Serve() override {
    if (absl::Status status = co_await Receive(); !status.ok()) co_return status;
    absl::StatusOr<storage::ObjectImage> image = absl::InternalError("not read");
    response_.set_bytes(static_cast<int64_t>(file_.size()));
    co_await Work(endpoint_->reads, [&] {
      image = storage::DecodeObjectImage(file_);
      XXH128_canonical_t hash;
      const std::string header = actors::SerializeDeterministically(header_);
      XXH128_canonicalFromHash(
          &hash, XXH3_128bits_withSeed(file_.data(), file_.size(), XXH3_64bits(header.data(), header.size())));
      hash_.assign(reinterpret_cast<const char*>(hash.digest), sizeof(hash.digest));
      file_ = std::string();
    });
    if (!image.ok()) {
      co_return actors::InvalidField("chunk", absl::StrCat("the file ", image.status().message()));
    }
    if (absl::Status status = CheckGoesOn(); !status.ok()) co_return status;
    co_await AnyTurn(
        [&](actors::Object& object) {
          return object.Import(*object_.object_class, *std::move(image), header_.replace());
        },
        header_.request_id().empty() ? nullptr : this);
    co_return outcome();
  }

  actors::Task<absl::Status> Receive() {
    bool first = true;
    while (co_await Grpc([this](void* tag) { reader_.Read(&bytes_, tag); })) {
      if (absl::Status status = CheckGoesOn(); !status.ok()) co_return status;
      CountReceived(bytes_.Length());
      // The file as it has come, as it is read, and as it is written are in memory at the same time.
      if (absl::Status status = lease_.ReserveReply(2 * (file_.size() + bytes_.Length())); !status.ok()) {
        co_return status;
      }
      absl::Status parsed;
      if (first || bytes_.Length() <= RequestParser::kSmallBytes) {
        parsed = ParseSmall(&bytes_, &request_);
      } else {
        co_await Work(endpoint_->reads, [&] {
          parsed = grpc::SerializationTraits<v1::ImportObjectRequest>::Deserialize(&bytes_, &request_).ok()
                       ? absl::OkStatus()
                       : NotA<v1::ImportObjectRequest>();
        });
      }
      if (!parsed.ok()) co_return parsed;
      if (first != request_.has_header()) {
        co_return actors::InvalidField("part", first ? "the first must be the header" : "the header comes once");
      }
      if (first) {
        first = false;
        header_ = request_.header();
        absl::Status status = Admit(header_);
        if (status.ok()) status = place_.Take(NamespaceOrDefault(header_.object().namespace_()));
        if (!status.ok()) co_return status;
        continue;
      }
      const auto bytes_max = static_cast<size_t>(endpoint_->object_file_bytes_max);
      if (file_.size() + request_.chunk().size() > bytes_max + kChunkBytes) {
        co_return actors::QuotaExceeded("turn_bytes_max",
                                        absl::StrCat("the file has over ", bytes_max, " bytes; nothing was done"));
      }
      file_ += request_.chunk();
    }
    if (first) co_return actors::InvalidField("header", "is missing");
    co_return CheckGoesOn();
  }

  grpc::ServerAsyncReader<grpc::ByteBuffer, grpc::ByteBuffer> reader_;
  v1::ImportObjectRequest request_;
  v1::ImportObjectHeader header_;
  v1::ImportObjectResponse response_;
  bool replayed_ = false;  // the reply belongs to an earlier import with the same request_id
  ImportPlaces::Place place_;
  std::string file_;
  std::string hash_;
};

}  // namespace

void PostObjectExport(const RawMethod* method, Endpoint* endpoint) { new ObjectExport(method, endpoint); }
void PostObjectImport(const RawMethod* method, Endpoint* endpoint) { new ObjectImport(method, endpoint); }

}  // namespace holdfast::service
