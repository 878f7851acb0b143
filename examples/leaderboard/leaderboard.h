// A leaderboard: a table with an index that is the order in which it is read, and an alarm that ends the season.
//
// Every player is a row; the index keeps the rows by score, so the leaders are the first entries of it. The number of
// players is counted once, before the first request, and kept in a member. The first score of a season sets the alarm;
// at the alarm the board is emptied.

#ifndef LEADERBOARD_LEADERBOARD_H_
#define LEADERBOARD_LEADERBOARD_H_

#include <cstdint>

#include "absl/status/status.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "leaderboard/v1/leaderboard.pb.h"
#include "storage/object/table.h"

namespace leaderboard {

using holdfast::actors::Task;

class Leaderboard : public holdfast::actors::Object {
 public:
  explicit Leaderboard(holdfast::actors::ObjectContext* context);
  static const holdfast::actors::ObjectClass& Class();

  Task<absl::Status> Load() override;
  Task<absl::Status> OnAlarm(const holdfast::actors::AlarmRun& run) override;
  Task<absl::Status> SubmitScore(const v1::SubmitScoreRequest& request, v1::SubmitScoreResponse* response);
  Task<absl::Status> GetLeaders(const v1::GetLeadersRequest& request, v1::GetLeadersResponse* response);

  size_t MemoryBytes() const override { return sizeof(*this); }

 private:
  holdfast::storage::Table<v1::PlayerRow> players_;
  int64_t player_count_ = 0;
};

}  // namespace leaderboard

#endif  // LEADERBOARD_LEADERBOARD_H_
