#include "storage/postgres/page_cursor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::storage::postgres {
namespace {

const Statement kEnd = {"end_snapshot", "COMMIT"};

constexpr Reader::PageLimits kFirstPage = {.rows_max = 128, .bytes_max = 256 << 10};
constexpr Reader::PageLimits kNextPage = {.rows_max = 1024, .bytes_max = 1 << 20};

}  // namespace

PageCursor::PageCursor(Reader* reader, const Location& location, const KeyRange& range)
    : reader_(reader), space_(location), rows_(space_.RowKeys(range)) {
  if (range.IsEmpty()) {
    whole_ = true;
    first_ = rows_.start;
    return;
  }
  error_ = Begin();
}

PageCursor::~PageCursor() {
  if (!snapshot_) return;
  (*snapshot_)->Add(kEnd);
  (*snapshot_)->Send();
}

absl::Status PageCursor::Begin() {
  absl::StatusOr<RowPage> page = reader_->ReadPage(space_, rows_, kFirstPage);
  if (!page.ok()) return page.status();
  first_ = rows_.start;
  if (page->complete) {
    page_ = *std::move(page);
    whole_ = true;
    return absl::OkStatus();
  }
  absl::StatusOr<Reader::Lease> lease = reader_->BeginSnapshot(space_);
  if (!lease.ok()) return lease.status();
  snapshot_.emplace(*std::move(lease));
  LoadFrom(rows_.start);
  at_ = kNone;
  return error_;
}

bool PageCursor::Load(const KeyRange& rows, bool reverse) {
  at_ = kNone;
  if (!error_.ok()) return false;
  Reader::AddPage(space_, rows, reverse, kNextPage, snapshot_->get());
  const TripResult result = (*snapshot_)->Run(reader_->ReadDeadline());
  if (!result.ok()) {
    error_ = result.status();
    return false;
  }
  page_ = Reader::TakePage(result.rows.back(), kNextPage);
  if (reverse) std::reverse(page_.rows.begin(), page_.rows.end());
  return true;
}

void PageCursor::LoadFrom(const std::string& from) {
  if (!Load({from, rows_.end}, /*reverse=*/false)) return;
  first_ = from;
  end_ = page_.complete ? std::nullopt : std::optional(page_.rows.back().first + '\0');
  if (!page_.rows.empty()) at_ = 0;
}

void PageCursor::LoadBefore(const std::optional<std::string>& to) {
  if (!Load({rows_.start, to.value_or(rows_.end)}, /*reverse=*/true)) return;
  first_ = page_.complete ? rows_.start : page_.rows.front().first;
  end_ = to;
  if (!page_.rows.empty()) at_ = page_.rows.size() - 1;
}

void PageCursor::SeekToFirst() {
  if (first_ != rows_.start) return LoadFrom(rows_.start);
  at_ = page_.rows.empty() ? kNone : 0;
}

void PageCursor::SeekToLast() {
  if (end_) return LoadBefore(std::nullopt);
  at_ = page_.rows.empty() ? kNone : page_.rows.size() - 1;
}

void PageCursor::Seek(absl::string_view key) {
  const std::string row = std::max(absl::StrCat(space_.prefix(), key), rows_.start);
  if (!rows_.end.empty() && row >= rows_.end) {
    at_ = kNone;
    return;
  }
  if (row < first_ || (end_ && row >= *end_)) return LoadFrom(row);
  const auto found = std::lower_bound(page_.rows.begin(), page_.rows.end(), row,
                                      [](const auto& each, const std::string& k) { return each.first < k; });
  if (found == page_.rows.end() && end_) return LoadFrom(std::string(*end_));
  at_ = found == page_.rows.end() ? kNone : static_cast<size_t>(found - page_.rows.begin());
}

void PageCursor::Next() {
  if (at_ + 1 < page_.rows.size()) {
    ++at_;
  } else if (end_) {
    LoadFrom(std::string(*end_));
  } else {
    at_ = kNone;
  }
}

void PageCursor::Prev() {
  if (at_ > 0) {
    --at_;
  } else if (first_ != rows_.start) {
    LoadBefore(std::string(first_));
  } else {
    at_ = kNone;
  }
}

ReadResult PageCursor::state() const {
  if (!error_.ok()) return ReadResult::kError;
  return at_ == kNone ? ReadResult::kAbsent : ReadResult::kFound;
}

}  // namespace holdfast::storage::postgres
