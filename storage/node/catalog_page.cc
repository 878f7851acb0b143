#include "storage/node/catalog_page.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/object/keyspace.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage {
namespace {

std::string ClassPrefix(const std::string& ns, const std::string& object_class) {
  std::string prefix;
  AppendText(&prefix, ns);
  AppendText(&prefix, object_class);
  return prefix;
}

// The keys of one class whose names begin so.
KeyRange NamesOf(const std::string& ns, const std::string& object_class, const std::string& name_prefix) {
  std::string name;
  AppendText(&name, name_prefix);
  name.resize(name.size() - kTextEndBytes);
  return KeyRange::Prefix(ClassPrefix(ns, object_class) + name);
}

}  // namespace

absl::StatusOr<CatalogPage> ReadCatalogPage(Store* store, const CatalogPage::Query& query) {
  const Location location{FamilyId::kCatalog, ""};
  View view(store, &location, {}, ReadTier::kDisk);
  CatalogPage page;
  size_t bytes = 0;
  absl::Status garbled;

  // Reads what is in `range` until the page is full; false if it is.
  const auto read = [&](const KeyRange& range) {
    bool full = false;
    absl::Status status = view.Scan(range, false, [&](absl::string_view key, absl::string_view value) {
      if (page.items.size() >= query.count_max || bytes >= query.bytes_max) {
        full = true;
        page.next = ObjectKey(page.items.back().id).encoded();
        return false;
      }
      CatalogPage::Item& item = page.items.emplace_back();
      if (!ObjectKey::FromEncoded(std::string(key)).Decode(&item.id) ||
          !item.record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
        garbled = absl::DataLossError("a record of the catalog is garbled");
        return false;
      }
      bytes += key.size() + value.size();
      return true;
    });
    if (status.ok()) status = garbled;
    if (!status.ok()) garbled = status;
    return garbled.ok() && !full;
  };
  const auto from = [&](KeyRange range) {
    if (!query.after.empty()) range.start = std::max(range.start, query.after + '\0');
    return range;
  };

  if (!query.object_class.empty()) {
    read(from(NamesOf(query.ns, query.object_class, query.name_prefix)));
    if (!garbled.ok()) return garbled;
    return page;
  }
  std::string ns_prefix;
  AppendText(&ns_prefix, query.ns);
  KeyRange rest = from(KeyRange::Prefix(ns_prefix));
  if (query.name_prefix.empty()) {
    read(rest);
    if (!garbled.ok()) return garbled;
    return page;
  }
  // Class by class.
  while (true) {
    ObjectId first;
    bool found = false;
    absl::Status status = view.Scan(rest, false, [&](absl::string_view key, absl::string_view) {
      found = ObjectKey::FromEncoded(std::string(key)).Decode(&first);
      return false;
    });
    if (!status.ok()) return status;
    if (!found || !read(from(NamesOf(query.ns, first.object_class, query.name_prefix)))) break;
    rest.start = PrefixEnd(ClassPrefix(query.ns, first.object_class));
  }
  if (!garbled.ok()) return garbled;
  return page;
}

}  // namespace holdfast::storage
