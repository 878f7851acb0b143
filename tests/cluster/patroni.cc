#include "tests/cluster/patroni.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "storage/postgres/connection.h"
#include "tests/integration/http_get.h"
#include "tests/shared/free_port.h"
#include "tests/shared/start_process.h"

namespace holdfast::testing {
namespace {

namespace postgres = storage::postgres;

constexpr char kEtcd[] = "/usr/local/share/holdfast/etcd/etcd";
constexpr char kPatroni[] = "/usr/bin/patroni";
constexpr char kPatroniControl[] = "/usr/bin/patronictl";
constexpr char kPostgres[] = "/usr/lib/postgresql/15/bin";
constexpr char kScope[] = "holdfast";
// Who reaches the ports of the test is not to be let in.
constexpr char kPassword[] = "of-the-servers-of-this-test";

constexpr absl::Duration kStartMax = absl::Seconds(120);
constexpr absl::Duration kControlMax = absl::Seconds(90);
constexpr absl::Duration kStep = absl::Milliseconds(100);
constexpr auto kQueryMax = std::chrono::seconds(5);
constexpr size_t kLogBytesMax = 64 << 10;

// A primary that can't renew its key in etcd for `ttl` seconds is replaced; one that can't reach etcd for
// `retry_timeout` seconds gives up by itself. Patroni's documentation wants loop_wait + 2 * retry_timeout <= ttl. With
// a master_start_timeout of 0 a primary that crashed is replaced and not started again. A standby that was refused asks
// again after wal_retrieve_retry_interval: until one receives the log of a new primary, no commit is acknowledged.
constexpr char kClusterSettings[] = R"(
    ttl: 10
    loop_wait: 1
    retry_timeout: 3
    master_start_timeout: 0
    maximum_lag_on_failover: 1073741824
    postgresql:
      use_pg_rewind: true
      parameters:
        max_connections: 100
        shared_buffers: 64MB
        max_wal_size: 256MB
        wal_log_hints: 'on'
        hot_standby: 'on'
        synchronous_commit: 'on'
        wal_retrieve_retry_interval: 500ms
        log_min_messages: warning
        # Its files are in the directory of the data, so none is left when the server was killed.
        dynamic_shared_memory_type: mmap
)";

std::string Address(int port) { return absl::StrCat("127.0.0.1:", port); }

}  // namespace

Patroni::Patroni(const PatroniOptions& options) : options_(options) {
  for (const char* const program : {kEtcd, kPatroni, kPatroniControl}) {
    if (access(program, X_OK) != 0) Die(absl::StrCat(program, " is not there: deploy/install-deps.sh --tools"));
  }
  const char* const memory = "/dev/shm";
  directory_ = absl::StrCat(access(memory, W_OK) == 0 ? memory : "/tmp", "/holdfast-patroni-XXXXXX");
  if (mkdtemp(directory_.data()) == nullptr) Die("no scratch directory");
  Machine::Own(directory_);
  StartEtcd();
  for (int i = 0; i < kServers; ++i) {
    Server& server = At(i);
    server.port = process::FreePort();
    server.rest_port = process::FreePort();
    server.from_standbys = std::make_unique<Proxy>(server.port);
    server.from_patroni = std::make_unique<Proxy>(server.rest_port);
    server.to_etcd = std::make_unique<Proxy>(etcd_port_);
    server.machine = std::make_unique<Machine>(PathOf(i) + ".log");
    std::filesystem::create_directory(PathOf(i));
    Machine::Own(PathOf(i));
    WriteConfig(i);
    StartMachine(i);
  }
  std::ofstream(directory_ + "/control.yml")
      << "scope: " << kScope << "\netcd: {hosts: '" << Address(etcd_port_) << "', use_proxies: true}\n";
  if (!WaitUntilWell(kStartMax)) Die(absl::StrCat("Patroni does not start: ", told_));
}

