// The end of an object that stores nothing any more: a rate limiter whose keys fell silent, a batch whose retention is
// over, an object whose last key was deleted. It ceases to exist as DeleteAll would have it, in one commit: it leaves
// the catalog, and its family goes back.
//
//   its alarm has emptied it       in the commit of the alarm's turn, since nobody may wake it later
//   a request has emptied it       when it leaves memory, so that one which is filled again at once is not made anew
//
// It stays as long as its own clock is ahead of the wall clock, by which it would begin anew: its clock does not go
// back then, and what its class found to be over by its clock is over by the new one. A crash or a stop between a
// request that emptied it and the end of its time in memory leaves it, empty, until it is used again.

#include "actors/runtime/activation.h"
#include "actors/runtime/activation_turns.h"
#include "actors/runtime/lane.h"
#include "holdfast/storage/v1/storage.pb.h"

namespace holdfast::actors {

bool Activation::MayLeave() {
  if (!record_.exists() || storage_.alarm() || lane_->stopped) return false;
  storage::v1::Usage usage = record_.header()->usage();
  storage_.usage().ApplyTo(&usage);
  if (usage.entry_count() != 0 || !usage.row_counts().empty()) return false;
  // A size is exact in class Object, where it tells of a SQL database; otherwise it may be what replaced values had
  // more.
  if (usage.size_bytes() != 0 && class_->for_clients) return false;
  return lane_->clock().Wall() >= record_.last_reading();
}

Task<absl::Status> Activation::Leave() {
  if (!MayLeave()) co_return absl::OkStatus();
  // Usage may have missed what was written without knowing whether it was there (ObjectStorage::Put), so the storage
  // itself is asked. If it cannot be read, the object stays.
  (void)co_await storage_.DeleteIfEmpty();
  co_return absl::OkStatus();
}

void Activation::BeginLeaving() {
  leaving_tried_ = true;
  Begin(new LeaveTurn, Leave(), lane_->options.turn_timeout);
}

}  // namespace holdfast::actors
