#include "storage/store/object_id.h"

#include <xxhash.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage {

ObjectKey::ObjectKey(absl::string_view ns, absl::string_view object_class, absl::string_view name) {
  encoded_.reserve(ns.size() + object_class.size() + name.size() + 6);
  AppendText(&encoded_, ns);
  AppendText(&encoded_, object_class);
  AppendText(&encoded_, name);
  hash_ = XXH3_64bits(encoded_.data(), encoded_.size());
}

ObjectKey ObjectKey::FromEncoded(std::string encoded) {
  ObjectKey key;
  key.encoded_ = std::move(encoded);
  key.hash_ = XXH3_64bits(key.encoded_.data(), key.encoded_.size());
  return key;
}

bool ObjectKey::Decode(ObjectId* id) const {
  absl::string_view rest = encoded_;
  return ConsumeText(&rest, &id->ns) && ConsumeText(&rest, &id->object_class) && ConsumeText(&rest, &id->name) &&
         rest.empty();
}

std::string ObjectKey::DebugString() const {
  ObjectId id;
  if (!Decode(&id)) return absl::StrCat("(not an id: ", absl::CHexEscape(encoded_), ")");
  return absl::CHexEscape(absl::StrCat(id.ns, "/", id.object_class, "/", id.name));
}

}  // namespace holdfast::storage