Patroni::~Patroni() {
  for (Server& server : servers_) server.machine = nullptr;
  etcd_ = nullptr;
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Patroni::Die(const std::string& what) const {
  std::fprintf(stderr, "tests need Patroni: %s\n", what.c_str());
  for (int i = 0; i < kServers && At(i).machine != nullptr; ++i) {
    std::fprintf(stderr, "--- p%d\n%s\n", i, Log(i).c_str());
  }
  std::exit(1);
}

std::string Patroni::PathOf(int server) const { return absl::StrCat(directory_, "/p", server); }

std::string Patroni::Log(int server) const {
  std::stringstream text;
  text << std::ifstream(PathOf(server) + ".log").rdbuf();
  const std::string log = text.str();
  return log.substr(log.size() - std::min(log.size(), kLogBytesMax));
}

void Patroni::StartEtcd() {
  etcd_port_ = process::FreePort();
  const std::string own = absl::StrCat("http://", Address(etcd_port_));
  const std::string peers = absl::StrCat("http://", Address(process::FreePort()));
  etcd_ = std::make_unique<Machine>(directory_ + "/etcd.log");
  // Debian's Patroni 3.0.2 overwrites the key of the primary through etcd's third API, whoever has it (Patroni's pull
  // request 2689): a primary that hung may take it back, and the commits of the new one are lost. Through the second
  // API it compares first.
  etcd_->Start({kEtcd, "--enable-v2", "--name=e", absl::StrCat("--data-dir=", directory_, "/etcd"),
                "--listen-client-urls=" + own, "--advertise-client-urls=" + own, "--listen-peer-urls=" + peers,
                "--initial-advertise-peer-urls=" + peers, "--initial-cluster=e=" + peers});
}

void Patroni::WriteConfig(int server) const {
  const std::string path = PathOf(server);
  const std::string synchronous = options_.synchronous ? "true" : "false";
  const auto user = [](absl::string_view name) {
    return absl::StrCat("{username: ", name, ", password: ", kPassword, "}");
  };
  // With use_proxies Patroni does not ask etcd for other addresses of it, which would lead past the proxy.
  std::ofstream(path + ".yml") << "scope: " << kScope << "\nname: p" << server
                               << "\nrestapi:\n  listen: " << Address(At(server).rest_port)
                               << "\n  connect_address: " << Address(At(server).from_patroni->port())
                               << "\netcd:\n  hosts: " << Address(At(server).to_etcd->port())
                               << "\n  use_proxies: true\nbootstrap:\n  dcs:" << kClusterSettings
                               << "    synchronous_mode: " << synchronous
                               << "\n    synchronous_mode_strict: " << synchronous
                               << "\n  initdb: [{encoding: UTF8}, {locale: C}, data-checksums]\npostgresql:\n  listen: "
                               << Address(At(server).port)
                               << "\n  connect_address: " << Address(At(server).from_standbys->port())
                               << "\n  data_dir: " << path << "/data\n  bin_dir: " << kPostgres
                               << "\n  pgpass: " << path
                               << "/pgpass\n  basebackup: [{checkpoint: fast}]\n  use_unix_socket: true\n  parameters: "
                                  "{unix_socket_directories: "
                               << path << "}\n  authentication:\n    superuser: " << user("holdfast")
                               << "\n    replication: " << user("replication") << "\n    rewind: " << user("rewind")
                               << "\n  pg_hba: ['local all all trust', 'host all all 127.0.0.1/32 scram-sha-256',"
                                  " 'host replication all 127.0.0.1/32 scram-sha-256']\n";
  Machine::Own(path + ".yml");
}

std::string Patroni::ConninfoAt(const std::vector<int>& ports) const {
  return absl::StrCat("host=", absl::StrJoin(std::vector<std::string>(ports.size(), "127.0.0.1"), ","),
                      " port=", absl::StrJoin(ports, ","), " dbname=postgres user=holdfast password=", kPassword,
                      " sslmode=disable gssencmode=disable");
}

std::string Patroni::conninfo() const {
  std::vector<int> ports;
  for (const Server& server : servers_) ports.push_back(server.port);
  return ConninfoAt(ports);
}

std::string Patroni::ConninfoOf(int server) const {
  return absl::StrCat(ConninfoAt({At(server).port}), " target_session_attrs=any");
}

std::vector<std::unique_ptr<Proxy>> Patroni::NewProxies() const {
  std::vector<std::unique_ptr<Proxy>> proxies;
  for (const Server& server : servers_) proxies.push_back(std::make_unique<Proxy>(server.port));
  return proxies;
}

std::vector<Patroni::Told> Patroni::Ask() {
  std::vector<Told> told;
  for (const Server& server : servers_) {
    const std::string answer = HttpGet(Address(server.rest_port), "/cluster");
    const size_t body = answer.find("\r\n\r\n");
    if (body == std::string::npos) continue;
    told_ = answer.substr(body);
    const auto json = nlohmann::json::parse(told_, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("members")) continue;
    for (const auto& member : json["members"]) {
      Told& each = told.emplace_back(Told{-1, member.value("role", ""), member.value("state", ""), 0});
      (void)absl::SimpleAtoi(member.value("name", "").substr(1), &each.server);
      if (member.contains("timeline") && member["timeline"].is_number()) each.timeline = member["timeline"];
    }
    break;
  }
  return told;
}

int Patroni::Streaming(int primary) const {
  auto connection = postgres::Connection::Open(ConninfoOf(primary));
  if (!connection.ok()) return 0;
  (*connection)->Add({"count", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"});
  const postgres::TripResult result = (*connection)->Run(std::chrono::steady_clock::now() + kQueryMax);
  return result.ok() ? static_cast<int>(result.rows.back().Int(0, 0)) : 0;
}

std::optional<int> Patroni::Well() {
  const std::vector<Told> told = Ask();
  int primary = -1;
  int primaries = 0;
  int synchronous = 0;
  if (told.size() != kServers) return std::nullopt;
  for (const Told& each : told) {
    if ((each.state != "running" && each.state != "streaming") || each.timeline != told[0].timeline) return {};
    if (each.role == "leader") {
      primary = each.server;
      ++primaries;
    }
    if (each.role == "sync_standby") ++synchronous;
  }
  if (primaries != 1 || synchronous != (options_.synchronous ? 1 : 0)) return std::nullopt;
  if (Streaming(primary) != kServers - 1) return std::nullopt;
  return primary;
}

std::optional<int> Patroni::WaitUntilWell(absl::Duration timeout) {
  const absl::Time until = absl::Now() + timeout;
  while (true) {
    if (const std::optional<int> primary = Well()) return primary;
    if (absl::Now() > until) return std::nullopt;
    absl::SleepFor(kStep);  // Patroni does not tell when something changes
  }
}

int Patroni::Control(std::vector<std::string> arguments) const {
  std::vector<std::string> all = {kPatroniControl, "-c", directory_ + "/control.yml"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const pid_t pid =
      process::StartProcess({.arguments = std::move(all), .output_path = absl::StrCat(directory_, "/control.log")});
  const absl::Time until = absl::Now() + kControlMax;
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) != pid) {
    if (absl::Now() > until) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      break;
    }
    absl::SleepFor(kStep);  // no event with a timeout tells that a process has ended
  }
  return status;
}

int Patroni::MakeStandbysAnew() {
  const std::vector<Told> told = Ask();
  int timeline = 0;
  for (const Told& each : told) {
    if (each.role == "leader") timeline = each.timeline;
  }
  int made = 0;
  for (int i = 0; i < kServers; ++i) {
    const auto at = std::find_if(told.begin(), told.end(), [i](const Told& each) { return each.server == i; });
    if (at != told.end() && (at->role == "leader" || (at->timeline == timeline && at->state == "running"))) continue;
    ++made;
    (void)Control({"reinit", kScope, absl::StrCat("p", i), "--force"});
  }
  return made;
}

bool Patroni::SwitchOver(int from) {
  return Control({"switchover", kScope, "--primary", absl::StrCat("p", from), "--force"}) == 0;
}

void Patroni::StartMachine(int server) { At(server).machine->Start({kPatroni, PathOf(server) + ".yml"}); }

void Patroni::KillMachine(int server) {
  At(server).machine->Kill();
  // The bytes on their way to a standby are lost with it.
  At(server).from_standbys->Reset();
  // A machine that starts again has other processes, and one of them could have the number that is in this file.
  std::error_code ignored;
  std::filesystem::remove(PathOf(server) + "/data/postmaster.pid", ignored);
}

void Patroni::CutOff(int server, Proxy::Cut cut) {
  for (Proxy* const way : {At(server).from_standbys.get(), At(server).from_patroni.get(), At(server).to_etcd.get()}) {
    way->Set(cut);
  }
}

}  // namespace holdfast::testing
