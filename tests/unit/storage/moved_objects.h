// Objects of all kinds, for tests that copy a store.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_MOVED_OBJECTS_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_MOVED_OBJECTS_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/node/alarm_index.h"
#include "storage/node/families.h"
#include "storage/store/format.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {

inline constexpr int kObjects = 40;
inline constexpr int kEntries = 5;
// Each so-many-th object has a family of its own, where the store has them.
inline constexpr int kOwnFamilyEvery = 10;

inline ObjectKey Object(int i) { return ObjectKey(i % 2 == 0 ? "even" : "odd", "Class", absl::StrCat("object", i)); }
// An object that is no more, and has left a remainder.
inline ObjectKey Gone() { return ObjectKey("even", "BatchProcessor", "gone"); }
inline std::string EntryKey(int i) { return absl::StrCat(std::string(1, kEntryKind), "key", i); }
inline std::string EntryValue(int object, int i) { return absl::StrCat(object, " has ", i, std::string(100, 'v')); }
inline std::string RequestKey(const ObjectKey& object) {
  std::string key(1, kRequestRecordKind);
  AppendUint16(&key, static_cast<uint16_t>(object.shard()));
  return key + object.encoded() + "request";
}

inline void MakeObjects(Store* store) {
  std::vector<std::pair<Location, WriteSet>> all;
  WriteSet catalog;
  WriteSet alarms;
  WriteSet requests;
  for (int i = 0; i < kObjects; ++i) {
    const ObjectKey object = Object(i);
    ObjectId id;
    ASSERT_TRUE(object.Decode(&id));
    v1::CatalogRecord record;
    record.set_create_time_us(i);
    Location location = PackedLocation(object);
    if (i % kOwnFamilyEvery == 0) {
      const auto family = store->CreateFamily(FamilyName(id, static_cast<uint64_t>(i + 1)));
      if (family.ok()) {
        location = WholeFamily(*family);
        record.set_family_generation(static_cast<uint64_t>(i + 1));
      }
    }
    WriteSet entries;
    v1::ObjectHeader header;
    header.set_clock_us(i);
    entries.Put(kObjectHeaderKey, header.SerializeAsString());
    for (int j = 0; j < kEntries; ++j) entries.Put(EntryKey(j), EntryValue(i, j));
    all.emplace_back(location, std::move(entries));
    catalog.Put(object.encoded(), record.SerializeAsString());
    alarms.Put(AlarmIndexKey(i, object.encoded()), "");
    requests.Put(RequestKey(object), "reply");
  }
  all.emplace_back(PackedLocation(Gone()), Puts({{kRemainderKey, "next: 7"}}));
  all.emplace_back(WholeFamily(FamilyId::kCatalog), std::move(catalog));
  all.emplace_back(WholeFamily(FamilyId::kAlarms), std::move(alarms));
  all.emplace_back(WholeFamily(FamilyId::kRequests), std::move(requests));
  ASSERT_THAT(Commit(*store, std::move(all)), IsOk());
}

inline void ExpectObjects(Store& store) {
  for (int i = 0; i < kObjects; ++i) {
    const ObjectKey object = Object(i);
    for (int j = 0; j < kEntries; ++j) {
      EXPECT_THAT(FindAt(store, PackedLocation(object), EntryKey(j)), testing::Optional(EntryValue(i, j)));
    }
    v1::ObjectHeader header;
    EXPECT_TRUE(header.ParseFromString(FindAt(store, PackedLocation(object), kObjectHeaderKey).value_or("\xff")));
    EXPECT_EQ(header.clock_us(), i);
    v1::CatalogRecord record;
    EXPECT_TRUE(record.ParseFromString(Find(store, FamilyId::kCatalog, object.encoded()).value_or("\xff")));
    EXPECT_EQ(record.create_time_us(), i);
    EXPECT_EQ(record.family_generation(), 0u);
    EXPECT_THAT(Find(store, FamilyId::kAlarms, AlarmIndexKey(i, object.encoded())), testing::Optional(std::string()));
    EXPECT_THAT(Find(store, FamilyId::kRequests, RequestKey(object)), testing::Optional(std::string("reply")));
  }
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_MOVED_OBJECTS_H_
