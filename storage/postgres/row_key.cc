#include "storage/postgres/row_key.h"

#include <openssl/sha.h>

#include "storage/store/format.h"
#include "storage/store/key_codec.h"
#include "storage/store/object_id.h"

namespace holdfast::storage::postgres {
namespace {

constexpr size_t kHashBytes = 16;

std::string HashOf(absl::string_view prefix) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(prefix.data()), prefix.size(), digest);
  std::string hash(reinterpret_cast<const char*>(digest), kHashBytes);
  // There must be a key behind those of each hash.
  if (hash[0] == '\xff') hash[0] = '\xfe';
  return hash;
}

int16_t ShardOfObject(absl::string_view encoded_id) {
  return static_cast<int16_t>(ObjectKey::FromEncoded(std::string(encoded_id)).shard());
}

// Returns the shard of an entry of the request records.
int16_t ShardOfRequest(absl::string_view key) {
  if (!key.empty() && key[0] == kRequestAgeKind) {
    int64_t time_us;
    key.remove_prefix(1);
    if (!ConsumeInt64(&key, &time_us)) return kNoShard;
  }
  uint16_t shard;
  if (key.empty() || key[0] != kRequestRecordKind) return kNoShard;
  key.remove_prefix(1);
  return ConsumeUint16(&key, &shard) ? static_cast<int16_t>(shard) : kNoShard;
}

}  // namespace

RowSpace::RowSpace(const Location& location)
    : family_(static_cast<int16_t>(location.family)), of_one_object_(location.family == FamilyId::kPacked) {
  if (!of_one_object_) {
    prefix_ = location.prefix;
    return;
  }
  absl::string_view prefix = location.prefix;
  uint16_t shard;
  if (ConsumeUint16(&prefix, &shard)) shard_ = static_cast<int16_t>(shard);
  prefix_ = HashOf(location.prefix);
}

int16_t RowSpace::ShardOf(absl::string_view key) const {
  if (of_one_object_) return shard_;
  switch (static_cast<FamilyId>(family_)) {
    case FamilyId::kCatalog:
      return ShardOfObject(RowKey(key));
    case FamilyId::kAlarms: {
      const std::string row_key = RowKey(key);
      absl::string_view rest = row_key;
      int64_t due_us;
      return ConsumeInt64(&rest, &due_us) ? ShardOfObject(rest) : kNoShard;
    }
    case FamilyId::kRequests:
      return ShardOfRequest(RowKey(key));
    default:
      return kNoShard;
  }
}

KeyRange RowSpace::RowKeys(const KeyRange& range) const {
  return {prefix_ + range.start, range.end.empty() ? PrefixEnd(prefix_) : prefix_ + range.end};
}

}  // namespace holdfast::storage::postgres
