#include "tests/simulation/cluster_network.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "storage/base/check.h"

namespace holdfast::simulation {
namespace {

using storage::postgres::Deadline;
using storage::postgres::TripResult;

// The time that a message takes, usually, and one of so many.
constexpr int64_t kUsualUsMin = 50;
constexpr int64_t kUsualUsMax = 1500;
constexpr uint64_t kSlowOneIn = 25;
constexpr int64_t kSlowUsMax = 60'000;
// A late one.
constexpr int64_t kLateMsMin = 50;
constexpr int64_t kLateMsMax = 5000;
constexpr uint64_t kSlowConnectOneIn = 4;
constexpr int64_t kSlowConnectUsMax = 300'000;
constexpr absl::Duration kConnectTimeout = absl::Seconds(2);

Deadline ToDeadline(absl::Time time) { return Deadline(absl::ToChronoNanoseconds(time - absl::UnixEpoch())); }
absl::Time ToTime(Deadline deadline) { return absl::UnixEpoch() + absl::FromChrono(deadline.time_since_epoch()); }

}  // namespace

// Statements on their way. They may be carried out when their connection is gone.
struct Network::Trip {
  std::vector<Command> commands;
  std::shared_ptr<DatabaseServer> server;
  std::shared_ptr<DatabaseServer::Session> session;
  int generation = 0;
  bool answer_lost = false;
  bool answer_late = false;
  bool done = false;    // the answer is there
  bool broken = false;  // the connection is seen to be lost
  TripResult result;
  Fiber* waits = nullptr;
  Link* link = nullptr;
};

class Network::Connection final : public storage::postgres::Connection {
 public:
  Connection(Network* network, Link* link, std::shared_ptr<DatabaseServer> server)
      : network_(network),
        link_(link),
        server_(std::move(server)),
        session_(std::make_shared<DatabaseServer::Session>()),
        generation_(network->generation_) {}
  ~Connection() override {
    for (const auto& trip : untaken_) trip->waits = nullptr;
  }

  using storage::postgres::Connection::Add;
  void Add(const storage::postgres::Statement& statement, const storage::postgres::Params& params) override {
    Command command = {.name = statement.name, .params = {}};
    for (int i = 0; i < params.count(); ++i) {
      const char* const value = params.values()[i];
      if (value == nullptr) {
        command.params.emplace_back();
      } else {
        command.params.emplace_back(std::string(value, static_cast<size_t>(params.lengths()[i])));
      }
    }
    filling_.push_back(std::move(command));
  }

  void Send() override {
    if (!usable()) return;
    ++network_->trips_;
    Dice& dice = *network_->dice_;
    auto trip = std::make_shared<Trip>();
    trip->commands = std::exchange(filling_, {});
    trip->server = server_;
    trip->session = session_;
    trip->generation = generation_;
    trip->link = link_;
    untaken_.push_back(trip);
    const absl::Time now = network_->fibers_->now();
    if (link_->pause_after_send > absl::ZeroDuration()) {
      link_->paused_until = now + std::exchange(link_->pause_after_send, absl::ZeroDuration());
    }
    // Nothing tells that it does not arrive.
    if (now < link_->cut_until) return;
    absl::Time arrives = now + network_->Latency();
    bool lost = false;
    if (network_->faults_ > 0 && dice.OneIn(network_->faults_)) {
      ++network_->faults_met_;
      switch (dice.Below(5)) {
        case 0:  // the connection breaks before it arrives
          lost = true;
          BreakSoon(trip);
          break;
        case 1:  // it breaks on the way back
          trip->answer_lost = true;
          BreakSoon(trip);
          break;
        case 2:
          trip->answer_lost = true;
          break;
        case 3:
          trip->answer_late = true;
          break;
        default:
          arrives = now + absl::Milliseconds(dice.Between(kLateMsMin, kLateMsMax));
          if (dice.OneIn(2)) BreakSoon(trip);
      }
    }
    if (lost) return;
    last_arrival_ = std::max(last_arrival_, arrives);
    network_->agenda_->At(last_arrival_, [network = network_, trip] { network->Arrive(trip); });
  }

