#include "storage/postgres/connect.h"

#include <libpq-fe.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace holdfast::storage::postgres {
namespace {

using Clock = std::chrono::steady_clock;

// The defaults of a conninfo, which may say otherwise.
constexpr int kConnectSeconds = 2;
struct Setting {
  const char* keyword;
  std::string value;
};
const std::vector<Setting>& Defaults() {
  static const auto* const defaults = new std::vector<Setting>{
      {"application_name", "holdfastd"},
      {"connect_timeout", absl::StrCat(kConnectSeconds)},
      // The one of several hosts that takes writes.
      {"target_session_attrs", "read-write"},
      // A machine that is gone is noticed within seconds by connections that wait.
      {"tcp_user_timeout", "5000"},
      {"keepalives_idle", "5"},
      {"keepalives_interval", "2"},
      {"keepalives_count", "3"},
  };
  return *defaults;
}

// A host that answers at all does so within this time, so the one that is to be preferred is.
constexpr auto kHeadStart = std::chrono::milliseconds(250);
// Between two tries of a host that has said no.
constexpr auto kAgainStep = std::chrono::milliseconds(100);
// The addresses of all hosts of a conninfo. Further ones are not tried.
constexpr size_t kPlacesMax = 32;

std::string Trimmed(const char* message) {
  absl::string_view text = message == nullptr ? "" : message;
  while (absl::ConsumeSuffix(&text, "\n")) {
  }
  return std::string(text);
}

absl::Status Failed(absl::string_view message) { return absl::UnavailableError(absl::StrCat("PostgreSQL: ", message)); }

// The settings of a conninfo that matter here, as lists.
struct Servers {
  std::vector<std::string> host;
  std::vector<std::string> hostaddr;
  std::vector<std::string> port;
  int connect_seconds = kConnectSeconds;

  size_t count() const { return std::max(host.size(), hostaddr.size()); }
  // Several hosts whose lists fit together; libpq tells what is wrong with others.
  bool several() const {
    const auto fits = [this](const std::vector<std::string>& list) { return list.empty() || list.size() == count(); };
    return count() > 1 && fits(host) && fits(hostaddr) && (fits(port) || port.size() == 1);
  }
};

Servers ServersOf(const std::string& conninfo) {
  Servers servers;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(conninfo.c_str(), nullptr),
                                                                             &PQconninfoFree);
  for (const PQconninfoOption* each = options.get(); each != nullptr && each->keyword != nullptr; ++each) {
    if (each->val == nullptr) continue;
    const absl::string_view keyword = each->keyword;
    if (keyword == "host") servers.host = absl::StrSplit(each->val, ',');
    if (keyword == "hostaddr") servers.hostaddr = absl::StrSplit(each->val, ',');
    if (keyword == "port") servers.port = absl::StrSplit(each->val, ',');
    int seconds = 0;
    if (keyword == "connect_timeout" && absl::SimpleAtoi(each->val, &seconds) && seconds > 0) {
      servers.connect_seconds = seconds;
    }
  }
  return servers;
}

// One address of one host, as settings that come after those of the conninfo.
using Place = std::vector<Setting>;

// Returns the addresses of a name; nothing if there are none, or it is no name of a host.
std::vector<std::string> AddressesOf(const std::string& host) {
  std::vector<std::string> addresses;
  if (host.empty() || absl::StartsWith(host, "/") || absl::StartsWith(host, "@")) return addresses;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text);
    }
  }
  freeaddrinfo(found);
  return addresses;
}

std::vector<Place> PlacesOf(const Servers& servers, size_t first_host) {
  std::vector<Place> places;
  for (size_t i = 0; i < servers.count(); ++i) {
    const size_t at = (first_host + i) % servers.count();
    Place place;
    if (!servers.host.empty()) place.push_back({"host", servers.host[at]});
    if (!servers.port.empty()) place.push_back({"port", servers.port[servers.port.size() == 1 ? 0 : at]});
    std::vector<std::string> addresses;
    if (!servers.hostaddr.empty()) {
      addresses = {servers.hostaddr[at]};
    } else {
      addresses = AddressesOf(servers.host[at]);
    }
    if (addresses.empty()) places.push_back(place);
    for (const std::string& address : addresses) {
      places.push_back(place);
      places.back().push_back({"hostaddr", address});
    }
  }
  places.resize(std::min(places.size(), kPlacesMax));
  return places;
}

// The keywords and values of a connection, as libpq takes them. What it points to must outlive it.
class Parameters {
 public:
  Parameters(const std::string& conninfo, const Place& place) {
    for (const Setting& each : Defaults()) Add(each.keyword, each.value);
    // Later settings count more than earlier ones.
    Add("dbname", conninfo);
    for (const Setting& each : place) Add(each.keyword, each.value);
    keywords_.push_back(nullptr);
    values_.push_back(nullptr);
  }
  const char* const* keywords() const { return keywords_.data(); }
  const char* const* values() const { return values_.data(); }

