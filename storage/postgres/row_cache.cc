#include "storage/postgres/row_cache.h"

#include <algorithm>
#include <iterator>

#include "storage/store/write_set.h"

namespace holdfast::storage::postgres {
namespace {

// Walks over entries that do not change while it has them.
class CachedCursor final : public Cursor {
 public:
  using Entries = RowCache::Entries;

  CachedCursor(std::shared_ptr<const Entries> entries, const KeyRange& range)
      : entries_(std::move(entries)),
        begin_(entries_->lower_bound(range.start)),
        end_(range.IsEmpty()     ? begin_
             : range.end.empty() ? entries_->end()
                                 : entries_->lower_bound(range.end)),
        at_(end_) {}

  void SeekToFirst() override { at_ = begin_; }
  void SeekToLast() override { at_ = begin_ == end_ ? end_ : std::prev(end_); }
  void Seek(absl::string_view key) override {
    at_ = begin_;
    if (begin_ == end_ || begin_->first >= key) return;
    const auto found = entries_->lower_bound(key);
    at_ = found == entries_->end() || (end_ != entries_->end() && found->first >= end_->first) ? end_ : found;
  }
  void Next() override { ++at_; }
  void Prev() override { at_ = at_ == begin_ ? end_ : std::prev(at_); }
  ReadResult state() const override { return at_ == end_ ? ReadResult::kAbsent : ReadResult::kFound; }
  absl::Status error() const override { return absl::OkStatus(); }
  absl::string_view key() const override { return at_->first; }
  absl::string_view value() const override { return at_->second; }

