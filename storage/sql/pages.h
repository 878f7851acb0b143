// The pages of an object's SQL database in its keyspace: a record that says how many there are and of which generation,
// and a key for each (storage/FORMAT.md).
//
// A page that was there before is written as a patch (storage/store/patch.h): most changes are of a few bytes. Behind
// its image it counts how often it was patched since it was last written in full, so that whoever writes it next knows
// how many patches there may be for the store to apply when it is read; there are kPagePatchesMax at most.
//
// What a turn writes gathers here, in an overlay, and not in the turn's own writes: SQLite may write pages in the
// middle of a statement that fails later. JoinTurn() moves the overlay to the turn's writes, DropTurn() forgets it.
// Both end the turn's SQL; a connection whose turn was dropped has pages in its cache that never were, and must go too.
//
// Invariants:
//   1. Every page up to the stored number has its key: one without is DATA_LOSS.
//   2. In the turn, a page is, first that applies: what the overlay has; what is stored, up to kept_; zeros.
//
// Threading: one thread at a time; which one may change between calls.

#ifndef HOLDFAST_STORAGE_SQL_PAGES_H_
#define HOLDFAST_STORAGE_SQL_PAGES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/object/keyspace.h"
#include "storage/object/usage.h"
#include "storage/sql/page_source.h"
#include "storage/store/key_codec.h"
#include "storage/store/write_set.h"

namespace holdfast::storage::v1 {
class SqlDatabase;
}  // namespace holdfast::storage::v1

namespace holdfast::storage::sql {

inline constexpr int kPagePatchesMax = 16;

// Where a page lies in the keyspace. Of an object's generations, the one that its record names counts.
std::string PageKey(uint32_t generation, uint32_t number);
// The pages of a generation from this number on.
KeyRange PageRange(uint32_t generation, uint32_t first = 0);
// Everything of the database, whatever the generation.
KeyRange DatabaseRange();
// Empty where there is no database. DATA_LOSS where it is garbled.
absl::StatusOr<v1::SqlDatabase> ParseDatabaseRecord(const std::optional<std::string>& stored);
absl::StatusOr<v1::SqlDatabase> ReadDatabaseRecord(View* view);
// A page as it is stored, first written.
std::string StoredPage(absl::string_view image);
// The image of what is stored of a page, to kPageBytes at `page`. DATA_LOSS where it is missing or of another size.
absl::Status ImageOf(const std::optional<std::string>& stored, uint32_t number, char* page);

class Pages : public PageSource {
 public:
  // The overlay may hold so many bytes of pages.
  explicit Pages(size_t turn_bytes_max) : turn_bytes_max_(turn_bytes_max) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  // Through what is read from now on; must outlive the reads, and see the database without this turn's SQL. A view that
  // has once needed the disk answers nothing more.
  void set_view(View* view) { view_ = view; }

  absl::StatusOr<uint32_t> PageCount() override;
  absl::Status ReadPage(uint32_t number, char* page) override;
  absl::Status WritePage(uint32_t number, absl::string_view page) override;
  absl::Status Truncate(uint32_t page_count) override;

  bool wrote() const { return !overlay_.empty() || (stored_ && (count_ != *stored_ || kept_ != *stored_)); }
  // What the turn has written, to its other writes; the next view must see them. `view` sees the database without this
  // turn's SQL, and at least what is in `writes`. What it cannot tell without the disk is written in full; it may be of
  // no use afterwards.
  void JoinTurn(View* view, WriteSet* writes, UsageChange* usage);
  void DropTurn();

 private:
  // Reads the record, once.
  absl::Status Load();
  // Without a view it is written in full.
  void JoinPage(uint32_t number, std::string page, View* view, WriteSet* writes) const;

  const size_t turn_bytes_max_;
  View* view_ = nullptr;
  std::optional<uint32_t> stored_;  // pages in the keyspace, without the turn; nothing: not read yet
  uint32_t generation_ = 0;         // read with the count
  uint32_t count_ = 0;              // in the turn
  uint32_t kept_ = 0;               // the fewest that there were in the turn
  absl::btree_map<uint32_t, std::string> overlay_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_PAGES_H_
