// The pages of an object's SQL database in its keyspace: a record that says how many there are and of which generation,
// and a key for each (storage/FORMAT.md).
//
// A page that was there before is written as a patch (storage/store/patch.h), since most changes are of a few bytes.
// Behind its image the page counts its patches since it was last written in full, so that the next writer knows how
// many patches the store may have to apply when the page is read: kPagePatchesMax at most.
//
// The pages that a turn writes gather here, in an overlay, and not in the turn's own writes: SQLite may write pages in
// the middle of a statement that fails later. JoinTurn() moves the overlay to the turn's writes, DropTurn() forgets it.
// Both end the turn's SQL. A connection that has written must be closed with a dropped turn, since its cache has the
// dropped pages.
//
// Invariants:
//   1. Every page up to the stored number has its key: one without is DATA_LOSS.
//   2. In the turn, a page is the first of these that exists: the overlay's; the stored one, up to kept_; zeros.
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

// Returns the key of a page in the keyspace. Of an object's generations, the one that its record names counts.
std::string PageKey(uint32_t generation, uint32_t number);
// Returns the range of a generation's pages from the number `first` on.
KeyRange PageRange(uint32_t generation, uint32_t first = 0);
// Returns the range of the database: its record, and the pages of all generations.
KeyRange DatabaseRange();
// Returns the record of the database; an empty one if there is no database. DATA_LOSS if the record is garbled.
absl::StatusOr<v1::SqlDatabase> ParseDatabaseRecord(const std::optional<std::string>& stored);
absl::StatusOr<v1::SqlDatabase> ReadDatabaseRecord(View* view);
// Returns a page as it is stored when it is written in full.
std::string StoredPage(absl::string_view image);
// Copies the image of a stored page to the kPageBytes at `page`. DATA_LOSS if the page is missing or has another size.
absl::Status ImageOf(const std::optional<std::string>& stored, uint32_t number, char* page);

class Pages : public PageSource {
 public:
  // The overlay may hold `turn_bytes_max` bytes of pages.
  explicit Pages(size_t turn_bytes_max) : turn_bytes_max_(turn_bytes_max) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  // Sets the view for the reads from now on. The view must outlive the reads, and see the database without this turn's
  // SQL. A view that has once needed the disk answers nothing more.
  void set_view(View* view) { view_ = view; }

  absl::StatusOr<uint32_t> PageCount() override;
  absl::Status ReadPage(uint32_t number, char* page) override;
  absl::Status WritePage(uint32_t number, absl::string_view page) override;
  absl::Status Truncate(uint32_t page_count) override;

  bool wrote() const { return !overlay_.empty() || (stored_ && (count_ != *stored_ || kept_ != *stored_)); }
  // Moves the overlay to the turn's other writes, which the next view must see. `view` sees the database without this
  // turn's SQL, and at least `writes`. A page that `view` cannot read without the disk is written in full; `view` may
  // be of no use afterwards.
  void JoinTurn(View* view, WriteSet* writes, UsageChange* usage);
  void DropTurn();

 private:
  // Reads the record if it was not read yet.
  absl::Status Load();
  // Moves a page to `writes`: in full if `view` is null.
  void JoinPage(uint32_t number, std::string page, View* view, WriteSet* writes) const;

  const size_t turn_bytes_max_;
  View* view_ = nullptr;
  std::optional<uint32_t> stored_;  // pages in the keyspace, without the turn; nothing: not read yet
  uint32_t generation_ = 0;         // read with the count
  uint32_t count_ = 0;              // in the turn
  uint32_t kept_ = 0;               // the fewest pages that there were in the turn
  absl::btree_map<uint32_t, std::string> overlay_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_PAGES_H_
