#include "service/server.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/objects/return_alarm.h"
#include "actors/runtime/router.h"
#include "actors/runtime/shard_host.h"
#include "service/access/access_files.h"
#include "service/access/audit_log.h"
#include "service/call/call.h"
#include "service/call/call_gate.h"
#include "service/call/connections.h"
#include "service/call/endpoint.h"
#include "service/call/flood_guard.h"
#include "service/call/node_reader.h"
#include "service/call/refusal_log.h"
#include "service/call/request_parser.h"
#include "service/cluster/cluster_agents.h"
#include "service/cluster/cluster_placement.h"
#include "service/cluster/namespace_rounds.h"
#include "service/console/console_api.h"
#include "service/descriptors.h"
#include "service/http_port.h"
#include "service/join_cluster.h"
#include "service/lane.h"
#include "service/listener.h"
#include "service/metrics/observers.h"
#include "service/metrics/recorder.h"
#include "service/metrics/version.h"
#include "service/node_admin.h"
#include "service/options.h"
#include "service/quiesce.h"
#include "service/ratelimit/rule_files.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_table.h"
#include "service/server_data.h"
#include "service/tls.h"
#include "service/traces/traces.h"
#include "service/transport_limits.h"
#include "storage/base/log.h"
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
    if (data_ != nullptr) data_->Settle();
  }

  absl::Status Start();
  const std::string& address() const override { return address_; }
  std::string http_address() const override { return http_ == nullptr ? "" : http_->address(); }
  void Reload() override {
    if (access_ != nullptr) access_->Reload();
    if (rule_files_ != nullptr) rule_files_->Reload();
  }
  void Drain() override;

 private:
  // Begins to learn what other nodes count, if there may be some.
  void StartRounds();
  absl::Status StartAccess();
  absl::Status StartRules();
  absl::Status StartGrpc();
  // Makes this server a member of its cluster, if its store is of one.
  absl::Status JoinCluster();
  // Makes what brings the shards of the cluster, which begins once the executors run.
  void MakeAgents();
  // Makes what reads the load of the node. Before the first call.
  void MakeAdmin();
  absl::Status StartHttp();
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
  std::unique_ptr<ServerData> data_;
  std::unique_ptr<ClusterPlacement> cluster_placement_;  // null: other nodes can't join
  storage::sql::HeapTotal sql_heap_total_;
  actors::AlarmWatchers watchers_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::unique_ptr<actors::Router> router_;
  std::unique_ptr<FloodGuard> flood_guard_;  // ends before the executors that it looks at
  std::unique_ptr<NodeAdmin> admin_;         // ends before the executors that it asks and posts to
  std::unique_ptr<HttpPort> http_;           // null: there is no HTTP port
  RequestParser parser_;                     // ends before the executors, and the loops of HTTP, that it posts to
  std::unique_ptr<ClusterAgents> agents_;    // null: all shards are here. End before the executors that they post to
  std::unique_ptr<NamespaceRounds> rounds_;  // null: no other node counts what this one does
  std::shared_ptr<grpc::ServerCredentials> credentials_;
  std::unique_ptr<Listener> listener_;
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
  auto data =
      ServerData::Open(config_, open_store_, observer_, [this](const absl::Status& status) { DiskFailed(status); });
  if (!data.ok()) return data.status();
  data_ = *std::move(data);
  if (absl::Status status = JoinCluster(); !status.ok()) return status;
  return StartGrpc();
}

absl::Status RunningServer::JoinCluster() {
  if (data_->databases().empty()) return absl::OkStatus();
  // The agents bring the shards.
  owns_ = [](storage::ShardId) { return false; };
  auto placement = MakePlacement(config_);
  if (!placement.ok()) return placement.status();
  cluster_placement_ = *std::move(placement);
  placement_ = cluster_placement_.get();
  return absl::OkStatus();
}

void RunningServer::MakeAgents() {
  if (data_->databases().empty()) return;
  std::vector<AgentServices> services;
  for (const ServerData::Database& database : data_->databases()) {
    services.push_back(
        {.rows = database.rows,
         .store = database.logged,
         .router = router_.get(),
         .run_clocks = database.run_clocks,
         .placement = cluster_placement_.get(),
         .on_gain = [this, rows = database.rows](storage::ShardId shard,
                                                 int64_t epoch) { return data_->Gain(rows, shard, epoch); },
         .on_lose = [this](storage::ShardId shard) { data_->Lose(shard); },
         .on_nodes = nullptr,
         .on_failure = [this](const absl::Status& status) { DiskFailed(status); }});
  }
  agents_ = std::make_unique<ClusterAgents>(std::move(services), AgentOptionsOf(config_), [this](size_t nodes) {
    gate_.SetQuotaShare(1.0 / static_cast<double>(nodes));
    if (data_->namespace_usage() != nullptr) data_->namespace_usage()->SetTakers(nodes);
  });
  if (cluster_placement_ == nullptr) return;
  cluster_placement_->set_on_moved([this](storage::ShardId shard) { agents_->LookSoon(shard); });
}