  TripResult Run(Deadline deadline) override {
    TripResult result;
    if (!usable()) {
      broken_ = true;
      result.kind = TripResult::Kind::kRefused;
      result.message = "the connection is lost";
      return result;
    }
    if (!filling_.empty() || untaken_.empty()) Send();
    const absl::Time until = ToTime(deadline);
    while (!untaken_.empty()) {
      const std::shared_ptr<Trip> trip = untaken_.front();
      trip->waits = network_->fibers_->current();
      while (!trip->done && !trip->broken && !link_->dead && network_->fibers_->now() < until) {
        network_->fibers_->SleepUntil(until);
      }
      trip->waits = nullptr;
      if (!trip->done || link_->dead) {
        broken_ = true;
        result = {};
        result.kind = TripResult::Kind::kUnknown;
        result.message = trip->broken ? "the connection is lost" : "no answer before the deadline";
        return result;
      }
      untaken_.pop_front();
      result = std::move(trip->result);
      if (result.ok() && server_->Writes(trip->commands)) link_->answered_at = network_->BootTimeOf(*link_);
    }
    return result;
  }

  bool usable() const override {
    return !broken_ && !link_->dead && generation_ == network_->generation_ &&
           (untaken_.empty() || !untaken_.back()->broken);
  }
  int backend_pid() const override { return 1; }

 private:
  void BreakSoon(const std::shared_ptr<Trip>& trip) {
    const absl::Time at =
        network_->fibers_->now() + absl::Microseconds(network_->dice_->Between(kUsualUsMin, 4 * kUsualUsMax));
    network_->agenda_->At(at, [network = network_, trip] {
      trip->broken = true;
      if (trip->waits != nullptr) network->fibers_->Wake(trip->waits);
    });
  }

  Network* const network_;
  Link* const link_;
  const std::shared_ptr<DatabaseServer> server_;
  const std::shared_ptr<DatabaseServer::Session> session_;
  const int generation_;
  bool broken_ = false;
  std::vector<Command> filling_;
  std::deque<std::shared_ptr<Trip>> untaken_;
  absl::Time last_arrival_ = absl::InfinitePast();
};

class Network::Driver final : public storage::postgres::Driver {
 public:
  Driver(Network* network, Link* link) : network_(network), link_(link) {}

  absl::StatusOr<std::unique_ptr<storage::postgres::Connection>> Connect(const std::string&,
                                                                         size_t first_host) override {
    Fibers& fibers = *network_->fibers_;
    const auto is_away = [&] { return fibers.now() < std::max(link_->cut_until, network_->hang_until_); };
    Dice& dice = *network_->dice_;
    const int64_t most = dice.OneIn(kSlowConnectOneIn) ? kSlowConnectUsMax : 2 * kUsualUsMax;
    Wait(is_away() ? kConnectTimeout : absl::Microseconds(dice.Between(2 * kUsualUsMin, most)));
    std::shared_ptr<DatabaseServer> server = network_->ServerFor(first_host);
    if (link_->dead || is_away() || server == nullptr) {
      return absl::UnavailableError("PostgreSQL: no connection");
    }
    return std::make_unique<Connection>(network_, link_, std::move(server));
  }
  // A dead process gives up whatever it tries: its time flies.
  Deadline Now() override {
    if (link_->dead) flown_ += absl::Hours(1);
    return ToDeadline(network_->fibers_->now() + flown_);
  }
  void Sleep(std::chrono::nanoseconds time) override { Wait(absl::FromChrono(time)); }
  std::unique_ptr<storage::postgres::Repeated> Repeat(absl::Duration interval, std::function<bool()> work) override {
    return std::make_unique<RepeatedFiber>(this, interval, std::move(work));
  }

