#include "storage/node/move_store.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/node/families.h"
#include "storage/node/run_clocks.h"
#include "storage/object/keyspace.h"
#include "storage/object/usage.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"
#include "storage/store/object_id.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {
namespace {

// In the node's family; the value is the fingerprint of the source.
constexpr absl::string_view kMoveKey = "move";

// The records of requests and their ages; the header and the marks of logs that are beside them stay where they are.
const KeyRange& RequestKeys() {
  static const KeyRange* const keys =
      new KeyRange{std::string(1, kRequestRecordKind), std::string(1, kRequestAgeKind + 1)};
  return *keys;
}

using Entry = absl::FunctionRef<absl::Status(absl::string_view key, absl::string_view value)>;

absl::Status Walk(Store* store, const Location& location, const KeyRange& range, Entry visit) {
  const std::unique_ptr<Cursor> cursor = store->NewCursor(location, range, ReadTier::kDisk);
  cursor->SeekToFirst();
  while (cursor->state() == ReadResult::kFound) {
    if (absl::Status status = visit(cursor->key(), cursor->value()); !status.ok()) return status;
    cursor->Next();
  }
  return cursor->state() == ReadResult::kAbsent ? absl::OkStatus() : cursor->error();
}

absl::StatusOr<bool> IsEmpty(Store* store, const Location& location, const KeyRange& range) {
  const std::unique_ptr<Cursor> cursor = store->NewCursor(location, range, ReadTier::kDisk);
  cursor->SeekToFirst();
  if (cursor->state() == ReadResult::kError) return cursor->error();
  return cursor->state() == ReadResult::kAbsent;
}

// Takes the object's id off the front of a packed key; returns false if the key begins with none.
bool ConsumePackedPrefix(absl::string_view key, ObjectKey* object) {
  uint16_t shard;
  if (!ConsumeUint16(&key, &shard)) return false;
  const absl::string_view encoded = key;
  std::string part;
  for (int i = 0; i < 3; ++i) {
    if (!ConsumeText(&key, &part)) return false;
  }
  *object = ObjectKey::FromEncoded(std::string(encoded.substr(0, encoded.size() - key.size())));
  return true;
}

// A sum over entries in any order.
struct Digest {
  uint64_t entries = 0;
  uint64_t low = 0;
  uint64_t high = 0;

  void Add(const Location& location, absl::string_view key, absl::string_view value) {
    std::string bytes;
    bytes.push_back(static_cast<char>(location.family));
    AppendText(&bytes, location.prefix);
    AppendText(&bytes, key);
    absl::StrAppend(&bytes, value);
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    ++entries;
    low += hash.low64;
    high += hash.high64;
  }
  bool operator==(const Digest&) const = default;
};

class StoreMove {
 public:
  StoreMove(Store* from, Store* to, const MoveOptions& options)
      : from_(from),
        to_(to),
        options_(options),
        families_(from, /*families_max=*/0),
        // A run without a record has the latest of all readings, whichever store it comes from.
        clocks_(from, ClusterRuns{.first = 1, .count = 0, .unfinished = nullptr}) {}

  absl::StatusOr<Moved> Run();

 private:
  // An entry as it is to be in the new store.
  using NewEntry = absl::FunctionRef<absl::Status(absl::string_view key, std::string value)>;

  absl::StatusOr<std::string> Fingerprint();
  absl::Status Begin();
  absl::Status Mark(const std::string* fingerprint);

  // Each calls `visit` with what the source has, as the new store is to have it.
  absl::Status WalkCatalog(NewEntry visit);
  absl::Status WalkObject(const Location& location, NewEntry visit);
  absl::Status WalkAsItIs(const Location& location, const KeyRange& range, NewEntry visit);
  // Calls `visit` with each object that has keys, and the place of its keys in the source.
  absl::Status ForEachObject(absl::FunctionRef<absl::Status(const ObjectKey& object, const Location& location)> visit);
  absl::Status ForEachPacked(absl::FunctionRef<absl::Status(const ObjectKey& object, const Location& location)> visit);
  absl::StatusOr<std::string> Settled(const Location& location, absl::string_view header);

