#include "leaderboard.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actors/wire/errors.h"
#include "storage/store/key_codec.h"

namespace leaderboard {
namespace {

using holdfast::actors::InvalidField;
using holdfast::actors::ObjectClass;
using holdfast::actors::QuotaExceeded;
using holdfast::storage::KeyRange;
using holdfast::storage::Table;
using holdfast::storage::TableSpec;
using v1::PlayerRow;

constexpr size_t kPlayerBytesMax = 512;
constexpr int64_t kPlayersMax = 10'000;
constexpr int32_t kLeadersMax = 100;
constexpr uint16_t kScoreIndex = 1;
constexpr absl::Duration kSeason = absl::Hours(7 * 24);

const TableSpec<PlayerRow>& Players() {
  static const auto* const spec = new TableSpec<PlayerRow>{
      .id = 1,
      .append_primary_key = [](const PlayerRow& row,
                               std::string* key) { holdfast::storage::AppendText(key, row.player()); },
      // ~score is the order of -score, without its overflow.
      .indexes = {{kScoreIndex, [](const PlayerRow& row, std::string* key) {
                     holdfast::storage::AppendInt64(key, ~row.best_score());
                   }}}};
  return *spec;
}

// Version 1: scores are in tenths of a point.
Task<absl::Status> ScoresInTenths(holdfast::storage::ObjectStorage& storage, absl::Time) {
  Table<PlayerRow> players(&storage, &Players());
  auto rows = co_await players.Scan(KeyRange::All());
  if (!rows.ok()) co_return rows.status();
  for (const PlayerRow& row : *rows) {
    PlayerRow changed = row;
    changed.set_best_score(row.best_score() * 10);
    players.Write(changed, &row);
  }
  co_return absl::OkStatus();
}

}  // namespace

const ObjectClass& Leaderboard::Class() {
  static const auto* const object_class = new ObjectClass{
      .name = "Leaderboard", .make = holdfast::actors::Make<Leaderboard>, .migrations = {{1, ScoresInTenths}}};
  return *object_class;
}

Leaderboard::Leaderboard(holdfast::actors::ObjectContext* context)
    : Object(context), players_(&storage(), &Players()) {}

Task<absl::Status> Leaderboard::Load() {
  auto count = co_await players_.Count(KeyRange::All());
  if (!count.ok()) co_return count.status();
  player_count_ = *count;
  co_return absl::OkStatus();
}

Task<absl::Status> Leaderboard::OnAlarm(const holdfast::actors::AlarmRun&) {
  auto removed = co_await players_.DeleteRange(KeyRange::All());
  if (!removed.ok()) co_return removed.status();
  player_count_ = 0;
  co_return absl::OkStatus();
}

Task<absl::Status> Leaderboard::SubmitScore(const v1::SubmitScoreRequest& request, v1::SubmitScoreResponse* response) {
  if (request.player().empty() || request.player().size() > kPlayerBytesMax) {
    co_return InvalidField("player", absl::StrCat("must have 1 to ", kPlayerBytesMax, " bytes"));
  }
  PlayerRow row;
  row.set_player(request.player());
  row.set_best_score(request.score());
  auto old = co_await players_.Get(players_.PrimaryKey(row));
  if (!old.ok()) co_return old.status();
  if (!*old && player_count_ >= kPlayersMax) {
    co_return QuotaExceeded("players", absl::StrCat("a leaderboard has at most ", kPlayersMax, " players"));
  }
  // Every check is done; from here on the turn writes, and members change with it.
  if (!*old || (*old)->best_score() < request.score()) {
    players_.Write(row, *old ? &**old : nullptr);
    if (!*old) ++player_count_;
  } else {
    row = **old;
  }
  if (!storage().alarm()) storage().SetAlarm(Now() + kSeason);
  response->set_best_score(row.best_score());
  const int64_t end_us = absl::ToUnixMicros(*storage().alarm());
  response->mutable_season_end_time()->set_seconds(end_us / 1'000'000);
  response->mutable_season_end_time()->set_nanos(static_cast<int32_t>(end_us % 1'000'000) * 1'000);
  co_return absl::OkStatus();
}

Task<absl::Status> Leaderboard::GetLeaders(const v1::GetLeadersRequest& request, v1::GetLeadersResponse* response) {
  if (request.count() < 1 || request.count() > kLeadersMax) {
    co_return InvalidField("count", absl::StrCat("must be 1 to ", kLeadersMax));
  }
  auto rows = co_await players_.ScanIndex(kScoreIndex, KeyRange::All(), static_cast<size_t>(request.count()));
  if (!rows.ok()) co_return rows.status();
  for (const PlayerRow& row : *rows) {
    v1::Leader* const leader = response->add_leaders();
    leader->set_player(row.player());
    leader->set_score(row.best_score());
  }
  co_return absl::OkStatus();
}

}  // namespace leaderboard