 private:
  class RepeatedFiber final : public storage::postgres::Repeated {
   public:
    RepeatedFiber(Driver* driver, absl::Duration interval, std::function<bool()> work)
        : driver_(driver), interval_(interval), work_(std::move(work)) {
      Fibers& fibers = *driver_->network_->fibers_;
      fibers.Start(driver_->link_->group, fibers.now(), [this] {
        fiber_ = driver_->network_->fibers_->current();
        do {
          driver_->Wait(interval_, &ending_);
        } while (!ending_ && !driver_->link_->dead && work_());
        ended_ = true;
        if (joins_ != nullptr) driver_->network_->fibers_->Wake(joins_);
      });
    }
    ~RepeatedFiber() override {
      Fibers& fibers = *driver_->network_->fibers_;
      ending_ = true;
      joins_ = fibers.current();
      while (!ended_) {
        if (fiber_ != nullptr) fibers.Wake(fiber_);
        fibers.SleepUntil(absl::InfiniteFuture());
      }
    }

   private:
    Driver* const driver_;
    const absl::Duration interval_;
    const std::function<bool()> work_;
    Fiber* fiber_ = nullptr;
    Fiber* joins_ = nullptr;
    bool ending_ = false;
    bool ended_ = false;
  };

  void Wait(absl::Duration time, const bool* ending = nullptr) {
    Fibers& fibers = *network_->fibers_;
    const absl::Time until = fibers.now() + time;
    while (!link_->dead && fibers.now() < until && (ending == nullptr || !*ending)) fibers.SleepUntil(until);
  }

  Network* const network_;
  Link* const link_;
  absl::Duration flown_;
};

Network::Network(Dice* dice, Fibers* fibers, Agenda* agenda, ClusterBroken broken)
    : dice_(dice), fibers_(fibers), agenda_(agenda) {
  servers_[0] = std::make_shared<DatabaseServer>(broken);
}

std::unique_ptr<storage::postgres::Driver> Network::DriverOf(Link* link) {
  return std::make_unique<Driver>(this, link);
}

absl::Duration Network::BootTimeOf(const Link& link) const {
  return link.boot_offset + (fibers_->now() - absl::UnixEpoch()) * link.boot_rate;
}

std::shared_ptr<DatabaseServer> Network::ServerFor(size_t first_host) {
  const size_t first = first_host % servers_.size();
  return servers_[first] != nullptr ? servers_[first] : servers_[1 - first];
}

void Network::FailOver(absl::Time until) {
  const size_t before = primary_;
  primary_ = 1 - primary_;
  servers_[primary_] = std::make_shared<DatabaseServer>(*servers_[before]);
  servers_[before]->Replace();
  const int number = ++fail_overs_;
  agenda_->At(until, [this, before, number] {
    if (fail_overs_ == number) servers_[before] = nullptr;
  });
}

absl::Duration Network::Latency() {
  return absl::Microseconds(dice_->Between(kUsualUsMin, dice_->OneIn(kSlowOneIn) ? kSlowUsMax : kUsualUsMax));
}

void Network::Arrive(const std::shared_ptr<Trip>& trip) {
  const absl::Time now = fibers_->now();
  // A server that restarts forgets what it was asked.
  if (trip->generation != generation_) return;
  if (now < hang_until_) {
    agenda_->At(hang_until_ + absl::Microseconds(dice_->Between(0, kUsualUsMax)), [this, trip] { Arrive(trip); });
    return;
  }
  trip->server->set_clock(absl::ToUnixMicros(now));
  trip->result = trip->server->Execute(trip->commands, trip->session.get());
  if (trip->answer_lost || (trip->server->replaced() && trip->server->Writes(trip->commands))) return;
  const absl::Duration takes =
      trip->answer_late ? absl::Milliseconds(dice_->Between(kLateMsMin, kLateMsMax / 8)) : Latency();
  agenda_->At(now + takes, [this, trip] {
    if (trip->link->dead || fibers_->now() < trip->link->cut_until || trip->generation != generation_) return;
    trip->done = true;
    if (trip->waits != nullptr) fibers_->Wake(trip->waits);
  });
}

}  // namespace holdfast::simulation