  absl::Status Copy();
  absl::Status Put(const Location& location, absl::string_view key, std::string value);
  absl::Status Flush();
  absl::Status Compare();
  absl::Status CompareOne(const Location& location, const KeyRange& range, const Digest& source);

  Store* const from_;
  Store* const to_;
  const MoveOptions options_;
  Families families_;
  RunClocks clocks_;
  Moved moved_;
  absl::flat_hash_map<Location, WriteSet> batch_;
  size_t batch_bytes_ = 0;
  Digest copied_;
};

absl::StatusOr<std::string> StoreMove::Fingerprint() {
  std::string marks;
  absl::Status status = Walk(from_, WholeFamily(FamilyId::kNode), KeyRange::Prefix(kLogMarkPrefix),
                             [&](absl::string_view key, absl::string_view value) {
                               // The last batch. Whether the log is in use changes with each start.
                               AppendText(&marks, key);
                               AppendText(&marks, value.substr(0, sizeof(int64_t)));
                               return absl::OkStatus();
                             });
  if (!status.ok()) return status;
  return absl::StrCat(absl::Hex(XXH3_64bits(marks.data(), marks.size()), absl::kZeroPad16));
}

absl::Status StoreMove::Mark(const std::string* fingerprint) {
  const Location node = WholeFamily(FamilyId::kNode);
  WriteSet writes;
  if (fingerprint != nullptr) {
    writes.Put(kMoveKey, *fingerprint);
  } else {
    writes.Delete(kMoveKey);
  }
  const KeyspaceWrites commit{&node, &writes};
  return to_->CommitSync({&commit, 1});
}

absl::Status StoreMove::Begin() {
  if (absl::Status status = CheckMoved(from_); !status.ok()) return status;
  const absl::StatusOr<std::string> fingerprint = Fingerprint();
  if (!fingerprint.ok()) return fingerprint.status();
  std::string mark;
  absl::Status error;
  switch (to_->Get(WholeFamily(FamilyId::kNode), kMoveKey, ReadTier::kDisk, &mark, &error)) {
    case ReadResult::kFound:
      if (mark == *fingerprint) return absl::OkStatus();
      return absl::FailedPreconditionError(
          "an unfinished copy is there, and the source is another one or was used since; begin with an empty store");
    case ReadResult::kAbsent:
      break;
    default:
      return error;
  }
  const std::pair<Location, KeyRange> places[] = {{WholeFamily(FamilyId::kCatalog), KeyRange::All()},
                                                  {WholeFamily(FamilyId::kAlarms), KeyRange::All()},
                                                  {WholeFamily(FamilyId::kPacked), KeyRange::All()},
                                                  {WholeFamily(FamilyId::kRequests), RequestKeys()}};
  for (const auto& [location, range] : places) {
    const absl::StatusOr<bool> empty = IsEmpty(to_, location, range);
    if (!empty.ok()) return empty.status();
    if (!*empty) return absl::FailedPreconditionError("there are objects already; nothing was copied");
  }
  return Mark(&*fingerprint);
}

absl::Status StoreMove::WalkAsItIs(const Location& location, const KeyRange& range, NewEntry visit) {
  return Walk(from_, location, range,
              [&](absl::string_view key, absl::string_view value) { return visit(key, std::string(value)); });
}

absl::Status StoreMove::WalkCatalog(NewEntry visit) {
  return Walk(
      from_, WholeFamily(FamilyId::kCatalog), KeyRange::All(),
      [&](absl::string_view key, absl::string_view value) -> absl::Status {
        v1::CatalogRecord record;
        if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
          return absl::DataLossError(absl::StrCat(
              "the catalog's record of ", ObjectKey::FromEncoded(std::string(key)).DebugString(), " is garbled"));
        }
        record.set_family_generation(0);
        return visit(key, record.SerializeAsString());
      });
}

