#include "storage/backup/past_object.h"

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/backup/archive_files.h"
#include "storage/fold/batch_codec.h"
#include "storage/node/families.h"
#include "storage/object/keyspace.h"
#include "storage/store/format.h"
#include "storage/store/patch.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {
namespace {

absl::Status Garbled(absl::string_view what) { return absl::DataLossError(absl::StrCat(what, " is garbled")); }

bool IsFamilyOf(const ObjectId& id, absl::string_view name) {
  ObjectId of;
  uint64_t generation;
  return ParseFamilyName(name, &of, &generation) && of == id;
}

// Writes of the archive on top of what a backup has at the location.
struct Place {
  Location location;
  WriteSet writes;

  View On(Store* store) const { return View(store, &location, {&writes}, ReadTier::kDisk); }
};

// The places of one object, and what the archive has written to them so far. An object may move between its packed
// place and families of its own; its record in the catalog says which is the present one. In one run of the server each
// family has a name of its own. A later run may use the name of a family that is gone, so the families that the record
// does not name are forgotten where a run ends: the start of the next one dropped them.
class ObjectPlaces {
 public:
  ObjectPlaces(Store* store, const ObjectKey& key, size_t bytes_max)
      : store_(store), bytes_max_(bytes_max), catalog_{WholeFamily(FamilyId::kCatalog), {}}, key_(key) {
    key.Decode(&id_);
    packed_.location = PackedLocation(key);
    for (const OwnFamily& family : store->ListOwnFamilies()) own_[family.name].location = WholeFamily(family.id);
  }

