// Which object, and which shard it belongs to.

#ifndef HOLDFAST_STORAGE_STORE_OBJECT_ID_H_
#define HOLDFAST_STORAGE_STORE_OBJECT_ID_H_

#include <compare>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::storage {

// Namespaces are 1-63 of [a-z0-9-], classes are names from the code, names 1-512 bytes. The bounds are checked where
// requests come in; here any strings will do.
struct ObjectId {
  std::string ns;
  std::string object_class;
  std::string name;

  auto operator<=>(const ObjectId&) const = default;
};

// Fixed when a store is made, recorded in it, and checked when it is opened.
inline constexpr uint32_t kShardCount = 256;

enum class ShardId : uint16_t {};

// The id as one memcomparable key, (namespace, class, name), and its hash. Made once for a request and then passed
// along, so that nothing on the way encodes or hashes again.
class ObjectKey {
 public:
  ObjectKey() = default;
  explicit ObjectKey(const ObjectId& id) : ObjectKey(id.ns, id.object_class, id.name) {}
  ObjectKey(absl::string_view ns, absl::string_view object_class, absl::string_view name);

  // The key whose encoded form this is; of unspecified value if it is none (see Decode).
  static ObjectKey FromEncoded(std::string encoded);

  const std::string& encoded() const { return encoded_; }
  // XXH3-64 of encoded().
  uint64_t hash() const { return hash_; }
  ShardId shard() const { return ShardId(hash_ % kShardCount); }

  // False if the bytes are no encoded id.
  bool Decode(ObjectId* id) const;
  // For messages and logs: "namespace/class/name", with what is not printable escaped.
  std::string DebugString() const;

  bool operator==(const ObjectKey& other) const { return encoded_ == other.encoded_; }

 private:
  std::string encoded_;
  uint64_t hash_ = 0;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_OBJECT_ID_H_
