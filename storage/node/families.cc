#include "storage/node/families.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/base/log.h"

namespace holdfast::storage {
namespace {

constexpr absl::string_view kNamePrefix = "holdfast-object:";

void AppendEscaped(std::string* out, absl::string_view text) {
  for (char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-') {
      out->push_back(c);
    } else {
      absl::StrAppend(out, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
}

// Takes escaped text up to `end`, and `end` too, off the front of `*in`.
bool ConsumeEscaped(absl::string_view* in, char end, std::string* text) {
  const size_t length = in->find(end);
  if (length == in->npos) return false;
  text->clear();
  for (size_t i = 0; i < length; ++i) {
    if ((*in)[i] != '%') {
      text->push_back((*in)[i]);
      continue;
    }
    uint32_t byte;
    if (i + 2 >= length || !absl::SimpleHexAtoi(in->substr(i + 1, 2), &byte)) return false;
    text->push_back(static_cast<char>(byte));
    i += 2;
  }
  in->remove_prefix(length + 1);
  return true;
}

}  // namespace

Location PackedLocation(const ObjectKey& key) {
  std::string prefix;
  AppendUint16(&prefix, static_cast<uint16_t>(key.shard()));
  prefix += key.encoded();
  return {FamilyId::kPacked, std::move(prefix)};
}

std::string FamilyName(const ObjectId& id, uint64_t generation) {
  std::string name(kNamePrefix);
  AppendEscaped(&name, id.ns);
  name += '/';
  AppendEscaped(&name, id.object_class);
  name += '/';
  AppendEscaped(&name, id.name);
  absl::StrAppend(&name, "@", generation);
  return name;
}

bool ParseFamilyName(absl::string_view name, ObjectId* id, uint64_t* generation) {
  return absl::ConsumePrefix(&name, kNamePrefix) && ConsumeEscaped(&name, '/', &id->ns) &&
         ConsumeEscaped(&name, '/', &id->object_class) && ConsumeEscaped(&name, '@', &id->name) &&
         absl::SimpleAtoi(name, generation);
}

absl::Status Families::Recover() {
  std::vector<FamilyId> left_over;
  MutexLock lock(&mutex_);
  for (const OwnFamily& family : store_->ListOwnFamilies()) {
    ObjectId id;
    uint64_t generation;
    if (!ParseFamilyName(family.name, &id, &generation)) {
      return absl::FailedPreconditionError(absl::StrCat("the store has a family of an unknown kind: ", family.name));
    }
    next_generation_ = std::max(next_generation_, generation + 1);
    const ObjectKey key(id);
    std::string bytes;
    absl::Status error;
    const ReadResult found =
        store_->Get(WholeFamily(FamilyId::kCatalog), key.encoded(), ReadTier::kDisk, &bytes, &error);
    if (found == ReadResult::kError && error.code() != absl::StatusCode::kDataLoss) return error;
    v1::CatalogRecord record;
    if (found == ReadResult::kFound && !record.ParseFromString(bytes)) error = absl::DataLossError("garbled");
    if (!error.ok()) {
      Log(LogLevel::kError, "catalog_damaged",
          {{"object", key.DebugString()}, {"family", family.name}, {"status", error.ToString()}});
      unknown_.insert(key.encoded());
      ++taken_;
      continue;
    }
    if (found == ReadResult::kFound && record.family_generation() == generation) {
      by_key_[key.encoded()] = {family.id, generation};
      ++taken_;
    } else {
      left_over.push_back(family.id);
    }
  }
  for (FamilyId family : left_over) {
    if (absl::Status status = store_->DropFamily(family); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Families::CheckPlace(const ObjectKey& key) const {
  MutexLock lock(&mutex_);
  if (!unknown_.contains(key.encoded())) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the catalog's record of ", key.DebugString(),
                   " cannot be read, so nobody knows whether the family of its name is its own"));
}

std::optional<Placement> Families::Find(const ObjectKey& key) const {
  MutexLock lock(&mutex_);
  auto it = by_key_.find(key.encoded());
  if (it == by_key_.end()) return std::nullopt;
  return it->second;
}

std::vector<ObjectKey> Families::List() const {
  MutexLock lock(&mutex_);
  std::vector<ObjectKey> keys;
  for (const auto& [key, placement] : by_key_) keys.push_back(ObjectKey::FromEncoded(key));
  std::sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.encoded() < b.encoded(); });
  return keys;
}

bool Families::Reserve() {
  MutexLock lock(&mutex_);
  if (taken_ >= families_max_) return false;
  ++taken_;
  return true;
}

void Families::CancelReservation() {
  MutexLock lock(&mutex_);
  --taken_;
}

absl::StatusOr<Placement> Families::Create(const ObjectKey& key) {
  ObjectId id;
  if (!key.Decode(&id)) return absl::InternalError("a key that is no id");
  uint64_t generation;
  {
    MutexLock lock(&mutex_);
    generation = next_generation_++;
  }
  absl::StatusOr<FamilyId> family = store_->CreateFamily(FamilyName(id, generation));
  if (!family.ok()) {
    CancelReservation();
    return family.status();
  }
  return Placement{*family, generation};
}

void Families::Adopt(const ObjectKey& key, const Placement& placement) {
  MutexLock lock(&mutex_);
  by_key_[key.encoded()] = placement;
}

void Families::Abandon(const ObjectKey& key) {
  MutexLock lock(&mutex_);
  by_key_.erase(key.encoded());
}

absl::Status Families::Drop(const Placement& placement, bool keep_room) {
  absl::Status status = store_->DropFamily(placement.family);
  if (!keep_room) CancelReservation();
  return status;
}

}  // namespace holdfast::storage
