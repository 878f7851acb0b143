#include "service/rpcs/object_files.h"

#include <xxhash.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/wire/deterministic.h"
#include "actors/wire/errors.h"
#include "holdfast/v1/object_service.pb.h"
#include "service/call/canonical_hash.h"
#include "service/call/import_places.h"
#include "service/call/small_request.h"
#include "service/rpcs/file_calls.h"
#include "storage/object/object_image.h"

namespace holdfast::service {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

class ObjectExport final : public FileExport<v1::ExportObjectRequest, v1::ExportObjectResponse> {
 public:
  using FileExport::FileExport;

 private:
  void PostNext() override { PostObjectExport(method_, endpoint_); }

  actors::Task<absl::Status> Export() override {
    absl::Status status;
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
      if (status = co_await SendChunk(); !status.ok()) co_return status;
    }
    co_return absl::OkStatus();
  }
};

class ObjectImport final : public FileImport<v1::ImportObjectHeader, v1::ImportObjectResponse> {
 public:
  ObjectImport(const RawMethod* method, Endpoint* endpoint)
      : RecordedCall(method, endpoint), place_(endpoint->imports) {
    method->ReceiveRequestStream(&context_, &stream_, endpoint->executor->queue(), Tag());
  }

 private:
  void PostNext() override { PostObjectImport(method_, endpoint_); }
  std::string Hash() const override { return hash_; }

  actors::Task<absl::Status> Serve() override {
    if (absl::Status status = co_await Receive(); !status.ok() || peer_) co_return status;
    absl::StatusOr<storage::ObjectImage> image = absl::InternalError("not read");
    response_.set_bytes(static_cast<int64_t>(file_.size()));
    co_await Work(endpoint_->reads, [&] {
      image = storage::DecodeObjectImage(file_);
      const std::string header = actors::SerializeDeterministically(request_);
      hash_ =
          CanonicalBytes(XXH3_128bits_withSeed(file_.data(), file_.size(), XXH3_64bits(header.data(), header.size())));
      file_ = std::string();
    });
    if (!image.ok()) {
      co_return actors::InvalidField("chunk", absl::StrCat("the file ", image.status().message()));
    }
    if (absl::Status status = CheckGoesOn(); !status.ok()) co_return status;
    co_await AnyTurn(
        [&](actors::Object& object) {
          return object.Import(*object_.object_class, *std::move(image), request_.replace());
        },
        recorded());
    co_return outcome();
  }

  // Receives the header and the file, or passes all on to the node of the object.
  actors::Task<absl::Status> Receive() {
    bool first = true;
    while (co_await Grpc([this](void* tag) { stream_.Read(&bytes_, tag); })) {
      if (absl::Status status = CheckGoesOn(); !status.ok()) co_return status;
      CountReceived(bytes_.Length());
      // The file as it has come, as it is read, and as it is written are in memory at the same time.
      if (absl::Status status = lease_.ReserveReply(2 * (file_.size() + bytes_.Length())); !status.ok()) {
        co_return status;
      }
      absl::Status parsed;
      if (first || bytes_.Length() <= RequestParser::kSmallBytes) {
        parsed = ParseSmall(&bytes_, &part_);
      } else {
        co_await Work(endpoint_->reads, [&] {
          parsed = grpc::SerializationTraits<v1::ImportObjectRequest>::Deserialize(&bytes_, &part_).ok()
                       ? absl::OkStatus()
                       : NotA<v1::ImportObjectRequest>();
        });
      }
      if (!parsed.ok()) co_return parsed;
      if (first != part_.has_header()) {
        co_return actors::InvalidField("part", first ? "the first must be the header" : "the header comes once");
      }
      if (first) {
        first = false;
        request_ = part_.header();
        absl::Status status = Admit(request_);
        if (status.ok() && IsElsewhere()) co_return co_await PassOn(part_);
        if (status.ok()) status = place_.Take(NamespaceOrDefault(request_.object().namespace_()));
        if (!status.ok()) co_return status;
        continue;
      }
      const auto bytes_max = static_cast<size_t>(endpoint_->object_file_bytes_max);
      if (file_.size() + part_.chunk().size() > bytes_max + kChunkBytes) {
        co_return actors::QuotaExceeded("turn_bytes_max",
                                        absl::StrCat("the file has over ", bytes_max, " bytes; nothing was done"));
      }
      file_ += part_.chunk();
    }
    if (first) co_return actors::InvalidField("header", "is missing");
    co_return CheckGoesOn();
  }

  v1::ImportObjectRequest part_;
  ImportPlaces::Place place_;
  std::string file_;
  std::string hash_;
};

}  // namespace

void PostObjectExport(const RawMethod* method, Endpoint* endpoint) { new ObjectExport(method, endpoint); }
void PostObjectImport(const RawMethod* method, Endpoint* endpoint) { new ObjectImport(method, endpoint); }

}  // namespace holdfast::service
