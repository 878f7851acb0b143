#include "service/server.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/objects/return_alarm.h"
#include "actors/runtime/router.h"
#include "actors/runtime/shard_host.h"
#include "service/access/access_files.h"
#include "service/access/audit_log.h"
#include "service/call/admin_services.h"
#include "service/call/call.h"
#include "service/call/call_gate.h"
#include "service/call/connections.h"
#include "service/call/endpoint.h"
#include "service/call/flood_guard.h"
#include "service/call/maintenance.h"
#include "service/call/node_reader.h"
#include "service/call/refusal_log.h"
#include "service/call/request_parser.h"
#include "service/cluster/cluster_agents.h"
#include "service/cluster/cluster_placement.h"
#include "service/cluster/namespace_rounds.h"
#include "service/console/console_api.h"
#include "service/descriptors.h"
#include "service/http/http_server.h"
#include "service/join_cluster.h"
#include "service/lane.h"
#include "service/listener.h"
#include "service/metrics/collector.h"
#include "service/metrics/exporter.h"
#include "service/metrics/history.h"
#include "service/metrics/observers.h"
#include "service/metrics/process_usage.h"
#include "service/metrics/recorder.h"
#include "service/metrics/version.h"
#include "service/open_store.h"
#include "service/options.h"
#include "service/quiesce.h"
#include "service/ratelimit/rule_files.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_table.h"
#include "service/tls.h"
#include "service/traces/traces.h"
#include "storage/base/disk_space.h"
#include "storage/base/log.h"
#include "storage/node/families.h"
#include "storage/node/move_store.h"
#include "storage/node/namespace_usage.h"

namespace holdfast::service {
namespace {

using config::v1::Config;

// The most bytes of a reply. Clients refuse messages over 4 MiB, and the bytes around the message need room too.
constexpr size_t kReplyBytesMax = 3584 << 10;
// The least time for which a drain answers new calls with DRAINING, so that clients whose requests are on their way get
// an answer.
constexpr absl::Duration kRefuseMin = absl::Milliseconds(100);
// The most time in which the connections may come to a moment without calls (quiesce.h).
constexpr absl::Duration kQuiesceMax = absl::Seconds(3);
// The most time in which calls whose SQL the drain has interrupted may send their error.
constexpr absl::Duration kInterruptedMax = absl::Seconds(1);
// The most time in which commits and running alarms may end once the calls have ended.
constexpr absl::Duration kSettleMax = absl::Seconds(10);
// The most time in which answers of the HTTP port may leave once the calls have ended.
constexpr absl::Duration kHttpFinishMax = absl::Seconds(1);
// Drain() sleeps for this step between two looks at what other threads change: the number of calls, and whether the
// hosts are idle. Those threads tell nobody of a change, so there is nothing to be woken by. Only the thread that shuts
// the server down sleeps here; no request waits for it.
constexpr absl::Duration kSettleStep = absl::Milliseconds(2);

// Returns the built-in classes and services, and after them those of the program.
Extension WithBuiltIn(const Config& config, Extension program) {
  Extension all = BuiltIn(config.reflection(), RuleFiles::Wanted(config.rate_limit_service()));
  all.object_classes.insert(all.object_classes.end(), program.object_classes.begin(), program.object_classes.end());
  std::move(program.services.begin(), program.services.end(), std::back_inserter(all.services));
  all.observer = program.observer;
  all.open_store = std::move(program.open_store);
  all.clock = program.clock;
  all.read_config = std::move(program.read_config);
  all.placement = program.placement;
  all.owns = std::move(program.owns);
  return all;
}

// A secret of this process, in hex.
std::string NewSecret() {
  std::random_device random;
  std::string secret;
  for (int i = 0; i < 8; ++i) absl::StrAppend(&secret, absl::Hex(random(), absl::kZeroPad8));
  return secret;
}

RpcTable TableOf(std::vector<RpcTable::Service> services) {
  RpcTable table;
  for (RpcTable::Service& service : services) table.Add(std::move(service));
  return table;
}

// Each executor and its thread for commits have copies of their own, and so have some threads of the store.
size_t RecorderCopies(const Config& config) { return 2 * static_cast<size_t>(config.actors().executors()) + 6; }

class RunningServer : public Server {
 public:
  // `extension` has the built-in classes and services, too.
  RunningServer(const Config& config, std::function<void(const absl::Status&)> on_disk_failure, Extension extension)
      : config_(config),
        on_disk_failure_(std::move(on_disk_failure)),
        clock_(extension.clock != nullptr ? extension.clock : &system_clock_),
        classes_(extension.object_classes),
        open_store_(std::move(extension.open_store)),
        read_config_(std::move(extension.read_config)),
        placement_(extension.placement),
        owns_(std::move(extension.owns)),
        table_(TableOf(std::move(extension.services))),
        recorder_(table_.method_names(), extension.object_classes, RecorderCopies(config)),
        refusals_(clock_),
        own_observers_(&recorder_, &refusals_),
        all_observers_(&own_observers_, extension.observer),
        observer_(extension.observer == nullptr ? &own_observers_ : &all_observers_),
        connections_(config.server().connections_max()),
        gate_({.calls_max = config.server().calls_max(),
               .streams_max = config.server().streams_max(),
               .bytes_max = config.server().call_bytes_max(),
               .connection_bytes_max = config.server().connection_bytes_max()},
              &connections_, observer_),
        call_log_(absl::Milliseconds(config.log_slow_call_ms()), actors::SteadyNow),
        import_places_(config.sql().imports_max(), config.sql().namespace_imports_max()),
        sql_heap_total_(static_cast<size_t>(config.sql().heap_bytes_of_all_max())),
        // The first id is random, so that no watcher of an earlier run has had one of these ids.
        watchers_(config.server().alarm_watchers_max(), uint64_t{std::random_device{}()} << 32 | 1) {}

