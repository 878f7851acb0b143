// The end of an object that stores nothing any more: a rate limiter whose keys fell silent, a batch whose retention is
// over, an object whose last key was deleted. It ceases to exist as after DeleteAll, in one commit: it leaves the
// catalog, and its family is dropped.
//
//   its alarm has emptied it       in the commit of the alarm's turn, since nobody may wake it later
//   a request has emptied it       when it leaves memory, so that one which is filled again at once is not made anew
//
// The object stays as long as its own clock is ahead of the wall clock, with which a new object would begin. The clock
// therefore never goes back, and everything that is over by the old clock is over by the new one. If a crash or a stop
// comes after a request has emptied the object and before it leaves memory, the empty object stays until its next use.

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
  // In a class without SQL the size may still count bytes of values that were replaced by smaller ones.
  if (usage.size_bytes() != 0 && class_->has_sql) return false;
  return lane_->clock().Wall() >= record_.last_reading();
}

Task<absl::Status> Activation::Leave() {
  if (!MayLeave()) co_return absl::OkStatus();
  // The usage may have missed entries that were written without a look whether they existed (ObjectStorage::Put), so
  // the storage itself is asked. If it cannot be read, the object stays.
  (void)co_await storage_.DeleteIfEmpty();
  co_return absl::OkStatus();
}

void Activation::BeginLeaving() {
  leaving_tried_ = true;
  Begin(Make<LeaveTurn>(), Leave(), lane_->options.turn_timeout);
}

}  // namespace holdfast::actors
