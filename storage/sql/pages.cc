#include "storage/sql/pages.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/store/format.h"
#include "storage/store/patch.h"

namespace holdfast::storage::sql {
namespace {

// Up to this many pages are removed one by one: a removed range costs every later read in its family.
constexpr uint32_t kRemoveByKeyMax = 1000;

// A turn that changes more pages than this writes them in full: to make patches takes some us each, on the executor.
constexpr size_t kPatchedPagesMax = 256;

// A stored page is its image, and behind it the count of patches.
constexpr size_t kStoredPageBytes = kPageBytes + 1;

std::string GenerationPrefix(uint32_t generation) {
  std::string prefix(1, kSqlPageKind);
  AppendUint32(&prefix, generation);
  return prefix;
}

}  // namespace

std::string PageKey(uint32_t generation, uint32_t number) {
  std::string key = GenerationPrefix(generation);
  AppendUint32(&key, number);
  return key;
}

KeyRange DatabaseRange() { return {kSqlDatabaseKey, PrefixEnd({&kSqlPageKind, 1})}; }

KeyRange PageRange(uint32_t generation, uint32_t first) {
  return {PageKey(generation, first), PrefixEnd(GenerationPrefix(generation))};
}

absl::StatusOr<v1::SqlDatabase> ParseDatabaseRecord(const std::optional<std::string>& stored) {
  v1::SqlDatabase database;
  if (stored && (!database.ParseFromString(*stored) || database.page_count() == 0)) {
    return absl::DataLossError("the record of the SQL database cannot be read");
  }
  return database;
}

absl::StatusOr<v1::SqlDatabase> ReadDatabaseRecord(View* view) {
  const auto record = view->Get(kSqlDatabaseKey);
  if (!record.ok()) return record.status();
  return ParseDatabaseRecord(*record);
}

std::string StoredPage(absl::string_view image) {
  std::string stored(image.data(), image.size());
  stored.push_back(0);
  return stored;
}

absl::Status ImageOf(const std::optional<std::string>& stored, uint32_t number, char* page) {
  if (!stored) return absl::DataLossError(absl::StrCat("page ", number, " of the SQL database is missing"));
  if (stored->empty()) {
    std::memset(page, 0, kPageBytes);
  } else if (stored->size() == kStoredPageBytes) {
    std::memcpy(page, stored->data(), kPageBytes);
  } else {
    return absl::DataLossError(absl::StrCat("page ", number, " of the SQL database has ", stored->size(), " bytes"));
  }
  return absl::OkStatus();
}

absl::Status Pages::Load() {
  if (stored_) return absl::OkStatus();
  const auto database = ReadDatabaseRecord(view_);
  if (!database.ok()) return database.status();
  if (view_->needs_disk()) return NeedsWorker();
  stored_ = count_ = kept_ = database->page_count();
  generation_ = database->generation();
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> Pages::PageCount() {
  if (absl::Status status = Load(); !status.ok()) return status;
  return count_;
}

absl::Status Pages::ReadPage(uint32_t number, char* page) {
  if (absl::Status status = Load(); !status.ok()) return status;
  if (number == 0 || number > count_) return absl::InternalError(absl::StrCat("there is no page ", number));
  if (auto it = overlay_.find(number); it != overlay_.end()) {
    std::memcpy(page, it->second.data(), kPageBytes);
    return absl::OkStatus();
  }
  if (number > kept_) {
    std::memset(page, 0, kPageBytes);
    return absl::OkStatus();
  }
  auto stored = view_->Get(PageKey(generation_, number));
  if (!stored.ok()) return stored.status();
  if (view_->needs_disk()) return NeedsWorker();
  return ImageOf(*stored, number, page);
}

absl::Status Pages::WritePage(uint32_t number, absl::string_view page) {
  if (absl::Status status = Load(); !status.ok()) return status;
  if (number == 0 || page.size() != kPageBytes) {
    return absl::InternalError(absl::StrCat("page ", number, " is written with ", page.size(), " bytes"));
  }
  auto it = overlay_.find(number);
  if (it == overlay_.end()) {
    if ((overlay_.size() + 1) * kPageBytes > turn_bytes_max_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the pages that the SQL of one turn changes have over ", turn_bytes_max_, " bytes"));
    }
    it = overlay_.try_emplace(number).first;
  }
  it->second.assign(page.data(), page.size());
  count_ = std::max(count_, number);
  return absl::OkStatus();
}

absl::Status Pages::Truncate(uint32_t page_count) {
  if (absl::Status status = Load(); !status.ok()) return status;
  overlay_.erase(overlay_.upper_bound(page_count), overlay_.end());
  count_ = std::min(count_, page_count);
  kept_ = std::min(kept_, page_count);
  return absl::OkStatus();
}

void Pages::JoinPage(uint32_t number, std::string page, View* view, WriteSet* writes) const {
  const std::string key = PageKey(generation_, number);
  // Pages above kept_ were cut off in the turn, though the view has them.
  if (view != nullptr && number <= kept_) {
    const auto found = view->Get(key);
    if (found.ok() && *found && (*found)->size() == kStoredPageBytes) {
      const std::string& base = **found;
      if (base.compare(0, kPageBytes, page) == 0) return;
      if (const int patches = static_cast<uint8_t>(base.back()); patches < kPagePatchesMax) {
        page.push_back(static_cast<char>(patches + 1));
        if (auto patch = MakePatch(base, page)) {
          writes->PutChanged(key, std::move(page), *std::move(patch));
          return;
        }
        page.pop_back();
      }
    }
  }
  page.push_back(0);
  writes->Put(key, std::move(page));
}

void Pages::JoinTurn(View* view, WriteSet* writes, UsageChange* usage) {
  if (!wrote()) return;
  const uint32_t stored = *stored_;
  if (stored > count_ && stored - count_ > kRemoveByKeyMax) {
    writes->DeleteRange(PageRange(generation_, count_ + 1));
  } else {
    for (uint32_t number = count_ + 1; number <= stored; ++number) writes->Delete(PageKey(generation_, number));
  }
  for (uint32_t number = kept_ + 1; number <= count_; ++number) {
    if (!overlay_.contains(number)) writes->Put(PageKey(generation_, number), "");
  }
  View* const bases = overlay_.size() <= kPatchedPagesMax ? view : nullptr;
  for (auto& [number, page] : overlay_) JoinPage(number, std::move(page), bases, writes);
  if (count_ == 0) {
    writes->Delete(kSqlDatabaseKey);
  } else if (count_ != stored) {
    v1::SqlDatabase database;
    database.set_page_count(count_);
    database.set_generation(generation_);
    writes->Put(kSqlDatabaseKey, database.SerializeAsString());
  }
  // Pages of zeros count in full, so that no page's old size has to be read.
  usage->size_bytes += UsageOfPages(count_) - UsageOfPages(stored);
  overlay_.clear();
  stored_ = kept_ = count_;
}

void Pages::DropTurn() {
  overlay_.clear();
  // The record is read again, since writes that were dropped may have joined the turn before.
  stored_.reset();
}

}  // namespace holdfast::storage::sql