  // Takes the writes to the object from a batch of the archive.
  absl::Status Add(absl::string_view payload) {
    const absl::StatusOr<std::vector<BatchPart>> parts = DecodeBatch(payload);
    if (!parts.ok()) return parts.status();
    for (const BatchPart& part : *parts) {
      absl::Status status;
      if (part.family == FamilyId::kCatalog) {
        AddToCatalog(part);
      } else if (part.family == FamilyId::kPacked && part.prefix == packed_.location.prefix) {
        status = AddTo(part, &packed_);
      } else if (part.family == FamilyId::kFirstOwn && IsFamilyOf(id_, part.name)) {
        status = AddTo(part, &OwnPlace(part.name));
      }
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // Call it where a run of the server ends.
  absl::Status EndRun() {
    absl::StatusOr<std::optional<uint64_t>> generation = Generation();
    if (!generation.ok()) return generation.status();
    const std::string present = generation->value_or(0) == 0 ? "" : FamilyName(id_, **generation);
    for (auto& [name, place] : own_) {
      if (name == present) continue;
      place.location = WholeFamily(kMadeLater);
      place.writes.Clear();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<ObjectImage> Read() {
    const absl::StatusOr<std::optional<uint64_t>> generation = Generation();
    if (!generation.ok()) return generation.status();
    if (!*generation) return absl::NotFoundError(absl::StrCat("the object ", key_.DebugString(), " was not there"));
    const Place& place = **generation == 0 ? packed_ : OwnPlace(FamilyName(id_, **generation));

    ObjectImage image;
    image.object_class = id_.object_class;
    std::vector<std::pair<std::string, std::string>> keys;
    size_t bytes = 0;
    absl::Status garbled;
    View view = place.On(store_);
    absl::Status status = view.Scan(KeyRange::All(), false, [&](absl::string_view key, absl::string_view value) {
      if (key == kObjectHeaderKey) {
        v1::ObjectHeader header;
        if (!header.ParseFromArray(value.data(), static_cast<int>(value.size()))) garbled = Garbled("the header");
        image.schema_version = header.schema_version();
      } else if (key == kAlarmKey) {
        v1::AlarmRecord alarm;
        if (!alarm.ParseFromArray(value.data(), static_cast<int>(value.size()))) garbled = Garbled("the alarm");
        image.alarm_us = alarm.scheduled_time_us();
      } else if (key != kSqlImportKey) {
        bytes += key.size() + value.size();
        keys.emplace_back(key, value);
      }
      return bytes <= bytes_max_ && garbled.ok();
    });
    if (!status.ok()) return status;
    if (!garbled.ok()) return garbled;
    if (bytes > bytes_max_) return TooLarge();
    if (status = AddKeys(std::move(keys), &image); !status.ok()) return status;
    return image;
  }

 private:
  static absl::Status TooLarge() { return absl::OutOfRangeError("the object is too large"); }

  // Returns the generation of the object's family, which is 0 for a packed object; nothing if there is no object.
  absl::StatusOr<std::optional<uint64_t>> Generation() {
    const auto record = catalog_.On(store_).Get(key_.encoded());
    if (!record.ok()) return record.status();
    if (!*record) return std::nullopt;
    v1::CatalogRecord catalog;
    if (!catalog.ParseFromString(**record)) return Garbled("the object's record in the catalog");
    return catalog.family_generation();
  }

  // The catalog has one key of each object.
  void AddToCatalog(const BatchPart& part) {
    const KeyRange mine = KeyRange::Single(key_.encoded());
    for (const auto& [start, end] : part.removed) {
      if (KeyRange{std::string(start), std::string(end)}.Contains(mine.start)) catalog_.writes.DeleteRange(mine);
    }
    for (const BatchPart::Point& point : part.points) {
      if (point.key != key_.encoded()) continue;
      if (point.kind == PointKind::kRemoved) catalog_.writes.Delete(point.key);
      if (point.kind == PointKind::kValue) catalog_.writes.Put(point.key, std::string(point.bytes));
    }
  }

  Place& OwnPlace(absl::string_view name) {
    auto place = own_.find(name);
    if (place == own_.end()) {
      // The family came after the backup: no family of the copy has this number.
      place = own_.emplace(name, Place()).first;
      place->second.location = WholeFamily(kMadeLater);
    }
    return place->second;
  }

  absl::Status AddTo(const BatchPart& part, Place* place) {
    WriteSet& writes = place->writes;
    for (const auto& [start, end] : part.removed) writes.DeleteRange({std::string(start), std::string(end)});
    for (const auto& [kind, key, bytes] : part.points) {
      if (kind == PointKind::kRemoved) writes.Delete(key);
      if (kind == PointKind::kValue) writes.Put(key, std::string(bytes));
      if (kind != PointKind::kPatch) continue;
      auto value = place->On(store_).Get(key);
      if (!value.ok()) return value.status();
      const bool applied = *value && ApplyPatch(bytes, &**value);
      writes.Put(key, applied ? **std::move(value) : std::string(kDamagedValue));
    }
    // The writes of a large object may replace each other, and come to more than the object for a while.
    return writes.bytes() / 2 <= bytes_max_ ? absl::OkStatus() : TooLarge();
  }

  static constexpr FamilyId kMadeLater{UINT32_MAX};

  Store* const store_;
  const size_t bytes_max_;
  Place catalog_;
  Place packed_;
  std::map<std::string, Place, std::less<>> own_;
  const ObjectKey key_;
  ObjectId id_;
};

}  // namespace

absl::StatusOr<PastObject> ReadPastObject(const PastObjectOptions& options) {
  ObjectId id;
  if (!options.key.Decode(&id)) return absl::InternalError("no key of an object");
  auto store =
      options.copies->OpenCopy(options.backup.id, [&id](absl::string_view name) { return IsFamilyOf(id, name); });
  if (!store.ok()) return store.status();
  const auto goes_on = [&options] { return options.goes_on == nullptr || options.goes_on(); };
  PastObject past{.backup = options.backup};
  ObjectPlaces places(store->get(), options.key, options.bytes_max);
  uint32_t epoch = 0;
  if (options.until && options.backup.line != 0) {
    const absl::Status replayed = ReplayArchive(
        options.directory, options.backup.line, options.backup.folded, absl::ToUnixMicros(*options.until),
        [&](const ArchiveFile& file, BatchNumber, int64_t time_us, absl::string_view payload) -> absl::Status {
          if (!goes_on()) return absl::CancelledError("the reading of the archive was stopped");
          if (std::exchange(epoch, file.epoch) < file.epoch && past.last_batch) {
            if (absl::Status status = places.EndRun(); !status.ok()) return status;
          }
          const absl::Time time = absl::FromUnixMicros(time_us);
          past.last_batch = std::max(past.last_batch.value_or(time), time);
          return places.Add(payload);
        });
    if (!replayed.ok()) return replayed;
  }
  if (!goes_on()) return absl::CancelledError("the reading of the backup was stopped");
  auto image = places.Read();
  if (!image.ok()) return image.status();
  past.image = *std::move(image);
  return past;
}

}  // namespace holdfast::storage