  ~RunningServer() override {
    Drain();
    StopLanes();
    backups_ = nullptr;
    if (store_ != nullptr) store_->WaitForCommits();
  }

  absl::Status Start();
  const std::string& address() const override { return address_; }
  std::string http_address() const override { return http_listener_ == nullptr ? "" : http_listener_->address(); }
  void Reload() override {
    if (access_ != nullptr) access_->Reload();
    if (rule_files_ != nullptr) rule_files_->Reload();
  }
  void Drain() override;

 private:
  // Counts what namespaces have, if there are quotas of that.
  absl::Status CountNamespaces();
  // Does so for a shard that comes, whose objects lie in these rows. Any thread.
  absl::Status CountShard(storage::PostgresStore* rows, storage::ShardId shard, int64_t epoch);
  // Begins to learn what other nodes count, if there may be some.
  void StartRounds();
  absl::Status StartAccess();
  absl::Status StartRules();
  absl::Status StartGrpc();
  // Makes this server a member of its cluster, if its store is of one.
  absl::Status JoinCluster();
  // Reads the clocks of earlier runs.
  absl::Status RecoverClocks();
  // Makes what brings the shards of the cluster, which begins once the executors run.
  void MakeAgents();
  // Makes what reads the load of the node; StartMetrics, which begins to read, is for when the executors run. Both come
  // before the first call.
  void MakeAdmin();
  absl::Status StartMetrics();
  // Listens on the HTTP port, and serves it.
  absl::Status BindHttp();
  absl::Status StartHttp();
  // Returns whether some executor may answer reads: each has the lease of its own database.
  bool HoldsSomeLease() const {
    return absl::c_any_of(executor_stores_, [](storage::Store* store) { return store->HoldsLease(); });
  }
  void DiskFailed(const absl::Status& status) {
    if (!disk_failed_.exchange(true)) on_disk_failure_(status);
  }
  // Ends the executors: all threads before the first queue, since a turn on one may end a call on the queue of another.
  void StopLanes() {
    for (auto& lane : lanes_) lane->executor.Stop();
    for (auto& lane : lanes_) lane->executor.Join();
  }

