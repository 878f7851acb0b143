#include "actors/objects/batch_processor.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "actors/wire/page_token.h"
#include "actors/wire/wire_time.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"

namespace holdfast::actors {
namespace {

using storage::KeyRange;
using storage::v1::PendingItemRow;
using storage::v1::ProcessedItemRow;

constexpr char kStateKey[] = "state";
constexpr int64_t kDelayDefaultUs = 5 * kMicrosPerSecond;
constexpr int64_t kMaxItemsDefault = 1'000;
constexpr int64_t kMaxItemsMax = 100'000;
constexpr int64_t kRetentionDefaultUs = int64_t{7} * 86'400 * kMicrosPerSecond;

constexpr int kItemsPerCallMax = 1'000;
constexpr size_t kItemBytesMax = 64 << 10;
constexpr int64_t kPendingItemsMax = 100'000;
constexpr int64_t kPendingBytesMax = 64 << 20;
constexpr size_t kItemsPerTurnMax = 1'000;
constexpr size_t kBytesPerTurnMax = 1 << 20;
// Up to this many rows are read one by one: the first read brings in the block that has the others, too.
constexpr int64_t kReadOneByOneMax = 16;
// This exceeds a page by more than any item, so a scan that ends here has read an item that is not on the page.
constexpr size_t kScanBytesMax = kPageBytesMax + 2 * kItemBytesMax;
// The precision with which the end of a retention is kept.
constexpr absl::Duration kRetentionStep = absl::Seconds(1);

constexpr int64_t kLastSequence = std::numeric_limits<int64_t>::max();

std::string SequenceKey(int64_t sequence) {
  std::string key;
  storage::AppendInt64(&key, sequence);
  return key;
}

// Returns the rows with sequences after `after` and up to `up_to`.
KeyRange Sequences(int64_t after, int64_t up_to) {
  KeyRange range;
  range.start = SequenceKey(after == kLastSequence ? after : after + 1);
  if (up_to != kLastSequence) range.end = SequenceKey(up_to + 1);
  return range;
}

template <typename Row>
const storage::TableSpec<Row>& SequenceTable(uint16_t id) {
  static const auto* const spec = new storage::TableSpec<Row>{
      .id = id,
      .append_primary_key = [](const Row& row, std::string* key) { storage::AppendInt64(key, row.sequence()); }};
  return *spec;
}
const storage::TableSpec<PendingItemRow>& Pending() { return SequenceTable<PendingItemRow>(1); }
const storage::TableSpec<ProcessedItemRow>& Processed() { return SequenceTable<ProcessedItemRow>(2); }

// Version 2 gives each processed item the time at which it was processed; older items get the time of the migration.
Task<absl::Status> AddProcessTime(storage::ObjectStorage& storage, absl::Time now) {
  storage::Table<ProcessedItemRow> processed(&storage, &Processed());
  auto rows = co_await processed.Scan(KeyRange::All());
  if (!rows.ok()) co_return rows.status();
  for (const ProcessedItemRow& row : *rows) {
    ProcessedItemRow timed = row;
    timed.set_process_time_us(absl::ToUnixMicros(now));
    processed.Write(timed, &row);
  }
  // The retention of these items must end even if nothing is ever added.
  if (!rows->empty() && !storage.alarm()) storage.SetAlarm(now);
  co_return absl::OkStatus();
}

// Version 1 only names what version 1 of the program stored.
Task<absl::Status> BeginSchema(storage::ObjectStorage&, absl::Time) { co_return absl::OkStatus(); }

}  // namespace

const ObjectClass& BatchProcessor::Class() {
  static const auto* const object_class = new ObjectClass{.name = "BatchProcessor",
                                                          .make = Make<BatchProcessor>,
                                                          .migrations = {{1, BeginSchema}, {2, AddProcessTime}},
                                                          .alarm_reads_to = ""};
  return *object_class;
}

BatchProcessor::BatchProcessor(ObjectContext* context)
    : Object(context), pending_(&storage(), &Pending()), processed_(&storage(), &Processed()) {}

int64_t BatchProcessor::delay_us() const { return state_.delay_us() > 0 ? state_.delay_us() : kDelayDefaultUs; }
int64_t BatchProcessor::max_items() const { return state_.max_items() > 0 ? state_.max_items() : kMaxItemsDefault; }
int64_t BatchProcessor::retention_us() const {
  return state_.retention_us() > 0 ? state_.retention_us() : kRetentionDefaultUs;
}

Task<absl::Status> BatchProcessor::Load() {
  auto bytes = co_await storage().Get(kStateKey);
  if (!bytes.ok()) co_return bytes.status();
  if (*bytes) {
    if (!state_.ParseFromString(**bytes)) co_return absl::DataLossError("the batch's state is garbled");
    state_bytes_ = (*bytes)->size();
    co_return absl::OkStatus();
  }
  auto remainder = co_await storage::StorageOp<std::optional<std::string>>(
      &storage(), KeyRange::Single(storage::kRemainderKey),
      [](storage::View& view) { return view.Get(storage::kRemainderKey); });
  if (!remainder.ok()) co_return remainder.status();
  if (!state_.ParseFromString(remainder->value_or(""))) co_return absl::DataLossError("the batch's state is garbled");
  remainder_stored_ = remainder->has_value();
  co_return absl::OkStatus();
}

bool BatchProcessor::IsEmpty() const {
  const bool configured = state_.delay_us() != 0 || state_.max_items() != 0 || state_.retention_us() != 0;
  return !configured && state_.pending_count() == 0 && state_.processed_count() == 0;
}

void BatchProcessor::StoreRemainder() {
  if (!state_bytes_) return;
  storage().Erase(kStateKey, *std::exchange(state_bytes_, std::nullopt));
  storage().writes().Put(storage::kRemainderKey, state_.SerializeAsString());
  remainder_stored_ = true;
}

absl::Status BatchProcessor::StoreState() {
  std::string record = state_.SerializeAsString();
  if (std::exchange(remainder_stored_, false)) storage().writes().Delete(storage::kRemainderKey);
  const std::optional<size_t> replaced_bytes = std::exchange(state_bytes_, record.size());
  return storage().Write(kStateKey, std::move(record), replaced_bytes);
}

Task<absl::Status> BatchProcessor::AddItems(const v1::AddItemsRequest& request, v1::AddItemsResponse* response) {
  if (request.items().empty() || request.items_size() > kItemsPerCallMax) {
    co_return InvalidField("items", absl::StrCat("must be 1 to ", kItemsPerCallMax, " items"));
  }
  int64_t bytes = 0;
  for (int i = 0; i < request.items_size(); ++i) {
    const size_t size = request.items(i).size();
    if (size == 0) co_return InvalidField(absl::StrCat("items[", i, "]"), "must not be empty");
    if (size > kItemBytesMax) {
      co_return InvalidField(absl::StrCat("items[", i, "]"),
                             absl::StrCat("has ", size, " bytes; at most ", kItemBytesMax));
    }
    bytes += static_cast<int64_t>(size);
  }
  if (state_.pending_count() + request.items_size() > kPendingItemsMax ||
      state_.pending_bytes() + bytes > kPendingBytesMax) {
    co_return QuotaExceeded(
        "pending items",
        absl::StrCat("an object holds at most ", kPendingItemsMax, " pending items of ", kPendingBytesMax,
                     " bytes together; it has ", state_.pending_count(), " of ", state_.pending_bytes()));
  }

  const absl::Time now = Now();
  if (state_.next_sequence() == 0) state_.set_next_sequence(1);
  response->set_first_sequence(state_.next_sequence());
  for (const std::string& item : request.items()) {
    PendingItemRow row;
    row.set_sequence(state_.next_sequence());
    row.set_item(item);
    pending_.Write(row, nullptr);
    state_.set_next_sequence(state_.next_sequence() + 1);
  }
  state_.set_pending_count(state_.pending_count() + request.items_size());
  state_.set_pending_bytes(state_.pending_bytes() + bytes);
  if (state_.flush_time_us() == 0) state_.set_flush_time_us(absl::ToUnixMicros(now) + delay_us());
  if (state_.pending_count() >= max_items()) {
    state_.set_flush_time_us(std::min(state_.flush_time_us(), absl::ToUnixMicros(now)));
  }
  const absl::Time flush_time = absl::FromUnixMicros(state_.flush_time_us());
  if (!storage().alarm() || *storage().alarm() > flush_time) storage().SetAlarm(flush_time);
  response->set_pending_count(state_.pending_count());
  SetTimestamp(state_.flush_time_us(), response->mutable_next_flush_time());
  co_return StoreState();
}

Task<absl::Status> BatchProcessor::ConfigureBatch(const v1::ConfigureBatchRequest& request,
                                                  v1::ConfigureBatchResponse* response) {
  const v1::BatchConfig& config = request.config();
  std::vector<std::string> paths(request.update_mask().paths().begin(), request.update_mask().paths().end());
  if (paths.empty()) {
    if (config.has_delay()) paths.emplace_back("delay");
    if (config.max_items() != 0) paths.emplace_back("max_items");
    if (config.has_retention()) paths.emplace_back("retention");
  }
  // A masked field that is not set goes back to its default, which is stored as 0.
  storage::v1::BatchState next = state_;
  for (const std::string& path : paths) {
    if (path == "delay") {
      absl::StatusOr<int64_t> delay = 0;
      if (config.has_delay()) {
        delay = MicrosOf(config.delay(), "config.delay", absl::Milliseconds(1), kLongestDuration);
      }
      if (!delay.ok()) co_return delay.status();
      next.set_delay_us(*delay);
    } else if (path == "max_items") {
      if (config.max_items() < 0 || config.max_items() > kMaxItemsMax) {
        co_return InvalidField("config.max_items", absl::StrCat("must be 1 to ", kMaxItemsMax));
      }
      next.set_max_items(config.max_items());
    } else if (path == "retention") {
      absl::StatusOr<int64_t> retention = 0;
      if (config.has_retention()) {
        retention = MicrosOf(config.retention(), "config.retention", absl::Seconds(1), kLongestDuration);
      }
      if (!retention.ok()) co_return retention.status();
      next.set_retention_us(*retention);
    } else {
      co_return InvalidField("update_mask", absl::StrCat("unknown path \"", path, "\""));
    }
  }
  state_ = next;
  if (state_.pending_count() >= max_items()) {
    state_.set_flush_time_us(std::min(state_.flush_time_us(), absl::ToUnixMicros(Now())));
  }
  if (absl::Status status = StoreState(); !status.ok()) co_return status;
  FillConfig(response->mutable_config());
  co_return co_await SetNextAlarm();
}

void BatchProcessor::FillConfig(v1::BatchConfig* config) const {
  SetDuration(delay_us(), config->mutable_delay());
  config->set_max_items(static_cast<int32_t>(max_items()));
  SetDuration(retention_us(), config->mutable_retention());
}

Task<absl::StatusOr<std::vector<PendingItemRow>>> BatchProcessor::ReadPending(int64_t last_sequence) {
  std::vector<PendingItemRow> rows;
  if (last_sequence - FirstPending() >= kReadOneByOneMax) {
    co_return co_await pending_.Scan(Sequences(FirstPending() - 1, last_sequence),
                                     {.rows_max = kItemsPerTurnMax, .bytes_max = kBytesPerTurnMax});
  }
  for (int64_t sequence = FirstPending(); sequence <= last_sequence; ++sequence) {
    auto row = co_await pending_.Get(SequenceKey(sequence));
    if (!row.ok()) co_return row.status();
    if (!*row) co_return absl::DataLossError("a pending item is missing");
    rows.push_back(**std::move(row));
  }
  co_return rows;
}

Task<absl::StatusOr<std::optional<ProcessedItemRow>>> BatchProcessor::OldestProcessed() {
  if (state_.processed_count() == 0) co_return std::nullopt;
  co_return co_await processed_.Get(SequenceKey(FirstProcessed()));
}

Task<absl::StatusOr<int64_t>> BatchProcessor::ProcessSome(int64_t last_sequence) {
  auto rows = co_await ReadPending(last_sequence);
  if (!rows.ok()) co_return rows.status();
  const int64_t now_us = absl::ToUnixMicros(Now());
  int64_t bytes = 0;
  int64_t count = 0;
  for (PendingItemRow& row : *rows) {
    if (count > 0 && bytes + row.item().size() > kBytesPerTurnMax) break;
    ++count;
    bytes += static_cast<int64_t>(row.item().size());
    pending_.Erase(row);
    ProcessedItemRow processed;
    processed.set_sequence(row.sequence());
    processed.set_item(std::move(*row.mutable_item()));
    processed.set_process_time_us(now_us);
    processed_.Write(processed, nullptr);
  }
  state_.set_pending_count(state_.pending_count() - count);
  state_.set_pending_bytes(state_.pending_bytes() - bytes);
  state_.set_processed_count(state_.processed_count() + count);
  if (state_.pending_count() == 0) state_.set_flush_time_us(0);
  if (absl::Status status = StoreState(); !status.ok()) co_return status;
  co_return count;
}

Task<absl::StatusOr<bool>> BatchProcessor::RemoveExpired() {
  const int64_t expired_us = absl::ToUnixMicros(Now()) - retention_us();
  auto oldest = co_await OldestProcessed();
  if (!oldest.ok()) co_return oldest.status();
  if (!*oldest || (*oldest)->process_time_us() > expired_us) co_return false;
  auto rows = co_await processed_.Scan(Sequences(FirstProcessed() - 1, kLastSequence),
                                       {.rows_max = kItemsPerTurnMax, .bytes_max = kBytesPerTurnMax});
  if (!rows.ok()) co_return rows.status();
  int64_t removed = 0;
  for (const ProcessedItemRow& row : *rows) {
    if (row.process_time_us() > expired_us) break;
    processed_.Erase(row);
    ++removed;
  }
  if (removed == 0) co_return false;
  state_.set_processed_count(state_.processed_count() - removed);
  if (absl::Status status = StoreState(); !status.ok()) co_return status;
  co_return removed == static_cast<int64_t>(rows->size());
}

Task<absl::Status> BatchProcessor::SetNextAlarm() {
  auto oldest = co_await OldestProcessed();
  if (!oldest.ok()) co_return oldest.status();
  absl::Time next = absl::InfiniteFuture();
  if (*oldest) {
    const absl::Time expires = absl::FromUnixMicros((*oldest)->process_time_us() + retention_us());
    next = std::max(expires, Now()) + kRetentionStep;
  }
  if (state_.flush_time_us() != 0) next = std::min(next, absl::FromUnixMicros(state_.flush_time_us()));
  if (next != absl::InfiniteFuture()) {
    storage().SetAlarm(next);
  } else if (storage().alarm()) {
    storage().DeleteAlarm();
  }
  co_return absl::OkStatus();
}

Task<absl::Status> BatchProcessor::OnAlarm(const AlarmRun&) {
  if (state_.flush_time_us() != 0 && state_.flush_time_us() <= absl::ToUnixMicros(Now())) {
    auto processed = co_await ProcessSome(state_.next_sequence() - 1);
    if (!processed.ok()) co_return processed.status();
  }
  auto more = co_await RemoveExpired();
  if (!more.ok()) co_return more.status();
  if (*more) {
    storage().SetAlarm(Now());
    co_return absl::OkStatus();
  }
  if (IsEmpty()) StoreRemainder();
  co_return co_await SetNextAlarm();
}

Task<absl::Status> BatchProcessor::FlushBatch(const v1::FlushBatchRequest&, v1::FlushBatchResponse* response) {
  // Items that arrive between the turns of this flush wait for the alarm.
  const int64_t last_sequence = state_.next_sequence() - 1;
  int64_t total = 0;
  while (state_.pending_count() > 0) {
    auto processed = co_await ProcessSome(last_sequence);
    if (!processed.ok()) co_return processed.status();
    if (*processed == 0) break;
    total += *processed;
    if (absl::Status status = co_await SetNextAlarm(); !status.ok()) co_return status;
    co_await NextTurn();
  }
  response->set_processed_count(total);
  co_return absl::OkStatus();
}

Task<absl::Status> BatchProcessor::ListProcessedItems(const v1::ListProcessedItemsRequest& request,
                                                      v1::ListProcessedItemsResponse* response) {
  if (request.after_sequence() < 0) co_return InvalidField("after_sequence", "must not be negative");
  absl::StatusOr<PageStart> page = BeginPage(request);
  if (!page.ok()) co_return page.status();
  int64_t after = request.after_sequence();
  absl::string_view position = page->position;
  if (!position.empty() && !storage::ConsumeInt64(&position, &after)) {
    co_return InvalidField("page_token", "is garbled");
  }
  // One row more tells whether there is a next page.
  auto rows = co_await processed_.Scan(Sequences(std::max(after, FirstProcessed() - 1), kLastSequence),
                                       {.rows_max = page->size + 1, .bytes_max = kScanBytesMax});
  if (!rows.ok()) co_return rows.status();
  size_t bytes = 0;
  for (ProcessedItemRow& row : *rows) {
    if (static_cast<size_t>(response->items_size()) == page->size || bytes >= kPageBytesMax) {
      response->set_next_page_token(
          MakePageToken(page->fingerprint, SequenceKey(response->items().rbegin()->sequence())));
      break;
    }
    v1::ProcessedItem* const item = response->add_items();
    bytes += row.ByteSizeLong();
    item->set_sequence(row.sequence());
    item->set_item(std::move(*row.mutable_item()));
    SetTimestamp(row.process_time_us(), item->mutable_process_time());
  }
  co_return absl::OkStatus();
}

Task<absl::Status> BatchProcessor::TrimProcessedItems(const v1::TrimProcessedItemsRequest& request,
                                                      v1::TrimProcessedItemsResponse* response) {
  if (request.up_to_sequence() < 0) co_return InvalidField("up_to_sequence", "must not be negative");
  // Items that are processed between the turns of this trim stay.
  const int64_t last_sequence = std::min(request.up_to_sequence(), FirstPending() - 1);
  int64_t total = 0;
  while (true) {
    auto rows = co_await processed_.Scan(Sequences(FirstProcessed() - 1, last_sequence),
                                         {.rows_max = kItemsPerTurnMax, .bytes_max = kBytesPerTurnMax});
    if (!rows.ok()) co_return rows.status();
    if (rows->empty()) break;
    for (const ProcessedItemRow& row : *rows) processed_.Erase(row);
    total += static_cast<int64_t>(rows->size());
    state_.set_processed_count(state_.processed_count() - static_cast<int64_t>(rows->size()));
    if (absl::Status status = StoreState(); !status.ok()) co_return status;
    co_await NextTurn();
  }
  response->set_removed_count(total);
  co_return absl::OkStatus();
}

Task<absl::Status> BatchProcessor::GetBatchStatus(const v1::GetBatchStatusRequest&,
                                                  v1::GetBatchStatusResponse* response) {
  response->set_pending_count(state_.pending_count());
  response->set_processed_count(state_.processed_count());
  if (state_.flush_time_us() != 0) SetTimestamp(state_.flush_time_us(), response->mutable_next_flush_time());
  FillConfig(response->mutable_config());
  co_return absl::OkStatus();
}

}  // namespace holdfast::actors