absl::StatusOr<std::string> StoreMove::Settled(const Location& location, absl::string_view bytes) {
  v1::ObjectHeader header;
  if (!header.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(absl::StrCat("the header of an object is garbled: ", absl::CEscape(location.prefix)));
  }
  if (header.run() == 0) return std::string(bytes);
  View view(from_, &location, {}, ReadTier::kDisk);
  absl::StatusOr<v1::Usage> usage = CountUsage(view);
  if (!usage.ok()) return usage.status();
  *header.mutable_usage() = *std::move(usage);
  header.set_clock_us(std::max(header.clock_us(), clocks_.Of(header.run())));
  header.set_run(0);
  // The usage has a map, and the same bytes are to come again when the copy is compared.
  std::string settled;
  google::protobuf::io::StringOutputStream stream(&settled);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  header.SerializeToCodedStream(&coded);
  coded.Trim();
  return settled;
}

absl::Status StoreMove::WalkObject(const Location& location, NewEntry visit) {
  return Walk(from_, location, KeyRange::All(), [&](absl::string_view key, absl::string_view value) -> absl::Status {
    if (key != kObjectHeaderKey) return visit(key, std::string(value));
    absl::StatusOr<std::string> header = Settled(location, value);
    if (!header.ok()) return header.status();
    return visit(key, *std::move(header));
  });
}

absl::Status StoreMove::ForEachPacked(
    absl::FunctionRef<absl::Status(const ObjectKey& object, const Location& location)> visit) {
  if (!options_.packed_in_order) {
    return Walk(from_, WholeFamily(FamilyId::kCatalog), KeyRange::All(), [&](absl::string_view key, absl::string_view) {
      const ObjectKey object = ObjectKey::FromEncoded(std::string(key));
      return visit(object, PackedLocation(object));
    });
  }
  const std::unique_ptr<Cursor> cursor =
      from_->NewCursor(WholeFamily(FamilyId::kPacked), KeyRange::All(), ReadTier::kDisk);
  cursor->SeekToFirst();
  while (cursor->state() == ReadResult::kFound) {
    ObjectKey object;
    if (!ConsumePackedPrefix(cursor->key(), &object)) {
      return absl::DataLossError(absl::StrCat("a packed key is of no object: ", absl::CEscape(cursor->key())));
    }
    const Location location = PackedLocation(object);
    if (absl::Status status = visit(object, location); !status.ok()) return status;
    cursor->Seek(PrefixEnd(location.prefix));
  }
  return cursor->state() == ReadResult::kAbsent ? absl::OkStatus() : cursor->error();
}

absl::Status StoreMove::ForEachObject(
    absl::FunctionRef<absl::Status(const ObjectKey& object, const Location& location)> visit) {
  for (const ObjectKey& object : families_.List()) {
    if (absl::Status status = visit(object, WholeFamily(families_.Find(object)->family)); !status.ok()) return status;
  }
  return ForEachPacked(visit);
}

absl::Status StoreMove::Put(const Location& location, absl::string_view key, std::string value) {
  const size_t bytes = key.size() + value.size();
  if (batch_bytes_ > 0 && batch_bytes_ + bytes > options_.batch_bytes_max) {
    if (absl::Status status = Flush(); !status.ok()) return status;
  }
  copied_.Add(location, key, value);
  batch_[location].Put(key, std::move(value));
  batch_bytes_ += bytes;
  ++moved_.entries;
  moved_.bytes += bytes;
  return absl::OkStatus();
}

absl::Status StoreMove::Flush() {
  if (batch_.empty()) return absl::OkStatus();
  std::vector<KeyspaceWrites> writes;
  writes.reserve(batch_.size());
  for (auto& [location, set] : batch_) writes.push_back({&location, &set});
  absl::Status status = to_->CommitSync(writes);
  batch_.clear();
  batch_bytes_ = 0;
  if (status.ok() && options_.progress != nullptr) options_.progress(moved_);
  return status;
}

