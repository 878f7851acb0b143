#include "storage/node/namespace_page.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/object/keyspace.h"
#include "storage/store/key_codec.h"
#include "storage/store/object_id.h"

namespace holdfast::storage {
namespace {

// A place between two pages: what was counted of the namespace of the key, and the last key that was read.
struct Place {
  int64_t objects = 0;
  int64_t size_bytes = 0;
  std::string key;
};

std::string Encode(const NamespaceCount& count, absl::string_view key) {
  std::string place;
  AppendInt64(&place, count.objects);
  AppendInt64(&place, count.size_bytes);
  absl::StrAppend(&place, key);
  return place;
}

std::optional<Place> Decode(absl::string_view text) {
  Place place;
  if (!ConsumeInt64(&text, &place.objects) || !ConsumeInt64(&text, &place.size_bytes)) return std::nullopt;
  place.key = std::string(text);
  return place;
}

}  // namespace

absl::StatusOr<NamespacePage> ReadNamespacePage(Store* store, absl::string_view after, size_t count_max,
                                                size_t objects_max) {
  NamespacePage page;
  std::optional<NamespaceCount> open;  // the namespace that is being counted
  KeyRange range = KeyRange::All();
  std::string last_key;
  if (!after.empty()) {
    const std::optional<Place> place = Decode(after);
    ObjectId id;
    if (!place || !ObjectKey::FromEncoded(place->key).Decode(&id)) {
      return absl::InvalidArgumentError("is no place in the list of namespaces");
    }
    if (place->objects > 0) open = {id.ns, place->objects, place->size_bytes};
    last_key = place->key;
    range.start = place->key + '\0';
  }
  size_t read = 0;
  bool more = false;
  const Location location = WholeFamily(FamilyId::kCatalog);
  View view(store, &location, {}, ReadTier::kDisk);
  const absl::Status status = view.Scan(range, false, [&](absl::string_view key, absl::string_view value) {
    ObjectId id;
    v1::CatalogRecord record;
    // A key or a record that is garbled is that of an object which answers DATA_LOSS; it is not counted.
    if (!ObjectKey::FromEncoded(std::string(key)).Decode(&id)) return true;
    if (open && open->ns != id.ns) {
      page.namespaces.push_back(*std::exchange(open, std::nullopt));
    }
    if (page.namespaces.size() >= count_max || read >= objects_max) {
      more = true;
      return false;
    }
    if (!open) open = {id.ns, 0, 0};
    if (record.ParseFromArray(value.data(), static_cast<int>(value.size()))) open->size_bytes += record.size_bytes();
    ++open->objects;
    ++read;
    last_key = std::string(key);
    return true;
  });
  if (!status.ok()) return status;
  if (more) {
    page.next = Encode(open.value_or(NamespaceCount{}), last_key);
  } else if (open) {
    page.namespaces.push_back(*std::move(open));
  }
  return page;
}

}  // namespace holdfast::storage
