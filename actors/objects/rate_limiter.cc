#include "actors/objects/rate_limiter.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "actors/wire/wire_time.h"
#include "storage/store/key_codec.h"

namespace holdfast::actors {
namespace {

using storage::KeyRange;
using storage::v1::LimitRow;
using storage::v1::RequestRow;

constexpr int kChecksMax = 100;
constexpr size_t kStateBytesMax = 8 << 20;
// The most expired rows of requests that one check removes; the others wait for the next check, or for the sweep.
constexpr size_t kExpiredRowsPerCheckMax = 1000;
// The most keys, and bytes of writes, in one turn of the sweep, which runs again at once while more keys are due.
constexpr size_t kSweepKeysMax = 100;
constexpr size_t kSweepBytesMax = 1 << 20;
// The most rows that a turn of the sweep or of ResetLimit removes, and the most rows of a log that one scan reads.
constexpr size_t kErasedPerTurnMax = 1000;
constexpr size_t kLogPartRowsMax = 1000;
constexpr size_t kWindowCountsBytesMax = 1 << 20;
// The least time between two sweeps, unless the first has left keys that are due.
constexpr absl::Duration kSweepStep = absl::Seconds(1);
constexpr uint16_t kSweepIndex = 1;
// A limiter that stores nothing exists for this long after a check, so that one with short windows is not deleted and
// made anew between its requests.
constexpr absl::Duration kQuietMin = absl::Seconds(10);

absl::Status Garbled() { return absl::DataLossError("a stored row of requests is garbled"); }

// Version 1 has rows of several requests, of which a program of version 0 would see the first only. A row of version 0
// is a row with one request, so nothing is rewritten, which might be too much for one commit.
Task<absl::Status> AllowLongRows(storage::ObjectStorage&, absl::Time) { co_return absl::OkStatus(); }

// Appends the prefix that the primary keys of both tables have in common.
template <typename Row>
void AppendLimitKey(const Row& row, std::string* key) {
  storage::AppendText(key, row.key());
  storage::AppendInt64(key, row.algorithm());
  storage::AppendInt64(key, row.window_us());
}

const storage::TableSpec<RequestRow>& Requests() {
  static const auto* const spec =
      new storage::TableSpec<RequestRow>{.id = 1, .append_primary_key = [](const RequestRow& row, std::string* key) {
                                           AppendLimitKey(row, key);
                                           storage::AppendInt64(key, row.time_us());
                                           storage::AppendInt64(key, row.sequence());
                                         }};
  return *spec;
}

const storage::TableSpec<LimitRow>& Limits() {
  static const auto* const spec = new storage::TableSpec<LimitRow>{
      .id = 2,
      .append_primary_key = AppendLimitKey<LimitRow>,
      .indexes = {{kSweepIndex,
                   [](const LimitRow& row, std::string* key) { storage::AppendInt64(key, row.sweep_time_us()); }}}};
  return *spec;
}

LimitRow NewRow(const LimitCheck& check) {
  LimitRow row;
  row.set_key(check.key);
  row.set_algorithm(check.algorithm);
  row.set_window_us(check.window_us);
  return row;
}

// Returns the prefix of the primary keys of all rows of a key, in both tables.
std::string KeyPrefix(const std::string& key) {
  std::string prefix;
  storage::AppendText(&prefix, key);
  return prefix;
}

bool IsLog(const LimitRow& row) { return row.algorithm() == v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG; }

void SetResponse(const LimitCheck& check, const LimitState::Verdict& verdict, v1::CheckLimitResponse* response) {
  response->set_allowed(verdict.allowed);
  response->set_limit(check.limit);
  response->set_remaining(verdict.remaining);
  SetDuration(verdict.retry_after_us, response->mutable_retry_after());
  SetDuration(verdict.reset_after_us, response->mutable_reset_after());
}

}  // namespace

RateLimiter::RateLimiter(ObjectContext* context)
    : Object(context),
      requests_(&storage(), &Requests()),
      limits_(&storage(), &Limits()),
      states_(kStateBytesMax),
      windows_(kWindowCountsBytesMax) {}

const ObjectClass& RateLimiter::Class() {
  static const auto* const object_class =
      new ObjectClass{.name = "RateLimiter", .make = Make<RateLimiter>, .migrations = {{1, AllowLongRows}}};
  return *object_class;
}

Task<absl::Status> RateLimiter::CheckLimit(const v1::CheckLimitRequest& request, v1::CheckLimitResponse* response) {
  absl::StatusOr<LimitCheck> check = ValidateCheck(request.check(), "check");
  if (!check.ok()) co_return check.status();
  const std::vector<LimitCheck> checks(1, *check);
  const std::vector<v1::CheckLimitResponse*> responses(1, response);
  auto allowed = co_await CheckAll(checks, request.peek(), responses);
  co_return allowed.status();
}

Task<absl::Status> RateLimiter::CheckLimits(const v1::CheckLimitsRequest& request, v1::CheckLimitsResponse* response) {
  if (request.checks().empty() || request.checks_size() > kChecksMax) {
    co_return InvalidField("checks", absl::StrCat("must be 1 to ", kChecksMax, " checks"));
  }
  std::vector<LimitCheck> checks;
  std::vector<v1::CheckLimitResponse*> responses;
  absl::flat_hash_set<std::string> seen;
  for (int i = 0; i < request.checks_size(); ++i) {
    const std::string path = absl::StrCat("checks[", i, "]");
    absl::StatusOr<LimitCheck> check = ValidateCheck(request.checks(i), path);
    if (!check.ok()) co_return check.status();
    if (!seen.insert(limits_.PrimaryKey(NewRow(*check))).second) {
      co_return InvalidField(path, "the same key, algorithm and window come twice");
    }
    checks.push_back(*std::move(check));
    responses.push_back(response->add_results());
  }
  auto allowed = co_await CheckAll(checks, request.peek(), responses);
  if (!allowed.ok()) co_return allowed.status();
  response->set_allowed(*allowed);
  co_return absl::OkStatus();
}

Task<absl::StatusOr<bool>> RateLimiter::CheckAll(const std::vector<LimitCheck>& checks, bool peek,
                                                 const std::vector<v1::CheckLimitResponse*>& responses) {
  std::vector<LimitState*> states;
  int64_t log_requests = 0;
  for (const LimitCheck& check : checks) {
    auto state = co_await Find(check);
    if (!state.ok()) co_return state.status();
    states.push_back(*state);
    log_requests += static_cast<int64_t>((*state)->log().size());
    if (const int64_t most = context().limits().rate_limit_log_requests_max; log_requests > most) {
      states_.Trim();
      co_return QuotaExceeded(
          "actors.rate_limit_log_requests_max",
          absl::StrCat("the logs of these windows have over ", most, " requests together, which is all ",
                       "that actors.rate_limit_log_requests_max lets one call look at; nothing was counted"));
    }
  }
  if (!peek) {
    if (absl::Status status = co_await CheckWindows(checks, states); !status.ok()) {
      states_.Trim();
      co_return status;
    }
  }
  const int64_t now_us = absl::ToUnixMicros(Now());
  asked_us_ = now_us;
  bool allowed = true;
  for (size_t i = 0; i < checks.size(); ++i) allowed &= states[i]->Judge(checks[i], now_us, true).allowed;
  for (size_t i = 0; i < checks.size(); ++i) {
    SetResponse(checks[i], states[i]->Judge(checks[i], now_us, allowed), responses[i]);
    if (allowed && !peek) Count(checks[i], states[i], now_us);
  }
  states_.Trim();
  if (!allowed || peek) LeaveNoRecord();
  co_return allowed;
}

Task<absl::StatusOr<LimitState*>> RateLimiter::Find(const LimitCheck& check) {
  LimitRow row = NewRow(check);
  const std::string key = limits_.PrimaryKey(row);
  if (LimitState* const known = states_.Find(key)) co_return known;

  auto stored = co_await limits_.Get(key);
  if (!stored.ok()) co_return stored.status();
  LimitState state(*stored ? **stored : row);
  if (*stored) {
    state.set_stored();
    if (IsLog(row)) {
      for (KeyRange left = KeyRange::Prefix(key); !left.start.empty();) {
        auto rows = co_await requests_.Scan(left, {.rows_max = kLogPartRowsMax});
        if (!rows.ok()) co_return rows.status();
        for (const RequestRow& requests : *rows) {
          if (!state.mutable_log()->AddRow(requests)) co_return Garbled();
        }
        left.start = rows->size() < kLogPartRowsMax ? "" : requests_.PrimaryKey(rows->back()) + '\0';
      }
    }
  }
  state.NotAheadOf(absl::ToUnixMicros(Now()));
  LimitState* const added = states_.Insert(key, std::move(state));
  states_.SetWeight(key, added->MemoryBytes());
  co_return added;
}

Task<absl::Status> RateLimiter::CheckWindows(const std::vector<LimitCheck>& checks,
                                             const std::vector<LimitState*>& states) {
  const int64_t most = context().limits().rate_limit_windows_max;
  absl::flat_hash_map<std::string, int64_t> begun;
  for (size_t i = 0; i < checks.size(); ++i) {
    if (!states[i]->stored() && checks[i].cost > 0) ++begun[KeyPrefix(checks[i].key)];
  }
  for (const LimitCheck& check : checks) {
    const std::string prefix = KeyPrefix(check.key);
    const auto more = begun.find(prefix);
    if (more == begun.end()) continue;
    int64_t* count = windows_.Find(prefix);
    if (count == nullptr) {
      auto counted = co_await limits_.Scan(KeyRange::Prefix(prefix), {.rows_max = static_cast<size_t>(most)});
      if (!counted.ok()) co_return counted.status();
      count = windows_.Insert(prefix, static_cast<int64_t>(counted->size()));
      windows_.SetWeight(prefix, prefix.size() + sizeof(int64_t));
    }
    if (*count + more->second > most) {
      co_return QuotaExceeded(
          "actors.rate_limit_windows_max",
          absl::StrCat("the key has ", *count, " windows, each with its algorithm, and would have ", more->second,
                       " more; actors.rate_limit_windows_max allows ", most, ". Nothing was counted"));
    }
    begun.erase(more);
  }
  windows_.Trim();
  co_return absl::OkStatus();
}

void RateLimiter::Count(const LimitCheck& check, LimitState* state, int64_t now_us) {
  if (check.cost < 0) {
    GiveBack(check, state, now_us);
    return;
  }
  const bool is_log = IsLog(state->row());
  std::optional<LimitRow> replaced;
  if (state->stored() && !is_log) replaced = state->row();
  if (is_log) RemoveExpired(state->row(), state->mutable_log(), now_us);
  state->Count(check, now_us);
  if (is_log) WriteNewest(state->row(), state->log());

  if (!state->stored()) state->mutable_row()->set_sweep_time_us(state->SilentFrom());
  if (!state->stored() || !is_log) limits_.Write(state->row(), replaced ? &*replaced : nullptr);
  if (!state->stored()) {
    SweepBy(state->row().sweep_time_us());
    if (int64_t* const windows = windows_.Find(KeyPrefix(check.key))) ++*windows;
  }
  state->set_stored();
  states_.SetWeight(limits_.PrimaryKey(state->row()), state->MemoryBytes());
}

void RateLimiter::RemoveExpired(const LimitRow& limit, RequestLog* log, int64_t now_us) {
  for (size_t i = kExpiredRowsPerCheckMax; i > 0 && log->OldestRowExpired(now_us); --i) {
    requests_.Erase(log->OldestRow(limit));
    log->DropOldestRow();
  }
}

void RateLimiter::WriteNewest(const LimitRow& limit, const RequestLog& log) {
  const RequestRow row = log.NewestRow(limit);
  if (row.later().empty()) {
    requests_.Write(row, nullptr);
  } else {
    const RequestRow shorter = WithoutNewest(row);
    requests_.Write(row, &shorter);
  }
}

void RateLimiter::GiveBack(const LimitCheck& check, LimitState* state, int64_t now_us) {
  if (!state->stored()) return;
  const LimitRow before = state->row();
  if (!IsLog(before)) {
    state->Count(check, now_us);
    limits_.Write(state->row(), &before);
    return;
  }
  RequestLog* const log = state->mutable_log();
  for (int64_t units = -check.cost; units > 0 && log->Expired(now_us) < log->size();) {
    const RequestRow row = log->NewestRow(before);
    const size_t in_older_rows = log->size() - log->NewestRowSize();
    while (units > 0 && log->size() > in_older_rows) {
      const auto request = log->GiveBackNewest(units, now_us);
      if (!request) break;
      units -= request->cost;
    }
    if (log->size() > in_older_rows) {
      requests_.Write(log->NewestRow(before), &row);
    } else {
      requests_.Erase(row);
    }
  }
  states_.SetWeight(limits_.PrimaryKey(before), state->MemoryBytes());
}

void RateLimiter::SweepBy(int64_t time_us) {
  const absl::Time time = absl::FromUnixMicros(time_us);
  if (!storage().alarm() || *storage().alarm() > time + kSweepStep) storage().SetAlarm(time + kSweepStep);
}

Task<absl::Status> RateLimiter::ResetLimit(const v1::ResetLimitRequest& request, v1::ResetLimitResponse*) {
  if (request.key().empty()) co_return InvalidField("key", "must not be empty");
  if (request.key().size() > kLimitKeyBytesMax) {
    co_return InvalidField("key", absl::StrCat("has ", request.key().size(), " bytes; at most ", kLimitKeyBytesMax));
  }
  const std::string prefix = KeyPrefix(request.key());
  // Requests that are counted after this moment, between the turns of the reset, stay.
  if (absl::Status status = co_await ResetRequests(prefix, absl::ToUnixMicros(Now())); !status.ok()) co_return status;
  co_return co_await ResetLimits(prefix);
}

Task<absl::Status> RateLimiter::ResetRequests(const std::string& prefix, int64_t up_to_us) {
  for (KeyRange left = KeyRange::Prefix(prefix);;) {
    auto rows = co_await requests_.Scan(left, {.rows_max = kErasedPerTurnMax});
    if (!rows.ok()) co_return rows.status();
    for (const RequestRow& requests : *rows) {
      if (requests.time_us() > up_to_us) continue;
      RequestLog log(requests.window_us());
      if (!log.AddRow(requests)) co_return Garbled();
      if (log.newest().time_us <= up_to_us) {
        requests_.Erase(requests);
      } else {
        RequestRow left_over = requests;
        ForgetRequests(up_to_us, &left_over);
        requests_.Write(left_over, &requests);
      }
      // The next check reads the state again.
      std::string window;
      AppendLimitKey(requests, &window);
      states_.Erase(window);
    }
    if (rows->size() < kErasedPerTurnMax) co_return absl::OkStatus();
    left.start = requests_.PrimaryKey(rows->back()) + '\0';
    co_await NextTurn();
  }
}

Task<absl::Status> RateLimiter::ResetLimits(const std::string& prefix) {
  for (KeyRange left = KeyRange::Prefix(prefix);;) {
    auto limits = co_await limits_.Scan(left, {.rows_max = kErasedPerTurnMax});
    if (!limits.ok()) co_return limits.status();
    // The requests that are left came after the reset had begun, so their windows stay.
    auto requests = co_await requests_.Scan(left, {.rows_max = kErasedPerTurnMax});
    if (!requests.ok()) co_return requests.status();
    absl::flat_hash_set<std::string> in_use;
    for (const RequestRow& request : *requests) {
      std::string key;
      AppendLimitKey(request, &key);
      in_use.insert(std::move(key));
    }
    std::string last;
    if (requests->size() == kErasedPerTurnMax) AppendLimitKey(requests->back(), &last);
    bool all = true;
    for (const LimitRow& row : *limits) {
      const std::string key = limits_.PrimaryKey(row);
      // The scan of requests ended at the window `last`: the next turn finds out which later windows are in use.
      all = last.empty() || key <= last;
      if (!all) break;
      if (!in_use.contains(key)) EraseWindow(row);
      left.start = storage::PrefixEnd(key);
    }
    if (all && limits->size() < kErasedPerTurnMax) co_return absl::OkStatus();
    co_await NextTurn();
  }
}

void RateLimiter::EraseWindow(const LimitRow& row) {
  limits_.Erase(row);
  states_.Erase(limits_.PrimaryKey(row));
  windows_.Erase(KeyPrefix(row.key()));
}

Task<absl::StatusOr<std::vector<int64_t>>> RateLimiter::SilentFrom(const std::vector<LimitRow>& rows) {
  std::vector<int64_t> times(rows.size());
  std::vector<size_t> unknown;  // logs that are not in memory: their newest requests say it
  std::vector<KeyRange> ranges;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string key = limits_.PrimaryKey(rows[i]);
    if (const LimitState* const known = states_.Find(key)) {
      times[i] = known->SilentFrom();
    } else if (IsLog(rows[i])) {
      unknown.push_back(i);
      ranges.push_back(KeyRange::Prefix(key));
    } else {
      times[i] = LimitState(rows[i]).SilentFrom();
    }
  }
  auto newest = co_await requests_.ScanEach(ranges, {.reverse = true, .rows_max = 1}, ranges.size());
  if (!newest.ok()) co_return newest.status();
  for (size_t i = 0; i < unknown.size(); ++i) {
    LimitState state(rows[unknown[i]]);
    for (const RequestRow& requests : (*newest)[i]) {
      if (!state.mutable_log()->AddRow(requests)) co_return Garbled();
    }
    times[unknown[i]] = state.SilentFrom();
  }
  co_return times;
}

