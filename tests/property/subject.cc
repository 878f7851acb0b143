#include "tests/property/subject.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "actors/objects/plain_object.h"
#include "storage/store/format.h"
#include "tests/property/world.h"

namespace holdfast::property {
namespace {

constexpr size_t kShownMax = 5;

actors::HostOptions Options(uint64_t seed) {
  actors::HostOptions options;
  // The cache is so small that SQL writes pages in the middle of statements.
  if (seed % 2 == 0) options.sql.cache_bytes = 32 << 10;
  options.object_bytes_max = kObjectBytesMax;
  options.records.age = kRecordAge;
  return options;
}

}  // namespace

void Subject::OpenStore() {
  const storage::StoreRow& row = storage::RowOf(kind_);
  if (kind_ != storage::StoreKind::kRocksDb) {
    if (store_ == nullptr) {
      store_ = row.open(dir_.path());
    } else if (row.reopen != nullptr) {
      row.reopen(*store_);
    }
  } else {
    store_.reset();
    // The machine does not lose power here; a kill of the node loses only writes that it had not committed.
    storage::RocksDbOptions options = storage::SmallOptions(dir_.path());
    options.sync = false;
    store_ = storage::OpenOrDie(options);
  }
  counting_ = std::make_unique<CountingStore>(store_.get(), counts_);
}

void Subject::StartNode(uint64_t seed) {
  node_ = std::make_unique<simulation::Node>(counting_.get(), &clock_,
                                             std::vector<const actors::ObjectClass*>{&actors::PlainObject::Class()},
                                             Options(seed), kFamiliesMax, seed);
  EXPECT_TRUE(node_->recovered().ok()) << node_->recovered();
}

void Subject::EndNode() {
  if (node_ == nullptr) return;
  EXPECT_FALSE(node_->stuck()) << "something goes round without end";
  node_.reset();
  counting_->NodeEnded();
}

void Subject::ReopenStore() {
  OpenStore();
  counting_->set_seed(seed_);
}

void Subject::Reset(uint64_t seed) {
  clock_.Set(simulation::VirtualClock().Now());
  seed_ = seed;
  counting_->set_cold(false);
  counting_->set_seed(seed);
}

std::vector<std::string> Subject::LeftInStore() {
  using storage::FamilyId;
  std::vector<std::string> left;
  for (const auto& [name, family] :
       {std::pair("catalog", FamilyId::kCatalog), std::pair("alarms", FamilyId::kAlarms),
        std::pair("packed", FamilyId::kPacked), std::pair("requests", FamilyId::kRequests)}) {
    auto cursor = store_->NewCursor(storage::WholeFamily(family), storage::KeyRange::All(), storage::ReadTier::kDisk);
    size_t shown = 0;
    for (cursor->SeekToFirst(); cursor->state() == storage::ReadResult::kFound && shown < kShownMax; cursor->Next()) {
      // Copies of the node's own records.
      if (family == FamilyId::kRequests &&
          (cursor->key() == storage::kStoreHeaderKey || absl::StartsWith(cursor->key(), storage::kLogMarkPrefix))) {
        continue;
      }
      left.push_back(absl::StrCat(name, ": ", absl::CHexEscape(cursor->key())));
      ++shown;
    }
  }
  for (const storage::OwnFamily& family : store_->ListOwnFamilies()) left.push_back("family " + family.name);
  return left;
}

}  // namespace holdfast::property
