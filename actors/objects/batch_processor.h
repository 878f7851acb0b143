// Processes batches of items that are never dropped. The class shows the pattern of work that is made durable first and
// done later by an alarm.
//
// AddItems writes the items as pending and sets the alarm. The alarm moves them to the processed items, in one commit
// per turn, so a crash at any point leaves each item in exactly one of the two tables. A turn moves a bounded part, and
// the alarm is set again at once while items are left. The alarm also removes processed items past their retention.
//
// When the last processed item is gone and nothing is configured, the state becomes the object's remainder and the
// object ceases to exist. An object that is used again goes on with the sequence numbers, since consumers remember them
// as their positions.
//
// Schema: version 1 had processed items without the time; version 2 gives each one.

#ifndef HOLDFAST_ACTORS_OBJECTS_BATCH_PROCESSOR_H_
#define HOLDFAST_ACTORS_OBJECTS_BATCH_PROCESSOR_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "holdfast/v1/batch_processor_service.pb.h"
#include "storage/object/table.h"

namespace holdfast::actors {

class BatchProcessor : public Object {
 public:
  explicit BatchProcessor(ObjectContext* context);
  static const ObjectClass& Class();

  Task<absl::Status> Load() override;
  Task<absl::Status> AddItems(const v1::AddItemsRequest& request, v1::AddItemsResponse* response);
  Task<absl::Status> ConfigureBatch(const v1::ConfigureBatchRequest& request, v1::ConfigureBatchResponse* response);
  Task<absl::Status> FlushBatch(const v1::FlushBatchRequest& request, v1::FlushBatchResponse* response);
  Task<absl::Status> ListProcessedItems(const v1::ListProcessedItemsRequest& request,
                                        v1::ListProcessedItemsResponse* response);
  Task<absl::Status> TrimProcessedItems(const v1::TrimProcessedItemsRequest& request,
                                        v1::TrimProcessedItemsResponse* response);
  Task<absl::Status> GetBatchStatus(const v1::GetBatchStatusRequest& request, v1::GetBatchStatusResponse* response);
  // Processes the pending items that are due, and removes processed items past their retention.
  Task<absl::Status> OnAlarm(const AlarmRun& run) override;

  size_t MemoryBytes() const override { return sizeof(*this); }

 private:
  // Reads the first pending items up to `last_sequence`, about as many as fit one turn.
  Task<absl::StatusOr<std::vector<storage::v1::PendingItemRow>>> ReadPending(int64_t last_sequence);
  // Returns the oldest processed item; absent if there is none.
  Task<absl::StatusOr<std::optional<storage::v1::ProcessedItemRow>>> OldestProcessed();
  // Moves the first pending items up to `last_sequence`, as many as fit one turn. Returns their number.
  Task<absl::StatusOr<int64_t>> ProcessSome(int64_t last_sequence);
  // Removes processed items past their retention, as many as fit one turn. Returns whether more are left.
  Task<absl::StatusOr<bool>> RemoveExpired();
  // Sets the alarm to the next flush or the next end of a retention.
  Task<absl::Status> SetNextAlarm();
  absl::Status StoreState();
  // Returns whether the object has neither items nor a configuration.
  bool IsEmpty() const;
  // Stores the state, of which only the next sequence number is left, as the object's remainder.
  void StoreRemainder();

  // Sequence numbers have no gaps, and rows leave their tables from the front, so the counts say where each table
  // begins. A scan from there does not walk over removed rows. A few rows are read one by one, which mostly needs no
  // wait, unlike a scan.
  int64_t FirstPending() const { return state_.next_sequence() - state_.pending_count(); }
  int64_t FirstProcessed() const { return FirstPending() - state_.processed_count(); }

  int64_t delay_us() const;
  int64_t max_items() const;
  int64_t retention_us() const;
  void FillConfig(v1::BatchConfig* config) const;

  storage::Table<storage::v1::PendingItemRow> pending_;
  storage::Table<storage::v1::ProcessedItemRow> processed_;
  storage::v1::BatchState state_;
  std::optional<size_t> state_bytes_;  // the size of the stored state; absent: it is not stored
  bool remainder_stored_ = false;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_BATCH_PROCESSOR_H_