Task<absl::Status> RateLimiter::OnAlarm(const AlarmRun&) {
  const int64_t now_us = absl::ToUnixMicros(Now());
  std::string end;
  storage::AppendInt64(&end, now_us + 1);
  auto due = co_await limits_.ScanIndex(kSweepIndex, {"", end}, kSweepKeysMax);
  if (!due.ok()) co_return due.status();
  bool more = due->size() == kSweepKeysMax;
  // All keys are read together: a trip to the disk for each would take most of the sweep's time.
  auto silent_from = co_await SilentFrom(*due);
  if (!silent_from.ok()) co_return silent_from.status();
  std::vector<KeyRange> expired;  // the requests of the logs that are silent
  for (size_t i = 0; i < due->size(); ++i) {
    if ((*silent_from)[i] > now_us || !IsLog((*due)[i])) continue;
    const std::string key = limits_.PrimaryKey((*due)[i]);
    KeyRange& range = expired.emplace_back(KeyRange{key, key});
    storage::AppendInt64(&range.end, now_us + 1);
  }
  auto requests = co_await requests_.ScanEach(expired, {}, kErasedPerTurnMax);
  if (!requests.ok()) co_return requests.status();
  auto of_window = requests->begin();
  size_t erasable = kErasedPerTurnMax;
  for (size_t i = 0; i < due->size(); ++i) {
    const LimitRow& row = (*due)[i];
    if (erasable == 0 || storage().writes().bytes() > kSweepBytesMax) {
      more = true;
      break;
    }
    const std::string key = limits_.PrimaryKey(row);
    if ((*silent_from)[i] <= now_us) {
      if (IsLog(row)) {
        for (const RequestRow& request : *of_window) requests_.Erase(request);
        erasable -= of_window->size();
        ++of_window;
        if (erasable == 0) {
          // The window may have more requests. The next check reads the state again.
          states_.Erase(key);
          continue;
        }
      }
      EraseWindow(row);
      continue;
    }
    // The key is in use: the sweep looks at it again when it falls silent without another request.
    LimitState* const known = states_.Find(key);
    LimitRow later = known != nullptr ? known->row() : row;
    later.set_sweep_time_us((*silent_from)[i]);
    limits_.Write(later, &row);
    if (known != nullptr) *known->mutable_row() = later;
  }
  if (more) {
    storage().SetAlarm(Now());
    co_return absl::OkStatus();
  }
  auto next = co_await limits_.ScanIndex(kSweepIndex, KeyRange::All(), 1);
  if (!next.ok()) co_return next.status();
  if (!next->empty()) {
    storage().SetAlarm(std::max(absl::FromUnixMicros(next->front().sweep_time_us()), Now()) + kSweepStep);
  } else if (const absl::Time quiet = absl::FromUnixMicros(asked_us_) + kQuietMin; quiet > Now()) {
    storage().SetAlarm(quiet);
  }
  co_return absl::OkStatus();
}

}  // namespace holdfast::actors