void RunningServer::StartRounds() {
  storage::NamespaceUsage* const usage = data_->namespace_usage();
  if (usage == nullptr || data_->databases().empty()) return;
  if (cluster_placement_ == nullptr) return usage->EndRound(1);
  rounds_ = std::make_unique<NamespaceRounds>(usage, [this] { return cluster_placement_->Owners(); });
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
  auto http = HttpPort::Bind(config_);
  if (!http.ok()) return http.status();
  http_ = *std::move(http);

  grpc::ServerBuilder builder;
  acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials_);
  SetTransportLimits(config_.server(), &builder);
  table_.Register(&builder);

  std::vector<actors::Router::Host> hosts;
  for (size_t i = 0; i < static_cast<size_t>(config_.actors().executors()); ++i) {
    lanes_.push_back(std::make_unique<Lane>(clock_, builder.AddCompletionQueue(), config_));
    Lane* const lane = lanes_.back().get();
    lane->host = std::make_unique<actors::ShardHost>(
        actors::HostServices{
            .executor = &lane->executor,
            .store = data_->executor_store(i),
            .families = data_->families(),
            .run_clocks = data_->run_clocks(i),
            .reads = &lane->reads,
            .sql = nullptr,
            .sql_temp_space = data_->sql_temp_space(),
            .commits = &lane->commits,
            .family_changes = &lane->family_changes,
            .random = &lane->random,
            .classes = &classes_,
            .watchers = &watchers_,
            .on_commit_failure = [this](const absl::Status& status) { DiskFailed(status); },
            .sql_workers = &lane->sql,
            .sql_heap_total = &sql_heap_total_,
            .observer = observer_,
            .namespace_usage = data_->namespace_usage(),
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
                     .store = data_->store(),
                     .reads = &lane->reads,
                     .watchers = &watchers_,
                     .gate = &gate_,
                     .log = &call_log_,
                     .observer = observer_,
                     .tracer = traces_ == nullptr ? nullptr : traces_->tracer(),
                     .parser = &parser_,
                     .admin = admin_->services(),
                     .placement = placement_,
                     .http_secret = http_ == nullptr ? "" : http_->secret(),
                     .serves = [this] { return data_->HoldsSomeLease(); },
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
  if (absl::Status status = admin_->Start(); !status.ok()) return status;
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
    http_->Accept();
    Log(LogLevel::kInfo, "http", {{"listen", http_address()}, {"tls", config_.has_tls() ? "yes" : "no"}});
  }
  return absl::OkStatus();
}

absl::Status RunningServer::StartHttp() {
  if (http_ == nullptr) return absl::OkStatus();
  // Without reflection the server tells nobody what a program has added.
  const auto console =
      std::make_shared<ConsoleApi>(config_.reflection() ? table_.service_names() : std::vector<std::string>());
  return http_->Start(config_, {.methods = table_.methods(),
                                .channel =
                                    [this] {
                                      grpc::ChannelArguments arguments;
                                      // The server bounds its replies.
                                      arguments.SetMaxReceiveMessageSize(-1);
                                      return grpc_->InProcessChannel(arguments);
                                    },
                                .secret = {},
                                .gate = &gate_,
                                .parser = &parser_,
                                .clock = clock_,
                                .metrics = [this] { return admin_->MetricsPage(); },
                                .ready = [this] { return data_->HoldsSomeLease(); },
                                .find_file = [console](std::string_view path) { return console->FindFile(path); }});
}

void RunningServer::MakeAdmin() {
  NodeReader::Sources sources{.executors = {},
                              .gate = &gate_,
                              .store = data_->store(),
                              .families = data_->families(),
                              .watchers = &watchers_,
                              .families_max = config_.storage().column_families_max(),
                              .request_record_bytes_max = config_.storage().request_record_bytes_max(),
                              .traces = traces_.get()};
  if (agents_ != nullptr) sources.cluster = [this] { return agents_->load(); };
  if (rule_files_ != nullptr) sources.rate_limits = [this] { return rule_files_->load(); };
  if (http_ != nullptr) sources.http = [this] { return http_->load(); };
  for (const auto& lane : lanes_) sources.executors.push_back({&lane->executor, lane->host.get(), &lane->sql});
  admin_ = std::make_unique<NodeAdmin>(config_, std::move(sources), &recorder_, *data_, started_);
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
  if (http_ != nullptr) http_->StopAccepting();
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
  admin_->Stop();
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