 private:
  const std::shared_ptr<const Entries> entries_;
  const Entries::const_iterator begin_;
  const Entries::const_iterator end_;
  Entries::const_iterator at_;
};

// Returns whether a range that ends at `end` reaches at least as far as `other`; an empty end is behind all others.
bool ReachesEnd(const std::string& end, const std::string& other) {
  return end.empty() || (!other.empty() && end >= other);
}

}  // namespace

RowCache::RowCache(const Options& options) : options_(options), parts_(kParts) {}

RowCache::Rows* RowCache::Use(Part& part, const Location& location) {
  const auto found = part.rows.find(location);
  if (found == part.rows.end()) return nullptr;
  part.used.splice(part.used.begin(), part.used, found->second.used);
  return &found->second;
}

void RowCache::Drop(Part& part, const Location& location) {
  const auto found = part.rows.find(location);
  if (found == part.rows.end()) return;
  part.bytes -= found->second.bytes;
  bytes_.fetch_sub(found->second.bytes, std::memory_order_relaxed);
  part.used.erase(found->second.used);
  part.rows.erase(found);
}

void RowCache::Account(Part& part, const Location& location, const Rows* rows, size_t before) {
  part.bytes += rows->bytes - before;
  bytes_.fetch_add(rows->bytes - before, std::memory_order_relaxed);
  if (rows->bytes > options_.location_bytes_max) {
    Drop(part, Location(location));
    return;
  }
  while (part.bytes > options_.bytes_max / kParts) Drop(part, Location(part.used.back()));
}

RowCache::Entries* RowCache::Writable(Rows* rows) {
  if (rows->entries.use_count() > 1) rows->entries = std::make_shared<Entries>(*rows->entries);
  return rows->entries.get();
}

bool RowCache::KnowsIn(const Rows& rows, const KeyRange& range) {
  if (range.IsEmpty()) return true;
  // The last range that begins at or before the start.
  auto at = std::upper_bound(rows.known.begin(), rows.known.end(), range.start,
                             [](const std::string& start, const KeyRange& known) { return start < known.start; });
  if (at == rows.known.begin()) return false;
  --at;
  return ReachesEnd(at->end, range.end);
}

void RowCache::AddKnown(const KeyRange& range, Rows* rows) {
  if (KnowsIn(*rows, range)) return;
  KeyRange joined = range;
  // The ranges that touch or overlap the new one become one with it.
  const auto first = std::find_if(rows->known.begin(), rows->known.end(),
                                  [&](const KeyRange& known) { return known.end.empty() || known.end >= range.start; });
  auto last = first;
  for (; last != rows->known.end() && (range.end.empty() || last->start <= range.end); ++last) {
    rows->bytes -= kOverheadBytes + last->start.size() + last->end.size();
    joined.start = std::min(joined.start, last->start);
    if (ReachesEnd(last->end, joined.end)) joined.end = last->end;
  }
  rows->bytes += kOverheadBytes + joined.start.size() + joined.end.size();
  rows->known.insert(rows->known.erase(first, last), std::move(joined));
}

void RowCache::Put(absl::string_view key, absl::string_view value, Rows* rows) {
  const auto [at, added] = Writable(rows)->try_emplace(std::string(key));
  rows->bytes += added ? kOverheadBytes + key.size() + value.size() : value.size() - at->second.size();
  at->second.assign(value.data(), value.size());
}

void RowCache::Remove(const KeyRange& range, Rows* rows) {
  if (range.IsEmpty()) return;
  Entries* const entries = Writable(rows);
  const auto first = entries->lower_bound(range.start);
  const auto last = range.end.empty() ? entries->end() : entries->lower_bound(range.end);
  for (auto at = first; at != last; ++at) rows->bytes -= kOverheadBytes + at->first.size() + at->second.size();
  entries->erase(first, last);
}

ReadResult RowCache::Get(const Location& location, absl::string_view key, std::string* value) {
  Part& part = PartOf(location);
  MutexLock lock(&part.mutex);
  const Rows* const rows = Use(part, location);
  if (rows == nullptr || !KnowsIn(*rows, KeyRange::Single(key))) {
    misses_.fetch_add(1, std::memory_order_relaxed);
    return ReadResult::kNeedsDisk;
  }
  hits_.fetch_add(1, std::memory_order_relaxed);
  const auto found = rows->entries->find(key);
  if (found == rows->entries->end()) return ReadResult::kAbsent;
  *value = found->second;
  return ReadResult::kFound;
}

std::unique_ptr<Cursor> RowCache::NewCursor(const Location& location, const KeyRange& range) {
  Part& part = PartOf(location);
  MutexLock lock(&part.mutex);
  const Rows* const rows = Use(part, location);
  if (rows == nullptr || !KnowsIn(*rows, range)) {
    misses_.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  }
  hits_.fetch_add(1, std::memory_order_relaxed);
  return std::make_unique<CachedCursor>(rows->entries, range);
}

bool RowCache::Knows(const Location& location, const KeyRange& range) {
  Part& part = PartOf(location);
  MutexLock lock(&part.mutex);
  const auto found = part.rows.find(location);
  return found != part.rows.end() && KnowsIn(found->second, range);
}

RowCache::Ticket RowCache::BeginRead(const Location& location) {
  if (location.family != FamilyId::kPacked) return {};
  Part& part = PartOf(location);
  MutexLock lock(&part.mutex);
  const Gate& gate = GateOf(part, location);
  return {gate.version, gate.commits == 0};
}

void RowCache::Add(const Location& location, Ticket ticket, const KeyRange& range,
                   absl::Span<const std::pair<std::string, std::string>> entries) {
  if (!ticket.valid) return;
  Part& part = PartOf(location);
  MutexLock lock(&part.mutex);
  if (GateOf(part, location).version != ticket.version) return;
  Rows* rows = Use(part, location);
  if (rows == nullptr) {
    rows = &part.rows[location];
    part.used.push_front(location);
    rows->used = part.used.begin();
  }
  const size_t before = rows->bytes;
  if (before == 0) rows->bytes = kOverheadBytes + location.prefix.size();
  for (const auto& [key, value] : entries) Put(key, value, rows);
  AddKnown(range, rows);
  Account(part, location, rows, before);
}

void RowCache::BeginCommit(absl::Span<const KeyspaceWrites> writes) {
  for (const KeyspaceWrites& each : writes) {
    if (each.location->family != FamilyId::kPacked) continue;
    Part& part = PartOf(*each.location);
    MutexLock lock(&part.mutex);
    Gate& gate = GateOf(part, *each.location);
    ++gate.version;
    ++gate.commits;
  }
}

void RowCache::EndCommit(absl::Span<const KeyspaceWrites> writes, bool ok) {
  for (const KeyspaceWrites& each : writes) {
    if (each.location->family != FamilyId::kPacked) continue;
    Part& part = PartOf(*each.location);
    MutexLock lock(&part.mutex);
    Gate& gate = GateOf(part, *each.location);
    ++gate.version;
    --gate.commits;
    if (ok) {
      Apply(part, *each.location, *each.writes);
    } else {
      Drop(part, *each.location);
    }
  }
}

void RowCache::Apply(Part& part, const Location& location, const WriteSet& writes) {
  Rows* const rows = Use(part, location);
  if (rows == nullptr) return;
  const size_t before = rows->bytes;
  for (const KeyRange& range : writes.removed()) {
    Remove(range, rows);
    AddKnown(range, rows);
  }
  for (const auto& [key, value] : writes.points()) {
    AddKnown(KeyRange::Single(key), rows);
    if (value) {
      Put(key, *value, rows);
    } else {
      Remove(KeyRange::Single(key), rows);
    }
  }
  Account(part, location, rows, before);
}

void RowCache::Forget(ShardId shard) {
  std::string prefix;
  AppendUint16(&prefix, static_cast<uint16_t>(shard));
  for (Part& part : parts_) {
    MutexLock lock(&part.mutex);
    for (Gate& gate : part.gates) ++gate.version;
    std::vector<Location> gone;
    for (const auto& [location, rows] : part.rows) {
      if (absl::string_view(location.prefix).substr(0, prefix.size()) == prefix) gone.push_back(location);
    }
    for (const Location& location : gone) Drop(part, location);
  }
}

}  // namespace holdfast::storage::postgres
