// The id of an object, its encoded key, and the shard that it belongs to.

#ifndef HOLDFAST_STORAGE_STORE_OBJECT_ID_H_
#define HOLDFAST_STORAGE_STORE_OBJECT_ID_H_

#include <compare>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::storage {

// A namespace has 1-63 characters of [a-z0-9-], a class is a name from the code, and a name has 1-512 bytes. The bounds
// are checked where requests arrive; an ObjectId takes any strings.
struct ObjectId {
  std::string ns;
  std::string object_class;
  std::string name;

  auto operator<=>(const ObjectId&) const = default;
};

// The number of shards is fixed when a store is made, recorded in the store, and checked when the store is opened.
inline constexpr uint32_t kShardCount = 256;

enum class ShardId : uint16_t {};

// An id as one memcomparable key, (namespace, class, name), with its hash. It is made once for a request and then
// passed along, so that nothing encodes or hashes the id again.
class ObjectKey {
 public:
  ObjectKey() = default;
  explicit ObjectKey(const ObjectId& id) : ObjectKey(id.ns, id.object_class, id.name) {}
  ObjectKey(absl::string_view ns, absl::string_view object_class, absl::string_view name);

  // Makes the key from its encoded form. The bytes are not checked; see Decode.
  static ObjectKey FromEncoded(std::string encoded);

  const std::string& encoded() const { return encoded_; }
  // XXH3-64 of encoded().
  uint64_t hash() const { return hash_; }
  ShardId shard() const { return ShardId(hash_ % kShardCount); }

  // Returns the namespace as it stands in encoded(): itself, unless it has a NUL, which no namespace of a client has.
  absl::string_view encoded_namespace() const { return absl::string_view(encoded_).substr(0, encoded_.find('\0')); }
  // Returns false if the bytes are no encoded id.
  bool Decode(ObjectId* id) const;
  // Returns "namespace/class/name" for messages and logs, with unprintable bytes escaped.
  std::string DebugString() const;

  bool operator==(const ObjectKey& other) const { return encoded_ == other.encoded_; }

 private:
  std::string encoded_;
  uint64_t hash_ = 0;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_OBJECT_ID_H_
