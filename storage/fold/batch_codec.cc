#include "storage/fold/batch_codec.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "storage/store/write_set.h"

namespace holdfast::storage {
namespace {

using google::protobuf::io::CodedOutputStream;

constexpr int kVarintBytesMax = 10;

void AppendNumber(uint64_t number, std::string* bytes) {
  uint8_t buffer[kVarintBytesMax];
  const uint8_t* const end = CodedOutputStream::WriteVarint64ToArray(number, buffer);
  bytes->append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(end - buffer));
}

void AppendBytes(absl::string_view text, std::string* bytes) {
  AppendNumber(text.size(), bytes);
  bytes->append(text.data(), text.size());
}

void AppendPoint(PointKind kind, absl::string_view key, std::string* bytes) {
  bytes->push_back(static_cast<char>(kind));
  AppendBytes(key, bytes);
}

void AppendWrites(const WriteSet& writes, std::string* bytes) {
  AppendNumber(writes.removed().size(), bytes);
  for (const KeyRange& range : writes.removed()) {
    AppendBytes(range.start, bytes);
    AppendBytes(range.end, bytes);
  }
  AppendNumber(writes.points().size(), bytes);
  const WriteSet::Patches& patches = writes.patches();
  for (const auto& [key, value] : writes.points()) {
    const auto patch = patches.empty() ? patches.end() : patches.find(key);
    if (patch != patches.end()) {
      AppendPoint(PointKind::kPatch, key, bytes);
      AppendBytes(patch->second, bytes);
    } else if (value) {
      AppendPoint(PointKind::kValue, key, bytes);
      AppendBytes(*value, bytes);
    } else {
      AppendPoint(PointKind::kRemoved, key, bytes);
    }
  }
}

// Takes numbers and texts off the front of the bytes. After the first that is not there, all are missing.
class Decoder {
 public:
  explicit Decoder(absl::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }

  uint64_t Number() {
    uint64_t number = 0;
    for (int shift = 0; ok_ && shift < 7 * kVarintBytesMax; shift += 7) {
      if (rest_.empty()) break;
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      number |= uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return number;
    }
    ok_ = false;
    return 0;
  }
  absl::string_view Bytes() {
    const uint64_t size = Number();
    if (size > rest_.size()) ok_ = false;
    if (!ok_) return {};
    const absl::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }

 private:
  absl::string_view rest_;
  bool ok_ = true;
};

BatchPart DecodePart(Decoder* decoder, bool* known) {
  BatchPart part;
  const uint64_t family = decoder->Number();
  *known = family <= static_cast<uint64_t>(FamilyId::kFirstOwn);
  part.family = FamilyId(family);
  if (part.family == FamilyId::kFirstOwn) part.name = decoder->Bytes();
  part.prefix = decoder->Bytes();
  for (uint64_t left = decoder->Number(); left > 0 && decoder->ok(); --left) {
    const absl::string_view start = decoder->Bytes();
    part.removed.push_back({start, decoder->Bytes()});
  }
  for (uint64_t left = decoder->Number(); left > 0 && decoder->ok(); --left) {
    const uint64_t kind = decoder->Number();
    *known = *known && kind <= static_cast<uint64_t>(PointKind::kPatch);
    const absl::string_view key = decoder->Bytes();
    const bool removed = kind == static_cast<uint64_t>(PointKind::kRemoved);
    part.points.push_back({PointKind(kind), key, removed ? absl::string_view() : decoder->Bytes()});
  }
  return part;
}

}  // namespace

void EncodeBatch(absl::Span<const KeyspaceWrites> writes, absl::FunctionRef<std::string(FamilyId)> name_of,
                 std::string* bytes) {
  for (const KeyspaceWrites& part : writes) {
    const FamilyId family = part.location->family;
    AppendNumber(static_cast<uint64_t>(std::min(family, FamilyId::kFirstOwn)), bytes);
    if (family >= FamilyId::kFirstOwn) AppendBytes(name_of(family), bytes);
    AppendBytes(part.location->prefix, bytes);
    AppendWrites(*part.writes, bytes);
  }
}

absl::StatusOr<std::vector<BatchPart>> DecodeBatch(absl::string_view bytes) {
  Decoder decoder(bytes);
  std::vector<BatchPart> parts;
  while (!decoder.at_end()) {
    bool known;
    parts.push_back(DecodePart(&decoder, &known));
    if (!decoder.ok() || !known) return absl::DataLossError("the batch is garbled");
  }
  return parts;
}

}  // namespace holdfast::storage