absl::Status StoreMove::Copy() {
  const Location catalog = WholeFamily(FamilyId::kCatalog);
  absl::Status status = WalkCatalog([&](absl::string_view key, std::string value) {
    ++moved_.objects;
    return Put(catalog, key, std::move(value));
  });
  if (!status.ok()) return status;
  status = ForEachObject([&](const ObjectKey& object, const Location& location) {
    const Location packed = PackedLocation(object);
    return WalkObject(location,
                      [&](absl::string_view key, std::string value) { return Put(packed, key, std::move(value)); });
  });
  if (!status.ok()) return status;
  const Location alarms = WholeFamily(FamilyId::kAlarms);
  status = WalkAsItIs(alarms, KeyRange::All(), [&](absl::string_view key, std::string value) {
    ++moved_.alarms;
    return Put(alarms, key, std::move(value));
  });
  if (!status.ok()) return status;
  const Location requests = WholeFamily(FamilyId::kRequests);
  status = WalkAsItIs(requests, RequestKeys(), [&](absl::string_view key, std::string value) {
    if (key[0] == kRequestRecordKind) ++moved_.request_records;
    return Put(requests, key, std::move(value));
  });
  return status.ok() ? Flush() : status;
}

absl::Status StoreMove::CompareOne(const Location& location, const KeyRange& range, const Digest& source) {
  Digest there;
  absl::Status status = Walk(to_, location, range, [&](absl::string_view key, absl::string_view value) {
    there.Add(location, key, value);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (there == source) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the copy differs from the source: ", there.entries, " entries in place of ",
                                          source.entries, " at ", static_cast<int>(location.family), " ",
                                          absl::CEscape(location.prefix)));
}

absl::Status StoreMove::Compare() {
  Digest all;
  const auto compare = [&](const Location& location, const KeyRange& range,
                           absl::FunctionRef<absl::Status(NewEntry)> walk) {
    Digest source;
    absl::Status status = walk([&](absl::string_view key, std::string value) {
      source.Add(location, key, value);
      all.Add(location, key, value);
      return absl::OkStatus();
    });
    return status.ok() ? CompareOne(location, range, source) : status;
  };
  absl::Status status =
      compare(WholeFamily(FamilyId::kCatalog), KeyRange::All(), [&](NewEntry visit) { return WalkCatalog(visit); });
  if (!status.ok()) return status;
  status = ForEachObject([&](const ObjectKey& object, const Location& location) {
    return compare(PackedLocation(object), KeyRange::All(),
                   [&](NewEntry visit) { return WalkObject(location, visit); });
  });
  if (!status.ok()) return status;
  for (const auto& [family, range] :
       {std::pair(FamilyId::kAlarms, KeyRange::All()), std::pair(FamilyId::kRequests, RequestKeys())}) {
    const Location location = WholeFamily(family);
    status = compare(location, range, [&](NewEntry visit) { return WalkAsItIs(location, range, visit); });
    if (!status.ok()) return status;
  }
  if (!(all == copied_)) return absl::DataLossError("the source has changed during the copy");
  moved_.checksum = all.low;
  return absl::OkStatus();
}

absl::StatusOr<Moved> StoreMove::Run() {
  if (absl::Status status = Begin(); !status.ok()) return status;
  if (absl::Status status = families_.Recover(); !status.ok()) return status;
  if (absl::Status status = clocks_.Refresh(); !status.ok()) return status;
  if (absl::Status status = Copy(); !status.ok()) return status;
  if (absl::Status status = Compare(); !status.ok()) return status;
  if (absl::Status status = Mark(nullptr); !status.ok()) return status;
  return moved_;
}

}  // namespace

absl::StatusOr<Moved> MoveStore(Store* from, Store* to, const MoveOptions& options) {
  return StoreMove(from, to, options).Run();
}

absl::Status CheckMoved(Store* store) {
  std::string mark;
  absl::Status error;
  switch (store->Get(WholeFamily(FamilyId::kNode), kMoveKey, ReadTier::kDisk, &mark, &error)) {
    case ReadResult::kAbsent:
      return absl::OkStatus();
    case ReadResult::kFound:
      return absl::FailedPreconditionError(
          "the store is an unfinished copy of another one; run the copy again (holdfastd --move-data)");
    default:
      return error;
  }
}

}  // namespace holdfast::storage
