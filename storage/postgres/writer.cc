#include "storage/postgres/writer.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/base/log.h"
#include "storage/postgres/writes.h"

namespace holdfast::storage::postgres {
namespace {

// Division by zero refuses the whole transaction if the row is not as the writer has left it.
constexpr absl::string_view kFenced = "22012";
constexpr absl::string_view kDiskFull = "53100";
const Statement kFence = {"fence",
                          "WITH f AS (UPDATE hf_writer SET batch = $2::int8 WHERE id = $1::int8"
                          " AND batch = $2::int8 - 1 AND epoch = $3::int8 AND owner = $4::text RETURNING 1)"
                          " SELECT 1 / count(*) FROM f"};
// For tests: the same without a condition.
const Statement kNoFence = {"no_fence",
                            "UPDATE hf_writer SET batch = $2::int8 WHERE id = $1::int8"
                            " AND $3::int8 IS NOT NULL AND $4::text IS NOT NULL"};
// The row may be locked by the transaction whose outcome is asked for.
const Statement kLockTimeout = {"lock_timeout", "SELECT set_config('lock_timeout', '2000', true)"};
const Statement kResolve = {"resolve",
                            "UPDATE hf_writer SET epoch = greatest(epoch, $3::int8) + 1, beat = beat + 1"
                            " WHERE id = $1::int8 AND owner = $2::text RETURNING epoch, batch"};
// A write of no row that anybody waits for: the row of this writer may be another process's, which it would renew.
const Statement kLook = {"look", "SELECT epoch, batch, node FROM hf_writer WHERE id = $1::int8"};

// Between two tries while the database can't be reached, or can't take a commit now: no event tells when it can. The
// thread is the one for the commits of its executor.
constexpr auto kRetryStep = std::chrono::milliseconds(50);

// Errors that may go away: the server is short of something, ends what another session holds up, or is a standby now.
bool MayPass(absl::string_view sqlstate) {
  constexpr std::array<absl::string_view, 6> kPassing = {"40001", "40P01", "55P03", "57014", "25006", "25P03"};
  return absl::StartsWith(sqlstate, "53") || absl::c_linear_search(kPassing, sqlstate);
}

std::chrono::nanoseconds Nanoseconds(absl::Duration time) { return absl::ToChronoNanoseconds(time); }

}  // namespace

absl::Duration BootTime() {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

Writer::Writer(const WriterOptions& options, const WriterState& state, absl::Duration claimed_at)
    : options_(options),
      id_(state.id),
      first_epoch_(state.epoch),
      batch_(state.batch),
      renewed_ns_(absl::ToInt64Nanoseconds(claimed_at)),
      epoch_(state.epoch) {}

absl::Duration Writer::lease_age() const { return options_.boot_time() - renewed(); }

void Writer::Renew(absl::Duration sent_at) {
  const int64_t sent_ns = absl::ToInt64Nanoseconds(sent_at);
  int64_t renewed_ns = renewed_ns_.load(std::memory_order_relaxed);
  while (renewed_ns < sent_ns && !renewed_ns_.compare_exchange_weak(renewed_ns, sent_ns, std::memory_order_acq_rel)) {
  }
}

absl::Status Writer::failure() const {
  MutexLock lock(&failure_mutex_);
  return failure_;
}

void Writer::Fail(const absl::Status& why) {
  MutexLock lock(&failure_mutex_);
  if (failure_.ok()) failure_ = why;
}

Deadline Writer::CommitDeadline() const { return options_.session.driver->After(Nanoseconds(options_.commit_timeout)); }

absl::StatusOr<std::unique_ptr<Connection>> Writer::Open() {
  SessionOptions session = options_.session;
  session.first_host = first_host_;
  auto opened = OpenSession(session, SessionKind::kWriter);
  if (!opened.ok()) ++first_host_;
  return opened;
}

absl::Status Writer::Commit(absl::Span<const KeyspaceWrites> writes) {
  // Nothing has happened, and the writer goes on.
  if (absl::Status status = CheckWrites(writes); !status.ok()) return status;
  return CommitStatements([&](Connection* connection) { AddWrites(writes, connection); });
}

absl::Status Writer::CommitStatements(AddStatements add) {
  MutexLock lock(&mutex_);
  if (absl::Status failed = failure(); !failed.ok()) return failed;
  absl::Status status = CommitLocked(add);
  if (!status.ok()) Fail(status);
  return status;
}

absl::Status Writer::CommitLocked(AddStatements add) {
  const int64_t number = batch() + 1;
  Driver& driver = *options_.session.driver;
  const Deadline give_up = driver.After(Nanoseconds(options_.outage_max));
  absl::Status failed;  // of the try before, which had no effect
  while (true) {
    if (!failed.ok()) {
      if (driver.Now() >= give_up) return failed;
      driver.Sleep(kRetryStep);
      if (absl::Status ended = failure(); !ended.ok()) return ended;
    }
    if (connection_ == nullptr || !connection_->usable()) {
      auto opened = Open();
      if (!opened.ok()) {
        failed = opened.status();
        continue;
      }
      connection_ = *std::move(opened);
    }
    Step(WriterOptions::Step::kSend);
    const absl::Duration sent_at = options_.boot_time();
    connection_->Add(options_.fence_off ? kNoFence : kFence,
                     Params().Int8(id_).Int8(number).Int8(epoch_).Bytes(options_.owner));
    add(connection_.get());
    connection_->Send();
    Step(WriterOptions::Step::kSent);
    const TripResult result = connection_->Run(CommitDeadline());
    if (result.ok() && !result.warned) {
      disk_full_.store(false, std::memory_order_relaxed);
      Renew(sent_at);
      batch_.store(number, std::memory_order_release);
      return absl::OkStatus();
    }
    failed = result.status();
    if (result.kind == TripResult::Kind::kRefused) continue;
    if (result.kind == TripResult::Kind::kError && result.sqlstate != kFenced) {
      disk_full_.store(result.sqlstate == kDiskFull, std::memory_order_relaxed);
      if (MayPass(result.sqlstate)) continue;
      return failed;
    }
    const bool refused = result.kind == TripResult::Kind::kError;
    Log(LogLevel::kWarning, refused ? "commit_fenced" : "commit_outcome_unknown",
        {{"writer", absl::StrCat(id_)}, {"batch", absl::StrCat(number)}, {"status", failed.ToString()}});
    const absl::StatusOr<Outcome> outcome = Resolve(number, refused, give_up);
    if (!outcome.ok()) return outcome.status();
    Log(LogLevel::kWarning, "commit_outcome_found",
        {{"writer", absl::StrCat(id_)},
         {"batch", absl::StrCat(number)},
         {"committed", *outcome == Outcome::kCommitted ? "yes" : "no"}});
    if (*outcome == Outcome::kCommitted) {
      batch_.store(number, std::memory_order_release);
      return absl::OkStatus();
    }
  }
}

absl::StatusOr<Writer::Outcome> Writer::Resolve(int64_t number, bool refused, Deadline give_up) {
  resolved_.fetch_add(1, std::memory_order_relaxed);
  Driver& driver = *options_.session.driver;
  absl::Status failed;
  while (true) {
    if (!failed.ok()) {
      if (driver.Now() >= give_up) return failed;
      driver.Sleep(kRetryStep);
      if (absl::Status ended = failure(); !ended.ok()) return ended;
    }
    // The old connection ends here without a word to its server, which may still be at work for it.
    connection_ = nullptr;
    Step(WriterOptions::Step::kResolve);
    auto opened = Open();
    if (!opened.ok()) {
      failed = opened.status();
      continue;
    }
    const absl::Duration sent_at = options_.boot_time();
    (*opened)->Add(kLockTimeout);
    (*opened)->Add(kResolve, Params().Int8(id_).Bytes(options_.owner).Int8(epoch_));
    const TripResult result = (*opened)->Run(CommitDeadline());
    failed = result.status();
    if (!result.ok() || result.warned) {
      ++first_host_;
      if (result.warned) failed = absl::UnavailableError("PostgreSQL: a standby may not have the commit");
      continue;
    }
    const Rows& row = result.rows.back();
    if (row.count() == 0) {
      const absl::Status lost = WhyLost(opened->get(), refused);
      if (!lost.ok()) return lost;
      failed = absl::UnavailableError("PostgreSQL: nobody can tell who has the writer");
      continue;
    }
    epoch_ = row.Int(0, 0);
    const int64_t stored = row.Int(0, 1);
    if (stored != number && stored != number - 1) {
      return absl::DataLossError(absl::StrCat("PostgreSQL: the row of writer ", id_, " has batch ", stored,
                                              ", and the last one that was acknowledged is ", number - 1,
                                              ": the database has lost commits"));
    }
    Renew(sent_at);
    connection_ = *std::move(opened);
    return stored == number ? Outcome::kCommitted : Outcome::kNotCommitted;
  }
}

absl::Status Writer::WhyLost(Connection* connection, bool refused) {
  connection->Add(kLockTimeout);
  AddSyncedWrite(connection);
  connection->Add(kLook, Params().Int8(id_));
  const TripResult result = connection->Run(CommitDeadline());
  if (!result.ok() || result.warned || result.rows[1].count() == 0) return absl::OkStatus();
  const Rows& row = result.rows.back();
  if (row.count() == 0 || row.Int(0, 0) < epoch_ || row.Int(0, 1) < batch()) {
    return absl::DataLossError(absl::StrCat("PostgreSQL: the row of writer ", id_, " is ",
                                            row.count() == 0 ? "gone" : "older than what was acknowledged",
                                            ": the database has lost commits"));
  }
  const std::string why =
      absl::StrCat("writer ", id_, " of the node ", row.Bytes(0, 2), " was taken over by another node");
  // A higher batch is that of the commit under way, or one of the next owner's.
  if (refused || row.Int(0, 1) == batch()) return NotOwner(why);
  return absl::UnavailableError(why);
}

}  // namespace holdfast::storage::postgres
