#include "tests/cluster/promotion_watch.h"

#include <chrono>
#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "storage/postgres/connection.h"
#include "tests/cluster/history.h"

namespace holdfast::testing {
namespace {

namespace postgres = storage::postgres;
using Connections = std::vector<std::unique_ptr<postgres::Connection>>;

constexpr absl::Duration kStep = absl::Milliseconds(10);
constexpr auto kAnswerMax = std::chrono::seconds(1);
// A write waits until a standby has it.
constexpr auto kWriteMax = std::chrono::seconds(10);

const postgres::Statement kIsStandby = {"is_standby", "SELECT pg_is_in_recovery()"};
// Goes into the log of the database, and into no table.
const postgres::Statement kWrite = {"write", "SELECT pg_logical_emit_message(true, 'watch', '')"};

postgres::Deadline In(std::chrono::seconds time) { return std::chrono::steady_clock::now() + time; }

// Returns whether there is a connection now that can be used.
bool Connected(const std::string& conninfo, std::unique_ptr<postgres::Connection>* connection) {
  if (*connection != nullptr && (*connection)->usable()) return true;
  auto opened = postgres::Connection::Open(conninfo);
  if (!opened.ok()) return false;
  *connection = *std::move(opened);
  return true;
}

}  // namespace

PromotionWatch::PromotionWatch(std::vector<std::string> standbys)
    : standbys_(std::move(standbys)), thread_([this] { Work(); }) {}

PromotionWatch::~PromotionWatch() {
  ending_ = true;
  thread_.join();
}

std::optional<Promotion> PromotionWatch::Wait(absl::Duration timeout) {
  std::unique_lock lock(mutex_);
  noted_.wait_for(lock, absl::ToChronoMilliseconds(timeout), [this] { return promotion_.has_value(); });
  return promotion_;
}

void PromotionWatch::Work() {
  Connections connections(standbys_.size());
  std::optional<Promotion> found;
  while (!ending_) {
    for (size_t i = 0; i < standbys_.size() && !found; ++i) {
      if (!Connected(standbys_[i], &connections[i])) continue;
      connections[i]->Add(kIsStandby);
      const postgres::TripResult result = connections[i]->Run(In(kAnswerMax));
      if (result.ok() && !result.rows.back().Bool(0, 0)) found = {static_cast<int>(i), NowUs(), 0};
    }
    if (!found) {
      absl::SleepFor(kStep);  // a server does not tell that it was promoted
      continue;
    }
    const auto primary = static_cast<size_t>(found->server);
    if (!Connected(standbys_[primary], &connections[primary])) continue;
    connections[primary]->Add(kWrite);
    const postgres::TripResult result = connections[primary]->Run(In(kWriteMax));
    if (!result.ok() || result.warned) continue;
    found->written_us = NowUs();
    std::lock_guard lock(mutex_);
    promotion_ = found;
    noted_.notify_all();
    return;
  }
}

}  // namespace holdfast::testing
