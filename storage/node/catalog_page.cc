#include "storage/node/catalog_page.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "storage/object/keyspace.h"
#include "storage/store/damage.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage {
namespace {

std::string ClassPrefix(const std::string& ns, const std::string& object_class) {
  std::string prefix;
  AppendText(&prefix, ns);
  AppendText(&prefix, object_class);
  return prefix;
}

// Returns the range of the keys of one class whose names begin with `name_prefix`.
KeyRange NamesOf(const std::string& ns, const std::string& object_class, const std::string& name_prefix) {
  std::string name;
  AppendText(&name, name_prefix);
  name.resize(name.size() - kTextEndBytes);
  return KeyRange::Prefix(ClassPrefix(ns, object_class) + name);
}

// Fills one page.
class PageReader {
 public:
  PageReader(Store* store, const CatalogPage::Query& query) : store_(store), query_(query) {}

  absl::StatusOr<CatalogPage> Read() {
    absl::Status status;
    if (!query_.object_class.empty()) {
      const KeyRange names = NamesOf(query_.ns, query_.object_class, query_.name_prefix);
      status = ReadRange(From(names), names.end);
    } else {
      std::string ns_prefix;
      AppendText(&ns_prefix, query_.ns);
      const KeyRange all = KeyRange::Prefix(ns_prefix);
      status = query_.name_prefix.empty() ? ReadRange(From(all), all.end) : ReadByClass(From(all));
    }
    if (!status.ok()) return status;
    return std::move(page_);
  }

 private:
  KeyRange From(KeyRange range) const {
    if (!query_.after.empty()) range.start = std::max(range.start, query_.after + '\0');
    return range;
  }

  // Reads the objects in `range` until the page is full, which sets done_. `end` is the end of all that the query asks
  // for.
  absl::Status ReadRange(KeyRange range, const std::string& end) {
    const Location location = WholeFamily(FamilyId::kCatalog);
    View view(store_, &location, {}, ReadTier::kDisk);
    const KeyRange part = range;
    absl::Status status = view.Scan(part, false, [&](absl::string_view key, absl::string_view value) {
      if (page_.items.size() >= query_.count_max || bytes_ >= query_.bytes_max ||
          left_out_ >= CatalogPage::kLeftOutMax) {
        EndPage();
        return false;
      }
      CatalogPage::Item item;
      const ObjectKey object = ObjectKey::FromEncoded(std::string(key));
      if (!Has(query_.shards, object.shard())) {
        ++left_out_;
        range.start = std::string(key) + '\0';
        last_ = std::string(key);
        return true;
      }
      if (!object.Decode(&item.id) || !item.record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
        MeetGarbled(key);
        return false;
      }
      range.start = std::string(key) + '\0';
      last_ = std::string(key);
      page_.items.push_back(std::move(item));
      bytes_ += key.size() + value.size();
      return true;
    });
    if (status.code() != absl::StatusCode::kDataLoss) return status;
    MeetDamage(status, {range.start, end});
    return absl::OkStatus();
  }

  absl::Status ReadByClass(KeyRange rest) {
    while (!done_) {
      const Location location = WholeFamily(FamilyId::kCatalog);
      View view(store_, &location, {}, ReadTier::kDisk);
      ObjectId first;
      bool found = false;
      absl::Status status = view.Scan(rest, false, [&](absl::string_view key, absl::string_view) {
        found = ObjectKey::FromEncoded(std::string(key)).Decode(&first);
        if (!found) MeetGarbled(key);
        return false;
      });
      if (status.code() == absl::StatusCode::kDataLoss) {
        MeetDamage(status, rest);
        return absl::OkStatus();
      }
      if (!status.ok() || !found) return status;
      status = ReadRange(From(NamesOf(query_.ns, first.object_class, query_.name_prefix)), rest.end);
      if (!status.ok()) return status;
      rest.start = PrefixEnd(ClassPrefix(query_.ns, first.object_class));
    }
    return absl::OkStatus();
  }

  void EndPage() {
    page_.next = last_;
    done_ = true;
  }

  void MeetGarbled(absl::string_view key) {
    if (!last_.empty()) return EndPage();
    done_ = true;
    page_.damage = absl::DataLossError("a record of the catalog is garbled");
    page_.next = std::string(key);
  }

  // The beginning of `rest` cannot be read.
  void MeetDamage(const absl::Status& why, const KeyRange& rest) {
    if (!last_.empty()) return EndPage();
    done_ = true;
    page_.damage = why;
    const std::optional<std::string> next = ReadableFrom(store_, WholeFamily(FamilyId::kCatalog), rest);
    // `next` is the key right before the place, since the next page begins after it.
    if (next && *next > rest.start && next->back() == '\0') page_.next = next->substr(0, next->size() - 1);
  }

  Store* const store_;
  const CatalogPage::Query& query_;
  CatalogPage page_;
  size_t bytes_ = 0;
  size_t left_out_ = 0;
  std::string last_;  // the key of the last object that was read; "" before the first
  bool done_ = false;
};

}  // namespace

absl::StatusOr<CatalogPage> ReadCatalogPage(Store* store, const CatalogPage::Query& query) {
  return PageReader(store, query).Read();
}

}  // namespace holdfast::storage