 private:
  void Add(const char* keyword, const std::string& value) {
    keywords_.push_back(keyword);
    values_.push_back(value.c_str());
  }
  std::vector<const char*> keywords_;
  std::vector<const char*> values_;
};

// The tries of several places, side by side.
class Race {
 public:
  Race(const std::string& conninfo, std::vector<Place> places, Clock::time_point deadline)
      : conninfo_(conninfo), deadline_(deadline) {
    Clock::time_point next_try = Clock::now();
    for (Place& place : places) {
      runners_.push_back({.place = std::move(place), .next_try = next_try});
      next_try += kHeadStart;
    }
  }
  ~Race() {
    for (const Runner& each : runners_) PQfinish(each.connection);
  }
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;

  absl::StatusOr<pg_conn*> Run() {
    while (true) {
      const Clock::time_point now = Clock::now();
      for (Runner& each : runners_) {
        if (each.connection == nullptr && each.next_try <= now) Begin(&each);
      }
      if (IsLost() || now >= deadline_) return Failed(Messages());
      Wait(now);
      for (Runner& each : runners_) {
        if (each.connection == nullptr || each.ready == 0) continue;
        each.waits_for = PQconnectPoll(each.connection);
        if (each.waits_for == PGRES_POLLING_OK) return std::exchange(each.connection, nullptr);
        if (each.waits_for == PGRES_POLLING_FAILED) Fail(&each);
      }
    }
  }

 private:
  struct Runner {
    Place place;
    Clock::time_point next_try;
    PGconn* connection = nullptr;  // of the try under way
    PostgresPollingStatusType waits_for = PGRES_POLLING_WRITING;
    short ready = 0;      // of poll
    std::string message;  // of the last try that failed
  };

  void Begin(Runner* runner) {
    const Parameters parameters(conninfo_, runner->place);
    runner->connection = PQconnectStartParams(parameters.keywords(), parameters.values(), /*expand_dbname=*/1);
    // libpq says to begin as if this had been told.
    runner->waits_for = PGRES_POLLING_WRITING;
    if (PQstatus(runner->connection) == CONNECTION_BAD) Fail(runner);
  }

  void Fail(Runner* runner) {
    runner->message = Trimmed(PQerrorMessage(runner->connection));
    PQfinish(std::exchange(runner->connection, nullptr));
    const Clock::time_point now = Clock::now();
    runner->next_try = now + kAgainStep;
    // Nobody has to wait for the head start of one that has said no.
    for (Runner& each : runners_) {
      if (each.connection != nullptr || !each.message.empty()) continue;
      each.next_try = std::min(each.next_try, now);
      return;
    }
  }

  // Returns whether all have said no, and none is being asked.
  bool IsLost() const {
    return std::all_of(runners_.begin(), runners_.end(),
                       [](const Runner& each) { return each.connection == nullptr && !each.message.empty(); });
  }

  // Waits for an answer, the next try or the deadline.
  void Wait(Clock::time_point now) {
    Clock::time_point until = deadline_;
    std::vector<pollfd> polled;
    for (Runner& each : runners_) {
      // An entry with a negative descriptor is left out.
      const bool asked = each.connection != nullptr;
      const bool reads = each.waits_for == PGRES_POLLING_READING;
      polled.push_back({asked ? PQsocket(each.connection) : -1, static_cast<short>(reads ? POLLIN : POLLOUT), 0});
      if (!asked) until = std::min(until, each.next_try);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
    const bool any = poll(polled.data(), polled.size(), static_cast<int>(std::max<int64_t>(left, 0))) > 0;
    for (size_t i = 0; i < runners_.size(); ++i) runners_[i].ready = any ? polled[i].revents : short{0};
  }

  std::string Messages() const {
    std::vector<std::string> messages;
    for (const Runner& each : runners_) {
      const std::string where = absl::StrJoin(each.place, " ", [](std::string* text, const Setting& setting) {
        absl::StrAppend(text, setting.keyword, "=", setting.value);
      });
      messages.push_back(each.message.empty() ? absl::StrCat("no answer in time from ", where) : each.message);
    }
    return absl::StrJoin(messages, "; ");
  }

  const std::string& conninfo_;
  const Clock::time_point deadline_;
  std::vector<Runner> runners_;
};

}  // namespace

absl::StatusOr<pg_conn*> Connect(const std::string& conninfo, size_t first_host) {
  const Servers servers = ServersOf(conninfo);
  if (servers.several()) {
    Race race(conninfo, PlacesOf(servers, first_host), Clock::now() + std::chrono::seconds(servers.connect_seconds));
    return race.Run();
  }
  const Parameters parameters(conninfo, {});
  pg_conn* const connection = PQconnectdbParams(parameters.keywords(), parameters.values(), /*expand_dbname=*/1);
  if (PQstatus(connection) == CONNECTION_OK) return connection;
  const std::string message =
      connection == nullptr ? "no memory for a connection" : Trimmed(PQerrorMessage(connection));
  PQfinish(connection);
  return Failed(message);
}

}  // namespace holdfast::storage::postgres
