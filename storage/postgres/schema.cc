#include "storage/postgres/schema.h"

#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/store/object_id.h"

namespace holdfast::storage::postgres {
namespace {

// For what happens once at the start, and for each new connection.
constexpr auto kSetupTimeout = std::chrono::seconds(10);

// Between two tries to reach the database at the start, which waits for nothing else.
constexpr auto kConnectStep = std::chrono::milliseconds(100);

Deadline SetupDeadline(const SessionOptions& options) { return options.driver->After(kSetupTimeout); }

// Two processes that make the tables at once do so one after the other.
const Statement kLockSchema = {"lock_schema", "SELECT pg_advisory_xact_lock(4853219045671)"};

// The keys of catalog, alarms and requests have an order over all shards, too; packed objects do not.
//
// fillfactor: room on each page for new versions of its rows, which then need no new entries in an index.
std::vector<std::string> TablesOf(const DatabasePart& part) {
  std::string writer_id = "CREATE SEQUENCE IF NOT EXISTS hf_writer_id";
  if (part.databases > 1) {
    const int64_t before = part.database * kWritersOfDatabase;
    absl::StrAppend(&writer_id, " MINVALUE ", before + 1, " MAXVALUE ", before + kWritersOfDatabase - 1);
  }
  return {
      "CREATE TABLE IF NOT EXISTS hf_meta (key text PRIMARY KEY, value text NOT NULL)",
      ("CREATE TABLE IF NOT EXISTS hf_writer (id int8 PRIMARY KEY, lane int4 NOT NULL, epoch int8 NOT NULL,"
       " batch int8 NOT NULL, beat int8 NOT NULL, owner text, state int2 NOT NULL, node text NOT NULL,"
       " address text NOT NULL, lease_ms int8 NOT NULL) WITH (fillfactor = 50)"),
      writer_id,
      "CREATE TABLE IF NOT EXISTS hf_shard (id int2 PRIMARY KEY, writer int8, epoch int8 NOT NULL)",
      ("CREATE TABLE IF NOT EXISTS hf_entry (family int2 NOT NULL, shard int2 NOT NULL, key bytea NOT NULL,"
       " value bytea NOT NULL, PRIMARY KEY (family, shard, key)) WITH (fillfactor = 85, toast_tuple_target = 8160)"),
      "ALTER TABLE hf_entry ALTER COLUMN value SET STORAGE MAIN",
      "CREATE INDEX IF NOT EXISTS hf_entry_order ON hf_entry (family, key) WHERE family <> 3",
      ("CREATE TABLE IF NOT EXISTS hf_log (writer int8 NOT NULL, batch int8 NOT NULL, bytes bytea NOT NULL,"
       " PRIMARY KEY (writer, batch))"),
      "ALTER TABLE hf_log ALTER COLUMN bytes SET STORAGE EXTERNAL",
      absl::StrCat("INSERT INTO hf_shard SELECT n, NULL, 0 FROM generate_series(", part.database, ", ", kShardCount - 1,
                   ", ", part.databases, ") n ON CONFLICT DO NOTHING"),
  };
}

const Statement kPutMeta = {"put_meta",
                            "INSERT INTO hf_meta SELECT 'version', $1::text UNION ALL SELECT 'shards', $2::text"
                            " UNION ALL SELECT 'cluster', coalesce(nullif($3::text, ''), gen_random_uuid()::text)"
                            " ON CONFLICT DO NOTHING"};
const Statement kPutPart = {"put_part",
                            "INSERT INTO hf_meta SELECT 'databases', $1::text UNION ALL SELECT 'database', $2::text"
                            " ON CONFLICT DO NOTHING"};
const Statement kTouch = {"touch", "UPDATE hf_meta SET value = value WHERE key = 'version' RETURNING 1"};
const Statement kHasMeta = {"has_meta", "SELECT to_regclass('hf_meta') IS NOT NULL"};
const Statement kGetMeta = {"get_meta",
                            "SELECT (SELECT value FROM hf_meta WHERE key = 'version'),"
                            " (SELECT value FROM hf_meta WHERE key = 'shards'),"
                            " coalesce((SELECT value FROM hf_meta WHERE key = 'cluster'), ''),"
                            " coalesce((SELECT value FROM hf_meta WHERE key = 'databases'), ''),"
                            " coalesce((SELECT value FROM hf_meta WHERE key = 'database'), '')"};
const Statement kIsUsed = {"is_used", "SELECT is_called FROM hf_writer_id"};

const Statement kSettings = {
    "settings",
    "SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'),"
    " pg_is_in_recovery(), current_setting('server_version_num')::int4, current_setting('server_encoding')"};

absl::Status Unfit(absl::string_view what) { return absl::FailedPreconditionError(absl::StrCat("PostgreSQL: ", what)); }

absl::StatusOr<ClusterMark> TakeMark(const Rows& rows) {
  if (rows.IsNull(0, 0) || rows.IsNull(0, 1)) return Unfit("hf_meta has no version: the tables are not of a cluster");
  const absl::string_view version = rows.Bytes(0, 0);
  const bool several = version == absl::StrCat(kSchemaVersionOfSeveral);
  if (!several && version != absl::StrCat(kSchemaVersion)) {
    return Unfit(absl::StrCat("the tables have version ", version, ", and this server knows versions ", kSchemaVersion,
                              " and ", kSchemaVersionOfSeveral, "; nothing was changed"));
  }
  if (rows.Bytes(0, 1) != absl::StrCat(kShardCount)) {
    return Unfit(absl::StrCat("the cluster has ", rows.Bytes(0, 1), " shards, and this server has ", kShardCount,
                              "; nothing was changed"));
  }
  ClusterMark mark = {.cluster = std::string(rows.Bytes(0, 2)), .part = {}};
  if (!several) return mark;
  if (!absl::SimpleAtoi(rows.Bytes(0, 3), &mark.part.databases) ||
      !absl::SimpleAtoi(rows.Bytes(0, 4), &mark.part.database) || mark.part.database >= mark.part.databases) {
    return Unfit("hf_meta does not say which of the databases of its cluster this is");
  }
  return mark;
}

absl::StatusOr<bool> HasMeta(Connection* connection, Deadline deadline) {
  connection->Add(kHasMeta);
  TripResult has = connection->Run(deadline);
  if (!has.ok()) return has.status();
  return has.rows.back().Bool(0, 0);
}

// A server before this one has no gen_random_uuid() and no commits of pipelines.
constexpr int64_t kServerVersionMin = 140000;

absl::Status CheckSettings(const Rows& rows) {
  if (rows.Bool(0, 3)) return Unfit("the server is a standby (in recovery); name the primary");
  if (rows.Int(0, 4) < kServerVersionMin) {
    return Unfit(
        absl::StrCat("the server has version ", rows.Int(0, 4) / 10000, "; 14 is the oldest that can be used"));
  }
  const absl::string_view synchronous = rows.Bytes(0, 0);
  if (synchronous != "on" && synchronous != "remote_apply") {
    return Unfit(absl::StrCat("synchronous_commit is ", synchronous,
                              ", which can lose commits that were acknowledged; set it to on"));
  }
  if (rows.Bytes(0, 1) != "on") return Unfit("fsync is off, which loses commits at a power failure; set it to on");
  if (rows.Bytes(0, 2) != "on") {
    return Unfit("full_page_writes is off, which damages data at a power failure; set it to on");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> OpenSession(const SessionOptions& options, SessionKind kind) {
  absl::StatusOr<std::unique_ptr<Connection>> opened = options.driver->Connect(options.conninfo, options.first_host);
  if (!opened.ok()) return opened;
  Connection& connection = **opened;
  const int64_t timeout_ms = kind == SessionKind::kWriter ? 0 : absl::ToInt64Milliseconds(options.read_timeout);
  const std::pair<const char*, std::string> settings[] = {
      {"statement_timeout", absl::StrCat(timeout_ms)},
      {"lock_timeout", "0"},
      {"idle_in_transaction_session_timeout", "0"},
      {"default_transaction_isolation", "read committed"},
      // The statistics of a table that has just grown are those of an empty one, so the planner must not choose.
      {"plan_cache_mode", "force_generic_plan"},
      {"enable_seqscan", "off"},
      {"enable_bitmapscan", "off"},
      {"enable_hashjoin", "off"},
      {"enable_mergejoin", "off"},
      {"enable_sort", "off"},
      {"jit", "off"},
  };
  const Statement set = {"set", "SELECT set_config($1::text, $2::text, false)"};
  for (const auto& [name, value] : settings) connection.Add(set, Params().Bytes(name).Bytes(value));
  connection.Add(kSettings);
  TripResult result = connection.Run(SetupDeadline(options));
  if (!result.ok()) return result.status();
  if (!options.unsafe_settings) {
    if (absl::Status status = CheckSettings(result.rows.back()); !status.ok()) return status;
  }
  return opened;
}

absl::StatusOr<std::unique_ptr<Connection>> OpenFirstSession(const SessionOptions& options) {
  const Deadline give_up = options.driver->After(absl::ToChronoNanoseconds(options.read_timeout));
  auto connection = OpenSession(options, SessionKind::kReader);
  while (absl::IsUnavailable(connection.status()) && options.driver->Now() < give_up) {
    options.driver->Sleep(kConnectStep);
    connection = OpenSession(options, SessionKind::kReader);
  }
  return connection;
}

void AddSyncedWrite(Connection* connection) { connection->Add(kTouch); }

absl::StatusOr<std::optional<ClusterMark>> ReadMark(Connection* connection, Deadline deadline) {
  const absl::StatusOr<bool> has = HasMeta(connection, deadline);
  if (!has.ok()) return has.status();
  if (!*has) return std::nullopt;
  connection->Add(kGetMeta);
  TripResult result = connection->Run(deadline);
  if (!result.ok()) return result.status();
  return TakeMark(result.rows.back());
}

absl::StatusOr<bool> IsUsed(Connection* connection, Deadline deadline) {
  connection->Add(kIsUsed);
  TripResult result = connection->Run(deadline);
  if (!result.ok()) return result.status();
  return result.rows.back().Bool(0, 0);
}

absl::Status CheckPart(const ClusterMark& mark, const DatabasePart& part) {
  if (mark.part.databases != part.databases) {
    return Unfit(absl::StrCat("the cluster of this database has ", mark.part.databases,
                              mark.part.databases == 1 ? " database" : " databases", ", and the configuration has ",
                              part.databases, " (postgres.database); the number can't be changed"));
  }
  if (mark.part.database != part.database) {
    return Unfit(absl::StrCat("this is database ", mark.part.database,
                              " of its cluster, and the configuration has it as ", part.database,
                              ", counted from 0: their order (postgres.database) can't be changed"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ClusterMark> CheckSchema(Connection* connection, const DatabasePart& part, Deadline deadline) {
  const absl::StatusOr<std::optional<ClusterMark>> mark = ReadMark(connection, deadline);
  if (!mark.ok()) return mark.status();
  if (!*mark) return Unfit("the database has no tables of a cluster; make them with holdfastd --init-cluster");
  if (absl::Status status = CheckPart(**mark, part); !status.ok()) return status;
  return **mark;
}

absl::StatusOr<ClusterMark> InitDatabase(const SessionOptions& options, const DatabasePart& part,
                                         const std::string& cluster) {
  auto connection = OpenSession(options, SessionKind::kWriter);
  if (!connection.ok()) return connection.status();
  // Tables of another version stay as they are.
  const absl::StatusOr<bool> has = HasMeta(connection->get(), SetupDeadline(options));
  if (!has.ok()) return has.status();
  if (*has) return CheckSchema(connection->get(), part, SetupDeadline(options));
  int number = 0;
  (*connection)->Add(kLockSchema);
  for (std::string& table : TablesOf(part)) (*connection)->Add({absl::StrCat("table", number++), std::move(table)});
  const int version = part.databases > 1 ? kSchemaVersionOfSeveral : kSchemaVersion;
  (*connection)->Add(kPutMeta, Params().Bytes(absl::StrCat(version)).Bytes(absl::StrCat(kShardCount)).Bytes(cluster));
  if (part.databases > 1) {
    (*connection)->Add(kPutPart, Params().Bytes(absl::StrCat(part.databases)).Bytes(absl::StrCat(part.database)));
  }
  TripResult made = (*connection)->Run(SetupDeadline(options));
  if (!made.ok()) return made.status();
  return CheckSchema(connection->get(), part, SetupDeadline(options));
}

absl::Status CheckPooling(const SessionOptions& options) {
  const Statement backend = {"backend", "SELECT pg_backend_pid()"};
  const Statement set = {"set", "SELECT set_config('holdfast.session', $1::text, false)"};
  const Statement get = {"get", "SELECT coalesce(current_setting('holdfast.session', true), '')"};
  const Statement begin = {"begin", "BEGIN"};
  auto first = options.driver->Connect(options.conninfo, /*first_host=*/0);
  if (!first.ok()) return first.status();
  (*first)->Add(backend);
  TripResult result = (*first)->Run(SetupDeadline(options));
  if (!result.ok()) return result.status();
  if (result.rows.back().Int(0, 0) == (*first)->backend_pid()) return absl::OkStatus();
  // There is a pooler between. The last server that the first session has used is given to the second one, and held
  // there; a pooler of transactions gives another one to the first session then.
  auto second = options.driver->Connect(options.conninfo, /*first_host=*/0);
  if (!second.ok()) return second.status();
  (*first)->Add(set, Params().Bytes("first"));
  result = (*first)->Run(SetupDeadline(options));
  if (!result.ok()) return result.status();
  (*second)->Add(begin);
  (*second)->Add(get);
  result = (*second)->Run(SetupDeadline(options));
  const bool seen_by_second = result.ok() && result.rows.back().Bytes(0, 0) == "first";
  (*first)->Add(get);
  result = (*first)->Run(SetupDeadline(options));
  if (!seen_by_second && result.ok() && result.rows.back().Bytes(0, 0) == "first") return absl::OkStatus();
  return Unfit(
      "the connection goes through a pooler that pools transactions or statements; connect to the server, or to a "
      "pooler of sessions");
}

}  // namespace holdfast::storage::postgres