  const Config config_;
  const std::function<void(const absl::Status&)> on_disk_failure_;
  const actors::SystemClock system_clock_;
  const actors::Clock* const clock_;
  const actors::ClassRegistry classes_;
  const decltype(Extension::open_store) open_store_;
  const decltype(Extension::read_config) read_config_;
  Placement* placement_;  // null: the server is alone
  decltype(Extension::owns) owns_;
  const absl::Time started_ = absl::Now();
  RpcTable table_;
  Recorder recorder_;
  RefusalLog refusals_;
  Observers own_observers_;
  Observers all_observers_;  // used if the extension has an observer
  storage::Observer* const observer_;
  Connections connections_;
  std::unique_ptr<AuditLog> audit_;        // null: there is none
  std::unique_ptr<AccessFiles> access_;    // null: there is no access control
  std::unique_ptr<RuleFiles> rule_files_;  // null: there is no rate limit service
  CallGate gate_;
  CallLog call_log_;
  std::unique_ptr<Traces> traces_;  // null: nothing is traced
  ImportPlaces import_places_;
  std::atomic<bool> disk_failed_ = false;
  std::unique_ptr<storage::Archiver> archiver_;  // null without an archive
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<storage::Backups> backups_;     // null without a directory of backups
  std::vector<storage::Store*> executor_stores_;  // those through which the executors commit
  // Parts of the store, for each of its databases; none if it is not in PostgreSQL.
  std::vector<storage::PostgresStore*> rows_;
  std::vector<storage::LoggedStore*> logged_;
  std::unique_ptr<ClusterPlacement> cluster_placement_;  // null: other nodes can't join
  std::unique_ptr<storage::Families> families_;
  // Those of each database, or of the store that has none. Executors are dealt out to them in turn, as to databases.
  std::vector<std::unique_ptr<storage::RunClocks>> run_clocks_;
  std::unique_ptr<storage::NamespaceUsage> namespace_usage_;  // null: there are no quotas of objects and bytes
  std::unique_ptr<storage::sql::TempSpace> sql_temp_space_;
  storage::sql::HeapTotal sql_heap_total_;
  actors::AlarmWatchers watchers_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::unique_ptr<actors::Router> router_;
  std::unique_ptr<NodeReader> node_reader_;
  History history_;
  std::unique_ptr<AdminServices> admin_;
  std::unique_ptr<FloodGuard> flood_guard_;  // ends before the executors that it looks at
  // These three end before the executors that they ask and post to.
  std::unique_ptr<Exporter> exporter_;
  std::unique_ptr<AdminThread> admin_thread_;
  Maintenance maintenance_;
  std::unique_ptr<HttpServer> http_;         // null: there is no HTTP port
  RequestParser parser_;                     // ends before the executors, and the loops of HTTP, that it posts to
  std::unique_ptr<ClusterAgents> agents_;    // null: all shards are here. End before the executors that they post to
  std::unique_ptr<NamespaceRounds> rounds_;  // null: no other node counts what this one does
  std::shared_ptr<grpc::ServerCredentials> credentials_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Listener> http_listener_;  // null: there is no HTTP port
  std::string http_secret_;                  // by which the calls of the HTTP port are known; "" without it
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> grpc_;
  std::string address_;
};

absl::Status RunningServer::Start() {
  if (absl::Status status = table_.CheckComplete(); !status.ok()) return status;
  // Whatever is wrong with the files of certificates, access control and rules is found before the data is opened.
  auto credentials = ListenerCredentials(config_);
  if (!credentials.ok()) return credentials.status();
  credentials_ = *std::move(credentials);
  if (absl::Status status = StartAccess(); !status.ok()) return status;
  if (absl::Status status = StartRules(); !status.ok()) return status;
  auto traces = Traces::Start(config_.traces(), clock_, ServerVersion());
  if (!traces.ok()) return traces.status();
  traces_ = *std::move(traces);
  if (open_store_ != nullptr) {
    auto store = open_store_(config_);
    if (!store.ok()) return store.status();
    store_ = *std::move(store);
  } else {
    auto opened = OpenStore(config_, observer_, [this](const absl::Status& status) { DiskFailed(status); });
    if (!opened.ok()) return opened.status();
    archiver_ = std::move(opened->archiver);
    store_ = std::move(opened->store);
    backups_ = std::move(opened->backups);
    rows_ = opened->rows;
    logged_ = opened->logged;
  }
  if (absl::Status status = JoinCluster(); !status.ok()) return status;
  // A store that is not on the disk has not made the directory.
  std::error_code no_directory;
  std::filesystem::create_directories(config_.data_dir(), no_directory);
  sql_temp_space_ = std::make_unique<storage::sql::TempSpace>(
      config_.data_dir(),
      storage::sql::TempSpace::Limits{
          .bytes_max = static_cast<uint64_t>(config_.sql().temp_bytes_of_all_max()),
          .files_max = config_.sql().temp_files_max(),
          .disk_reserve_bytes = static_cast<uint64_t>(config_.storage().disk_reserve_bytes())},
      storage::FreeBytesOf(config_.data_dir()));
  if (absl::Status status = storage::CheckMoved(store_.get()); !status.ok()) return status;
  families_ = std::make_unique<storage::Families>(store_.get(), config_.storage().column_families_max());
  if (absl::Status status = families_->Recover(); !status.ok()) return status;
  if (absl::Status status = RecoverClocks(); !status.ok()) return status;
  if (absl::Status status = CountNamespaces(); !status.ok()) return status;
  return StartGrpc();
}

absl::Status RunningServer::JoinCluster() {
  if (rows_.empty()) return absl::OkStatus();
  // The agents bring the shards.
  owns_ = [](storage::ShardId) { return false; };
  auto placement = MakePlacement(config_);
  if (!placement.ok()) return placement.status();
  cluster_placement_ = *std::move(placement);
  placement_ = cluster_placement_.get();
  return absl::OkStatus();
}

absl::Status RunningServer::RecoverClocks() {
  if (rows_.empty()) run_clocks_.push_back(std::make_unique<storage::RunClocks>(store_.get()));
  for (size_t i = 0; i < rows_.size(); ++i) {
    run_clocks_.push_back(std::make_unique<storage::RunClocks>(logged_[i], ClusterRunsOf(rows_[i], config_)));
  }
  for (const auto& clocks : run_clocks_) {
    if (absl::Status status = clocks->Recover(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void RunningServer::MakeAgents() {
  if (rows_.empty()) return;
  std::vector<AgentServices> services;
  for (size_t i = 0; i < rows_.size(); ++i) {
    services.push_back({.rows = rows_[i],
                        .store = logged_[i],
                        .router = router_.get(),
                        .run_clocks = run_clocks_[i].get(),
                        .placement = cluster_placement_.get(),
                        .on_gain = [this, rows = rows_[i]](storage::ShardId shard,
                                                           int64_t epoch) { return CountShard(rows, shard, epoch); },
                        .on_lose =
                            [this](storage::ShardId shard) {
                              if (namespace_usage_ != nullptr) namespace_usage_->Lose(shard);
                            },
                        .on_nodes = nullptr,
                        .on_failure = [this](const absl::Status& status) { DiskFailed(status); }});
  }
  agents_ = std::make_unique<ClusterAgents>(std::move(services), AgentOptionsOf(config_), [this](size_t nodes) {
    gate_.SetQuotaShare(1.0 / static_cast<double>(nodes));
    if (namespace_usage_ != nullptr) namespace_usage_->SetTakers(nodes);
  });
  if (cluster_placement_ == nullptr) return;
  cluster_placement_->set_on_moved([this](storage::ShardId shard) { agents_->LookSoon(shard); });
}

absl::Status RunningServer::CountNamespaces() {
  storage::NamespaceUsage::Quotas quotas;
  for (const auto& one : config_.namespace_()) {
    quotas[one.name()] = {one.objects_max(), one.bytes_max()};
  }
  const bool wanted = absl::c_any_of(
      quotas, [](const auto& quota) { return quota.second.objects_max > 0 || quota.second.bytes_max > 0; });
  if (!wanted) return absl::OkStatus();
  uint64_t run = 0;
  while (run == 0 && !rows_.empty()) run = uint64_t{std::random_device{}()} << 32 | std::random_device{}();
  namespace_usage_ = std::make_unique<storage::NamespaceUsage>(std::move(quotas), run);
  return namespace_usage_->Count(store_.get());
}

absl::Status RunningServer::CountShard(storage::PostgresStore* rows, storage::ShardId shard, int64_t epoch) {
  if (namespace_usage_ == nullptr) return absl::OkStatus();
  storage::NamespaceUsage::Counts counts;
  absl::Status status = rows->ReadCatalog(shard, [&](absl::string_view key, absl::string_view value) {
    storage::NamespaceUsage::CountRecord(key, value, &counts);
  });
  if (status.ok()) namespace_usage_->Gain(shard, epoch, counts);
  return status;
}

void RunningServer::StartRounds() {
  if (namespace_usage_ == nullptr || rows_.empty()) return;
  if (cluster_placement_ == nullptr) return namespace_usage_->EndRound(1);
  rounds_ = std::make_unique<NamespaceRounds>(namespace_usage_.get(), [this] { return cluster_placement_->Owners(); });
  rounds_->Start();
}

absl::Status RunningServer::StartAccess() {
  if (!config_.audit().file().empty()) {
    auto audit = AuditLog::Open(config_.audit(), clock_);
    if (!audit.ok()) return audit.status();
    audit_ = *std::move(audit);
    gate_.SetAudit(audit_.get());
  }
  if (!AccessFiles::Wanted(config_)) return absl::OkStatus();
  AccessFiles::ReadConfig read_config = read_config_;
  if (read_config == nullptr) read_config = [this] { return config_; };
  auto access = AccessFiles::Open(std::move(read_config), [this](const absl::Status& status) {
    if (audit_ == nullptr) return;
    audit_->Write({.event = "access", .reason = status.ok() ? "changed" : status.message()});
  });
  if (!access.ok()) return access.status();
  access_ = *std::move(access);
  access_->Start();
  gate_.SetAccess(access_.get(), clock_);
  return absl::OkStatus();
}

absl::Status RunningServer::StartRules() {
  if (!RuleFiles::Wanted(config_.rate_limit_service())) return absl::OkStatus();
  auto files = RuleFiles::Open(config_.rate_limit_service(), RecorderCopies(config_));
  if (!files.ok()) {
    return absl::Status(files.status().code(),
                        absl::StrCat("rate_limit_service.rules_file: ", files.status().message()));
  }
  rule_files_ = *std::move(files);
  rule_files_->Start();
  return absl::OkStatus();
}

absl::Status RunningServer::StartGrpc() {
  auto listener = Listener::Bind("listen", config_.listen());
  if (!listener.ok()) return listener.status();
  listener_ = *std::move(listener);
  address_ = listener_->address();
  if (absl::Status status = BindHttp(); !status.ok()) return status;

  grpc::ServerBuilder builder;
  acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials_);
  SetTransportLimits(config_.server(), &builder);
  table_.Register(&builder);

  std::vector<actors::Router::Host> hosts;
  for (int i = 0; i < config_.actors().executors(); ++i) {
    executor_stores_.push_back(store_->ForExecutor(i));
    lanes_.push_back(std::make_unique<Lane>(clock_, builder.AddCompletionQueue(), config_));
    Lane* const lane = lanes_.back().get();
    lane->host = std::make_unique<actors::ShardHost>(
        actors::HostServices{
            .executor = &lane->executor,
            .store = executor_stores_.back(),
            .families = families_.get(),
            .run_clocks = run_clocks_[static_cast<size_t>(i) % run_clocks_.size()].get(),
            .reads = &lane->reads,
            .sql = nullptr,
            .sql_temp_space = sql_temp_space_.get(),
            .commits = &lane->commits,
            .family_changes = &lane->family_changes,
            .random = &lane->random,
            .classes = &classes_,
            .watchers = &watchers_,
            .on_commit_failure = [this](const absl::Status& status) { DiskFailed(status); },
            .sql_workers = &lane->sql,
            .sql_heap_total = &sql_heap_total_,
            .observer = observer_,
            .namespace_usage = namespace_usage_.get(),
        },
        HostOptionsOf(config_));
    watchers_.AddListener([lane](const actors::AlarmWatchers::Filter* added) {
      lane->executor.Post([host = lane->host.get(), filter = added == nullptr ? std::nullopt : std::optional(*added)] {
        host->OnAlarmClients(filter);
      });
    });
    lane->executor.set_on_round([host = lane->host.get()] { host->OnRound(); });
    hosts.push_back({&lane->executor, lane->host.get()});
  }
  router_ = std::make_unique<actors::Router>(std::move(hosts), owns_);
  MakeAgents();
  if (placement_ != nullptr) gate_.SetCluster(placement_->secret());

  watchers_.SetUndelivered([this](const actors::AlarmWatchers::Delivery& delivery) {
    const actors::ObjectClass* const object_class = classes_.Find(delivery.object.object_class);
    if (object_class == nullptr) return;
    auto* const returned = new actors::ReturnAlarm(delivery);
    router_->HostOf(returned->key()).executor->Post([this, returned, object_class] {
      router_->Deliver(returned->key(), object_class, returned);
    });
  });

  MakeAdmin();
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr) return absl::InternalError("gRPC's server does not start");
  for (auto& lane : lanes_) {
    // NOLINTNEXTLINE(modernize-make-unique): it would take the members without their names.
    lane->endpoint.reset(
        new Endpoint{.executor = &lane->executor,
                     .router = router_.get(),
                     .classes = &classes_,
                     .service_names = &table_.service_names(),
                     .store = store_.get(),
                     .reads = &lane->reads,
                     .watchers = &watchers_,
                     .gate = &gate_,
                     .log = &call_log_,
                     .observer = observer_,
                     .tracer = traces_ == nullptr ? nullptr : traces_->tracer(),
                     .parser = &parser_,
                     .admin = admin_.get(),
                     .placement = placement_,
                     .http_secret = http_secret_,
                     .serves = [this] { return HoldsSomeLease(); },
                     .reroute_max = absl::Milliseconds(config_.postgres().cluster().reroute_time_limit_ms()),
                     .alone = lanes_.size() == 1,
                     .stream_outstanding_max = static_cast<size_t>(config_.server().stream_outstanding_max()),
                     .reply_bytes_max = kReplyBytesMax,
                     .object_bytes_max = config_.storage().object_bytes_max(),
                     // An import is one turn, whose writes take a little more than the file.
                     .object_file_bytes_max = config_.storage().turn_bytes_max() / 4 * 3,
                     .transfer_time_max = absl::Milliseconds(config_.sql().transfer_time_limit_ms()),
                     .transfer_idle_max = absl::Milliseconds(config_.sql().transfer_idle_limit_ms()),
                     .imports = &import_places_,
                     .import_workers = &lane->imports,
                     .sql = &lane->host->sql(),
                     .reply_time_max = absl::Milliseconds(config_.server().reply_time_limit_ms()),
                     .stream_idle_max = absl::Milliseconds(config_.server().stream_idle_timeout_ms()),
                     .rate_limits = rule_files_.get()});
    table_.Post(lane->endpoint.get());
    lane->executor.Post([host = lane->host.get(), endpoint = lane->endpoint.get()] {
      host->Start();
      WatchCalls(endpoint);
    });
    lane->executor.Start();
  }
  if (absl::Status status = StartHttp(); !status.ok()) return status;
  if (absl::Status status = StartMetrics(); !status.ok()) return status;
  if (agents_ != nullptr) {
    if (absl::Status status = agents_->Start(); !status.ok()) return status;
  }
  StartRounds();
  std::vector<const CompletionQueueExecutor*> executors;
  executors.reserve(lanes_.size());
  for (const auto& lane : lanes_) executors.push_back(&lane->executor);
  flood_guard_ = std::make_unique<FloodGuard>(std::move(executors), &connections_);
  listener_->Start(&connections_, [this, next = size_t{0}](int fd, const std::string&) mutable {
    // An executor hands the connection to gRPC, since gRPC may go on to read it on the thread that hands it over.
    lanes_[next++ % lanes_.size()]->executor.Post([this, fd] {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
      connection.fd = fd;
      acceptor_->HandleNewConnection(&connection);
    });
  });
  if (http_ != nullptr) {
    http_listener_->Start(http_->connections(), [this](int fd, const std::string& peer) { http_->Accept(fd, peer); });
    Log(LogLevel::kInfo, "http", {{"listen", http_address()}, {"tls", config_.has_tls() ? "yes" : "no"}});
  }
  return absl::OkStatus();
}

absl::Status RunningServer::BindHttp() {
  if (config_.http().listen().empty()) return absl::OkStatus();
  auto listener = Listener::Bind("http.listen", config_.http().listen());
  if (!listener.ok()) return listener.status();
  http_listener_ = *std::move(listener);
  http_secret_ = NewSecret();
  return absl::OkStatus();
}

absl::Status RunningServer::StartHttp() {
  if (http_listener_ == nullptr) return absl::OkStatus();
  auto collector = std::make_shared<Collector>(
      &recorder_, [this] { return node_reader_->Read(); }, started_);
  // Without reflection the server tells nobody what a program has added.
  const auto console =
      std::make_shared<ConsoleApi>(config_.reflection() ? table_.service_names() : std::vector<std::string>());
  const auto find_file = [console](std::string_view path) { return console->FindFile(path); };
  auto http = HttpServer::Start(config_, {.methods = table_.methods(),
                                          .channel =
                                              [this] {
                                                grpc::ChannelArguments arguments;
                                                // The server bounds its replies.
                                                arguments.SetMaxReceiveMessageSize(-1);
                                                return grpc_->InProcessChannel(arguments);
                                              },
                                          .secret = http_secret_,
                                          .gate = &gate_,
                                          .parser = &parser_,
                                          .clock = clock_,
                                          .metrics = [collector] { return TextOf(*collector); },
                                          .ready = [this] { return HoldsSomeLease(); },
                                          .find_file = find_file});
  if (!http.ok()) return http.status();
  http_ = *std::move(http);
  return absl::OkStatus();
}

void RunningServer::MakeAdmin() {
  NodeReader::Sources sources{.executors = {},
                              .gate = &gate_,
                              .store = store_.get(),
                              .families = families_.get(),
                              .watchers = &watchers_,
                              .families_max = config_.storage().column_families_max(),
                              .request_record_bytes_max = config_.storage().request_record_bytes_max(),
                              .traces = traces_.get()};
  if (agents_ != nullptr) sources.cluster = [this] { return agents_->load(); };
  if (rule_files_ != nullptr) sources.rate_limits = [this] { return rule_files_->load(); };
  if (http_listener_ != nullptr) {
    sources.http = [this] { return http_ == nullptr ? HttpLoad() : http_->load(); };
  }
  for (const auto& lane : lanes_) sources.executors.push_back({&lane->executor, lane->host.get(), &lane->sql});
  node_reader_ = std::make_unique<NodeReader>(
      std::move(sources), absl::Milliseconds(config_.metrics().executor_time_limit_ms()), actors::SteadyNow);
  admin_ =
      std::make_unique<AdminServices>(AdminServices{.recorder = &recorder_,
                                                    .history = &history_,
                                                    .node = node_reader_.get(),
                                                    .thread = nullptr,
                                                    .maintenance = &maintenance_,
                                                    .backups = backups_.get(),
                                                    .namespace_usage = namespace_usage_.get(),
                                                    .started = started_,
                                                    .activation_bytes_max = config_.actors().activation_bytes_max(),
                                                    .call_bytes_max = config_.server().call_bytes_max(),
                                                    .memtable_bytes = config_.storage().memtable_bytes()});
}

absl::Status RunningServer::StartMetrics() {
  admin_thread_ = std::make_unique<AdminThread>(History::kStep, [this] {
    history_.Add(recorder_, node_reader_->Read(), ReadProcessUsage(), absl::Now(), actors::SteadyNow());
  });
  admin_->thread = admin_thread_.get();
  if (config_.metrics().listen().empty()) return absl::OkStatus();
  auto exporter =
      Exporter::Start(config_.metrics(), std::make_shared<Collector>(
                                             &recorder_, [this] { return node_reader_->Read(); }, started_));
  if (!exporter.ok()) return exporter.status();
  exporter_ = *std::move(exporter);
  Log(LogLevel::kInfo, "metrics", {{"listen", exporter_->address()}});
  return absl::OkStatus();
}

void RunningServer::Drain() {
  if (grpc_ == nullptr) return;
  if (agents_ != nullptr) {
    agents_->Leave(actors::SteadyNow() + absl::Milliseconds(config_.server().drain_timeout_ms()));
    agents_->Stop();
  }
  rounds_ = nullptr;
  gate_.Drain();
  if (http_ != nullptr) http_->Drain();
  for (auto& lane : lanes_) {
    lane->Run([&lane] {
      lane->host->Stop();
      DrainCalls(lane->endpoint.get());
    });
    lane->sql.Drain();
    lane->imports.Drain();
  }
  const absl::Time refused_until = actors::SteadyNow() + kRefuseMin;
  const absl::Time calls_until = actors::SteadyNow() + absl::Milliseconds(config_.server().drain_timeout_ms());
  while (actors::SteadyNow() < refused_until || (gate_.working() > 0 && actors::SteadyNow() < calls_until)) {
    absl::SleepFor(kSettleStep);
  }
  for (auto& lane : lanes_) {
    lane->sql.Interrupt();
    lane->imports.Interrupt();
  }
  const absl::Time interrupted_until = actors::SteadyNow() + kInterruptedMax;
  while (gate_.working() > 0 && actors::SteadyNow() < interrupted_until) absl::SleepFor(kSettleStep);
  listener_->Stop();
  if (http_ != nullptr) {
    http_listener_->Stop();
    http_->CloseIdle();
  }
  if (const int busy = Quiesce(&connections_, kQuiesceMax); busy > 0) {
    Log(LogLevel::kWarning, "connections_not_quiet", {{"count", absl::StrCat(busy)}});
  }
  // Ends the calls that are left at once.
  grpc_->Shutdown(absl::ToChronoTime(absl::Now()));
  if (http_ != nullptr) http_->Finish(kHttpFinishMax);

  // The calls have ended; alarms and commits may still be at work.
  const absl::Time until = actors::SteadyNow() + kSettleMax;
  const auto busy = [this](Lane* lane) { return lane->Run([lane] { return !lane->host->idle(); }) && !disk_failed_; };
  for (auto& lane : lanes_) {
    lane->Run([&lane] { lane->host->SettleHeaders(); });
    while (busy(lane.get()) && actors::SteadyNow() < until) absl::SleepFor(kSettleStep);
  }
  watchers_.Close();
  flood_guard_ = nullptr;
  exporter_ = nullptr;
  maintenance_.Stop();
  if (admin_thread_ != nullptr) admin_thread_->Stop();
  StopLanes();
  grpc_ = nullptr;
  // The last calls have ended; their spans are sent, if the collector takes them soon.
  traces_ = nullptr;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Config& config,
                                                      std::function<void(const absl::Status&)> on_disk_failure,
                                                      Extension extension) {
  Config divided = config;
  if (absl::Status status = DivideDescriptors(RaiseDescriptorLimit(), &divided); !status.ok()) return status;
  auto server =
      std::make_unique<RunningServer>(divided, std::move(on_disk_failure), WithBuiltIn(divided, std::move(extension)));
  if (absl::Status status = server->Start(); !status.ok()) return status;
  return server;
}

}  // namespace holdfast::service
