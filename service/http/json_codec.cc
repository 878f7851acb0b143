#include "service/http/json_codec.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace holdfast::service {
namespace {

namespace pb = google::protobuf;

constexpr char kUrlPrefix[] = "type.googleapis.com";
// An error quotes what it is about, which a client chooses.
constexpr size_t kErrorBytesMax = 500;

// A text that grows to a bound; then the stream takes nothing more.
class BoundedOutput final : public pb::io::ZeroCopyOutputStream {
 public:
  explicit BoundedOutput(size_t bytes_max) : bytes_max_(bytes_max), stream_(&text_) {}

  bool Next(void** data, int* size) override {
    if (static_cast<size_t>(stream_.ByteCount()) >= bytes_max_) {
      full_ = true;
      return false;
    }
    return stream_.Next(data, size);
  }
  void BackUp(int count) override { stream_.BackUp(count); }
  int64_t ByteCount() const override { return stream_.ByteCount(); }

  // Returns whether more was written than there is room for.
  bool full() const { return full_ || text_.size() > bytes_max_; }
  std::string Take() { return std::move(text_); }

 private:
  const size_t bytes_max_;
  std::string text_;
  pb::io::StringOutputStream stream_;
  bool full_ = false;
};

pb::util::TypeResolver* Types() {
  static pb::util::TypeResolver* const types =
      pb::util::NewTypeResolverForDescriptorPool(kUrlPrefix, pb::DescriptorPool::generated_pool());
  return types;
}

std::string UrlOf(const pb::Descriptor& message) { return absl::StrCat(kUrlPrefix, "/", message.full_name()); }

absl::Status TooLarge(absl::string_view what, size_t bytes_max) {
  return absl::ResourceExhaustedError(absl::StrCat(what, " has over ", bytes_max, " bytes"));
}

}  // namespace

absl::StatusOr<std::string> FromJson(const pb::Descriptor& message, absl::string_view json, size_t bytes_max) {
  pb::io::ArrayInputStream input(json.data(), static_cast<int>(json.size()));
  BoundedOutput output(bytes_max);
  const auto status = pb::util::JsonToBinaryStream(Types(), UrlOf(message), &input, &output);
  if (output.full()) return TooLarge("the message", bytes_max);
  if (!status.ok()) {
    const std::string text(status.message().data(), status.message().size());
    return absl::InvalidArgumentError(
        absl::StrCat("body: is no JSON of ", message.full_name(), ": ", text.substr(0, kErrorBytesMax)));
  }
  return output.Take();
}

absl::StatusOr<std::string> ToJson(const pb::Descriptor& message, pb::io::ZeroCopyInputStream* binary,
                                   size_t bytes_max) {
  BoundedOutput output(bytes_max);
  const auto status = pb::util::BinaryToJsonStream(Types(), UrlOf(message), binary, &output);
  if (output.full()) return TooLarge("the JSON", bytes_max);
  if (!status.ok()) {
    const std::string text(status.message().data(), status.message().size());
    return absl::InternalError(absl::StrCat("the message can't be told in JSON: ", text.substr(0, kErrorBytesMax)));
  }
  return output.Take();
}

absl::StatusOr<std::string> ToJson(const pb::Descriptor& message, absl::string_view binary, size_t bytes_max) {
  pb::io::ArrayInputStream input(binary.data(), static_cast<int>(binary.size()));
  return ToJson(message, &input, bytes_max);
}

}  // namespace holdfast::service
